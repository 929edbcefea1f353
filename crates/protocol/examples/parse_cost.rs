//! What it costs to parse a hit of each protocol, without anything around it.
//!
//! Out: a JSON object, microseconds of one thread per hit: `{"parse_ga4_us":1.2,…}`. The requests are a page view with title and referrer as
//! the client libraries in `tests/clients` send it.

use std::hint::black_box;
use std::time::Instant;

use http::HeaderMap;
use protocol::{Endpoint, Request, own};
use serde_json::{Map, json};

const HITS: u32 = 200_000;

/// Name of the figure, path, query, body.
const REQUESTS: [(&str, &str, &str, &str); 9] = [
    (
        "parse_meridian_us",
        "/v1/collect",
        "",
        r#"{"measurement_id":"M-ABCDEFGH27","hits":[{"url":"https://shop.example.com/pricing?utm_source=newsletter","title":"Pricing","referrer":"https://www.google.com/","language":"en-GB","client_id":"1234567890.1700000000","id":"9c1f3a60-2f4b-4d9e-8a55-3b1c7f6e2d10"}]}"#,
    ),
    (
        "parse_ga4_us",
        "/g/collect",
        "v=2&tid=G-TEST123&cid=1234567890.1700000000&_s=1&sid=1700000000&sct=1&seg=1&dl=https%3A%2F%2Fshop.example.com%2Fpricing%3Futm_source%3Dnewsletter&dt=Pricing&dr=https%3A%2F%2Fwww.google.com%2F&ul=en-GB&en=page_view",
        "",
    ),
    (
        "parse_measurement_us",
        "/mp/collect",
        "measurement_id=G-TEST123&api_secret=s3cret",
        r#"{"client_id": "1234567890.1700000000", "events": [{"name": "page_view", "params": {"page_location": "https://shop.example.com/pricing?utm_source=newsletter", "page_title": "Pricing", "page_referrer": "https://www.google.com/", "language": "en-GB", "session_id": 1700000000, "engagement_time_msec": 0}}]}"#,
    ),
    (
        "parse_universal_us",
        "/collect",
        "",
        "dl=https%3A%2F%2Fshop.example.com%2Fpricing%3Futm_source%3Dnewsletter&dt=Pricing&dr=https%3A%2F%2Fwww.google.com%2F&ul=en-GB&v=1&tid=UA-12345-1&cid=1234567890.1700000000&t=pageview",
    ),
    (
        "parse_plausible_us",
        "/api/event",
        "",
        r#"{"n":"pageview","v":36,"u":"https://shop.example.com/pricing?utm_source=newsletter","d":"shop.example.com","r":"https://www.google.com/"}"#,
    ),
    (
        "parse_umami_us",
        "/api/send",
        "",
        r#"{"type":"event","payload":{"website":"5b5e9b5a-5e0b-4c6d-9a51-0d9f2f0e6c12","hostname":"shop.example.com","url":"/pricing?utm_source=newsletter","title":"Pricing","referrer":"https://www.google.com/","language":"en-GB"}}"#,
    ),
    (
        "parse_matomo_us",
        "/matomo.php",
        "url=https%3A%2F%2Fshop.example.com%2Fpricing%3Futm_source%3Dnewsletter&action_name=Pricing&urlref=https%3A%2F%2Fwww.google.com%2F&lang=en-GB&_id=0123456789abcdef&apiv=1&idsite=7&rec=1",
        "",
    ),
    (
        "parse_segment_us",
        "/v1/batch",
        "",
        r#"{"batch":[{"type":"page","name":"Pricing","properties":{"url":"https://shop.example.com/pricing?utm_source=newsletter","title":"Pricing","referrer":"https://www.google.com/"},"anonymousId":"5b5e9b5a-5e0b-4c6d-9a51-0d9f2f0e6c11","messageId":"node-next-1795565302396-9c1f3a60-2f4b-4d9e-8a55-3b1c7f6e2d10","timestamp":"2026-11-24T00:08:22.396Z","context":{"locale":"en-GB","library":{"name":"@segment/analytics-node","version":"3.1.0"}}}],"sentAt":"2026-11-24T00:08:22.397Z","writeKey":"WRITEKEY1"}"#,
    ),
    (
        "parse_snowplow_us",
        "/com.snowplowanalytics.snowplow/tp2",
        "",
        r#"{"schema":"iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4","data":[{"e":"pv","url":"https://shop.example.com/pricing?utm_source=newsletter","page":"Pricing","refr":"https://www.google.com/","eid":"ea3d1d8e-d804-4617-a038-a72cc7c46464","p":"web","tv":"js-4","tna":"shop","aid":"shop","lang":"en-GB","dtm":"1795565302396","duid":"5b5e9b5a-5e0b-4c6d-9a51-0d9f2f0e6c11","stm":"1795565302397"}]}"#,
    ),
];

fn main() {
    let headers = HeaderMap::new();
    let mut figures = Map::new();
    for (name, path, query, body) in REQUESTS {
        let request = Request { path, query, headers: &headers, body: body.as_bytes() };
        // Once without the clock: allocator and caches are as in the middle of the day.
        for timed in [false, true] {
            let begun = Instant::now();
            for _ in 0..HITS {
                match Endpoint::of(path) {
                    Some(endpoint) => assert!(black_box(endpoint.parse(black_box(&request))).is_ok()),
                    None => assert!(black_box(own::collect(black_box(body.as_bytes()))).is_ok()),
                }
            }
            if timed {
                let us = begun.elapsed().as_secs_f64() * 1e6 / f64::from(HITS);
                figures.insert(name.to_owned(), json!((us * 1000.0).round() / 1000.0));
            }
        }
    }
    println!("{}", serde_json::Value::Object(figures));
}
