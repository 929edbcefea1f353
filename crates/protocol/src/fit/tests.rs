//! Whatever comes in, a hit stays within its limits, and ids stay apart.

use proptest::prelude::*;

use super::*;
use crate::fields::Place;

#[test]
fn long_ids_stay_apart_and_short_ones_stay_as_they_are() {
    let long = |last: char| fit_id(Cow::Owned(format!("{}{last}", "x".repeat(200))), 64);
    assert_ne!(long('a'), long('b'));
    assert_eq!((long('a').len(), long('a')), (32, long('a')));
    assert_eq!(fit_id("user-42".into(), 64), "user-42");
}

#[test]
fn a_campaign_beside_the_url_is_put_into_it_unless_the_url_has_one() {
    let campaign = Campaign { source: "news letter".into(), name: "may".into(), ..Campaign::default() };
    for (url, expected) in [
        ("https://a.example/p?x=1", "https://a.example/p?x=1&utm_source=news+letter&utm_campaign=may"),
        ("https://a.example/p?utm_medium=cpc", "https://a.example/p?utm_medium=cpc"),
    ] {
        let mut hit = ParsedHit::empty(Place::Request);
        assert!(hit.fit_url(url.into()));
        hit.fit_campaign(&campaign);
        assert_eq!(hit.url, expected);
    }
}

#[test]
fn nested_objects_become_dotted_parameters() {
    let mut hit = ParsedHit::empty(Place::Request);
    let json: Json<'_> =
        serde_json::from_str(r#"{"a":{"b":1,"c":{"d":true}},"e":[1],"f":null,"g":"x"}"#).unwrap();
    hit.fit_fields(Some(&json));
    let keys: Vec<&str> = hit.params.iter().map(|param| param.key.as_str()).collect();
    assert_eq!(keys, ["a.b", "a.c.d", "g"]);
}

proptest! {
    #[test]
    fn every_hit_is_within_the_limits(text in "\\PC{0,3000}", key in "\\PC{0,200}", count in 0..80_usize) {
        let mut hit = ParsedHit::empty(Place::Request);
        hit.fit_event(Cow::Owned(format!("e{text}")));
        hit.fit_url(format!("https://a.example/{text}").into());
        hit.fit_referrer(Cow::Borrowed(&text));
        hit.fit_title(Cow::Borrowed(&text));
        hit.fit_language(&text);
        hit.fit_screen(Cow::Borrowed(&text));
        hit.fit_client_id(Cow::Borrowed(&text));
        hit.fit_id(Cow::Borrowed(&text));
        hit.fit_user_agent(Cow::Borrowed(&text));
        for n in 0..count {
            hit.fit_text(&format!("{n}{key}"), Cow::Borrowed(&text));
        }
        hit.check_limits();
    }
}
