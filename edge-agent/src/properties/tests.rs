//! Look-ups while versions come: what is found is what the last one says.

use configuration::stored::streams::{self, Stream};
use configuration::{Replica, fixture};
use property::{NewProperty, OwnedAlias, RulesFile};
use tempfile::TempDir;

use super::*;

fn new(name: &str) -> Property {
    let new = NewProperty {
        name: name.into(),
        hostnames: vec![format!("{name}.example")],
        ..NewProperty::default()
    };
    new.create(1_767_225_600_000).unwrap().property
}

fn alias(property: &Property) -> OwnedAlias {
    let alias = Alias { protocol: "matomo".into(), id: "7".into(), hostname: "a.example".into() };
    OwnedAlias { alias, property_id: property.property_id.clone() }
}

fn opened(properties: &[Property], aliases: &[OwnedAlias]) -> (TempDir, Properties, Arc<Replica>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.redb");
    fixture::edge_copy(&path, properties.iter().cloned(), aliases).unwrap();
    let held = Properties::default();
    let replica = Replica::open(&path, 1 << 20, Arc::new(held.clone())).unwrap();
    (dir, held, replica)
}

fn apply(replica: &Replica, records: Vec<Record>) {
    replica.apply(&[fixture::next(replica, records).unwrap()]).unwrap();
}

#[test]
fn there_is_nothing_before_the_first_version() {
    let dir = tempfile::tempdir().unwrap();
    let held = Properties::default();
    let replica = Replica::open(&dir.path().join("config.redb"), 1 << 20, Arc::new(held.clone())).unwrap();
    assert!(!held.are_known() && replica.position().is_nothing());
    // One without properties is a configuration.
    let (_dir, held, _replica) = opened(&[], &[]);
    assert!(held.are_known());
}

#[test]
fn properties_and_aliases_are_found_changed_and_gone() {
    let (a, b) = (new("a"), new("b"));
    let (_dir, held, replica) = opened(std::slice::from_ref(&a), &[alias(&a)]);
    assert_eq!(held.by_measurement_id(&a.measurement_id).as_deref(), Some(&a));
    assert_eq!(held.by_alias("matomo", "7", "a.example").as_deref(), Some(&a));
    assert_eq!(held.by_alias("matomo", "7", "b.example"), None);
    assert_eq!(held.by_measurement_id(&b.measurement_id), None);
    apply(&replica, vec![fixture::property(&b), fixture::alias(&alias(&b), true)]);
    assert_eq!(held.by_measurement_id(&b.measurement_id).as_deref(), Some(&b));
    assert_eq!(held.by_alias("matomo", "7", "a.example").as_deref(), Some(&b));
    apply(&replica, vec![fixture::alias(&alias(&b), false)]);
    assert_eq!(held.by_alias("matomo", "7", "a.example"), None);
    let gone = Record { key: fixture::property(&a).key, value: None };
    apply(&replica, vec![gone]);
    assert_eq!(held.by_measurement_id(&a.measurement_id), None);
    assert_eq!(held.by_measurement_id(&b.measurement_id).as_deref(), Some(&b));
}

#[test]
fn data_streams_are_their_propertys_until_they_are_gone() {
    let (a, b) = (new("a"), new("b"));
    let (dir, held, replica) = opened(&[a.clone(), b.clone()], &[]);
    let stream = |property: &Property| {
        let (property_id, measurement_id) = (property.property_id.clone(), "M-ABCDEFGHIJ".to_owned());
        Stream { property_id, measurement_id, name: String::new(), created_at_ms: 0 }
    };
    let [(key, value), ..] = streams::put(&stream(&a));
    assert_eq!(held.by_measurement_id("M-ABCDEFGHIJ"), None);
    apply(&replica, vec![Record { key: key.clone(), value: Some(value) }]);
    assert_eq!(held.by_measurement_id("M-ABCDEFGHIJ").as_deref(), Some(&a));
    drop(replica);
    let again = Properties::default();
    let path = dir.path().join("config.redb");
    let replica = Replica::open(&path, 1 << 20, Arc::new(again.clone())).unwrap();
    assert_eq!(again.by_measurement_id("M-ABCDEFGHIJ").as_deref(), Some(&a));
    apply(&replica, vec![Record { key, value: None }]);
    assert_eq!(again.by_measurement_id("M-ABCDEFGHIJ"), None);
    assert_eq!(again.by_measurement_id(&a.measurement_id).as_deref(), Some(&a));
}

#[test]
fn rules_of_every_version_are_there_now_and_after_a_restart() {
    let first = new("a");
    let (dir, held, replica) = opened(std::slice::from_ref(&first), &[]);
    let second = first.with_rules(RulesFile::parse("session_timeout_s = 60").unwrap(), 1).unwrap().property;
    let mut records = fixture::earlier_rules(&second);
    records.push(fixture::property(&second));
    apply(&replica, records);
    drop(replica);
    let again = Properties::default();
    Replica::open(&dir.path().join("config.redb"), 1 << 20, Arc::new(again.clone())).unwrap();
    for held in [held, again] {
        assert_eq!(held.rules(&first.property_id, 1).as_ref(), Some(first.current_rules()));
        assert_eq!(held.rules(&first.property_id, 2).as_ref(), Some(second.current_rules()));
        assert_eq!(held.rules(&first.property_id, 3), None);
        assert_eq!(held.by_measurement_id(&first.measurement_id).as_deref(), Some(&second));
    }
}

#[test]
fn a_version_with_a_record_that_cannot_be_used_is_refused_whole() {
    let (a, b) = (new("a"), new("b"));
    let (_dir, held, replica) = opened(std::slice::from_ref(&a), &[]);
    let broken = Record { key: fixture::property(&a).key, value: Some(b"\xff".to_vec()) };
    let delta = fixture::next(&replica, vec![fixture::property(&b), broken]).unwrap();
    let error = replica.apply(&[delta]).unwrap_err().to_string();
    assert!(error.contains(&a.property_id), "{error}");
    assert_eq!(held.by_measurement_id(&b.measurement_id), None);
    assert_eq!(
        (held.by_measurement_id(&a.measurement_id).as_deref(), replica.position().version),
        (Some(&a), 1)
    );
}

#[test]
fn property_without_traffic_is_let_go_and_found_again() {
    let a = new("a");
    let (_dir, held, _replica) = opened(std::slice::from_ref(&a), &[]);
    let is_made = || held.read().by_measurement_id(&a.measurement_id).unwrap().is_made();
    assert!(!is_made());
    assert_eq!(held.by_measurement_id(&a.measurement_id).as_deref(), Some(&a));
    held.let_go_of_idle();
    assert!(is_made(), "it was asked for since the last time");
    held.let_go_of_idle();
    assert!(!is_made());
    assert_eq!(held.by_measurement_id(&a.measurement_id).as_deref(), Some(&a));
    held.let_go_of_idle();
    held.let_go_of_idle();
    let id = id_of(&a.property_id).unwrap();
    assert!(Arc::ptr_eq(
        held.read().by_id(&id).unwrap(),
        held.read().by_measurement_id(&a.measurement_id).unwrap()
    ));
}
