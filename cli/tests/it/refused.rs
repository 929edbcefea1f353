//! Hits that are not counted are a report: by day and by reason, whoever did not count them.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::rules::script_with;
use crate::system::command::{Property, sentence};
use crate::system::process::wait_for;
use crate::system::{Options, System};

const HUMAN: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0";
/// The tracker setting shows that an edge has the rules.
const RULES: &str = "[urls]\nhostnames = [\"shop.example\"]\n[tracker]\nscroll = true\n";
/// Midnight may pass.
const DAYS: &str = "--from yesterday --to today";

#[test]
fn refused_hits_are_reported_by_reason() {
    let system = System::start(&Options::default());
    let (property, other) = (system.create_property(&[]), system.create_property(&[]));
    system.set_rules(&property, RULES, &[]);
    let script = wait_for(Duration::from_secs(60), || script_with(&system, &property, "\"scroll\":true"));
    assert!(script.is_some(), "the edge does not get the rules");

    // Our own protocol: each hit of a request that is refused, and one of a body that breaks off.
    let hits =
        |property: &Property, hits: Value| json!({"measurement_id": property.measurement_id, "hits": hits});
    let page = |host: &str| json!({"url": format!("https://{host}/")});
    let wrong = json!([page("shop.example"), {"age_ms": -5}, page("shop.example")]);
    assert_eq!(send(&system, &hits(&property, wrong.clone())), 400);
    assert_eq!(send(&system, &hits(&other, wrong)), 400);
    let cut = format!(r#"{{"measurement_id":"{}","hits":[{{"url":"https://shop.ex"#, property.measurement_id);
    assert_eq!(post(&system, "/v1/collect", cut), 400);
    // Another product's: too old, and a kind that there is no report for.
    let old = json!({"type": "page", "userId": "u", "timestamp": "2015-05-17T00:00:00Z"});
    let batch =
        json!({"writeKey": property.measurement_id, "batch": [old, old, {"type": "group", "userId": "u"}]});
    assert_eq!(post(&system, "/v1/batch", batch.to_string()), 200);
    // Taken, and dropped by the rules: of a host that they do not name.
    let foreign =
        json!([page("copy.example"), page("shop.example"), page("copy.example"), page("copy.example")]);
    assert_eq!(send(&system, &hits(&property, foreign)), 204);
    system.settle();

    let by_reason = format!("{DAYS} --metrics refused_hits --dimensions refusal_reason");
    let expected = [
        json!({"refusal_reason": "foreign_hostname", "refused_hits": 3}),
        json!({"refusal_reason": "invalid_field", "refused_hits": 3}),
        json!({"refusal_reason": "too_old", "refused_hits": 2}),
        json!({"refusal_reason": "invalid_json", "refused_hits": 1}),
        json!({"refusal_reason": "kind", "refused_hits": 1}),
    ];
    // The block of the hits that settling waited for has what was refused before them.
    assert_eq!(system.rows(&property, &by_reason), expected);
    let both = system.rows(&property, &format!("{DAYS} --metrics refused_hits,page_views"));
    assert_eq!(both, [json!({"refused_hits": 10, "page_views": 1})]);
    let other = system.rows(&other, &by_reason);
    assert_eq!(other, [json!({"refusal_reason": "invalid_field", "refused_hits": 3})]);
    let arguments = ["report", "--metrics", "refused_hits", "--dimensions", "page_path", "--property"];
    let refused = system.run(&[&arguments[..], &[property.property_id.as_str()]].concat());
    assert!(sentence(&refused).contains("use date, date_hour, hour or refusal_reason"), "{refused:?}");
}

fn send(system: &System, body: &Value) -> StatusCode {
    system.collect(body, &[("user-agent", HUMAN)]).0
}

fn post(system: &System, path: &str, body: String) -> StatusCode {
    let url = format!("{}{path}", system.address("collect"));
    let sent = system.client().send(Method::POST, &url, &[("user-agent", HUMAN)], Bytes::from(body));
    system.runtime().block_on(sent).unwrap().status
}
