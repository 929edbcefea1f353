//! Requests as Segment's libraries send them, and the replies they act on.

use http::HeaderValue;

use super::*;
use crate::sent::shown::{request, shown};

fn with_key<'a>(headers: &'a mut HeaderMap, body: &'a str) -> Request<'a> {
    // `WRITEKEY1:`
    headers.insert(AUTHORIZATION, HeaderValue::from_static("Basic V1JJVEVLRVkxOg=="));
    Request { path: "/v1/batch", query: "", headers, body: body.as_bytes() }
}

const CONTEXT: &str = r#""context":{"page":{"url":"https://shop.example.com/pricing","title":"Pricing","referrer":"https://www.google.com/"},"userAgent":"UA","locale":"en-GB"}"#;
const SHOWN: &str = "url=https://shop.example.com/pricing from=https://www.google.com/ title=Pricing language=en-GB client=5b5e";

#[test]
fn calls_of_its_libraries_are_read() {
    for (call, expected) in [
        (
            r#""type":"page","name":"Pricing","properties":{"url":"https://shop.example.com/pricing","title":"Pricing","referrer":"https://www.google.com/"}"#,
            format!("WRITEKEY1: page_view {SHOWN} id=m-1 ua=UA"),
        ),
        (
            r#""type":"track","event":"Order Completed","properties":{"order_id":"T-1","revenue":49.5,"currency":"EUR","products":[{"sku":"SKU-1"}]}"#,
            format!(
                r#"WRITEKEY1: Order Completed {SHOWN} id=m-1 ua=UA item=SKU-1//0x0 value=49.5 transaction_id="T-1" order_id="T-1" currency="EUR""#
            ),
        ),
        (r#""type":"identify","traits":{"plan":"pro"}"#, "WRITEKEY1: dropped kind".to_owned()),
        (r#""type":"track""#, "refused missing_field batch[0].event".to_owned()),
        (r#""type":"guess""#, "refused invalid_field batch[0].type".to_owned()),
    ] {
        let body = format!(
            r#"{{"batch":[{{"anonymousId":"5b5e","userId":null,"messageId":"m-1",{CONTEXT},{call}}}],"writeKey":"OTHER"}}"#
        );
        let mut headers = HeaderMap::new();
        assert_eq!(shown(parse_batch(&with_key(&mut headers, &body))), expected);
    }
}

#[test]
fn client_hints_of_a_page_are_kept() {
    let context = r#""context":{"userAgent":"UA","userAgentData":{"brands":[{"brand":"Brave","version":"142"}],"mobile":true,"platform":"Android"}}"#;
    let body = format!(r#"{{"batch":[{{"type":"page","userId":"u",{context}}}]}}"#);
    let mut headers = HeaderMap::new();
    assert_eq!(
        shown(parse_batch(&with_key(&mut headers, &body))),
        "WRITEKEY1: page_view client=u ua=UA hints=Brave 142/Android//Some(true)"
    );
}

#[test]
fn the_category_of_analytics_is_the_consent() {
    for (preferences, expected) in [
        (r#"{"Advertising":false,"Analytics":true}"#, " consent=Granted"),
        (r#"{"Advertising":true,"analytics":false}"#, " consent=Denied"),
        (r#"{"Advertising":true}"#, ""),
        (r#"{"Analytics":"true"}"#, ""),
        ("[]", ""),
        ("null", ""),
    ] {
        let context =
            format!(r#""context":{{"userAgent":"UA","consent":{{"categoryPreferences":{preferences}}}}}"#);
        let body = format!(r#"{{"batch":[{{"type":"page","userId":"u",{context}}}]}}"#);
        let mut headers = HeaderMap::new();
        let expected = format!("WRITEKEY1: page_view client=u{expected} ua=UA");
        assert_eq!(shown(parse_batch(&with_key(&mut headers, &body))), expected, "{preferences}");
    }
}

#[test]
fn the_age_of_a_call_is_the_difference_of_its_own_times() {
    let parsed = |times: &str, sent_at: &str| {
        let body = format!(r#"{{"batch":[{{"type":"page","userId":"u"{times}}}]{sent_at}}}"#);
        let mut headers = HeaderMap::new();
        shown(parse_batch(&with_key(&mut headers, &body)))
    };
    let (at, sent) = (
        r#","timestamp":"2026-11-25T00:04:16.426+00:00""#,
        r#","sentAt":"2026-11-25T00:04:17.426371+00:00""#,
    );
    assert_eq!(parsed(at, sent), "WRITEKEY1: page_view client=u Age(1000) server");
    assert_eq!(parsed(at, ""), "WRITEKEY1: page_view client=u Claimed(1795565056426) server");
    let old = r#","timestamp":"2026-11-21T00:04:16Z""#;
    // Whether that is too old, its property's secret may say.
    assert_eq!(parsed(old, sent), "WRITEKEY1: page_view client=u Age(345601426) server");
}

#[test]
fn the_key_comes_by_authentication_or_in_the_body() {
    let single = |headers: &HeaderMap, body: &str| {
        shown(parse_call(&Request { path: "/v1/p", query: "", headers, body: body.as_bytes() }))
    };
    let none = HeaderMap::new();
    assert_eq!(single(&none, r#"{"writeKey":"K","userId":"u"}"#), "K: page_view client=u server");
    assert_eq!(single(&none, r#"{"userId":"u"}"#), "refused missing_field writeKey");
    let mut headers = HeaderMap::new();
    // `M-1:sk_x`
    headers.insert(AUTHORIZATION, HeaderValue::from_static("basic TS0xOnNrX3g="));
    let request = Request { path: "/v1/track", query: "", headers: &headers, body: br#"{"event":"e"}"# };
    let sent = parse_call(&request).unwrap();
    assert_eq!(sent.secret.as_deref(), Some("sk_x"));
    assert_eq!(shown(Ok(sent)), "M-1: e server");
}

#[test]
fn the_properties_of_a_product_event_are_its_item() {
    let parsed = |event: &str, properties: &str| {
        let body = format!(
            r#"{{"writeKey":"K","batch":[{{"type":"track","event":"{event}","properties":{properties}}}]}}"#
        );
        shown(parse_batch(&request("", &body)))
    };
    let product = r#"{"product_id":"SKU-1","name":"Cap","price":24.75,"quantity":2,"coupon":"SUMMER"}"#;
    let params = r#"product_id="SKU-1" name="Cap" price=24.75 quantity=2 coupon="SUMMER""#;
    for event in ["Product Viewed", "Product Added"] {
        assert_eq!(
            parsed(event, product),
            format!(r#"K: {event} server item=SKU-1/Cap/2x24.75 coupon="SUMMER" {params}"#)
        );
    }
    assert_eq!(parsed("Product Removed", product), format!("K: Product Removed server {params}"));
    assert_eq!(parsed("Product Added", r#"{"cart_id":"c"}"#), r#"K: Product Added server cart_id="c""#);
    assert_eq!(
        parsed("Checkout Started", r#"{"products":[{"sku":"SKU-1","quantity":3}]}"#),
        "K: Checkout Started server item=SKU-1//3x0"
    );
}

#[test]
fn replies_are_json_with_a_status_that_libraries_act_on() {
    let taken = reply(&[Outcome::Taken { visitor_id: 1, is_bot: false }, Outcome::Dropped(Dropped::Kind)]);
    assert_eq!((taken.status.as_u16(), &*taken.body), (200, &br#"{"success":true}"#[..]));
    let unknown = reply(&[Outcome::Dropped(Dropped::UnknownSite)]);
    let said: serde_json::Value = serde_json::from_slice(&unknown.body).unwrap();
    assert_eq!((unknown.status.as_u16(), &said["code"]), (401, &json!("unknown_measurement_id")));
}
