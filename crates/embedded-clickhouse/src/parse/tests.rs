//! Requests as the `clickhouse` crate and a plain HTTP client send them.

use super::*;

fn request(pairs: &[(&str, &str)], body: &'static [u8]) -> Request {
    Request {
        read_only: false,
        pairs: pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        content_type: None,
        body: Bytes::from_static(body),
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn insert_of_the_crate_is_split_from_its_data() {
    let parsed = parse(
        request(
            &[
                ("database", "m"),
                ("query", "INSERT INTO t(`a`,`b`) FORMAT RowBinary"),
                ("insert_deduplication_token", "x'y"),
                ("param_p", "1"),
            ],
            b"\x00FORMAT CSV;",
        ),
        100,
    )
    .unwrap();
    assert_eq!(parsed.statement.database.as_deref(), Some("m"));
    assert_eq!(parsed.statement.settings, pairs(&[("insert_deduplication_token", "x'y")]));
    assert_eq!(parsed.statement.params, pairs(&[("p", "1")]));
    let Work::Insert { head, format, data } = parsed.statement.work else { panic!("not an insert") };
    assert_eq!((head.as_slice(), format.as_str()), (b"INSERT INTO t(`a`,`b`)".as_slice(), "RowBinary"));
    assert_eq!(data.concat(), b"\x00FORMAT CSV;");
}

#[test]
fn text_is_the_parameter_followed_by_the_body() {
    let parsed = parse(request(&[("query", "SELECT"), ("default_format", "JSON")], b"1"), 100).unwrap();
    assert_eq!(parsed.statement.work, Work::Query { sql: b"SELECT\n1".to_vec(), format: "JSON".to_owned() });
    let parsed = parse(request(&[], b"INSERT INTO t VALUES (1)"), 100).unwrap();
    assert!(matches!(parsed.statement.work, Work::Query { .. }));
    let parsed = parse(request(&[("query", "INSERT INTO t VALUES")], b"(1)"), 100).unwrap();
    assert!(matches!(parsed.statement.work, Work::Insert { format, .. } if format == "Values"));
}

#[test]
fn get_reads_only() {
    let parsed = parse(Request { read_only: true, ..request(&[("query", "SELECT 1")], b"") }, 100).unwrap();
    assert_eq!(parsed.statement.settings, pairs(&[("readonly", "2")]));
}

#[test]
fn what_cannot_be_honoured_is_refused() {
    type Case<'a> = (&'a [(&'a str, &'a str)], &'static [u8], u32);
    let cases: [Case<'_>; 6] = [
        (&[("session_id", "s")], b"SELECT 1", 36),
        (&[("role", "r")], b"SELECT 1", 36),
        (&[("max threads", "1")], b"SELECT 1", 36),
        (&[("compress", "maybe")], b"SELECT 1", 36),
        (&[], b" \n", 62),
        (&[("query", "INSERT INTO t FORMAT CSV"), ("decompress", "1")], b"short", 33),
    ];
    for (pairs, body, code) in cases {
        assert_eq!(parse(request(pairs, body), 100).unwrap_err().code, code, "{pairs:?}");
    }
}

#[test]
fn form_gives_query_and_parameters() {
    let body = b"--B\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT {a:String}\r\n\
        --B\r\nContent-Disposition: form-data; name=\"param_a\"\r\n\r\nx\\ty\r\n--B--\r\n";
    let form = || Some("multipart/form-data; boundary=B".to_owned());
    let parsed = parse(Request { content_type: form(), ..request(&[], body) }, 1000).unwrap();
    assert_eq!(parsed.statement.params, pairs(&[("a", "x\\ty")]));
    let file = b"--B\r\nContent-Disposition: form-data; name=\"t\"; filename=\"t\"\r\n\r\n1\r\n--B--\r\n";
    assert_eq!(parse(Request { content_type: form(), ..request(&[], file) }, 1000).unwrap_err().code, 36);
}
