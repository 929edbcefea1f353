//! One statement with its database, settings and parameters, on a connection of its own.
//!
//! In: a [`Statement`]; out: its result or the engine's error. Invariant: settings are in force for exactly this statement,
//! as on a server's HTTP interface: they are SET on a connection that nothing else uses and that is closed afterwards.

use super::EngineError;
use super::library::{Connection, Library, Output};

/// What a statement may take, from the configuration.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Longest result, bytes.
    pub(crate) max_result_bytes: u64,
    /// Most memory of one statement, bytes.
    pub(crate) max_query_memory_bytes: u64,
}

/// A statement, ready to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    /// Database of unqualified names; the engine's `default` if none.
    pub(crate) database: Option<String>,
    /// Settings by name; names are checked to be identifiers.
    pub(crate) settings: Vec<(String, String)>,
    /// Values of `{name:Type}`, TSV-escaped by the client.
    pub(crate) params: Vec<(String, String)>,
    /// What is to be done.
    pub(crate) work: Work,
}

/// The two ways into the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Work {
    /// A statement that carries everything in its text; `format` is that of the result unless the text names one.
    Query {
        /// The text.
        sql: Vec<u8>,
        /// Output format.
        format: String,
    },
    /// An INSERT with data beside it.
    Insert {
        /// `INSERT INTO t (a, b) SETTINGS …`, without FORMAT.
        head: Vec<u8>,
        /// Input format.
        format: String,
        /// The data, whole, in order.
        data: Vec<bytes::Bytes>,
    },
}

/// A connection for one statement.
pub(crate) struct Session {
    connection: Connection,
}

impl Session {
    /// Opens a session on the data directory that the engine was booted with.
    pub(crate) fn open(library: &'static Library, arguments: &[String]) -> Result<Self, EngineError> {
        Ok(Self { connection: library.connect(arguments)? })
    }

    /// Runs the statement and closes the session.
    pub(crate) fn run(mut self, statement: &Statement, limits: &Limits) -> Result<Output, EngineError> {
        if let Some(database) = &statement.database {
            self.command(&format!("USE {}", quote(database, '`')))?;
        }
        self.command(&set_clause(&statement.settings, limits))?;
        match &statement.work {
            Work::Query { sql, format } => self.query(sql, format, statement, limits),
            Work::Insert { head, format, data } => {
                let data: Vec<&[u8]> = data.iter().map(AsRef::as_ref).collect();
                self.connection.insert(head, format, &statement.params, &data)
            }
        }
    }

    fn query(
        &mut self,
        sql: &[u8],
        format: &str,
        statement: &Statement,
        limits: &Limits,
    ) -> Result<Output, EngineError> {
        // The engine's library form runs `a; b` as two statements, a server refuses it: so do we.
        if self.connection.count_statements(sql) > 1 {
            return Err(EngineError::own(
                62,
                "SYNTAX_ERROR",
                "Multi-statements are not allowed: send each in a request of its own",
            ));
        }
        let output = self.connection.query(sql, format, &statement.params)?;
        // `max_result_bytes` counts the engine's own blocks, and a SETTINGS clause may raise it: the text is measured too.
        if u64::try_from(output.body.len()).unwrap_or(u64::MAX) > limits.max_result_bytes {
            return Err(EngineError::own(
                396,
                "TOO_MANY_ROWS_OR_BYTES",
                &format!(
                    "The result has {} bytes, the limit max_result_bytes of this service is {}: ask for less, or raise it",
                    output.body.len(),
                    limits.max_result_bytes
                ),
            ));
        }
        Ok(output)
    }

    fn command(&mut self, sql: &str) -> Result<(), EngineError> {
        self.connection.query(sql.as_bytes(), "Null", &[]).map(drop)
    }
}

/// One SET for all settings (a `readonly` among them would forbid a second one); the request's own come last and win.
fn set_clause(settings: &[(String, String)], limits: &Limits) -> String {
    let mut clause = format!(
        "SET max_result_bytes = '{}', max_memory_usage = '{}'",
        limits.max_result_bytes, limits.max_query_memory_bytes
    );
    for (name, value) in settings {
        clause.push_str(&format!(", {name} = {}", quote(value, '\'')));
    }
    clause
}

/// Quotes an identifier or a string literal as ClickHouse's parser reads it back.
fn quote(text: &str, mark: char) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push(mark);
    for character in text.chars() {
        if character == mark || character == '\\' {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push(mark);
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_quoted_whole() {
        let limits = Limits { max_result_bytes: 10, max_query_memory_bytes: 20 };
        let settings = [("a".to_owned(), "{'t':'x=\\'y\\''}".to_owned())];
        assert_eq!(
            set_clause(&settings, &limits),
            r"SET max_result_bytes = '10', max_memory_usage = '20', a = '{\'t\':\'x=\\\'y\\\'\'}'"
        );
        assert_eq!(quote("a`b\\", '`'), r"`a\`b\\`");
    }
}
