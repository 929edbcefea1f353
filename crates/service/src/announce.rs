//! Lines on stdout that programs read: one JSON object each, flushed at once.
//!
//! `{"event":"ready","service":"hub","admin":URL,…}` when a service is ready; `meridian dev` adds events of its own.

use std::io::Write;

use serde::Serialize;
use serde_json::{Map, Value};

#[derive(Serialize)]
struct Line<'a> {
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    #[serde(flatten)]
    fields: &'a Map<String, Value>,
}

/// Prints `{"event":"ready","service":…}` with `fields` behind.
pub fn ready_line(service: &str, fields: &Map<String, Value>) -> std::io::Result<()> {
    print(&Line { event: "ready", service: Some(service), fields }, &mut std::io::stdout().lock())
}

/// Prints `{"event":…}` with `fields` behind.
pub fn event_line(event: &str, fields: &Map<String, Value>) -> std::io::Result<()> {
    print(&Line { event, service: None, fields }, &mut std::io::stdout().lock())
}

fn print(line: &Line<'_>, out: &mut impl Write) -> std::io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    out.write_all(&bytes)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ready_line_is_one_object_that_begins_with_event_and_service() {
        let fields = Map::from_iter([("admin".to_owned(), json!("http://127.0.0.1:9091"))]);
        let mut out = Vec::new();
        print(&Line { event: "ready", service: Some("hub"), fields: &fields }, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"event\":\"ready\",\"service\":\"hub\",\"admin\":\"http://127.0.0.1:9091\"}\n"
        );
    }
}
