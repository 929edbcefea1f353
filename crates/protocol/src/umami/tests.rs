//! Requests as Umami's clients send them, and the replies they read.

use super::*;
use crate::sent::shown::{request, shown};

const SITE: &str = "5b5e9b5a-5e0b-4c6d-9a51-0d9f2f0e6c12";

fn taken(visitor_id: u64) -> Outcome {
    Outcome::Taken { visitor_id, is_bot: false }
}

#[test]
fn requests_of_its_clients_are_read() {
    let page = r#""hostname":"shop.example.com","url":"/pricing?utm_source=newsletter","title":"Pricing","referrer":"https://www.google.com/","language":"en-GB""#;
    let url = "url=https://shop.example.com/pricing?utm_source=newsletter from=https://www.google.com/ title=Pricing language=en-GB";
    for (kind, more, expected) in [
        ("event", "", format!("{SITE}: page_view {url}")),
        (
            "event",
            r#","id":"user-42","name":"signup","data":{"plan":"pro","seats":3}"#,
            format!(r#"{SITE}: signup {url} client=user-42 plan="pro" seats=3"#),
        ),
        ("event", r#","timestamp":1795565302"#, format!("{SITE}: page_view {url} Claimed(1795565302000)")),
        ("performance", r#","lcp":1200.5,"cls":0.1"#, format!("{SITE}: web_vitals {url} lcp=1200.5 cls=0.1")),
        ("identify", "", format!("{SITE}: dropped kind")),
        ("else", "", "refused invalid_field type".to_owned()),
    ] {
        let body = format!(r#"{{"type":"{kind}","payload":{{"website":"{SITE}",{page}{more}}}}}"#);
        assert_eq!(shown(parse(&request("", &body))), expected);
    }
    assert_eq!(shown(parse(&request("", "{}"))), "refused missing_field payload");
    assert_eq!(
        shown(parse(&request("", r#"{"type":"event","payload":{}}"#))),
        "refused missing_field payload.website"
    );
}

#[test]
fn a_batch_refuses_what_is_wrong_alone() {
    let body =
        format!(r#"[{{"type":"event","payload":{{"website":"{SITE}","url":"https://a.example/"}}}},{{}}]"#);
    let sent = parse_batch(&request("", &body));
    assert_eq!(
        shown(sent),
        format!("{SITE}: page_view url=https://a.example/\nrefused missing_field hits[1].payload")
    );
    let refusal = missing(Place::Hit(1), "payload");
    let reply = reply_batch(&[taken(7), Outcome::Refused(refusal)]);
    let said: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((&said["size"], &said["processed"], &said["errors"]), (&json!(2), &json!(1), &json!(1)));
    assert_eq!(said["details"][0]["index"], 1);
}

#[test]
fn the_reply_names_the_visitor_as_umami_does() {
    let said = |visitor_id| -> Value { serde_json::from_slice(&reply(&[taken(visitor_id)]).body).unwrap() };
    let (one, other) = (said(0x0123_4567_89ab_cdef), said(2));
    assert_eq!(one["sessionId"], "01234567-89ab-8000-8000-00000000cdef");
    assert_ne!(one["sessionId"], one["visitId"]);
    assert_ne!(one["sessionId"], other["sessionId"]);
    assert!(one["cache"].as_str().is_some_and(|token| !token.is_empty()));
    let unknown = reply(&[Outcome::Dropped(Dropped::UnknownSite)]);
    let said: Value = serde_json::from_slice(&unknown.body).unwrap();
    assert_eq!(
        (unknown.status.as_u16(), &said["error"]["message"]),
        (400, &json!("website: Website not found."))
    );
}

#[test]
fn bots_are_told_as_umami_tells_them() {
    let bot = Outcome::Taken { visitor_id: 7, is_bot: true };
    let one = reply(std::slice::from_ref(&bot));
    assert_eq!((one.status.as_u16(), &*one.body), (200, &br#"{"beep":"boop"}"#[..]));
    let said =
        |outcomes: &[Outcome]| -> Value { serde_json::from_slice(&reply_batch(outcomes).body).unwrap() };
    let mixed = said(&[taken(7), bot.clone()]);
    assert_eq!((&mixed["processed"], &mixed["details"]), (&json!(2), &json!([])));
    assert_eq!(mixed["cache"], said(&[taken(7)])["cache"]);
    assert_eq!(said(&[bot])["cache"], "");
}
