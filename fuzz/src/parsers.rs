//! One program for all targets. `FUZZ_TARGET` names a path of the collect port; what libFuzzer makes up is then query, body and the `Authorization`
//! header of a request to it, one after the other, parted by a zero byte. Or it names another parser: `client-hints` (headers, parted likewise),
//! `rules-file`, `url`.
//!
//! A parser must not panic, and what it takes must lie within the limits of a hit. Rules that are written and read again are the same
//! rules; a URL that needs no parser is what the parser would make of it.
#![no_main]

use std::sync::{Arc, LazyLock};

use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use hit::{PlainUrl, limits};
use property::{NewProperty, Properties, RULES_FILE_MAX_BYTES, RulesFile};
use protocol::{Dropped, Endpoint, Entry, Hints, Outcome, ParsedHit, Request, hints, own, pixel};
use tempfile::TempDir;

static TARGET: LazyLock<String> = LazyLock::new(|| {
    std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names what is to be read; scripts/fuzz.sh sets it")
});

fuzz_target!(|bytes: &[u8]| {
    let text = || String::from_utf8_lossy(bytes);
    match TARGET.as_str() {
        "client-hints" => client_hints(bytes),
        "rules-file" => rules_file(&text()),
        "url" => url(&text()),
        path => request(path, bytes),
    }
});

fn request(path: &str, bytes: &[u8]) {
    let mut parts = bytes.splitn(3, |byte| *byte == 0);
    let query = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let body = parts.next().unwrap_or_default();
    match path {
        "/v1/collect" => {
            match own::collect(body) {
                Ok(request) => request.hits.iter().for_each(check),
                Err(_) => drop(own::claim::of_body(body)),
            }
        }
        "/v1/pixel.gif" => {
            match pixel::collect(&query) {
                Ok(request) => request.hits.iter().for_each(check),
                Err(_) => drop(pixel::claim(&query)),
            }
        }
        path => {
            let endpoint = Endpoint::of(path).expect("FUZZ_TARGET is a path of the collect port or another parser");
            let mut headers = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_bytes(parts.next().unwrap_or_default()) {
                headers.insert(AUTHORIZATION, value);
            }
            foreign(endpoint, &Request { path, query: &query, headers: &headers, body });
        }
    }
}

fn foreign(endpoint: Endpoint, request: &Request<'_>) {
    match endpoint.parse(request) {
        Ok(sent) => {
            let mut outcomes = Vec::with_capacity(sent.entries.len());
            for (n, entry) in sent.entries.into_iter().enumerate() {
                outcomes.push(match entry {
                    Entry::Hit { hit, .. } => {
                        check(&hit);
                        Outcome::Taken { visitor_id: n as u64, is_bot: n % 2 == 1 }
                    }
                    Entry::Dropped { reason, .. } => Outcome::Dropped(reason),
                    Entry::Refused(refusal) => Outcome::Refused(refusal),
                });
            }
            if outcomes.is_empty() {
                outcomes.push(Outcome::Dropped(Dropped::UnknownSite));
            }
            let _reply = endpoint.reply(request, &outcomes);
        }
        Err(refusal) => {
            let _reply = endpoint.refuse(&refusal);
        }
    }
}

fn check(hit: &ParsedHit<'_>) {
    hit.check_limits();
}

/// What a browser says of itself, in the order of the bytes.
const HINTS: [&str; 6] = [
    "sec-ch-ua",
    "sec-ch-ua-full-version-list",
    "sec-ch-ua-mobile",
    "sec-ch-ua-platform",
    "sec-ch-ua-platform-version",
    "sec-purpose",
];

fn client_hints(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for (name, value) in HINTS.into_iter().zip(bytes.split(|byte| *byte == 0)) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(name, value);
        }
    }
    let _either = hints::is_prefetch(&headers);
    if let Some(hints) = Hints::of_headers(&headers) {
        let texts = [&hints.brands, &hints.platform, &hints.platform_version];
        assert!(texts.iter().all(|text| text.len() <= limits::HINT_TEXT_BYTES), "{hints:?}");
    }
}

/// A property whose rules might be set.
static PROPERTY: LazyLock<(TempDir, Arc<Properties>, String)> = LazyLock::new(|| {
    let directory = TempDir::new().expect("a temporary directory");
    let properties = Properties::open_or_create(directory.path()).expect("a directory of properties");
    let new = NewProperty { name: "Shop".to_owned(), ..NewProperty::default() };
    let id = properties.create(new, 0).expect("a property").property.property_id.clone();
    (directory, properties, id)
});

fn rules_file(text: &str) {
    let Ok(file) = RulesFile::parse(text) else { return };
    let written = file.text().expect("rules that were read can be written");
    if written.len() <= RULES_FILE_MAX_BYTES {
        assert_eq!(RulesFile::parse(&written).as_ref(), Ok(&file), "{written}");
    }
    let (_directory, properties, id) = &*PROPERTY;
    let _refused_or_not = properties.set_rules(id, text, true);
}

fn url(text: &str) {
    let Some(plain) = PlainUrl::parse(text) else { return };
    let url = url::Url::parse(text).expect("what is plain is a URL");
    assert_eq!((Some(plain.host), plain.path), (url.host_str(), url.path()), "{text:?}");
    let (query, fragment) = (url.query().unwrap_or_default(), url.fragment().unwrap_or_default());
    assert_eq!((plain.query, plain.fragment), (query, fragment), "{text:?}");
}
