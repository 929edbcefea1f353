//! Reasons one by one, what rules take back, and which of several counts.

use hit::ParamView;

use super::*;
use TrafficReason::{
    CrawlerUserAgent, DataCentre, Headless, InternalNetwork, InternalParameter, NoBrowser, NoUserAgent, None,
    Prefetch, SpamReferrer, WebDriver,
};

fn rules(automation_is_human: bool, data_centres_are_human: bool) -> TrafficTerms {
    TrafficTerms::new(&TrafficRules {
        automation_is_human,
        data_centres_are_human,
        spam_referrers: vec!["spam.example".to_owned()],
        ..TrafficRules::default()
    })
}

fn found(hit: &HitView<'_>, rules: &TrafficTerms, detected: TrafficReason) -> TrafficReason {
    traffic_of(hit, &Address::parse(hit.referrer), rules, detected)
}

fn from(network: &'static str, referrer: &'static str, prefetch: bool) -> HitView<'static> {
    HitView { network, referrer, prefetch, ..HitView::default() }
}

fn marked(key: &'static str, value: ParamValue<'static>) -> HitView<'static> {
    HitView { params: vec![ParamView { key, value: Some(value) }], ..HitView::default() }
}

const GOOD: &str = "https://www.google.com/";
const SPAM: &str = "https://www.spam.example/offer?x=1";

#[test]
fn each_reason_holds_alone() {
    for (hit, detected, expected) in [
        (from("", "", false), None, None),
        (from("", GOOD, false), None, None),
        (from("internal", "", false), None, InternalNetwork),
        (marked("traffic_type", ParamValue::Text("internal")), None, InternalParameter),
        (marked("traffic_type", ParamValue::Text("external")), None, None),
        (marked("traffic_type", ParamValue::Flag(true)), None, None),
        (marked("type", ParamValue::Text("internal")), None, None),
        (from("", "", false), NoUserAgent, NoUserAgent),
        (from("", "", false), CrawlerUserAgent, CrawlerUserAgent),
        (from("", "", false), NoBrowser, NoBrowser),
        (from("", "", false), Headless, Headless),
        (marked("webdriver", ParamValue::Flag(true)), None, WebDriver),
        (marked("webdriver", ParamValue::Flag(false)), None, None),
        (marked("webdriver", ParamValue::Text("true")), None, None),
        (from("", "", true), None, Prefetch),
        (from("", SPAM, false), None, SpamReferrer),
        (from("", "https://deep.spam.example/", false), None, SpamReferrer),
        (from("", "https://notspam.example/", false), None, None),
        (from("", "https://www.semalt.com/", false), None, SpamReferrer),
        (from("", "spam.example", false), None, None),
        (from("hosting", "", false), None, DataCentre),
        (from("other", "", false), None, None),
    ] {
        assert_eq!(found(&hit, &rules(false, false), detected), expected, "{hit:?} {detected:?}");
    }
}

#[test]
fn the_first_of_several_reasons_counts() {
    let everything = |network| HitView {
        prefetch: true,
        referrer: SPAM,
        ..HitView { network, ..marked("traffic_type", ParamValue::Text("internal")) }
    };
    for (hit, detected, expected) in [
        (everything("internal"), CrawlerUserAgent, InternalNetwork),
        (everything("hosting"), CrawlerUserAgent, InternalParameter),
        (from("hosting", SPAM, true), CrawlerUserAgent, CrawlerUserAgent),
        (from("hosting", SPAM, true), Headless, Headless),
        (from("hosting", SPAM, true), None, Prefetch),
        (from("hosting", SPAM, false), None, SpamReferrer),
    ] {
        assert_eq!(found(&hit, &rules(false, false), detected), expected, "{hit:?} {detected:?}");
    }
}

#[test]
fn rules_take_automation_and_data_centres_for_people() {
    for (hit, detected, rules, expected) in [
        (from("", "", false), Headless, rules(true, false), None),
        (marked("webdriver", ParamValue::Flag(true)), None, rules(true, false), None),
        (from("", "", false), CrawlerUserAgent, rules(true, true), CrawlerUserAgent),
        (from("hosting", "", false), Headless, rules(true, false), DataCentre),
        (from("hosting", "", false), Headless, rules(true, true), None),
        (from("hosting", "", false), None, rules(false, true), None),
        (from("", "", true), Headless, rules(true, false), Prefetch),
    ] {
        assert_eq!(found(&hit, &rules, detected), expected, "{hit:?} {detected:?}");
    }
}

#[test]
fn an_allowed_referrer_is_never_spam() {
    let list = |domains: &[&str]| domains.iter().map(|&domain| domain.to_owned()).collect();
    let rules = TrafficTerms::new(&TrafficRules {
        spam_referrers: list(&["spam.example", "bad.partner.example"]),
        // The first two stand on the list that Meridian has.
        allowed_referrers: list(&["uptime.com", "www.adf.ly", "good.spam.example", "partner.example"]),
        ..TrafficRules::default()
    });
    for (referrer, expected) in [
        ("https://uptime.com/", None),
        ("https://www.uptime.com/status?x=1", None),
        ("https://status.uptime.com/", None),
        ("https://adf.ly/", None),
        ("https://good.spam.example/", None),
        ("https://spam.example/", SpamReferrer),
        ("https://bad.partner.example/", None),
        ("https://notuptime.com/", None),
        ("https://www.marinetraffic.com/", SpamReferrer),
    ] {
        assert_eq!(found(&from("", referrer, false), &rules, None), expected, "{referrer}");
        let bot = found(&from("hosting", referrer, false), &rules, None);
        assert_eq!(bot, if expected == SpamReferrer { SpamReferrer } else { DataCentre }, "{referrer}");
    }
}
