//! An HTTP request into a [`Statement`].
//!
//! In: the pairs of the URL and the whole body. Out: text, database, settings, parameters, and the data of an INSERT. As on a
//! server: the text is `query=` followed by the body; `param_*` are bound values; a name that the interface does not know is
//! a setting of this statement. Invariant: nothing is guessed; what cannot be honoured (sessions, roles) is refused.

use bytes::Bytes;

use crate::decompress;
use crate::engine::{EngineError, Statement, Work};
use crate::split::{self, Insert};

mod multipart;

/// What the HTTP layer hands over.
#[derive(Debug)]
pub(crate) struct Request {
    /// A GET may read only.
    pub(crate) read_only: bool,
    /// Names and values of the URL, decoded.
    pub(crate) pairs: Vec<(String, String)>,
    /// `Content-Type`, if the client sent one.
    pub(crate) content_type: Option<String>,
    /// The whole body.
    pub(crate) body: Bytes,
}

/// A statement, and how its answer is to be written.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) statement: Statement,
    /// Write the answer in ClickHouse's compressed blocks (`compress=1`).
    pub(crate) compress: bool,
}

/// Names of the HTTP interface that change nothing here: every answer is complete before its first byte
/// (`wait_end_of_query`), there are no users, and memory is bounded elsewhere.
const WITHOUT_EFFECT: [&str; 11] = [
    "wait_end_of_query",
    "buffer_size",
    "query_id",
    "user",
    "password",
    "quota_key",
    "stacktrace",
    "close_session",
    "session_timeout",
    "session_check",
    "client_protocol_version",
];

#[derive(Default)]
struct Options {
    query: String,
    database: Option<String>,
    default_format: Option<String>,
    compress: bool,
    decompress: bool,
    settings: Vec<(String, String)>,
    params: Vec<(String, String)>,
}

impl Options {
    fn take(&mut self, name: String, value: String) -> Result<(), EngineError> {
        match name.as_str() {
            "query" => self.query.push_str(&value),
            "database" => self.database = Some(value).filter(|database| !database.is_empty()),
            "default_format" => self.default_format = Some(value).filter(|format| !format.is_empty()),
            "compress" => self.compress = flag(&name, &value)?,
            "decompress" => self.decompress = flag(&name, &value)?,
            "session_id" | "role" => {
                return Err(EngineError::bad_request(&format!(
                    "{name} = '{value}': the embedded engine has no sessions and no roles; leave the parameter out"
                )));
            }
            known if WITHOUT_EFFECT.contains(&known) => {}
            other => match other.strip_prefix("param_") {
                Some(param) => self.params.push((param.to_owned(), value)),
                None if is_identifier(other) => self.settings.push((name, value)),
                None => {
                    return Err(EngineError::bad_request(&format!(
                        "The URL parameter '{other}' is neither a parameter of the HTTP interface nor the name of a setting"
                    )));
                }
            },
        }
        Ok(())
    }
}

/// Reads a request. A body with `decompress=1` is decompressed up to `max_body_bytes`.
pub(crate) fn parse(request: Request, max_body_bytes: u64) -> Result<Parsed, EngineError> {
    let Request { read_only, pairs, content_type, body } = request;
    let mut options = Options::default();
    if read_only {
        options.settings.push(("readonly".to_owned(), "2".to_owned()));
    }
    for (name, value) in pairs {
        options.take(name, value)?;
    }
    let mut body = body;
    if let Some(boundary) = content_type.as_deref().and_then(multipart::boundary) {
        for (name, value) in multipart::fields(&body, &boundary)? {
            if name != "query" && !name.starts_with("param_") {
                return Err(EngineError::bad_request(&format!(
                    "The form field '{name}' is not supported: only 'query' and 'param_*' are (no external tables)"
                )));
            }
            options.take(name, value)?;
        }
        body = Bytes::new();
    } else if options.decompress {
        body = decompress::decode(&body, max_body_bytes)?.into();
    }
    let work = work(&options, body)?;
    let Options { database, compress, settings, params, .. } = options;
    Ok(Parsed { statement: Statement { database, settings, params, work }, compress })
}

/// Text and data apart: an INSERT whose data does not stand in VALUES goes through the streaming insert, because data pasted
/// behind `FORMAT RowBinary` in a text is cut short by the engine.
fn work(options: &Options, body: Bytes) -> Result<Work, EngineError> {
    let from_url = !options.query.is_empty();
    let text = if from_url { Bytes::copy_from_slice(options.query.as_bytes()) } else { body.clone() };
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(EngineError::own(
            62,
            "SYNTAX_ERROR",
            "Empty query: send it in the body or as the parameter 'query'",
        ));
    }
    let body = if from_url { body } else { Bytes::new() };
    match split::insert(&text) {
        Some(Insert { head, format: Some(format), data, inline_values })
            if !(inline_values && body.is_empty()) =>
        {
            Ok(Work::Insert { head, format, data: vec![text.slice(data..), body] })
        }
        Some(Insert { head, format: None, .. }) if !body.is_empty() => {
            Ok(Work::Insert { head, format: "Values".to_owned(), data: vec![body] })
        }
        _ => {
            let mut sql = text.to_vec();
            if !body.is_empty() {
                sql.push(b'\n');
                sql.extend_from_slice(&body);
            }
            let format = options.default_format.clone().unwrap_or_else(|| "TabSeparated".to_owned());
            Ok(Work::Query { sql, format })
        }
    }
}

fn flag(name: &str, value: &str) -> Result<bool, EngineError> {
    match value {
        "1" | "true" => Ok(true),
        "0" | "false" | "" => Ok(false),
        other => Err(EngineError::bad_request(&format!("{name} = '{other}' is not a flag: use 0 or 1"))),
    }
}

/// Whether a name can stand in a SET statement as it is.
fn is_identifier(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
}

#[cfg(test)]
mod tests;
