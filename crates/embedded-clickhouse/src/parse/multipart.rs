//! `multipart/form-data` (RFC 7578), as the `clickhouse` crate sends a query with bound parameters.
//!
//! In: the `Content-Type` and the whole body. Out: names and UTF-8 values in order. A body without its closing boundary is
//! refused, so that a truncated form is never run.

use crate::engine::EngineError;

/// The boundary, if the content type is a form.
pub(crate) fn boundary(content_type: &str) -> Option<String> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// The fields of the form.
pub(crate) fn fields(body: &[u8], boundary: &str) -> Result<Vec<(String, String)>, EngineError> {
    let delimiter = format!("\r\n--{boundary}");
    let broken = |what: &str| EngineError::bad_request(&format!("The multipart body is broken: {what}"));
    let mut rest = body
        .strip_prefix(delimiter.trim_start().as_bytes())
        .ok_or_else(|| broken("it does not begin with its boundary"))?;
    let mut fields = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Ok(fields);
        }
        let part =
            rest.strip_prefix(b"\r\n").ok_or_else(|| broken("a boundary is not followed by a line end"))?;
        let head_end = find(part, b"\r\n\r\n").ok_or_else(|| broken("a part has no headers"))?;
        let (head, value) = part.split_at(head_end);
        let value = value.strip_prefix(b"\r\n\r\n").unwrap_or_default();
        let value_end =
            find(value, delimiter.as_bytes()).ok_or_else(|| broken("the closing boundary is missing"))?;
        let (value, tail) = value.split_at(value_end);
        let name = field_name(head).ok_or_else(|| broken("a part has no name"))?;
        let value =
            std::str::from_utf8(value).map_err(|_| broken(&format!("field '{name}' is not UTF-8")))?;
        fields.push((name, value.to_owned()));
        rest = tail.strip_prefix(delimiter.as_bytes()).unwrap_or_default();
    }
}

/// `name="…"` of a part's headers.
fn field_name(head: &[u8]) -> Option<String> {
    let head = std::str::from_utf8(head).ok()?;
    let (_, rest) = head.split_once("name=\"")?;
    rest.split_once('"').map(|(name, _)| name.to_owned())
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_and_truncated_ones_refused() {
        let content_type = "multipart/form-data; boundary=B-1";
        assert_eq!(boundary(content_type).as_deref(), Some("B-1"));
        assert_eq!(boundary("text/plain; boundary=B-1"), None);
        let body = b"--B-1\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT\r\n1\r\n\
            --B-1\r\nContent-Disposition: form-data; name=\"param_a\"\r\n\r\n\r\n--B-1--\r\n";
        let expected =
            vec![("query".to_owned(), "SELECT\r\n1".to_owned()), ("param_a".to_owned(), String::new())];
        assert_eq!(fields(body, "B-1").unwrap(), expected);
        for length in 0..body.len() - 4 {
            assert!(fields(&body[..length], "B-1").is_err(), "{length}");
        }
    }
}
