//! Rules that are set: once, again, by many at once, and across a loss of power.

use std::sync::Arc;

use hit::RulesSource;
use power_loss::{Case, acknowledged, step};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::properties::Properties;
use crate::{Created, NewProperty};

/// 2015-05-17T10:05:00Z.
const NOW_MS: u64 = 1_431_857_100_000;

fn opened() -> (TempDir, Arc<Properties>, Created) {
    let dir = TempDir::new().unwrap();
    let properties = Properties::open(dir.path()).unwrap();
    let new =
        NewProperty { name: "Shop".into(), time_zone: "Europe/Berlin".into(), ..NewProperty::default() };
    let created = properties.create(new, NOW_MS).unwrap();
    (dir, properties, created)
}

fn set(properties: &Properties, id: &str, text: &str) -> Result<RulesChange, RulesError> {
    properties.set_rules(id, text, false)
}

fn change(field: &str, old: Value, new: Value) -> FieldChange {
    FieldChange { field: field.to_owned(), old, new }
}

#[test]
fn new_rules_are_a_new_version_beside_the_old_ones_and_survive_reopening() {
    let (dir, properties, Created { property: before, .. }) = opened();
    let id = before.property_id.as_str();
    let text = "session_timeout_s = 60\n[events]\nkey_events = [\"signup\"]\n[tracker]\nscroll = true\n";
    let changed = set(&properties, id, text).unwrap();
    let expected = [
        change("events.key_events", json!([]), json!(["signup"])),
        change("session_timeout_s", json!(1800), json!(60)),
        change("tracker.scroll", json!(false), json!(true)),
    ];
    assert_eq!((changed.version, changed.changes.as_slice()), (2, &expected[..]));
    // The file is the whole truth: what it leaves out goes back.
    let changed = set(&properties, id, "time_zone = \"Asia/Tokyo\"\n").unwrap();
    assert_eq!(changed.version, 3);
    assert!(changed.changes.contains(&change("session_timeout_s", json!(60), json!(1800))));
    assert!(changed.changes.contains(&change("time_zone", json!("Europe/Berlin"), json!("Asia/Tokyo"))));
    for properties in [Arc::clone(&properties), Properties::open(dir.path()).unwrap()] {
        let after = properties.snapshot().by_id(id).unwrap();
        assert_eq!((after.current_rules().version, after.time_zone.as_str()), (3, "Asia/Tokyo"));
        assert_eq!(after.tracker, None);
        assert_eq!(properties.rules(id, 1).as_ref(), Some(before.current_rules()));
        assert_eq!(properties.rules(id, 2).unwrap().session_timeout_s, 60);
        assert_eq!(properties.rules(id, 3).unwrap().events.key_events, [""; 0]);
        let Property { rules: _, time_zone: _, ref name, ref visitor_key, .. } = *after;
        assert_eq!((name, visitor_key), (&before.name, &before.visitor_key));
    }
}

