//! One program for all targets: `FUZZ_TARGET` names a path of the collect port; what libFuzzer makes up is query, body and the `Authorization` header of
//! a request to it, one after the other, parted by a zero byte.
//!
//! A parser must not panic, and what it takes must lie within the limits of a hit.
#![no_main]

use std::sync::LazyLock;

use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use protocol::{Dropped, Endpoint, Entry, Outcome, ParsedHit, Request, own, pixel};

static PATH: LazyLock<String> = LazyLock::new(|| {
    std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a path of the collect port; scripts/fuzz.sh sets it")
});

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(3, |byte| *byte == 0);
    let query = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let body = parts.next().unwrap_or_default();
    match PATH.as_str() {
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
            let endpoint = Endpoint::of(path).expect("FUZZ_TARGET is a path of the collect port");
            let mut headers = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_bytes(parts.next().unwrap_or_default()) {
                headers.insert(AUTHORIZATION, value);
            }
            foreign(endpoint, &Request { path, query: &query, headers: &headers, body });
        }
    }
});

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
