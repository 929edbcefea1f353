//! Pixels have the names and limits of JSON hits.

use super::*;
use crate::parsed::HitTime;

#[test]
fn a_query_is_a_hit() {
    let request = collect(
        "measurement_id=M-1&event=sign+up&url=https%3A%2F%2Fexample.com%2Fa&age_ms=5&first_visit=false&p.color=red%20wine&p.n=4",
    )
    .unwrap();
    assert_eq!((request.measurement_id.as_ref(), request.hits.len()), ("M-1", 1));
    let hit = &request.hits[0];
    assert_eq!((hit.event.as_ref(), hit.url.as_ref()), ("sign up", "https://example.com/a"));
    assert_eq!((hit.time, hit.first_visit), (HitTime::Age(5), Some(false)));
    let text = |text: &str| Some(hit::parameter::Value::Text(text.to_owned()));
    assert_eq!((&hit.params[0].value, &hit.params[1].value), (&text("red wine"), &text("4")));
}

#[test]
fn times_may_be_numbers_or_rfc_3339() {
    for query in ["timestamp=1431855903000", "timestamp=2015-05-17T09:45:03Z"] {
        let query = format!("measurement_id=M-1&url=https://example.com/&{query}");
        assert_eq!(collect(&query).unwrap().hits[0].time, HitTime::At(1_431_855_903_000));
    }
}

#[test]
fn errors_name_the_query_parameter() {
    let long = format!("measurement_id=M-1&event=a&p.color={}", "x".repeat(1001));
    let huge = "x".repeat(65_537);
    for (query, code, field) in [
        ("", "missing_field", "measurement_id"),
        ("measurement_id=", "missing_field", "measurement_id"),
        ("measurement_id=M-1&measurement_id=M-2", "invalid_field", "measurement_id"),
        ("measurement_id=M-1", "missing_field", "url"),
        ("measurement_id=M-1&event=a&age_ms=x", "invalid_field", "age_ms"),
        ("measurement_id=M-1&event=a&age_ms=-5", "invalid_field", "age_ms"),
        ("measurement_id=M-1&event=a&first_visit=1", "invalid_field", "first_visit"),
        ("measurement_id=M-1&event=a&params=x", "unknown_field", "params"),
        ("measurement_id=M-1&event=a&colour=x", "unknown_field", "colour"),
        ("measurement_id=M-1&event=a&p.=x", "invalid_field", "params"),
        (long.as_str(), "invalid_field", "p.color"),
        (huge.as_str(), "too_large", ""),
    ] {
        let refusal = collect(query).unwrap_err();
        assert_eq!((refusal.code.as_str(), refusal.field.as_str()), (code, field), "{query:.80}");
    }
}

#[test]
fn a_refused_query_says_whose_it_is() {
    let id = |query: &str| claim(query).map(|claim| (claim.measurement_id, claim.hits));
    assert_eq!(id("event=x&measurement_id=M-%41&measurement_id=M-B"), Some(("M-A".to_owned(), 1)));
    assert_eq!(id("event=x"), None);
    assert_eq!(id(&format!("event={}&measurement_id=M-A", "x".repeat(70_000))), None);
}