#[test]
fn same_content_and_dry_runs_write_nothing() {
    let (dir, properties, Created { property, .. }) = opened();
    let id = property.property_id.as_str();
    let path = dir.path().join(format!("{id}.json"));
    let before = std::fs::read(&path).unwrap();
    let unchanged = RulesChange { version: 1, changes: vec![] };
    assert_eq!(set(&properties, id, "").unwrap(), unchanged);
    assert_eq!(
        set(&properties, id, "time_zone = \"europe/berlin\"\nsession_timeout_s = 1800\n").unwrap(),
        unchanged
    );
    let dry = properties.set_rules(id, "session_grace_s = 0", true).unwrap();
    assert_eq!(
        dry,
        RulesChange { version: 2, changes: vec![change("session_grace_s", json!(300), json!(0))] }
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn tracker_settings_have_no_versions() {
    let (_dir, properties, Created { property, .. }) = opened();
    let id = property.property_id.as_str();
    let changed = set(&properties, id, "[tracker]\nforms = true\n").unwrap();
    assert_eq!(
        changed,
        RulesChange { version: 1, changes: vec![change("tracker.forms", json!(false), json!(true))] }
    );
    let after = properties.snapshot().by_id(id).unwrap();
    assert!(after.tracker().forms && after.tracker().need_full_script());
    set(&properties, id, "").unwrap();
    assert_eq!(properties.snapshot().by_id(id).unwrap(), property);
}

#[test]
fn bad_rules_are_refused_and_write_nothing() {
    let (dir, properties, Created { property, .. }) = opened();
    let id = property.property_id.as_str();
    let path = dir.path().join(format!("{id}.json"));
    let before = std::fs::read(&path).unwrap();
    for (text, said) in [
        ("colour = 1", "line 1 of the rules file"),
        ("session_timeout_s = 0", "session_timeout_s is \"0\""),
        ("[session]\npassive_events = [\"page_view\"]", "session.passive_events[0] is \"page_view\""),
        ("time_zone = \"Mars/Olympus\"", "time_zone is \"Mars/Olympus\""),
        ("[tracker]\nconsent = \"maybe\"", "tracker.consent is \"maybe\""),
    ] {
        for is_dry_run in [false, true] {
            let message = properties.set_rules(id, text, is_dry_run).unwrap_err().to_string();
            assert!(message.starts_with(said), "{message}");
        }
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
    std::fs::write(&path, "{").unwrap();
    assert!(matches!(set(&properties, id, "session_timeout_s = 60"), Err(RulesError::Unusable(_))));
    assert_eq!(std::fs::read(&path).unwrap(), b"{");
}

#[test]
fn file_that_would_be_too_large_to_read_is_not_written() {
    let (dir, properties, Created { property, .. }) = opened();
    let id = property.property_id.as_str();
    let path = dir.path().join(format!("{id}.json"));
    // Hundreds of versions of ten kilobytes each, written at once.
    let name = |n: usize| format!("{n:0>90}");
    let mut full = Property::clone(&property);
    for version in 2..392 {
        let mut rules = Rules::clone(full.current_rules());
        rules.events.key_events = (version..version + 100).map(name).collect();
        full.rules = full.rules.with(rules).unwrap();
    }
    let before = serde_json::to_vec_pretty(&full).unwrap();
    assert!(u64::try_from(before.len()).unwrap() < FILE_MAX_BYTES);
    std::fs::write(&path, &before).unwrap();
    // A few versions may still fit, a hundred do not.
    let refused = (0..100).find_map(|grace_s| {
        let names: Vec<_> = (0..100).map(name).collect();
        set(&properties, id, &format!("session_grace_s = {grace_s}\n[events]\nkey_events = {names:?}")).err()
    });
    let message = refused.unwrap().to_string();
    assert!(message.contains("more than 4194304") && message.contains("shorten the rules"), "{message}");
    assert!(Properties::open(dir.path()).is_ok());
}

#[test]
fn of_many_who_set_rules_at_once_each_makes_a_version() {
    let (dir, properties, Created { property, .. }) = opened();
    let id = property.property_id.as_str();
    // Each as a process of its own has it.
    let writers: Vec<_> = (0..8).map(|_| Properties::open(dir.path()).unwrap()).collect();
    let versions: Vec<(u32, u32)> = std::thread::scope(|scope| {
        let writers: Vec<_> = (60..)
            .zip(&writers)
            .map(|(timeout_s, writer)| {
                scope.spawn(move || {
                    let text = format!("session_timeout_s = {timeout_s}");
                    (set(writer, id, &text).unwrap().version, timeout_s)
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    properties.refresh();
    let after = properties.snapshot().by_id(id).unwrap();
    assert_eq!(after.rules.iter().count(), 9);
    for (version, timeout_s) in versions {
        assert_eq!(after.rules.version(version).unwrap().session_timeout_s, timeout_s);
    }
}

#[test]
fn writer_that_died_holds_up_nobody() {
    let (dir, properties, Created { property, .. }) = opened();
    let id = property.property_id.as_str();
    std::fs::write(dir.path().join(format!(".{id}.new")), "half a f").unwrap();
    std::fs::write(dir.path().join(LOCK), "").unwrap();
    assert_eq!(set(&properties, id, "session_timeout_s = 60").unwrap().version, 2);
    let names = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| !name.to_string_lossy().ends_with(".new")));
}

/// What is promised of a property: it has a version of its rules with this time-out.
fn promise(property: &Property) {
    let Property { property_id, measurement_id, .. } = property;
    acknowledged(format!("{property_id} {measurement_id} {}", property.current_rules().session_timeout_s));
}

fn work(root: &Path) {
    step("open");
    let properties = Properties::open_or_create(root.join("lib/properties")).unwrap();
    // Left by a run that was killed: from now on it is shown and used.
    properties.snapshot().iter().for_each(|property| promise(&property));
    step("create");
    let new = NewProperty { name: "Shop".into(), ..NewProperty::default() };
    let created = properties.create(new, NOW_MS).unwrap();
    promise(&created.property);
    let id = &created.property.property_id;
    for timeout_s in [60, 61, 62] {
        step("set");
        properties.set_rules(id, &format!("session_timeout_s = {timeout_s}"), false).unwrap();
        promise(&properties.snapshot().by_id(id).unwrap());
    }
}

fn check(root: &Path, acknowledged: &[String]) -> Result<(), String> {
    let dir = root.join("lib/properties");
    let properties = Properties::open_or_create(&dir).map_err(|error| error.to_string())?;
    for promised in acknowledged {
        let parts: Vec<&str> = promised.split(' ').collect();
        let [id, measurement_id, timeout_s] = parts[..] else { return Err(promised.clone()) };
        let found = properties.snapshot().by_id(id).ok_or_else(|| format!("{id} is gone"))?;
        let is_promised = |rules: &Arc<Rules>| rules.session_timeout_s.to_string() == timeout_s;
        if !found.rules.iter().any(is_promised) {
            return Err(format!("the version with a time-out of {timeout_s} s is gone"));
        }
        if !dir.join(".measurement_ids").join(measurement_id).exists() {
            return Err(format!("the claim of {measurement_id} is gone"));
        }
    }
    Ok(())
}

#[test]
fn an_answered_version_outlives_a_loss_of_power_at_any_call() {
    let test = "change::tests::an_answered_version_outlives_a_loss_of_power_at_any_call";
    Case { test, work, check, seeds: 1_000, covered: &[], needless: &[] }.prove();
}
