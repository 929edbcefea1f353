//! What goes wrong with a statement, in ClickHouse's own words: a code, and a text that begins `Code: N. DB::Exception:`.
//!
//! Errors of the engine keep their text; refusals of this binary are built in the same shape, so that a client needs one
//! parser. The table from code to HTTP status is the one that ClickHouse's server uses (`exceptionCodeToHTTPStatus`), plus
//! 503 for a full queue.

use http::StatusCode;

/// A failed statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(crate) struct EngineError {
    /// ClickHouse's error code, 1002 (`UNKNOWN_EXCEPTION`) if the text names none.
    pub(crate) code: u32,
    /// The whole text, with code and name.
    pub(crate) text: String,
}

const UNKNOWN_EXCEPTION: u32 = 1002;

impl EngineError {
    /// Reads the code out of the engine's text.
    pub(crate) fn from_engine(text: String) -> Self {
        let code = text
            .split_once("Code: ")
            .and_then(|(_, rest)| rest.split_once('.'))
            .and_then(|(code, _)| code.trim().parse().ok());
        match code {
            Some(code) => Self { code, text },
            None => Self::own(UNKNOWN_EXCEPTION, "UNKNOWN_EXCEPTION", &text),
        }
    }

    /// A refusal of this binary, in the engine's shape.
    pub(crate) fn own(code: u32, name: &str, message: &str) -> Self {
        Self { code, text: format!("Code: {code}. DB::Exception: {message}. ({name})") }
    }

    /// A request that cannot be understood.
    pub(crate) fn bad_request(message: &str) -> Self {
        Self::own(36, "BAD_ARGUMENTS", message)
    }

    /// A request or an answer over a limit of the configuration.
    pub(crate) fn too_large(message: &str) -> Self {
        Self::own(229, "QUERY_IS_TOO_LARGE", message)
    }

    /// No place left in the queue, or shutting down: try again later.
    pub(crate) fn overloaded(message: &str) -> Self {
        Self::own(745, "SERVER_OVERLOADED", message)
    }

    /// The HTTP status that ClickHouse's server gives this code.
    pub(crate) fn status(&self) -> StatusCode {
        match self.code {
            194 => StatusCode::UNAUTHORIZED,
            192 | 193 | 497 | 512 | 516 => StatusCode::FORBIDDEN,
            6 | 8 | 15 | 25 | 26 | 27 | 36 | 37 | 38 | 41 | 44 | 53 | 62 | 72 | 117 | 123 | 167 | 168
            | 223 | 321 | 376 | 427 | 441 | 675 | 676 => StatusCode::BAD_REQUEST,
            46 | 47 | 50 | 56 | 60 | 63 | 73 | 78 | 81 | 115 | 152 | 336 | 511 => StatusCode::NOT_FOUND,
            159 => StatusCode::REQUEST_TIMEOUT,
            229 => StatusCode::PAYLOAD_TOO_LARGE,
            381 => StatusCode::LENGTH_REQUIRED,
            779 => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            48 => StatusCode::NOT_IMPLEMENTED,
            76 | 209 | 439 | 745 => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_status_are_read_from_the_text() {
        let cases = [
            ("Code: 60. DB::Exception: Table default.t does not exist. (UNKNOWN_TABLE)", 60, 404),
            ("Code: 62. DB::Exception: Syntax error. (SYNTAX_ERROR)", 62, 400),
            ("Code: 241. DB::Exception: memory. (MEMORY_LIMIT_EXCEEDED)", 241, 500),
            ("std::exception: bad", UNKNOWN_EXCEPTION, 500),
        ];
        for (text, code, status) in cases {
            let error = EngineError::from_engine(text.to_owned());
            assert_eq!((error.code, error.status().as_u16()), (code, status), "{text}");
        }
        assert_eq!(
            EngineError::overloaded("full").text,
            "Code: 745. DB::Exception: full. (SERVER_OVERLOADED)"
        );
    }
}
