//! Requests as Snowplow's trackers send them.

use super::*;
use crate::sent::shown::{request, shown};

/// What each event of a tracker has.
const EVENT: &str = r#""url":"https://shop.example.com/pricing","page":"Pricing","refr":"https://www.google.com/","eid":"ea3d1d8e","p":"srv","tv":"node-4.8.0","tna":"shop","aid":"shop","ua":"UA","lang":"en-GB","dtm":"1795565302396","duid":"5b5e","stm":"1795565302397""#;
const SHOWN: &str = "url=https://shop.example.com/pricing from=https://www.google.com/ title=Pricing language=en-GB client=5b5e id=ea3d1d8e Age(1) ua=UA server";

fn parsed(event: &str) -> String {
    let body = format!(
        r#"{{"schema":"iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4","data":[{{{event},{EVENT}}}]}}"#
    );
    shown(parse(&request("", &body)))
}

#[test]
fn events_of_its_trackers_are_read() {
    for (event, expected) in [
        (r#""e":"pv""#, format!("shop: page_view {SHOWN}")),
        (r#""e":"pp","pp_may":"40""#, format!("shop: page_ping {SHOWN} scroll_y_max=40")),
        (
            r#""e":"se","se_ca":"account","se_ac":"signup","se_la":"pro","se_va":"3""#,
            format!(r#"shop: signup {SHOWN} event_category="account" event_label="pro" value=3"#),
        ),
        (
            r#""e":"tr","tr_id":"T-1","tr_tt":"49.5","tr_cu":"EUR""#,
            format!(r#"shop: purchase {SHOWN} transaction_id="T-1" currency="EUR" value=49.5"#),
        ),
        (
            r#""e":"ue","ue_px":"eyJzY2hlbWEiOiJpZ2x1OmNvbS5zbm93cGxvd2FuYWx5dGljcy5zbm93cGxvdy91bnN0cnVjdF9ldmVudC9qc29uc2NoZW1hLzEtMC0wIiwiZGF0YSI6eyJzY2hlbWEiOiJpZ2x1OmNvbS5leGFtcGxlL3NpZ251cC9qc29uc2NoZW1hLzEtMC0wIiwiZGF0YSI6eyJwbGFuIjoicHJvIiwic2VhdHMiOjN9fX0""#,
            format!(r#"shop: signup {SHOWN} plan="pro" seats=3"#),
        ),
        (
            r#""e":"ue","ue_pr":"{\"schema\":\"iglu:x/unstruct_event/jsonschema/1-0-0\",\"data\":{\"schema\":\"iglu:com.example/signup/jsonschema/1-0-0\",\"data\":{\"plan\":\"pro\"}}}""#,
            format!(r#"shop: signup {SHOWN} plan="pro""#),
        ),
        (
            r#""e":"ti","ti_id":"T-1","ti_sk":"SKU-1","ti_nm":"Cap","ti_pr":"24.75","ti_qu":"2","ti_cu":"EUR""#,
            format!(r#"shop: item {SHOWN} item=SKU-1/Cap/2x24.75 transaction_id="T-1" currency="EUR""#),
        ),
        (
            r#""e":"ue","ue_pr":"{\"schema\":\"iglu:x/unstruct_event/jsonschema/1-0-0\",\"data\":{\"schema\":\"iglu:com.snowplowanalytics.snowplow/add_to_cart/jsonschema/1-0-0\",\"data\":{\"sku\":\"SKU-1\",\"unitPrice\":5,\"quantity\":2}}}""#,
            format!(r#"shop: add_to_cart {SHOWN} item=SKU-1//2x5 sku="SKU-1" unitPrice=5 quantity=2"#),
        ),
        (r#""e":"ue","ue_px":"%%%""#, "refused invalid_field hits[0].ue_pr".to_owned()),
        (r#""e":"ad""#, "shop: dropped kind".to_owned()),
        (r#""f":"pv""#, "refused missing_field hits[0].e".to_owned()),
    ] {
        assert_eq!(parsed(event), expected, "{event}");
    }
}

/// `co` in JSON, `cx` the same in base64.
#[test]
fn client_hints_are_found_among_contexts() {
    const SAID: &str = "hints=Chromium 99/Linux//Some(false)";
    let context = r#"{\"schema\":\"iglu:x/contexts/jsonschema/1-0-0\",\"data\":[{\"schema\":\"iglu:x/web_page/jsonschema/1-0-0\",\"data\":{\"id\":\"1\"}},{\"schema\":\"iglu:org.ietf/http_client_hints/jsonschema/1-0-0\",\"data\":{\"isMobile\":false,\"platform\":\"Linux\",\"brands\":[{\"brand\":\" Not A;Brand\",\"version\":\"99\"},{\"brand\":\"Chromium\",\"version\":\"99\"}]}}]}"#;
    let encoded = BASE64.encode(context.replace('\\', ""));
    for event in [format!(r#""e":"pv","co":"{context}""#), format!(r#""e":"pv","cx":"{encoded}""#)] {
        let expected = SHOWN.replace(" ua=UA", &format!(" ua=UA {SAID}"));
        assert_eq!(parsed(&event), format!("shop: page_view {expected}"), "{event}");
    }
    assert_eq!(parsed(r#""e":"pv","cx":"%%%""#), format!("shop: page_view {SHOWN}"));
}

#[test]
fn a_page_is_where_the_visitor_is_and_true_times_are_believed() {
    let query = "e=pv&aid=shop&p=web&url=https%3A%2F%2Fa.example%2F&ttm=1795565302396&sid=s-1&nuid=n&uid=u";
    assert_eq!(
        shown(parse_query(&request(query, ""))),
        "shop: page_view url=https://a.example/ client=n session=s-1 Claimed(1795565302396)"
    );
}

#[test]
fn what_is_no_list_of_events_is_refused() {
    assert_eq!(shown(parse(&request("", "[]"))), "refused missing_field data");
    assert_eq!(shown(parse(&request("", r#"{"data":[1]}"#))), "refused invalid_field data[0]");
    assert_eq!((reply().status.as_u16(), &*reply().body), (200, &b"ok"[..]));
}
