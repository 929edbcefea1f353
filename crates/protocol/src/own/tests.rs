//! Every field and every way to refuse it; and that no bytes make the parser panic.

use proptest::prelude::*;

use super::*;
use crate::parsed::Consent;
use crate::pixel;

/// A request with one hit of these fields (JSON without the braces).
fn with_hit(fields: &str) -> Vec<u8> {
    format!(r#"{{"measurement_id":"M-1","hits":[{{{fields}}}]}}"#).into_bytes()
}

const PAGE: &str = r#""url":"https://example.com/""#;

fn refused(body: &[u8]) -> (&'static str, String, String) {
    let refusal = collect(body).unwrap_err();
    assert!(!refusal.message.is_empty());
    (refusal.code.as_str(), refusal.field, refusal.value)
}

#[test]
fn a_full_hit_is_taken_as_it_is() {
    let body = with_hit(
        r#""event":"sign_up","url":"https://shop.example.com/a?b=1","referrer":"https://x.example/","title":"T",
        "language":"en-GB","screen":"1440x900","client_id":"c","session_id":"s","first_visit":true,"engagement_ms":1200,
        "age_ms":5,"id":"i","attempt":2,"params":{"color":"red","size":4,"less":-1.5,"new":true},"ip":"203.0.113.7",
        "user_agent":"UA","consent":"granted""#,
    );
    let request = collect(&body).unwrap();
    assert_eq!(request.measurement_id, "M-1");
    let hit = &request.hits[0];
    assert_eq!((&*hit.event, &*hit.host), ("sign_up", "shop.example.com"));
    assert_eq!((hit.referrer.as_ref(), hit.title.as_ref()), ("https://x.example/", "T"));
    assert_eq!((hit.language.as_ref(), hit.screen.as_ref()), ("en-GB", "1440x900"));
    assert_eq!((hit.client_id.as_ref(), hit.session_id.as_ref()), ("c", "s"));
    assert_eq!((hit.first_visit, hit.engagement_ms, hit.time), (Some(true), 1200, HitTime::Age(5)));
    assert_eq!((hit.id.as_ref(), hit.attempt, hit.consent), ("i", 2, Some(Consent::Granted)));
    let keys: Vec<&str> = hit.params.iter().map(|param| param.key.as_str()).collect();
    assert_eq!(keys, ["color", "size", "less", "new"]);
    assert_eq!(hit.params[2].value, Some(hit::parameter::Value::Number(-1.5)));
    assert_eq!(hit.ip, Some("203.0.113.7".parse().unwrap()));
    assert_eq!((hit.user_agent.as_deref(), hit.needs_secret), (Some("UA"), Some("ip")));
}

#[test]
fn a_minimal_hit_is_a_page_view_of_now() {
    let body = with_hit(r#""url":"https://example.com/","title":null,"client_id":null"#);
    let request = collect(&body).unwrap();
    let hit = &request.hits[0];
    assert_eq!((hit.event.as_ref(), hit.time, hit.needs_secret), ("page_view", HitTime::Age(0), None));
    assert_eq!((hit.title.as_ref(), hit.client_id.as_ref()), ("", ""));
}

#[test]
fn client_hints_are_taken_and_cut() {
    let long = "x".repeat(150);
    let body = with_hit(&format!(
        r#"{PAGE},"client_hints":{{"brands":[{{"brand":"Chromium","version":"142"}},{{"brand":"Not_A Brand","version":"99"}}],
        "platform":"{long}","platform_version":"15.0.0","mobile":false}}"#
    ));
    let request = collect(&body).unwrap();
    let hints = request.hits[0].client_hints.as_ref().unwrap();
    assert_eq!((hints.brands.as_ref(), hints.platform.len()), ("Chromium 142", 100));
    assert_eq!((hints.platform_version.as_ref(), hints.mobile), ("15.0.0", Some(false)));
    for nothing in ["null", "{}", r#"{"brands":null,"platform":""}"#] {
        let body = with_hit(&format!(r#"{PAGE},"client_hints":{nothing}"#));
        assert_eq!(collect(&body).unwrap().hits[0].client_hints, None, "{nothing}");
    }
}

#[test]
fn impossible_client_hints_are_refused_by_name() {
    for (hints, code, field, value) in [
        ("[]", "invalid_field", "client_hints", "[…]"),
        (r#"{"brand":"x"}"#, "unknown_field", "client_hints.brand", "x"),
        (r#"{"brands":["Chromium"]}"#, "invalid_field", "client_hints.brands", "[…]"),
        (r#"{"brands":[{"brand":"Chromium"}]}"#, "invalid_field", "client_hints.brands", "[…]"),
        (r#"{"mobile":"yes"}"#, "invalid_field", "client_hints.mobile", "yes"),
        (r#"{"platform_version":15}"#, "invalid_field", "client_hints.platform_version", "15"),
        (r#"{"platform":"a","platform":"b"}"#, "invalid_field", "client_hints.platform", "b"),
        (r#"{"model":"a"}"#, "unknown_field", "client_hints.model", "a"),
    ] {
        let body = with_hit(&format!(r#"{PAGE},"client_hints":{hints}"#));
        assert_eq!(refused(&body), (code, format!("hits[0].{field}"), value.to_owned()), "{hints}");
    }
}

#[test]
fn times_are_milliseconds_or_rfc_3339() {
    for (value, expected) in [
        ("0", 0),
        ("1431855903000", 1_431_855_903_000),
        (r#""2015-05-17T09:45:03Z""#, 1_431_855_903_000),
        (r#""2015-05-17T11:45:03.5+02:00""#, 1_431_855_903_500),
    ] {
        let body = with_hit(&format!(r#"{PAGE},"timestamp":{value}"#));
        let request = collect(&body).unwrap();
        assert_eq!(request.hits[0].time, HitTime::At(expected), "{value}");
        assert_eq!(request.hits[0].needs_secret, Some("timestamp"));
    }
}

#[test]
fn impossible_requests_are_refused_by_code_and_field() {
    let many = format!(r#"{{"measurement_id":"M-1","hits":[{}]}}"#, vec!["{}"; 101].join(","));
    for (body, code, field, value) in [
        ("", "invalid_json", "", ""),
        ("{", "invalid_json", "", ""),
        ("[1]", "invalid_json", "", "[…]"),
        ("\"x\"", "invalid_json", "", "x"),
        ("{}", "missing_field", "measurement_id", ""),
        (r#"{"measurement_id":null,"hits":[]}"#, "missing_field", "measurement_id", ""),
        (r#"{"measurement_id":"M-1"}"#, "missing_field", "hits", ""),
        (r#"{"measurement_id":7,"hits":[]}"#, "invalid_field", "measurement_id", "7"),
        (r#"{"measurement_id":"","hits":[]}"#, "invalid_field", "measurement_id", ""),
        (r#"{"measurement_id":"M-1","hits":{}}"#, "invalid_field", "hits", "{…}"),
        (r#"{"measurement_id":"M-1","hits":[]}"#, "invalid_field", "hits", "[]"),
        (r#"{"measurement_id":"M-1","hits":[3]}"#, "invalid_field", "hits[0]", "3"),
        (r#"{"measurement_id":"M-1","hitz":[]}"#, "unknown_field", "hitz", "[…]"),
        (r#"{"measurement_id":"M-1","measurement_id":"M-2"}"#, "invalid_field", "measurement_id", "M-2"),
        (&many, "too_many_hits", "hits", "101"),
    ] {
        assert_eq!(refused(body.as_bytes()), (code, field.to_owned(), value.to_owned()), "{body:.80}");
    }
    assert_eq!(refused(b"\xff\xfe").0, "invalid_json");
}

#[test]
fn impossible_fields_are_refused_by_name_and_value() {
    let long = |count: usize| "a".repeat(count);
    for (field, value, shown) in [
        ("event", "7", "7"),
        ("event", "\"\"", ""),
        ("event", &format!("\"{}\"", long(101)), &long(100)),
        ("event", &format!("\"{}\"", "ä".repeat(101)), &"ä".repeat(100)),
        ("url", "\"/path\"", "/path"),
        ("url", "\"ftp://example.com/\"", "ftp://example.com/"),
        ("url", "\"javascript:alert(1)\"", "javascript:alert(1)"),
        ("url", "\"https://\"", "https://"),
        (
            "url",
            &format!("\"https://example.com/{}\"", long(2048)),
            &format!("https://example.com/{}", long(80)),
        ),
        ("referrer", "[]", "[…]"),
        ("referrer", &format!("\"{}\"", long(2049)), &long(100)),
        ("title", &format!("\"{}\"", long(1001)), &long(100)),
        ("language", "\"en GB\"", "en GB"),
        ("language", &format!("\"{}\"", long(36)), &long(36)),
        ("screen", "\"wide\"", "wide"),
        ("screen", "\"1440x\"", "1440x"),
        ("client_id", "\"\"", ""),
        ("client_id", "12", "12"),
        ("session_id", &format!("\"{}\"", long(129)), &long(100)),
        ("first_visit", "\"true\"", "true"),
        ("engagement_ms", "-1", "-1"),
        ("engagement_ms", "86400001", "86400001"),
        ("engagement_ms", "1.5", "1.5"),
        ("age_ms", "-5", "-5"),
        ("age_ms", "259200001", "259200001"),
        ("age_ms", "\"5\"", "5"),
        ("age_ms", "1e300", "1e300"),
        ("id", &format!("\"{}\"", long(65)), &long(65)),
        ("attempt", "-1", "-1"),
        ("params", "[]", "[…]"),
        ("timestamp", "-1", "-1"),
        ("timestamp", "\"1969-12-31T23:59:59Z\"", "1969-12-31T23:59:59Z"),
        ("timestamp", "\"yesterday\"", "yesterday"),
        ("timestamp", "18446744073709551615", "18446744073709551615"),
        ("ip", "\"203.0.113\"", "203.0.113"),
        ("ip", "5", "5"),
        ("user_agent", "true", "true"),
        ("consent", "\"yes\"", "yes"),
        ("consent", "true", "true"),
    ] {
        let (code, path, found) = refused(&with_hit(&format!(r#""{field}":{value}"#)));
        let expected = ("invalid_field", format!("hits[0].{field}"));
        assert_eq!((code, path), expected, "{field} {value:.60}");
        if value != "1e300" {
            assert_eq!(found, *shown, "{field} {value:.60}");
        }
    }
}

#[test]
fn impossible_parameters_are_refused_by_path() {
    let many: Vec<String> = (0..51).map(|n| format!("\"k{n}\":1")).collect();
    let long = "a".repeat(1001);
    for (params, field, shown) in [
        (r#"{"color":null}"#, "hits[0].params.color", "null"),
        (r#"{"color":["red"]}"#, "hits[0].params.color", "[…]"),
        (r#"{"color":"red","color":"blue"}"#, "hits[0].params.color", "blue"),
        (r#"{"":1}"#, "hits[0].params", ""),
        (&format!("{{{}}}", many.join(",")), "hits[0].params", "51"),
        (&format!(r#"{{"color":"{long}"}}"#), "hits[0].params.color", &long[..100]),
        (&format!(r#"{{"{}":1}}"#, &long[..101]), "hits[0].params", &long[..100]),
    ] {
        let found = refused(&with_hit(&format!(r#"{PAGE},"params":{params}"#)));
        assert_eq!(found, ("invalid_field", field.to_owned(), shown.to_owned()), "{params:.60}");
    }
}

#[test]
fn items_are_taken_as_they_are() {
    let body = with_hit(
        r#""event":"purchase","items":[{"item_id":"SKU-1","item_name":"Cap","item_brand":"B","item_category":"Hats",
        "item_variant":"red","price":24.75,"quantity":2,"coupon":"SUMMER","new":true},{"item_name":"Gift","price":null}]"#,
    );
    let request = collect(&body).unwrap();
    let [cap, gift] = request.hits[0].items.as_slice() else { panic!("{request:?}") };
    let texts = [&cap.id, &cap.name, &cap.brand, &cap.category, &cap.variant].map(String::as_str);
    assert_eq!(texts, ["SKU-1", "Cap", "B", "Hats", "red"]);
    assert_eq!((cap.price, cap.quantity), (Some(24.75), Some(2.0)));
    let param = |key: &str, value| hit::Parameter { key: key.into(), value: Some(value) };
    let (coupon, new) = (hit::parameter::Value::Text("SUMMER".into()), hit::parameter::Value::Flag(true));
    assert_eq!(cap.params, [param("coupon", coupon), param("new", new)]);
    assert_eq!((gift.name.as_str(), gift.price, gift.quantity), ("Gift", None, None));
}

#[test]
fn impossible_items_are_refused_by_path() {
    let long = "a".repeat(1001);
    let many = vec![r#"{"item_id":"a"}"#; 201].join(",");
    let params: String = (0..11).map(|n| format!(r#","k{n}":1"#)).collect();
    for (items, code, field, shown) in [
        ("{}", "invalid_field", "items", "{…}"),
        (&format!("[{many}]"), "invalid_field", "items", "201"),
        (r#"["SKU-1"]"#, "invalid_field", "items[0]", "SKU-1"),
        (r#"[{"item_id":"a"},{}]"#, "missing_field", "items[1].item_id", ""),
        (r#"[{"item_id":7}]"#, "invalid_field", "items[0].item_id", "7"),
        (
            &format!(r#"[{{"item_name":"{}"}}]"#, &long[..101]),
            "invalid_field",
            "items[0].item_name",
            &long[..100],
        ),
        (r#"[{"item_id":"a","price":"5"}]"#, "invalid_field", "items[0].price", "5"),
        (r#"[{"item_id":"a","price":-5}]"#, "invalid_field", "items[0].price", "-5"),
        (r#"[{"item_id":"a","quantity":1000000001}]"#, "invalid_field", "items[0].quantity", "1000000001"),
        (r#"[{"item_id":"a","item_id":"b"}]"#, "invalid_field", "items[0].item_id", "b"),
        (r#"[{"item_id":"a","coupon":1,"coupon":2}]"#, "invalid_field", "items[0].coupon", "2"),
        (r#"[{"item_id":"a","coupon":null}]"#, "invalid_field", "items[0].coupon", "null"),
        (r#"[{"item_id":"a","sizes":["L"]}]"#, "invalid_field", "items[0].sizes", "[…]"),
        (r#"[{"item_id":"a","":1}]"#, "invalid_field", "items[0].", "1"),
        (&format!(r#"[{{"item_id":"a"{params}}}]"#), "invalid_field", "items[0].k10", "1"),
        (&format!(r#"[{{"item_id":"a","note":"{long}"}}]"#), "invalid_field", "items[0].note", &long[..100]),
    ] {
        let found = refused(&with_hit(&format!(r#""event":"purchase","items":{items}"#)));
        assert_eq!(found, (code, format!("hits[0].{field}"), shown.to_owned()), "{items:.60}");
    }
}

#[test]
fn fields_that_contradict_each_other_are_refused() {
    for (fields, code, field) in [
        (r#""event":"page_view""#, "missing_field", "hits[0].url"),
        (r#""title":"x""#, "missing_field", "hits[0].url"),
        (r#""event":"a","agems":5"#, "unknown_field", "hits[0].agems"),
        (r#""event":"a","event":"b""#, "invalid_field", "hits[0].event"),
        (r#""event":"a","age_ms":5,"timestamp":5"#, "invalid_field", "hits[0].age_ms"),
        (r#""event":"a","timestamp":5,"age_ms":5"#, "invalid_field", "hits[0].age_ms"),
    ] {
        let (found, path, _) = refused(&with_hit(fields));
        assert_eq!((found, path.as_str()), (code, field), "{fields}");
    }
    assert!(collect(&with_hit(r#""event":"click""#)).is_ok());
}

#[test]
fn the_field_path_names_the_hit() {
    let body = br#"{"measurement_id":"M-1","hits":[{"event":"a"},{"event":"a"},{"event":"a","age_ms":-5}]}"#;
    assert_eq!(refused(body), ("invalid_field", "hits[2].age_ms".into(), "-5".into()));
}

#[test]
fn import_says_how_far_it_has_come() {
    let body = br#"{"measurement_id":"M-1","hits":[],"import_until":"2015-05-17T09:45:03Z"}"#;
    assert_eq!(collect(body).unwrap().import_until_ms, Some(1_431_855_903_000));
    let late = br#"{"measurement_id":"M-1","hits":[],"import_until":"soon"}"#;
    assert_eq!(refused(late).0, "invalid_field");
    assert_eq!(refused(br#"{"measurement_id":"M-1","hits":[]}"#).1, "hits");
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    let body = "[".repeat(100_000);
    assert_eq!(refused(body.as_bytes()).0, "invalid_json");
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = collect(&bytes);
        let _ = pixel::collect(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_near_miss_panics(cut in 0_usize..600, at in 0_usize..600, byte in any::<u8>()) {
        let mut body = with_hit(
            r#""event":"ä","url":"https://example.com/","age_ms":5,"params":{"a":[1,{"b":null}],"c":1e400},"items":[{"item_id":"ä","price":1e400,"x":{}}],"screen":"1x1",
            "timestamp":"2015-05-17T09:45:03Z","ip":"::1","engagement_ms":18446744073709551616,"first_visit":false"#,
        );
        if let Some(slot) = body.get_mut(at) {
            *slot = byte;
        }
        body.truncate(cut);
        let _ = collect(&body);
    }
}
