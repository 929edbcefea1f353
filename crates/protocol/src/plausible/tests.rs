//! Requests as Plausible's own trackers send them, and those that its server refuses.

use super::*;
use crate::sent::shown::{request, shown};

fn parsed(body: &str) -> String {
    shown(parse(&request("", body)))
}

#[test]
fn requests_of_its_trackers_are_read() {
    for (body, expected) in [
        (
            r#"{"n":"pageview","v":36,"u":"https://shop.example.com/pricing?utm_source=newsletter","d":"shop.example.com","r":"https://www.google.com/"}"#,
            "shop.example.com: page_view url=https://shop.example.com/pricing?utm_source=newsletter from=https://www.google.com/",
        ),
        (
            r#"{"n":"purchase","v":36,"u":"https://shop.example.com/pricing","d":"shop.example.com","r":"https://www.google.com/","p":{"order":"T-1","seats":3},"$":{"amount":49.5,"currency":"EUR"}}"#,
            r#"shop.example.com: purchase url=https://shop.example.com/pricing from=https://www.google.com/ revenue=49.5 currency="EUR" order="T-1" seats="3""#,
        ),
        (
            r#"{"n":"engagement","sd":38,"d":"shop.example.com","u":"https://shop.example.com/pricing","e":264,"v":36}"#,
            "shop.example.com: engagement url=https://shop.example.com/pricing engaged=264 scroll_depth=38",
        ),
        (
            r#"{"domain":"shop.example.com","name":"pageview","url":"app://localhost/pricing?utm_source=newsletter","props":{}}"#,
            "shop.example.com: page_view url=https://localhost/pricing?utm_source=newsletter",
        ),
    ] {
        assert_eq!(parsed(body), expected);
    }
}

#[test]
fn a_list_of_domains_is_a_hit_of_each() {
    assert_eq!(
        parsed(r#"{"n":"pageview","u":"https://a.example/","d":"www.A.example, b.example"}"#),
        "a.example: page_view url=https://a.example/\nb.example: page_view url=https://a.example/"
    );
    assert_eq!(
        parsed(r#"{"n":"pageview","u":"https://a.example/x#y"}"#),
        "a.example: page_view url=https://a.example/x"
    );
    assert_eq!(
        parsed(r#"{"n":404,"u":"https://a.example/x#y","h":1,"i":false}"#),
        "a.example: 404 url=https://a.example/x#y interactive=false"
    );
}

#[test]
fn what_its_server_refuses_is_refused_with_the_field() {
    let long = format!(r#"{{"n":"pageview","u":"https://a.example/{}","d":"a.example"}}"#, "x".repeat(2000));
    let long_prop = format!(r#"{{"n":"e","u":"https://a.example/","p":{{"k":"{}"}}}}"#, "x".repeat(2001));
    for (body, expected) in [
        ("no json", "refused invalid_json"),
        (r#"{"u":"https://a.example/","d":"a.example"}"#, "refused missing_field name"),
        (r#"{"n":"pageview","d":"a.example"}"#, "refused missing_field url"),
        (r#"{"n":"pageview","u":"data:text/html,x","d":"a.example"}"#, "refused invalid_field url"),
        (r#"{"n":"engagement","u":"https://a.example/","sd":255,"e":0}"#, "refused invalid_field event_name"),
        (r#"{"n":"e","u":"https://a.example/","$":{"amount":1}}"#, "refused invalid_field revenue"),
        (&long, "refused invalid_field url"),
        (&long_prop, "refused invalid_field props"),
    ] {
        assert_eq!(parsed(body), expected, "{body}");
    }
}

#[test]
fn replies_are_those_of_its_server() {
    let reply_to = |outcomes: &[Outcome]| {
        let reply = reply(outcomes);
        let dropped = reply.headers.first().map(|(_, value)| value.to_str().unwrap().to_owned());
        (reply.status.as_u16(), reply.body, dropped)
    };
    let taken = Outcome::Taken { visitor_id: 1, is_bot: false };
    assert_eq!(reply_to(std::slice::from_ref(&taken)), (202, b"ok"[..].into(), None));
    let unknown = Outcome::Dropped(crate::Dropped::UnknownSite);
    assert_eq!(reply_to(&[taken, unknown]), (202, b"ok"[..].into(), Some("1".to_owned())));
    let refused = refuse(&blank("url"));
    assert_eq!(
        (refused.status.as_u16(), &*refused.body),
        (400, &br#"{"errors":{"url":["can't be blank"]}}"#[..])
    );
}
