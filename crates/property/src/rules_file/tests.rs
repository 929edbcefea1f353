//! Texts as people write them, good and bad.

use hit::rules::{
    AddressPolicy, ConsentPolicy, CustomDimension, CustomMetric, CustomScope, PageGroup, TrailingSlash,
};

use super::*;
use crate::tracker::Setting;

/// Every key, none at its default.
const EVERYTHING: &str = r#"
time_zone = "europe/berlin"
session_timeout_s = 600
session_grace_s = 0

[session]
cut_at_midnight = true
cut_on_campaign = true
engaged_after_s = 30
engaged_page_views = 3
passive_events = ["heartbeat"]

[traffic]
automation_is_human = true
data_centres_are_human = true
internal_networks = ["203.0.113.0/24"]
spam_referrers = ["Spam.example"]
allowed_referrers = ["Partner.example"]
ignored_referrers = ["bank.example"]

[privacy]
address = "none"
consent = "for_client_id"

[urls]
hostnames = ["Shop.example"]
keep_parameters = ["*"]
strip_parameters = ["utm_id"]
lower_case = true
trailing_slash = "strip"
hash_routing = true

[[urls.groups]]
pattern = "/product/**"
name = "Products"

[[urls.groups]]
pattern = "/blog/*"

[events]
key_events = ["signup"]
key_pages = ["/order/*/thanks"]

[[events.custom]]
slot = 2
parameter = "user.plan"

[[events.custom_metrics]]
slot = 3
parameter = "litres"
[[events.custom]]
slot = 3
parameter = "coupon"
scope = "item"

[[channels]]
name = "Partners"
source = ["*.partner.example"]
medium = ["referral"]
campaign = ["spring*"]

[tracker]
endpoint = "/stats/h"
page_views = false
history = false
hash = true
engagement = false
outbound = false
downloads = "pdf"
dnt = true
gpc = true
consent = "ask"
identify = true
revenue = true
forms = true
not_found = true
scroll = "50,100"
web_vitals = true
clicks = true
client_hints = true
"#;

fn present() -> Rules {
    Rules { version: 7, ..Rules::first("Asia/Kathmandu") }
}

#[test]
fn every_key_is_read_and_written_back() {
    let file = RulesFile::parse(EVERYTHING).unwrap();
    assert_eq!(RulesFile::parse(&file.text().unwrap()).unwrap(), file);
    let (rules, tracker) = file.over(&present());
    assert_eq!((rules.version, rules.time_zone.as_str()), (7, "Europe/Berlin"));
    assert_eq!((rules.session_timeout_s, rules.session_grace_s), (600, 0));
    let privacy = PrivacyRules { address: AddressPolicy::None, consent: ConsentPolicy::ForClientId };
    assert_eq!((rules.session.engaged_after_s, rules.privacy), (30, privacy));
    assert_eq!(rules.traffic.spam_referrers, ["spam.example"]);
    assert_eq!(rules.traffic.allowed_referrers, ["partner.example"]);
    assert_eq!(rules.urls.hostnames, ["shop.example"]);
    assert_eq!(rules.urls.trailing_slash, TrailingSlash::Strip);
    let group = |pattern: &str, name: Option<&str>| PageGroup {
        pattern: pattern.into(),
        name: name.map(str::to_owned),
    };
    assert_eq!(rules.urls.groups, [group("/product/**", Some("Products")), group("/blog/*", None)]);
    assert_eq!(rules.events.key_events, ["signup"]);
    assert_eq!(rules.events.key_pages, ["/order/*/thanks"]);
    let custom = |slot, parameter: &str, scope| CustomDimension { slot, parameter: parameter.into(), scope };
    let expected = [custom(2, "user.plan", CustomScope::Event), custom(3, "coupon", CustomScope::Item)];
    assert_eq!(rules.events.custom, expected);
    assert_eq!(rules.events.custom_metrics, [CustomMetric { slot: 3, parameter: "litres".into() }]);
    assert_eq!(rules.channels[0].campaign, ["spring*"]);
    assert_eq!((tracker.scroll.clone(), tracker.page_views), (Setting::Text("50,100".into()), false));
    assert_eq!(
        RulesFile::parse(&RulesFile::of(&rules, &tracker).text().unwrap()).unwrap().over(&rules),
        (rules, tracker)
    );
}

