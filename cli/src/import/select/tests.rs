//! Each line has one fate.

use super::*;

fn line(method: &str, target: &str, status: u16) -> String {
    format!(
        r#"192.0.2.7 - - [17/May/2015:10:05:03 +0000] "{method} {target} HTTP/1.1" {status} 5 "-" "agent""#
    )
}

fn selection(lines: &[String]) -> Selection {
    let mut selection = Selection::default();
    for (text, number) in lines.iter().zip(1..) {
        selection.take(Line { number, text });
    }
    selection.sort();
    selection
}

#[test]
fn lines_are_kept_skipped_or_malformed() {
    for (method, target, status, fate) in [
        ("GET", "/", 200, "kept"),
        ("GET", "/a/b", 304, "kept"),
        ("GET", "/a.HTML?x=y.png", 206, "kept"),
        ("GET", "/img.d/", 200, "kept"),
        ("GET", "//kites//delta/", 200, "kept"),
        ("GET", "http://example.com/x", 200, "kept"),
        ("GET", "HTTPS://example.com", 200, "kept"),
        ("HEAD", "/", 200, "method"),
        ("get", "/", 200, "method"),
        ("OPTIONS", "*", 200, "method"),
        ("GET", "/", 301, "status"),
        ("GET", "/", 404, "status"),
        ("GET", "/logo.png", 200, "asset"),
        ("GET", "/.htaccess", 200, "asset"),
        ("GET", "/v1.2", 200, "asset"),
        ("GET", "/archive.", 200, "asset"),
        ("GET", "kites", 200, "malformed"),
    ] {
        let selection = selection(&[line(method, target, status)]);
        let found = match (selection.requests.len(), selection.malformed) {
            (1, 0) => "kept",
            (0, 1) => "malformed",
            _ => selection.skipped.keys().next().map_or("none", String::as_str),
        };
        assert_eq!(found, fate, "{method} {target} {status}");
    }
}

#[test]
fn a_url_that_the_edge_would_refuse_is_skipped() {
    let long = format!("/{}", "x".repeat(2100));
    assert_eq!(selection(&[line("GET", &long, 200)]).skipped.get("url_too_long"), Some(&1));
}

#[test]
fn equal_lines_are_as_many_page_views() {
    let requests = selection(&[line("GET", "/", 200), line("GET", "/", 200)]).requests;
    assert_eq!(
        requests.iter().map(|request| (request.line, request.occurrence)).collect::<Vec<_>>(),
        [(1, 0), (2, 1)]
    );
}

#[test]
fn broken_lines_are_shown_with_their_number() {
    let lines: Vec<String> = (0..7).map(|_| "broken".to_owned()).collect();
    let selection = selection(&lines);
    assert_eq!((selection.malformed, selection.first_malformed.len()), (7, SHOWN_BROKEN_LINES));
    assert_eq!(selection.first_malformed[1].0, 2);
}
