//! Requests as servers send them, and what the debug endpoint says.

use super::*;
use crate::sent::shown::{request, shown};

const QUERY: &str = "measurement_id=G-TEST123&api_secret=s3cret";

fn parsed(body: &str) -> String {
    shown(parse(&request(QUERY, body)))
}

fn checked(body: &str) -> String {
    shown(check(&request(QUERY, body)))
}

#[test]
fn what_can_be_counted_is_counted() {
    let body = r#"{"client_id":"1","events":[{"name":"a b"},{"name":"ok","params":{"_x":1,"y":2}}]}"#;
    assert_eq!(parsed(body), "refused invalid_field events[0].name\nG-TEST123: ok client=1 server y=2");
}

#[test]
fn requests_of_a_client_are_read() {
    let body = r#"{"client_id": "1234567890.1700000000", "events": [{"name": "page_view", "params": {"page_location": "https://shop.example.com/pricing?utm_source=newsletter", "page_title": "Pricing", "page_referrer": "https://www.google.com/", "language": "en-GB", "session_id": 1700000000, "engagement_time_msec": 4}}]}"#;
    assert_eq!(
        parsed(body),
        "G-TEST123: page_view url=https://shop.example.com/pricing?utm_source=newsletter from=https://www.google.com/ title=Pricing language=en-GB client=1234567890.1700000000 session=1700000000 engaged=4 server"
    );
    let body = r#"{"client_id":"1.2","timestamp_micros":1795565302426000,"user_agent":"UA","user_id":"user-42","user_properties":{"plan":{"value":"pro"}},"events":[{"name":"purchase","params":{"transaction_id":"T-1","value":49.5,"currency":"EUR","items":[{"item_id":"SKU-1"}]}},{"name":"late","timestamp_micros":1795565302427000}]}"#;
    assert_eq!(
        parsed(body),
        "G-TEST123: purchase client=1.2 Claimed(1795565302426) ua=UA server item=SKU-1//0x0 transaction_id=\"T-1\" value=49.5 currency=\"EUR\" user.plan=\"pro\"\n\
         G-TEST123: late client=1.2 Claimed(1795565302427) ua=UA server user.plan=\"pro\""
    );
    let single = r#"{"client_id":"1","events":{"name":"e","params":{}},"timestamp_micros":1}"#;
    assert_eq!(parsed(single), "G-TEST123: e client=1 Claimed(0) server");
    assert_eq!(parse(&request(QUERY, body)).unwrap().secret.as_deref(), Some("s3cret"));
}

#[test]
fn limits_are_googles_and_the_debug_endpoint_names_what_is_wrong() {
    let events = |count: usize| vec![r#"{"name":"e"}"#; count].join(",");
    let params: Vec<String> = (0..26).map(|n| format!(r#""p{n}":1"#)).collect();
    for (body, expected) in [
        ("{}".to_owned(), "refused missing_field client_id"),
        (r#"{"client_id":"1"}"#.to_owned(), "refused missing_field events"),
        (format!(r#"{{"client_id":"1","events":[{}]}}"#, events(26)), "refused too_many_hits events"),
        (r#"{"client_id":"1","events":[{}]}"#.to_owned(), "refused missing_field events[0].name"),
        (r#"{"client_id":"1","events":[{"name":"a b"}]}"#.to_owned(), "refused invalid_field events[0].name"),
        (
            format!(r#"{{"client_id":"1","events":[{{"name":"{}"}}]}}"#, "x".repeat(41)),
            "refused invalid_field events[0].name",
        ),
        (
            format!(r#"{{"client_id":"1","events":[{{"name":"e","params":{{{}}}}}]}}"#, params.join(",")),
            "refused invalid_field events[0].params",
        ),
    ] {
        assert_eq!(checked(&body), expected, "{body}");
    }
    assert_eq!(shown(parse(&request("api_secret=x", "{}"))), "refused missing_field measurement_id");

    let refusal = check(&request(QUERY, r#"{"client_id":"1","events":[{}]}"#)).unwrap_err();
    let said: serde_json::Value = serde_json::from_slice(&validation(Some(&refusal)).body).unwrap();
    assert_eq!(said["validationMessages"][0]["fieldPath"], "events[0].name");
    assert_eq!(said["validationMessages"][0]["validationCode"], "VALUE_REQUIRED");
    assert_eq!(&*validation(None).body, br#"{"validationMessages":[]}"#);
    assert_eq!(reply().status.as_u16(), 204);
}
