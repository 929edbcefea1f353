//! Requests as analytics.js' heirs send them, and the kinds that nothing is counted of.

use super::*;
use crate::sent::shown::{request, shown};

const PAGE: &str = "dl=https%3A%2F%2Fshop.example.com%2Fpricing&dt=Pricing&dr=https%3A%2F%2Fwww.google.com%2F&ul=en-GB&ua=UA&v=1&tid=UA-12345-1&cid=12.17";
const SHOWN: &str = "url=https://shop.example.com/pricing from=https://www.google.com/ title=Pricing language=en-GB client=12.17";

#[test]
fn requests_of_a_client_are_read_from_body_or_query() {
    let parsed = |more: &str| {
        let text = format!("{PAGE}&{more}");
        let of_body = shown(parse(&request("", &text)));
        assert_eq!(shown(parse(&request(&text, ""))), of_body);
        of_body
    };
    assert_eq!(parsed("t=pageview&qt=500"), format!("UA-12345-1: page_view {SHOWN} Age(500) ua=UA"));
    assert_eq!(
        parsed("t=event&ec=account&ea=signup&el=pro&ev=3&cd1=red&cm2=4"),
        format!(
            r#"UA-12345-1: signup {SHOWN} ua=UA dimension1="red" metric2=4 event_category="account" event_label="pro" value=3"#
        )
    );
    assert_eq!(
        parsed("t=transaction&ti=T-1&tr=49.5&cu=EUR"),
        format!(r#"UA-12345-1: purchase {SHOWN} ua=UA transaction_id="T-1" currency="EUR" value=49.5"#)
    );
    assert_eq!(
        parsed("t=pageview&pa=purchase&ti=T-1&tr=49.5&pr1id=SKU-1"),
        format!(
            "UA-12345-1: page_view {SHOWN} ua=UA\nUA-12345-1: purchase {SHOWN} ua=UA item=SKU-1//0x0 transaction_id=\"T-1\" value=49.5"
        )
    );
    for (action, event) in [
        ("detail", "view_item"),
        ("add", "add_to_cart"),
        ("checkout", "begin_checkout"),
        ("checkout&cos=1", "begin_checkout"),
    ] {
        assert_eq!(
            parsed(&format!("t=pageview&pa={action}&cu=EUR&pr1id=SKU-1&pr1qt=2")),
            format!(
                "UA-12345-1: page_view {SHOWN} ua=UA\nUA-12345-1: {event} {SHOWN} ua=UA item=SKU-1//2x0 currency=\"EUR\""
            )
        );
    }
    for action in ["checkout&cos=2", "remove", "click", "refund"] {
        assert_eq!(
            parsed(&format!("t=pageview&pa={action}")),
            format!("UA-12345-1: page_view {SHOWN} ua=UA")
        );
    }
    assert_eq!(
        parsed("t=screenview&cd=Home"),
        format!(r#"UA-12345-1: screen_view {SHOWN} ua=UA screen_name="Home""#)
    );
    for kind in ["social", "exception", "timing"] {
        assert_eq!(parsed(&format!("t={kind}")), "UA-12345-1: dropped kind");
    }
    let old = parsed("t=pageview&qt=259200001");
    assert_eq!(old, format!("UA-12345-1: page_view {SHOWN} Age(259200001) ua=UA"));
}

#[test]
fn a_batch_has_a_hit_per_line() {
    let body = format!(
        "{PAGE}&t=transaction&ti=T-1&tr=49.5\nip=24.75&iq=2&ic=SKU-1&in=Cap&ti=T-1&cu=EUR&tid=UA-1&cid=1&t=item\n"
    );
    assert_eq!(
        shown(parse_batch(&request("", &body))),
        format!(
            "UA-12345-1: purchase {SHOWN} ua=UA transaction_id=\"T-1\" value=49.5\n\
             UA-1: item client=1 item=SKU-1/Cap/2x24.75 transaction_id=\"T-1\" currency=\"EUR\""
        )
    );
    let line = "tid=UA-1&cid=1&t=pageview\n";
    assert_eq!(shown(parse_batch(&request("", &line.repeat(21)))), "refused too_many_hits");
    assert_eq!(shown(parse_batch(&request("", "\n"))), "refused missing_field");
}

#[test]
fn what_cannot_be_a_hit_is_refused() {
    for (query, expected) in [
        ("cid=1&t=pageview", "refused missing_field hits[0].tid"),
        ("tid=UA-1&cid=1", "refused missing_field hits[0].t"),
        ("tid=UA-1&t=pageview", "refused missing_field hits[0].cid"),
        ("tid=UA-1&cid=1&t=event", "refused missing_field hits[0].ea"),
    ] {
        assert_eq!(shown(parse(&request(query, ""))), expected);
    }
    assert_eq!(shown(parse(&request(&"x".repeat(HIT_BYTES + 1), ""))), "refused too_large");
    assert_eq!((reply().status.as_u16(), reply().content_type), (200, "image/gif"));
}
