//! Lines as servers write them, and lines that are none.

use super::*;

const COMBINED: &str = r#"192.0.2.7 - frank [10/Oct/2000:13:55:36 -0700] "GET /a?b=c HTTP/1.0" 200 2326 "http://example.com/start" "Mozilla/4.08 [en] (Win98; I ;Nav)""#;

#[test]
fn combined_log_format_as_in_apaches_manual() {
    let line = parse(COMBINED).unwrap();
    assert_eq!(line.address.to_string(), "192.0.2.7");
    assert_eq!(line.time_ms, 971_211_336_000); // date -d '2000-10-10 13:55:36 -0700' +%s
    assert_eq!((line.method.as_str(), line.target.as_str(), line.status), ("GET", "/a?b=c", 200));
    assert_eq!(line.referrer, "http://example.com/start");
    assert_eq!(line.user_agent.as_deref(), Some("Mozilla/4.08 [en] (Win98; I ;Nav)"));
}

#[test]
fn common_log_format_has_neither_referrer_nor_user_agent() {
    let line = parse(r#"2001:db8::1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 304 -"#).unwrap();
    assert_eq!((line.time_ms, line.user_agent, line.referrer.as_str()), (1_431_857_103_000, None, ""));
}

#[test]
fn escapes_are_undone() {
    for (logged, sent) in [
        (r#"a \"quoted\" b"#, r#"a "quoted" b"#),
        (r"back\\slash", r"back\slash"),
        (r"caf\xc3\xa9", "café"),
        (r"tab\there", "tab\there"),
        (r"\xZZ \q", r"\xZZ \q"),
        ("end\\x4", "end\\x4"),
    ] {
        assert_eq!(unescape(logged), sent);
    }
}

#[test]
fn broken_lines_say_which_field() {
    let replaced = |from: &str, to: &str| parse(&COMBINED.replace(from, to)).unwrap_err();
    assert_eq!(parse(""), Err(LineError::Format));
    assert_eq!(replaced("192.0.2.7", "client.example.com"), LineError::Address);
    assert_eq!(replaced("10/Oct", "32/Oct"), LineError::Time);
    assert_eq!(replaced("10/Oct", "10/Okt"), LineError::Time);
    assert_eq!(replaced("GET /a?b=c HTTP/1.0", "-"), LineError::Request);
    assert_eq!(replaced("/a?b=c", "/a b"), LineError::Request);
    assert_eq!(replaced(" 200 ", " OK "), LineError::Format);
    assert_eq!(parse(&format!("{COMBINED} more")), Err(LineError::Format));
}
