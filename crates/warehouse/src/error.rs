//! What the warehouse answered when it was not success.
//!
//! In: an error of the `clickhouse` crate, or a deadline that passed. Out: the server's code where there is one, and
//! whether repeating the same request can help. No error says that nothing was written: an answer that is not clean
//! leaves that open.

/// A request to the warehouse that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum WarehouseError {
    /// No answer in time. The server may still be at work.
    #[error("the warehouse gave no answer to {what} within {after_ms} ms")]
    Timeout {
        /// What was asked.
        what: &'static str,
        /// The deadline, milliseconds.
        after_ms: u64,
    },
    /// No connection, or it broke.
    #[error("the warehouse cannot be reached: {0}")]
    Connection(String),
    /// The server said no.
    #[error("the warehouse answered: {message}")]
    Server {
        /// ClickHouse's error code, if the answer names one.
        code: Option<u32>,
        /// The answer's first line.
        message: String,
    },
    /// The client's side: a row or a result that does not fit its type, wrong configuration.
    #[error("the warehouse client: {0}")]
    Client(String),
    /// A file of the configuration could not be read.
    #[error("cannot read warehouse.password_file = {path:?}: {source}")]
    PasswordFile {
        /// The file.
        path: std::path::PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// `VIOLATED_CONSTRAINT`: rows came after their `not_after`.
const VIOLATED_CONSTRAINT: u32 = 469;

/// Codes that time or less load may cure; any other code means that the request itself is wrong.
const RETRYABLE_CODES: [u32; 32] = [
    3,   // UNEXPECTED_END_OF_FILE
    159, // TIMEOUT_EXCEEDED
    160, // TOO_SLOW
    202, // TOO_MANY_SIMULTANEOUS_QUERIES
    203, // NO_FREE_CONNECTION
    209, // SOCKET_TIMEOUT
    210, // NETWORK_ERROR
    216, // QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING
    225, // NO_ZOOKEEPER
    236, // ABORTED
    241, // MEMORY_LIMIT_EXCEEDED
    242, // TABLE_IS_READ_ONLY
    243, // NOT_ENOUGH_SPACE
    252, // TOO_MANY_PARTS
    254, // NO_ACTIVE_REPLICAS
    279, // ALL_CONNECTION_TRIES_FAILED
    285, // TOO_FEW_LIVE_REPLICAS
    286, // UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
    289, // REPLICA_IS_NOT_IN_QUORUM
    319, // UNKNOWN_STATUS_OF_INSERT
    341, // UNFINISHED
    394, // QUERY_WAS_CANCELLED
    425, // SYSTEM_ERROR
    439, // CANNOT_SCHEDULE_TASK
    469, // VIOLATED_CONSTRAINT: the repeat carries a later not_after
    473, // DEADLOCK_AVOIDED
    499, // S3_ERROR
    517, // CANNOT_ASSIGN_ALTER
    574, // DISTRIBUTED_TOO_MANY_PENDING_BYTES
    667, // NOT_INITIALIZED
    745, // SERVER_OVERLOADED
    999, // KEEPER_EXCEPTION
];

impl WarehouseError {
    /// ClickHouse's error code, if the server named one.
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::Server { code, .. } => *code,
            _ => None,
        }
    }

    /// Whether the same request may succeed later without anyone changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Connection(_) => true,
            // Without a code it is a proxy's or the embedded engine's HTTP status.
            Self::Server { code: None, message } => {
                message.starts_with("5") || message.starts_with("408") || message.starts_with("429")
            }
            Self::Server { code: Some(code), .. } => RETRYABLE_CODES.contains(code),
            Self::Client(_) | Self::PasswordFile { .. } => false,
        }
    }

    /// Whether the server refused the rows because they came after their `not_after`.
    pub fn is_stale(&self) -> bool {
        self.code() == Some(VIOLATED_CONSTRAINT)
    }
}

impl From<clickhouse::error::Error> for WarehouseError {
    fn from(error: clickhouse::error::Error) -> Self {
        use clickhouse::error::Error;
        match error {
            Error::Network(source) => Self::Connection(with_causes(source.as_ref())),
            Error::TimedOut => Self::Connection("a transfer took longer than its time-out".to_owned()),
            Error::BadResponse(text) => {
                let message = text.lines().next().unwrap_or_default().to_owned();
                Self::Server { code: parse_code(&text), message }
            }
            // The answer ended early or is garbled: the connection, not the request.
            Error::Decompression(source) => Self::Connection(with_causes(source.as_ref())),
            other => Self::Client(other.to_string()),
        }
    }
}

/// The number in `Code: 241. DB::Exception: …`, wherever it begins.
fn parse_code(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("Code: ")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests;
