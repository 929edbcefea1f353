//! A property with a quota, from `property create` to the report: what is over it is refused and told, and a raised one holds at once.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::system::command::{Property, sentence};
use crate::system::process::wait_for;
use crate::system::{Options, System};

const HUMAN: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0";
/// Longest that hits take to be loaded and counted, and the count to come to the edges.
const LONG: Duration = Duration::from_secs(120);

/// A zone where it is noon now, or an hour or so later: no midnight comes between two hits of a test.
fn noon() -> String {
    let hour = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).hour();
    // "Etc/GMT-3" is three hours ahead of UTC.
    match 12 - hour {
        0 => "Etc/GMT".to_owned(),
        ahead if ahead > 0 => format!("Etc/GMT-{ahead}"),
        behind => format!("Etc/GMT+{}", -behind),
    }
}

/// Sends a hit to this edge; gives the status, and the code of a refusal.
fn send(system: &System, edge: &str, property: &Property) -> (StatusCode, String) {
    let body = json!({"measurement_id": property.measurement_id, "hits": [{"url": "https://shop.example/"}]});
    let body = body.to_string();
    let sent = system.client().send(Method::POST, edge, &[("user-agent", HUMAN)], Bytes::from(body));
    let answer = system.runtime().block_on(sent).unwrap();
    let error: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    (answer.status, error["error"]["code"].as_str().unwrap_or_default().to_owned())
}

fn hits_and_refusals(system: &System, property: &Property) -> (Vec<Value>, Vec<Value>) {
    system.settle();
    let days = "--from yesterday --to today --metrics";
    (
        system.rows(property, &format!("{days} events")),
        system.rows(property, &format!("{days} refused_hits --dimensions refusal_reason")),
    )
}

#[test]
fn what_is_over_a_quota_is_refused_and_told_and_a_raised_one_holds_at_once() {
    let system = System::start(&Options::default());
    let (zone, edge) = (noon(), format!("{}/v1/collect", system.address("collect")));
    let property = system.create_property(&["--daily-hits", "10", "--time-zone", &zone]);
    let answers: Vec<_> = (0..15).map(|_| send(&system, &edge, &property)).collect();
    let (taken, refused) = answers.split_at(10);
    assert!(taken.iter().all(|(status, _)| *status == StatusCode::NO_CONTENT), "{answers:?}");
    let over = (StatusCode::TOO_MANY_REQUESTS, "over_quota".to_owned());
    assert!(refused.iter().all(|answer| *answer == over), "{answers:?}");
    // What was refused waits for the next block: that of a hit of somebody else.
    let other = system.create_property(&[]);
    assert_eq!(send(&system, &edge, &other).0, StatusCode::NO_CONTENT);
    let (events, refusals) = hits_and_refusals(&system, &property);
    assert_eq!(events, [json!({"events": 10})]);
    assert_eq!(refusals, [json!({"refusal_reason": "over_quota", "refused_hits": 5})]);

    // Seen by the property's owner, and set by the operator alone.
    let id = property.property_id.as_str();
    let shown = system.json(&["property", "show", "--property", id, "--format", "json"]);
    assert_eq!((&shown["daily_hits"], &shown["hits_per_second"]), (&json!(10), &json!(0)));
    let usage = system.json(&["usage", "--property", id, "--format", "json"]);
    assert_eq!((&usage["today"], &usage["daily_hits"]), (&json!(10), &json!(10)), "{usage}");
    let update = ["property", "update", "--property", id, "--format", "json", "--daily-hits"];
    let by_owner = system.run(&[&update[..], &["12", "--key", &property.report_key]].concat());
    assert!(!by_owner.status.success(), "{}", sentence(&by_owner));
    let raised = system.json(&[&update[..], &["12"]].concat());
    assert_eq!(raised["daily_hits"], json!(12));
    // The answer came when the edge had it.
    let answers: Vec<_> = (0..3).map(|_| send(&system, &edge, &property).0.as_u16()).collect();
    assert_eq!(answers, [204, 204, 429]);
    system.json(&[&update[..], &["0"]].concat());
    assert_eq!(send(&system, &edge, &property).0, StatusCode::NO_CONTENT);
    let (events, refusals) = hits_and_refusals(&system, &property);
    assert_eq!(events, [json!({"events": 13})]);
    assert_eq!(refusals, [json!({"refusal_reason": "over_quota", "refused_hits": 6})]);
}

#[test]
fn edges_that_each_have_taken_less_refuse_when_apis_have_added_them_up() {
    let system =
        System::start(&Options { processes: true, edges: 2, hubs: 2, apis: 2, ..Options::default() });
    let zone = noon();
    let property = system.create_property(&["--daily-hits", "10", "--time-zone", &zone]);
    let edges = system.collect_urls();
    assert_eq!(edges.len(), 2);
    for edge in &edges {
        let statuses: Vec<_> = (0..6).map(|_| send(&system, edge, &property).0.as_u16()).collect();
        assert_eq!(statuses, [204; 6], "neither edge has taken its quota");
    }
    // Each has room for four by its own count. One api has found out, and both edges have been told.
    let sum = |kind: &str, name: &str| -> Option<u64> {
        let children = system.children();
        let of_kind: Vec<_> = children.keys().filter(|child| child.starts_with(kind)).collect();
        of_kind.into_iter().map(|child| system.metric_of(child, name)).sum()
    };
    assert!(wait_for(LONG, || sum("api", "api_quota_over_total").filter(|over| *over > 0)).is_some());
    let version = system.metric_of("api", "api_config_version").unwrap();
    let is_told = |edge: &&String| {
        edge.starts_with("edge")
            && system.metric_of(edge, "edge_config_version").is_some_and(|told| told >= version)
    };
    let told = wait_for(LONG, || (system.children().keys().filter(is_told).count() == 2).then_some(()));
    assert!(told.is_some(), "an edge is not told");
    for edge in &edges {
        assert_eq!(send(&system, edge, &property), (StatusCode::TOO_MANY_REQUESTS, "over_quota".to_owned()));
    }
    // Two more than the quota were taken before.
    let (events, _) = hits_and_refusals(&system, &property);
    assert_eq!(events, [json!({"events": 12})]);
    let update =
        ["property", "update", "--property", &property.property_id, "--daily-hits", "20", "--format", "json"];
    assert_eq!(system.json(&update)["daily_hits"], json!(20));
    for edge in &edges {
        assert_eq!(send(&system, edge, &property).0, StatusCode::NO_CONTENT);
    }
}
