//! Salts are there before they are needed, stay the same, and go in time.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn ms(time: &str) -> u64 {
    u64::try_from(time.parse::<Timestamp>().unwrap().as_millisecond()).unwrap()
}

fn dates(salts: &Salts) -> Vec<String> {
    salts.held().keys().map(ToString::to_string).collect()
}

#[test]
fn every_date_somewhere_on_earth_and_two_more_have_a_salt() {
    let directory = tempfile::tempdir().unwrap();
    let salts = Salts::open(directory.path(), ms("2026-03-10T11:00:00Z")).unwrap();
    // UTC-12 has still the 9th, UTC+14 already the 11th.
    assert_eq!(dates(&salts), ["2026-03-09", "2026-03-10", "2026-03-11", "2026-03-12", "2026-03-13"]);
    let held = salts.held();
    let distinct: std::collections::BTreeSet<_> = held.values().collect();
    assert_eq!(distinct.len(), 5);
    let file = directory.path().join("salts/2026-03-10.salt");
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn salts_survive_a_restart_and_are_erased_72_hours_after_their_date_began() {
    let directory = tempfile::tempdir().unwrap();
    let first = Salts::open(directory.path(), ms("2026-03-10T11:00:00Z")).unwrap().held();
    let salts = Salts::open(directory.path(), ms("2026-03-10T23:00:00Z")).unwrap();
    assert!(first.iter().all(|(date, salt)| salts.held().get(date) == Some(salt)));
    // The 10th began at UTC+14, that is at 10:00 UTC on the 9th.
    salts.refresh(ms("2026-03-12T09:59:59.999Z")).unwrap();
    assert!(dates(&salts).contains(&"2026-03-10".to_owned()));
    salts.refresh(ms("2026-03-12T10:00:00Z")).unwrap();
    assert_eq!(dates(&salts), ["2026-03-11", "2026-03-12", "2026-03-13", "2026-03-14", "2026-03-15"]);
    assert!(!directory.path().join("salts/2026-03-10.salt").exists());
}

#[test]
fn a_damaged_salt_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    drop(Salts::open(directory.path(), ms("2026-03-10T11:00:00Z")).unwrap());
    std::fs::write(directory.path().join("salts/2026-03-10.salt"), b"short").unwrap();
    let error = Salts::open(directory.path(), ms("2026-03-10T11:00:00Z")).unwrap_err().to_string();
    assert!(error.contains("2026-03-10.salt") && error.contains("5 bytes"), "{error}");
}
