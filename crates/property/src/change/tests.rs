//! Rules that are set: a version each, told field by field, and refused by field.

use serde_json::json;

use super::*;
use crate::NewProperty;

fn property() -> Property {
    let new =
        NewProperty { name: "Shop".into(), time_zone: "Europe/Berlin".into(), ..NewProperty::default() };
    new.create(1_431_857_100_000).unwrap().property
}

fn set(property: &Property, text: &str) -> Result<Changed, RulesError> {
    property.with_rules(RulesFile::parse(text)?, 1_431_857_100_000)
}

fn change(field: &str, old: Value, new: Value) -> FieldChange {
    FieldChange { field: field.to_owned(), old, new }
}

#[test]
fn new_rules_are_a_new_version_beside_the_old_ones() {
    let before = property();
    let text = "session_timeout_s = 60\n[events]\nkey_events = [\"signup\"]\n[tracker]\nscroll = true\n";
    let second = set(&before, text).unwrap();
    let expected = [
        change("events.key_events", json!([]), json!(["signup"])),
        change("session_timeout_s", json!(1800), json!(60)),
        change("tracker.scroll", json!(false), json!(true)),
    ];
    assert_eq!((second.property.current_rules().version, second.changes.as_slice()), (2, &expected[..]));
    // The file is the whole truth: what it leaves out goes back.
    let third = set(&second.property, "time_zone = \"Asia/Tokyo\"\n").unwrap();
    assert!(third.changes.contains(&change("session_timeout_s", json!(60), json!(1800))));
    assert!(third.changes.contains(&change("time_zone", json!("Europe/Berlin"), json!("Asia/Tokyo"))));
    let after = third.property;
    assert_eq!((after.current_rules().version, after.time_zone()), (3, "Asia/Tokyo"));
    assert_eq!(after.tracker, None);
    assert_eq!(after.rules.version(1), Some(before.current_rules()));
    assert_eq!(after.rules.version(2).unwrap().session_timeout_s, 60);
    assert_eq!(after.rules.version(3).unwrap().events.key_events, [""; 0]);
    assert_eq!(Property { rules: before.rules.clone(), ..after }, before);
}

#[test]
fn same_content_changes_nothing() {
    let before = property();
    for text in ["", "time_zone = \"europe/berlin\"\nsession_timeout_s = 1800\n"] {
        assert_eq!(
            set(&before, text).unwrap(),
            Changed { property: before.clone(), changes: vec![] },
            "{text}"
        );
    }
}

#[test]
fn tracker_settings_have_no_versions() {
    let before = property();
    let changed = set(&before, "[tracker]\nforms = true\n").unwrap();
    assert_eq!(changed.changes, [change("tracker.forms", json!(false), json!(true))]);
    let after = changed.property;
    assert_eq!(after.current_rules().version, 1);
    assert!(after.tracker().forms && after.tracker().need_full_script());
    assert_eq!(set(&after, "").unwrap().property, before);
}

#[test]
fn bad_rules_are_refused_by_field() {
    let before = property();
    for (text, said) in [
        ("colour = 1", "line 1 of the rules file"),
        ("session_timeout_s = 0", "session_timeout_s is \"0\""),
        ("[session]\npassive_events = [\"page_view\"]", "session.passive_events[0] is \"page_view\""),
        ("time_zone = \"Mars/Olympus\"", "time_zone is \"Mars/Olympus\""),
        ("[privacy]\naddress = \"some\"", "line 2 of the rules file, \"address = "),
        ("[privacy]\nconsent = \"asked\"", "line 2 of the rules file, \"consent = "),
        ("[tracker]\nconsent = \"maybe\"", "tracker.consent is \"maybe\""),
    ] {
        let message = set(&before, text).unwrap_err().to_string();
        assert!(message.starts_with(said), "{message}");
    }
}
