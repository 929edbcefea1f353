//! Addresses as browsers send them, with what the WHATWG rules make of them.

use super::*;

#[test]
fn path_is_the_urls_path_and_nothing_else() {
    for (url, path) in [
        ("https://a.example/x/y?q=1#top", "/x/y"),
        ("https://a.example", "/"),
        ("https://a.example/", "/"),
        ("https://a.example?q=1", "/"),
        ("https://a.example/a/../b", "/b"),
        ("https://a.example/caf\u{e9}", "/caf%C3%A9"),
        ("HTTPS://A.example/Case", "/Case"),
        ("https://a.example/x//y/", "/x//y/"),
        ("", ""),
        ("/relative", ""),
        ("not a url", ""),
        ("https://", ""),
    ] {
        assert_eq!(Address::parse(url).path(), path, "{url}");
    }
}

#[test]
fn long_path_is_cut() {
    let url = format!("https://a.example/{}", "x".repeat(1500));
    assert_eq!(Address::parse(&url).path().len(), PAGE_PATH_BYTES);
}

#[test]
fn cut_ends_at_a_character() {
    assert_eq!(cut("a\u{e9}b", 2), "a");
    assert_eq!(cut("a\u{e9}b", 3), "a\u{e9}");
    assert_eq!(cut("ab", 9), "ab");
}

#[test]
fn host_is_compared_without_www() {
    for (url, host) in [
        ("https://www.a.example/", Some("a.example")),
        ("https://A.EXAMPLE:8443/", Some("a.example")),
        ("https://www2.a.example/", Some("www2.a.example")),
        ("mailto:x@a.example", None),
        ("", None),
    ] {
        assert_eq!(Address::parse(url).host(), host, "{url}");
    }
}

#[test]
fn campaign_is_decoded() {
    let url =
        "https://a.example/?utm_source=&utm_source=a%2Bb&utm_medium=c+d&utm_campaign=%20e%20&utm_term=f";
    let expected = Campaign { source: "a+b".into(), medium: "c d".into(), name: "e".into() };
    assert_eq!(Address::parse(url).campaign(), expected);
}
