//! Requests as Matomo's clients send them, single and in bulk, and the replies they read.

use super::*;
use crate::sent::shown::{request, shown};

const PAGE: &str = "url=https%3A%2F%2Fshop.example.com%2Fpricing&action_name=Pricing&urlref=https%3A%2F%2Fwww.google.com%2F&lang=en-GB&ua=UA&_id=0123456789abcdef&apiv=1&idsite=7&rec=1";
const SHOWN: &str = "url=https://shop.example.com/pricing from=https://www.google.com/ title=Pricing language=en-GB client=0123456789abcdef";

fn parsed(more: &str) -> String {
    shown(parse(&request(&format!("{PAGE}{more}"), "")))
}

#[test]
fn requests_of_its_clients_are_read() {
    for (more, expected) in [
        ("", format!("7: page_view {SHOWN} ua=UA")),
        (
            "&e_c=account&e_a=signup&e_n=pro&e_v=3",
            format!(r#"7: signup {SHOWN} ua=UA event_category="account" event_label="pro" value=3"#),
        ),
        (
            "&idgoal=0&ec_id=T-1&revenue=49.5&ec_tx=2&ec_items=%5B%5B%22SKU-1%22%2C%22Cap%22%2C%22%22%2C24.75%2C2%5D%5D",
            format!(
                r#"7: purchase {SHOWN} ua=UA item=SKU-1/Cap/2x24.75 value=49.5 transaction_id="T-1" tax=2"#
            ),
        ),
        ("&idgoal=0&revenue=49.5", format!("7: cart_update {SHOWN} ua=UA value=49.5")),
        ("&idgoal=3&revenue=9", format!(r#"7: goal {SHOWN} ua=UA revenue=9 goal_id="3""#)),
        (
            "&link=https%3A%2F%2Fb.example%2F",
            format!(r#"7: click {SHOWN} ua=UA link_url="https://b.example/""#),
        ),
        (
            "&search=caps&search_count=4",
            format!(r#"7: view_search_results {SHOWN} ua=UA search_term="caps" search_results=4"#),
        ),
        ("&ping=1", format!("7: user_engagement {SHOWN} ua=UA")),
        ("&dimension3=red&dimensionx=no", format!(r#"7: page_view {SHOWN} ua=UA dimension3="red""#)),
        (
            "&_cvar=%7B%221%22%3A%5B%22plan%22%2C%22pro%22%5D%7D",
            format!(r#"7: page_view {SHOWN} ua=UA plan="pro""#),
        ),
        (
            "&uadata=%7B%22fullVersionList%22%3A%5B%7B%22brand%22%3A%22Chromium%22%2C%22version%22%3A%22131.0.6778.265%22%7D%5D%2C%22mobile%22%3Afalse%2C%22model%22%3A%22%22%2C%22platform%22%3A%22macOS%22%2C%22platformVersion%22%3A%2213.7.2%22%7D",
            format!("7: page_view {SHOWN} ua=UA hints=Chromium 131/macOS/13.7.2/Some(false)"),
        ),
        ("&uadata=%7Bbroken", format!("7: page_view {SHOWN} ua=UA")),
        ("&cdt=1795565302", format!("7: page_view {SHOWN} Claimed(1795565302000) ua=UA")),
        // Unix time by GNU date: `date -u -d '2011-04-05 00:11:42' +%s`.
        ("&cdt=2011-04-05%2000%3A11%3A42", format!("7: page_view {SHOWN} Claimed(1301962302000) ua=UA")),
        ("&cdt=yesterday", "refused invalid_field cdt".to_owned()),
        ("&consent=1", format!("7: page_view {SHOWN} consent=Granted ua=UA")),
        ("&consent=0", format!("7: page_view {SHOWN} consent=Denied ua=UA")),
        ("&consent=yes&cookie=1", format!("7: page_view {SHOWN} ua=UA")),
        ("&cip=nowhere", "refused invalid_field cip".to_owned()),
        ("&rec=0", "refused invalid_field rec".to_owned()),
        ("&idsite=x", "refused invalid_field idsite".to_owned()),
    ] {
        assert_eq!(parsed(more), expected, "{more}");
    }
}

#[test]
fn an_address_of_the_visitor_needs_the_secret() {
    let query = format!("{PAGE}&cip=203.0.113.7&token_auth=sk");
    let sent = parse(&request(&query, "")).unwrap();
    assert_eq!(sent.secret.as_deref(), Some("sk"));
    let Entry::Hit { hit, .. } = &sent.entries[0] else { panic!("{sent:?}") };
    assert_eq!((hit.ip, hit.needs_secret), (Some("203.0.113.7".parse().unwrap()), Some("cip")));
}

#[test]
fn a_bulk_refuses_what_is_wrong_alone() {
    let body = r#"{"requests":["?idsite=7&rec=1&url=https%3A%2F%2Fa.example%2F","?rec=1",{"idsite":7,"rec":1,"url":"https://a.example/b"}],"token_auth":"sk"}"#;
    let bulk = request("", body);
    let sent = parse(&bulk).unwrap();
    assert_eq!(sent.secret.as_deref(), Some("sk"));
    assert_eq!(
        shown(Ok(sent)),
        "7: page_view url=https://a.example/\nrefused invalid_field hits[1].idsite\n7: page_view url=https://a.example/b"
    );
    let taken = Outcome::Taken { visitor_id: 1, is_bot: false };
    let refused = Outcome::Refused(Refusal::field(Code::InvalidField, "idsite", "", "is missing"));
    let said: serde_json::Value =
        serde_json::from_slice(&reply(&bulk, &[taken.clone(), refused, taken]).body).unwrap();
    assert_eq!(said, json!({ "status": "error", "tracked": 2, "invalid": 1, "invalid_indices": [1] }));
}

#[test]
fn a_reply_is_a_pixel_or_nothing() {
    let outcome = [Outcome::Taken { visitor_id: 1, is_bot: false }];
    let of = |query: &str| reply(&request(query, ""), &outcome);
    assert_eq!((of(PAGE).status.as_u16(), of(PAGE).content_type), (200, "image/gif"));
    assert_eq!(of(&format!("{PAGE}&send_image=0")).status.as_u16(), 204);
    let unknown = reply(&request(PAGE, ""), &[Outcome::Dropped(Dropped::UnknownSite)]);
    assert_eq!(unknown.status.as_u16(), 400);
}
