//! URLs that need no URL parser: nearly all that pages send.
//!
//! In: an http or https URL. Out: its host, path, query and fragment as they stand, when the WHATWG parser would give the very same
//! texts; `None` when it might not (capitals, ports, escapes, dot segments, anything but ASCII): then ask the `url` crate.
//! A page's URL is looked at where it is accepted and where it is processed; the parser copies it each time.

/// The parts of a URL, borrowed from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlainUrl<'a> {
    /// Host, lower case.
    pub host: &'a str,
    /// Path; `/` when there is none.
    pub path: &'a str,
    /// Query without `?`; empty: none.
    pub query: &'a str,
    /// What stands after `#`; empty: nothing.
    pub fragment: &'a str,
}

impl<'a> PlainUrl<'a> {
    /// The parts, if they are what the WHATWG parser gives.
    pub fn parse(url: &'a str) -> Option<Self> {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
        let host_end = rest.bytes().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
        let (host, rest) = rest.split_at(host_end);
        let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let is_plain = is_plain_host(host)
            && path.bytes().all(is_plain_in_path)
            && !path.contains("/.")
            && query.bytes().all(is_plain_in_query)
            && fragment.bytes().all(is_plain_in_fragment);
        is_plain.then_some(Self { host, path: if path.is_empty() { "/" } else { path }, query, fragment })
    }
}

/// Labels of lower-case letters, digits and inner hyphens. The last one begins with a letter, or the host could be a
/// number, which is an IPv4 address; none begins with `xn--`, which would have to be checked (UTS 46).
fn is_plain_host(host: &str) -> bool {
    let is_label = |label: &str| {
        label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
            && !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && !label.starts_with("xn--")
            && label.len() <= 63
    };
    host.len() <= 253
        && host.split('.').all(is_label)
        && host
            .rsplit('.')
            .next()
            .is_some_and(|last| last.starts_with(|first: char| first.is_ascii_lowercase()))
}

/// Neither escaped nor an escape (`%2e` is a dot segment) nor another spelling of `/`.
fn is_plain_in_path(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(byte, b'"' | b'<' | b'>' | b'`' | b'{' | b'}' | b'^' | b'%' | b'\\' | b'|')
}

/// Not escaped by the parser.
fn is_plain_in_query(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\'')
}

/// Neither escaped by the parser nor, as a space at the very end, cut off.
fn is_plain_in_fragment(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'`')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::Url;

    use super::*;

    /// The `url` crate says the same, or nothing is said.
    fn check(text: &str) {
        let Some(plain) = PlainUrl::parse(text) else { return };
        let url = Url::parse(text).unwrap_or_else(|error| panic!("{text:?} is no URL: {error}"));
        let parts = (url.host_str().unwrap(), url.path(), url.query().unwrap_or_default());
        assert_eq!((plain.host, plain.path, plain.query), parts, "{text:?}");
        assert_eq!(plain.fragment, url.fragment().unwrap_or_default(), "{text:?}");
        assert!(url.port().is_none() && url.username().is_empty(), "{text:?}");
    }

    #[test]
    fn what_pages_send_is_plain() {
        for (text, parts) in [
            ("https://shop.example", ("shop.example", "/", "")),
            (
                "https://shop.example/a/b.html?utm_source=x&y=%20#top",
                ("shop.example", "/a/b.html", "utm_source=x&y=%20"),
            ),
            ("http://localhost/?q", ("localhost", "/", "q")),
            ("https://a1-b.example?x=1", ("a1-b.example", "/", "x=1")),
        ] {
            let plain = PlainUrl::parse(text).unwrap_or_else(|| panic!("{text} is plain"));
            assert_eq!((plain.host, plain.path, plain.query), parts);
            check(text);
        }
    }

    #[test]
    fn what_the_parser_would_change_is_left_to_it() {
        for text in [
            "https://Shop.example/",
            "https://shop.example:8080/",
            "https://user@shop.example/",
            "https://1.2.3.4/",
            "https://0x7f.1/",
            "https://shop.example/a/../b",
            "https://shop.example/%2e%2e/",
            "https://shop.example/ä",
            "https://shop.example/a b",
            "https://xn--a.example/",
            "https://shop.example./",
            "ftp://shop.example/",
            "https:///a",
            "https://",
            "https://shop.example/\\a",
            "/a",
            "https://shop.example/?a'b",
            "https://shop.example/# ",
            "https://shop.example/#<a>",
        ] {
            assert_eq!(PlainUrl::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_url_crate_agrees(
            host in "[a-z0-9.xn-]{1,12}|[a-z]{1,5}\\.example", rest in "[ -~]{0,16}|/[a-z./?#%&=é-]{0,16}",
        ) {
            check(&format!("https://{host}{rest}"));
            check(&format!("http://{host}/{rest}"));
        }
    }
}