/// So that a key that is added is in the test above, and in the documentation.
#[test]
fn every_key_is_documented() {
    let documented = include_str!("../../../../docs/rules.md");
    let everything: toml::Table = toml::from_str(EVERYTHING).unwrap();
    let keys_of = |table: &toml::Table| table.keys().cloned().collect::<Vec<_>>();
    let defaults = toml::Table::try_from(RulesFile::of(&present(), &TrackerSettings::default())).unwrap();
    for (key, value) in &defaults {
        let written = everything.get(key).unwrap();
        for inner in value.as_table().map(keys_of).unwrap_or_default() {
            assert_ne!(written.get(&inner), value.get(&inner), "{key}.{inner} is at its default");
        }
    }
    for (key, value) in &everything {
        assert!(
            documented.contains(&format!("`{key}`")) || value.is_table(),
            "{key} is not in docs/rules.md"
        );
        for inner in value.as_table().map(keys_of).unwrap_or_default() {
            assert!(documented.contains(&format!("`{inner}`")), "{key}.{inner} is not in docs/rules.md");
        }
    }
}

#[test]
fn absent_keys_are_at_their_defaults_and_the_zone_stays() {
    for text in ["", "# nothing\n[session]\n[tracker]\n"] {
        let (rules, tracker) = RulesFile::parse(text).unwrap().over(&present());
        assert_eq!((rules, tracker), (present(), TrackerSettings::default()));
    }
}

#[test]
fn defaults_are_written_and_read_back() {
    let text = RulesFile::of(&present(), &TrackerSettings::default()).text().unwrap();
    for line in [
        "time_zone = \"Asia/Kathmandu\"",
        "session_timeout_s = 1800",
        "engaged_after_s = 10",
        "consent = false",
        "address = \"truncated\"",
        "consent = \"not_needed\"",
    ] {
        assert!(text.lines().any(|written| written == line), "{line} is not in {text}");
    }
    assert_eq!(RulesFile::parse(&text).unwrap().over(&present()), (present(), TrackerSettings::default()));
}

#[test]
fn bad_lines_are_refused_with_their_number_and_the_way_out() {
    for (text, line, parts) in [
        ("\n\ncolour = 1", 3, &["\"colour = 1\"", "no key \"colour\"", "session_timeout_s", "tracker"][..]),
        ("[session]\nengaged_after = 5", 2, &["no key \"engaged_after\"", "engaged_after_s"]),
        ("[sesion]\n", 1, &["\"[sesion]\"", "no key \"sesion\"", "session"]),
        ("[[urls.groups]]\nname = \"a\"\npatern = \"/\"", 3, &["no key \"patern\"", "pattern or name"]),
        ("[[urls.groups]]\nname = \"a\"", 1, &["missing field pattern"]),
        ("session_timeout_s = \"60\"", 1, &["invalid type", "u32"]),
        ("session_timeout_s = -1", 1, &["-1"]),
        ("[urls]\ntrailing_slash = \"cut\"", 2, &["unknown variant cut", "keep, strip, add"]),
        ("[tracker]\nscroll = 50", 2, &["true, false or a text"]),
        ("version = 3", 1, &["no key \"version\""]),
        ("a = 1\na = 2", 2, &["duplicate key"]),
        ("time_zone = \n", 1, &["time_zone ="]),
        ("ü = [", 1, &["ü = ["]),
    ] {
        let error = RulesFile::parse(text).unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with(&format!("line {line} of the rules file, ")), "{text:?}: {message}");
        assert!(parts.iter().all(|part| message.contains(part)), "{text:?}: {message}");
        assert_eq!(message.lines().count(), 1, "{message:?}");
    }
    let long = "#".repeat(RULES_FILE_MAX_BYTES + 1);
    assert_eq!(RulesFile::parse(&long), Err(RulesFileError::TooLong(49_153)));
}
