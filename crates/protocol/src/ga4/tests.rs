//! Requests as clients for pages send them: one event in the query, or one per line of the body.

use super::*;
use crate::sent::shown::{request, shown};

#[test]
fn a_query_is_an_event() {
    for (query, expected) in [
        (
            "v=2&tid=G-TEST123&cid=1234567890.1700000000&_s=1&sid=1700000000&sct=1&seg=1&dl=https%3A%2F%2Fshop.example.com%2Fpricing%3Futm_source%3Dnewsletter&dt=Pricing&dr=https%3A%2F%2Fwww.google.com%2F&ul=en-GB&en=page_view",
            "G-TEST123: page_view url=https://shop.example.com/pricing?utm_source=newsletter from=https://www.google.com/ title=Pricing language=en-GB client=1234567890.1700000000 session=1700000000 ga_session_number=1",
        ),
        (
            "v=2&tid=G-TEST123&cid=1.2&_s=3&sid=17&dl=https%3A%2F%2Fshop.example.com%2F&ep.transaction_id=T-1&epn.value=49.5&cu=EUR&pr1=idSKU-1%7EnmCap%7Epr24.75%7Eqt2%7E&en=purchase",
            r#"G-TEST123: purchase url=https://shop.example.com/ client=1.2 session=17 item=SKU-1/Cap/2x24.75 currency="EUR" transaction_id="T-1" value=49.5"#,
        ),
        (
            "v=2&tid=G-TEST123&cid=1.2&sid=17&_fv=1&_ss=1&dh=shop.example.com&dp=%2Fa&en=user_engagement&_et=136&up.plan=pro&cs=news&cn=may",
            r#"G-TEST123: user_engagement url=https://shop.example.com/a?utm_source=news&utm_campaign=may client=1.2 session=17 engaged=136 first user.plan="pro""#,
        ),
        (
            // Chrome 124 on Windows 11, of the people who run the site.
            "v=2&tid=G-TEST123&cid=1.2&dl=https%3A%2F%2Fa.example%2F&uaa=x86&uab=64&uafvl=Chromium%3B124.0.6367.158%7CGoogle%2520Chrome%3B124.0.6367.158%7CNot-A.Brand%3B99.0.0.0&uamb=0&uam=&uap=Windows&uapv=15.0.0&uaw=0&tt=internal&en=page_view",
            r#"G-TEST123: page_view url=https://a.example/ client=1.2 hints=Chromium 124, Google Chrome 124/Windows/15.0.0/Some(false) traffic_type="internal""#,
        ),
        (
            "v=2&tid=G-TEST123&cid=1.2&dl=https%3A%2F%2Fa.example%2F&uafvl=Not%253DA%253FBrand%3B24.0.0.0%7CChromium%3B140.0.7339.16&uamb=1&uam=Pixel%209&uap=Android&uapv=16.0.0&en=page_view",
            "G-TEST123: page_view url=https://a.example/ client=1.2 hints=Chromium 140/Android/16.0.0/Some(true)",
        ),
    ] {
        assert_eq!(shown(parse(&request(query, ""))), expected);
    }
}

#[test]
fn ids_of_a_visitor_who_allows_no_storage_are_not_taken() {
    let query = |state: &str| {
        format!(
            "v=2&tid=G-1&cid=1.2&uid=u&sid=17&sct=3&_fv=1&gcs={state}&dl=https%3A%2F%2Fa.example%2F&en=page_view"
        )
    };
    let denied = "G-1: page_view url=https://a.example/ consent=Denied";
    let known = |consent: &str| {
        format!(
            "G-1: page_view url=https://a.example/ client=1.2 session=17 first{consent} ga_session_number=3"
        )
    };
    let (granted, silent) = (known(" consent=Granted"), known(""));
    for (state, expected) in [
        ("G100", denied),
        ("G110", denied),
        ("G101", &granted),
        ("G111", &granted),
        ("G1--", &silent),
        ("G1", &silent),
        ("", &silent),
    ] {
        assert_eq!(shown(parse(&request(&query(state), ""))), expected, "{state}");
    }
}

#[test]
fn every_line_of_a_body_is_an_event_with_what_the_query_shares() {
    let query = "v=2&tid=G-TEST123&cid=1.2&sid=17&dl=https%3A%2F%2Fa.example%2F";
    let body = "en=page_view&_et=5\r\nen=signup&ep.plan=pro&epn.seats=3&dl=https%3A%2F%2Fa.example%2Fb\n";
    assert_eq!(
        shown(parse(&request(query, body))),
        "G-TEST123: page_view url=https://a.example/ client=1.2 session=17 engaged=5\n\
         G-TEST123: signup url=https://a.example/b client=1.2 session=17 plan=\"pro\" seats=3"
    );
}

#[test]
fn what_has_no_id_or_no_name_is_refused() {
    assert_eq!(shown(parse(&request("v=2&en=page_view", ""))), "refused missing_field hits[0].tid");
    assert_eq!(shown(parse(&request("v=2&tid=G-1", "ep.a=1"))), "refused missing_field hits[0].en");
}
