//! Parses a line in Common or Combined Log Format (Apache `mod_log_config`, nginx `combined`).
//!
//! In: one line. Out: its fields, with the escapes of quoted fields undone, or why it is not such a line.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::LazyLock;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use regex::Regex;

/// A request as the server logged it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The client.
    pub address: IpAddr,
    /// When, unix milliseconds.
    pub time_ms: u64,
    /// Method, as sent.
    pub method: String,
    /// Request target, as sent.
    pub target: String,
    /// Status of the answer.
    pub status: u16,
    /// Referrer; empty: none.
    pub referrer: String,
    /// User agent; `None` in Common Log Format.
    pub user_agent: Option<String>,
}

/// Why a line is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Other fields than expected.
    #[error("not in Common or Combined Log Format")]
    Format,
    /// The first field.
    #[error("the client is not an IP address")]
    Address,
    /// The fourth field.
    #[error("there is no such time")]
    Time,
    /// The fifth field.
    #[error("the request is not METHOD TARGET HTTP/VERSION")]
    Request,
}

#[allow(clippy::unwrap_used)] // constant patterns, compiled by every test of this module
static LINE: LazyLock<Regex> = LazyLock::new(|| {
    let quoted = r#""((?:[^"\\]|\\.)*)""#;
    let time = r"\[([0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2}) ([+-])([0-9]{2})([0-9]{2})\]";
    let pattern =
        format!(r"(?s)\A(\S+) \S+ \S+ {time} {quoted} ([0-9]{{3}}) (?:[0-9]+|-)(?: {quoted} {quoted})?\z");
    Regex::new(&pattern).unwrap()
});

#[allow(clippy::unwrap_used)] // likewise
static REQUEST: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\A(\S+) (\S+) HTTP/[0-9](?:\.[0-9])?\z").unwrap());

/// Parses one line.
///
/// # Errors
/// Says which field is wrong.
pub fn parse(line: &str) -> Result<LogLine, LineError> {
    let fields = LINE.captures(line).ok_or(LineError::Format)?;
    let field = |index| fields.get(index).map_or("", |found| found.as_str());
    let address = field(1).parse().map_err(|_| LineError::Address)?;
    let time_ms = parse_time(field(2), field(3), field(4), field(5)).ok_or(LineError::Time)?;
    let request = REQUEST.captures(field(6)).ok_or(LineError::Request)?;
    let part = |index| request.get(index).map_or("", |found| found.as_str());
    let referrer = unescape(field(8));
    Ok(LogLine {
        address,
        time_ms,
        method: part(1).to_owned(),
        target: unescape(part(2)).into_owned(),
        status: field(7).parse().map_err(|_| LineError::Format)?,
        referrer: if referrer == "-" { String::new() } else { referrer.into_owned() },
        user_agent: fields.get(9).map(|found| unescape(found.as_str()).into_owned()),
    })
}

/// Unix milliseconds of `17/May/2015:10:05:03` at the offset `+ 00 00`; times before 1970 are none.
fn parse_time(local: &str, sign: &str, hours: &str, minutes: &str) -> Option<u64> {
    let local = DateTime::strptime("%d/%b/%Y:%H:%M:%S", local).ok()?;
    let seconds = hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60;
    let offset = Offset::from_seconds(if sign == "-" { -seconds } else { seconds }).ok()?;
    u64::try_from(offset.to_timestamp(local).ok()?.as_millisecond()).ok()
}

/// Undoes what Apache (`\"`, `\\`, `\b`, `\n`, `\r`, `\t`, `\v`, `\xHH`) and nginx (`\xHH`) write; other escapes stay.
fn unescape(field: &str) -> Cow<'_, str> {
    if !field.contains('\\') {
        return Cow::Borrowed(field);
    }
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let (byte, length) = if *first == b'\\' { escape(after) } else { (*first, 0) };
        bytes.push(byte);
        rest = after.get(length..).unwrap_or_default();
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// The byte behind a backslash and how many bytes spell it; the backslash itself when it is no escape.
fn escape(after: &[u8]) -> (u8, usize) {
    match after {
        [b'x', high, low, ..] => {
            let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            match (digit(high), digit(low)) {
                (Some(high), Some(low)) => (high * 16 + low, 3),
                _ => (b'\\', 0),
            }
        }
        [b'b', ..] => (0x08, 1),
        [b'n', ..] => (b'\n', 1),
        [b'r', ..] => (b'\r', 1),
        [b't', ..] => (b'\t', 1),
        [b'v', ..] => (0x0b, 1),
        [quote @ (b'"' | b'\\'), ..] => (*quote, 1),
        _ => (b'\\', 0),
    }
}

#[cfg(test)]
mod tests;
