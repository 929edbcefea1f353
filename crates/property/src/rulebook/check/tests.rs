//! Rules with one field changed, and what is said of it.

use hit::CustomScope;

use super::*;

/// What is said of a change to rules at their defaults.
fn said(change: impl Fn(&mut Rules)) -> String {
    let mut rules = Rules::first("UTC");
    change(&mut rules);
    check(&rules).map_or_else(|invalid| invalid.to_string(), |()| String::new())
}

fn list(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn group(pattern: &str) -> PageGroup {
    PageGroup { pattern: pattern.into(), name: None }
}

fn channel(name: &str, source: &[&str]) -> ChannelRule {
    ChannelRule { name: name.into(), source: list(source), medium: vec![], campaign: vec![] }
}

fn custom(slot: u8, parameter: &str) -> CustomDimension {
    CustomDimension { slot, parameter: parameter.into(), scope: CustomScope::Event }
}

fn custom_metric(slot: u8, parameter: &str) -> CustomMetric {
    CustomMetric { slot, parameter: parameter.into() }
}

#[test]
fn good_rules_pass() {
    assert_eq!(said(|_| ()), "");
    assert_eq!(
        said(|rules| {
            rules.session_timeout_s = 86_400;
            rules.session_grace_s = 0;
            rules.session.passive_events = list(&["heartbeat", "ü ✓"]);
            rules.traffic.internal_networks = list(&["203.0.113.0/24", "2001:db8::/48", "192.0.2.7/32"]);
            rules.traffic.spam_referrers = vec!["spam.example".to_owned(); 1000];
            rules.traffic.allowed_referrers = list(&["partner.example", "not.spam.example"]);
            rules.traffic.ignored_referrers = list(&["bank.example"]);
            rules.urls.hostnames = list(&["localhost", "www.example.com"]);
            rules.urls.keep_parameters = list(&["*"]);
            rules.urls.strip_parameters = list(&["utm_id", "a[]"]);
            rules.urls.groups = ["/", "/a/*/b", "/a/**", "/**", "/*"].map(group).into();
            rules.events.key_events = vec!["signup".to_owned(); 100];
            let of_item = CustomDimension { scope: CustomScope::Item, ..custom(2, "size") };
            rules.events.custom = vec![custom(1, "size"), of_item];
            rules.channels = vec![channel("Partner", &["*.partner.example"])];
            rules.events.custom = vec![custom(1, "litres"), custom(5, "plan")];
            rules.events.custom_metrics = vec![custom_metric(1, "litres"), custom_metric(5, "seats")];
        }),
        ""
    );
}

#[test]
fn bad_numbers_and_lists_are_refused_with_their_limits() {
    for (said, expected) in [
        (
            said(|r| r.session_timeout_s = 0),
            "session_timeout_s is \"0\", which does not lie between 1 and 86400",
        ),
        (
            said(|r| r.session_grace_s = 86_401),
            "session_grace_s is \"86401\", which does not lie between 0 and 86400",
        ),
        (
            said(|r| r.session.engaged_page_views = 0),
            "session.engaged_page_views is \"0\", which does not lie",
        ),
        (said(|r| r.session.engaged_after_s = 86_401), "session.engaged_after_s is \"86401\""),
        (
            said(|r| r.events.key_events = vec!["a".to_owned(); 101]),
            "events.key_events is \"a list of 101\", which is more than the 100 entries",
        ),
        (
            said(|r| r.traffic.spam_referrers = vec!["a.b".to_owned(); 1001]),
            "traffic.spam_referrers is \"a list of 1001\", which is more than the 1000 entries",
        ),
        (said(|r| r.urls.groups = vec![group("/a"); 101]), "urls.groups is \"a list of 101\""),
        (said(|r| r.channels = vec![channel("A", &["a"]); 101]), "channels is \"a list of 101\""),
    ] {
        assert!(said.starts_with(expected), "{said:?} is not {expected:?}");
    }
}

fn check_said(cases: &[(String, &str, &str)]) {
    for (said, field, way_out) in cases {
        assert!(said.starts_with(field) && said.contains(way_out), "{said:?} is not about {field:?}");
    }
}

#[test]
fn bad_zones_networks_and_addresses_are_refused_by_field_with_the_way_out() {
    check_said(&[
        (said(|r| r.time_zone = "Mars".into()), "time_zone is \"Mars\"", "Europe/Berlin"),
        (
            said(|r| r.traffic.internal_networks = list(&["10.0.0.0/8", "192.0.2.7"])),
            "traffic.internal_networks[1] is \"192.0.2.7\"",
            "/32",
        ),
        (
            said(|r| r.traffic.internal_networks = list(&["10.0.0.0/33"])),
            "traffic.internal_networks[0]",
            "/24",
        ),
        (
            said(|r| r.traffic.spam_referrers = list(&["https://a.b"])),
            "traffic.spam_referrers[0]",
            "example.com",
        ),
        (
            said(|r| r.traffic.allowed_referrers = list(&["a.b", "a.b/c"])),
            "traffic.allowed_referrers[1] is \"a.b/c\"",
            "example.com",
        ),
        (
            said(|r| {
                r.traffic.spam_referrers = list(&["a.b", "c.d"]);
                r.traffic.allowed_referrers = list(&["c.d"]);
            }),
            "traffic.allowed_referrers[0] is \"c.d\"",
            "take it out of one",
        ),
        (
            said(|r| r.traffic.ignored_referrers = list(&["bank"])),
            "traffic.ignored_referrers[0]",
            "example.com",
        ),
        (
            said(|r| r.urls.hostnames = list(&["a.b", "A.b"])),
            "urls.hostnames[1] is \"A.b\"",
            "www.example.com",
        ),
        (said(|r| r.urls.keep_parameters = list(&["*", "q"])), "urls.keep_parameters[0] is \"*\"", "[\"*\"]"),
        (said(|r| r.urls.keep_parameters = list(&["a=b"])), "urls.keep_parameters[0] is \"a=b\"", "without"),
        (said(|r| r.urls.strip_parameters = list(&["q"])), "urls.strip_parameters[0] is \"q\"", "[\"*\"]"),
        (
            said(|r| r.urls.groups = vec![group("/a"), group("a/*")]),
            "urls.groups[1].pattern is \"a/*\"",
            "/product",
        ),
        (said(|r| r.urls.groups = vec![group("/**/a")]), "urls.groups[0].pattern is \"/**/a\"", "write *"),
        (said(|r| r.urls.groups = vec![group("/a*")]), "urls.groups[0].pattern is \"/a*\"", "write *"),
        (
            said(|r| r.urls.groups = vec![group("/a?b")]),
            "urls.groups[0].pattern is \"/a?b\"",
            "keep_parameters",
        ),
        (
            said(|r| r.urls.groups = vec![PageGroup { name: Some(" ".into()), ..group("/a") }]),
            "urls.groups[0].name is \" \"",
            "1 to 100",
        ),
    ]);
}

#[test]
fn bad_names_are_refused_by_field_with_the_way_out() {
    let long = "x".repeat(101);
    check_said(&[
        (said(|r| r.events.key_events = list(&[&long])), "events.key_events[0]", "1 to 100"),
        (
            said(|r| r.events.key_pages = list(&["/a", "/a/**/b"])),
            "events.key_pages[1]",
            "** is not at the end",
        ),
        (
            said(|r| r.events.custom = vec![custom(6, "a")]),
            "events.custom[0].slot is \"6\"",
            "between 1 and 5",
        ),
        (said(|r| r.events.custom = vec![custom(1, "")]), "events.custom[0].parameter is \"\"", "1 to 100"),
        (
            said(|r| r.events.custom = vec![custom(1, "a"), custom(1, "b")]),
            "events.custom[0].slot is \"1\"",
            "one slot",
        ),
        (
            said(|r| r.events.custom_metrics = vec![custom_metric(1, "a"), custom_metric(0, "b")]),
            "events.custom_metrics[1].slot is \"0\"",
            "between 1 and 5",
        ),
        (
            said(|r| r.events.custom_metrics = vec![custom_metric(1, "a\n")]),
            "events.custom_metrics[0].parameter is \"a\\n\"",
            "1 to 100",
        ),
        (
            said(|r| r.events.custom_metrics = vec![custom_metric(2, "a"), custom_metric(2, "b")]),
            "events.custom_metrics[0].slot is \"2\"",
            "one slot",
        ),
        (
            said(|r| r.events.custom_metrics = vec![custom_metric(2, "a"), custom_metric(3, "a")]),
            "events.custom_metrics[0].slot is \"2\"",
            "one slot",
        ),
        (said(|r| r.session.passive_events = list(&[""])), "session.passive_events[0] is \"\"", "1 to 100"),
        (said(|r| r.channels = vec![channel("", &["a"])]), "channels[0].name is \"\"", "1 to 100"),
        (
            said(|r| r.channels = vec![channel("A", &[])]),
            "channels[0].name is \"A\"",
            "source, medium or campaign",
        ),
        (said(|r| r.channels = vec![channel("A", &["a", ""])]), "channels[0].source[1] is \"\"", "1 to 100"),
    ]);
}
