//! What is told is in force once it is in a file, stays the same, and goes in time.

use std::os::unix::fs::PermissionsExt;

use jiff::Timestamp;

use super::*;

fn ms(time: &str) -> u64 {
    u64::try_from(time.parse::<Timestamp>().unwrap().as_millisecond()).unwrap()
}

fn map(salts: &[(&str, u8)]) -> SaltMap {
    salts.iter().map(|(date, byte)| (date.parse().unwrap(), Salt::new([*byte; 16]))).collect()
}

/// The names in `DATA/salts`.
fn files(data_dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(data_dir.join("salts")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// From the 9th, which it is still at UTC-12, to the 13th.
const FIVE: [(&str, u8); 5] =
    [("2026-03-09", 1), ("2026-03-10", 2), ("2026-03-11", 3), ("2026-03-12", 4), ("2026-03-13", 5)];
const NOW: &str = "2026-03-10T11:00:00Z";

#[test]
fn an_edge_makes_no_salt_and_takes_those_that_it_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let salts = Salts::open(directory.path(), ms(NOW)).unwrap();
    salts.refresh(ms(NOW)).unwrap();
    assert_eq!((files(directory.path()), salts.in_force().cover(ms(NOW))), (vec![], false));
    salts.told().put(&map(&FIVE), ms(NOW));
    // Not before it is in a file.
    assert!(!salts.in_force().cover(ms(NOW)));
    salts.refresh(ms(NOW)).unwrap();
    assert_eq!(salts.in_force().salts, map(&FIVE));
    assert!(salts.in_force().cover(ms("2026-03-13T09:59:59.999Z")), "the 14th has not begun anywhere");
    assert!(!salts.in_force().cover(ms("2026-03-13T10:00:00Z")), "it has begun at UTC+14");
    let file = directory.path().join("salts/2026-03-11.salt");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read(file).unwrap(), [3; 16]);
}

#[test]
fn salts_survive_a_restart_without_hubs_and_are_erased_in_time() {
    let directory = tempfile::tempdir().unwrap();
    let first = Salts::open(directory.path(), ms(NOW)).unwrap();
    first.told().put(&map(&FIVE), ms(NOW));
    first.refresh(ms(NOW)).unwrap();
    drop(first);
    let salts = Salts::open(directory.path(), ms("2026-03-10T23:00:00Z")).unwrap();
    assert_eq!(salts.in_force().salts, map(&FIVE));
    // The 10th began at UTC+14, that is at 10:00 UTC on the 9th.
    salts.refresh(ms("2026-03-12T09:59:59.999Z")).unwrap();
    assert_eq!(salts.in_force().salts, map(&FIVE[1..]));
    salts.refresh(ms("2026-03-12T10:00:00Z")).unwrap();
    assert_eq!(salts.in_force().salts, map(&FIVE[2..]));
    assert_eq!(files(directory.path()), ["2026-03-11.salt", "2026-03-12.salt", "2026-03-13.salt"]);
    assert_eq!(*salts.told().held(), map(&FIVE[2..]), "nor does memory keep it");
}

#[test]
fn nothing_that_is_told_takes_a_salt_away() {
    let directory = tempfile::tempdir().unwrap();
    let salts = Salts::open(directory.path(), ms(NOW)).unwrap();
    salts.told().put(&map(&FIVE), ms(NOW));
    salts.refresh(ms(NOW)).unwrap();
    for told in [&[][..], &FIVE[..1], &[("2026-03-01", 9)]] {
        salts.told().put(&map(told), ms(NOW));
        salts.refresh(ms(NOW)).unwrap();
        assert_eq!(salts.in_force().salts, map(&FIVE), "{told:?}");
    }
    assert_eq!(files(directory.path()).len(), 5);
}

#[test]
fn another_salt_of_a_date_replaces_the_file_whole() {
    let directory = tempfile::tempdir().unwrap();
    let salts = Salts::open(directory.path(), ms(NOW)).unwrap();
    salts.told().put(&map(&FIVE), ms(NOW));
    salts.refresh(ms(NOW)).unwrap();
    // One that an earlier version made of its own, too.
    std::fs::write(directory.path().join("salts/2026-03-12.salt"), [8; 16]).unwrap();
    salts.told().put(&map(&[("2026-03-10", 9)]), ms(NOW));
    salts.refresh(ms(NOW)).unwrap();
    let read = |date: &str| std::fs::read(directory.path().join(format!("salts/{date}.salt"))).unwrap();
    assert_eq!((read("2026-03-10"), read("2026-03-12")), (vec![9; 16], vec![4; 16]));
    assert_eq!(salts.in_force().salts["2026-03-10".parse().as_ref().unwrap()], Salt::new([9; 16]));
}

#[test]
fn a_damaged_or_half_written_file_is_not_used_and_made_good() {
    let directory = tempfile::tempdir().unwrap();
    let salts = Salts::open(directory.path(), ms(NOW)).unwrap();
    salts.told().put(&map(&FIVE), ms(NOW));
    salts.refresh(ms(NOW)).unwrap();
    std::fs::write(directory.path().join("salts/2026-03-10.salt"), b"short").unwrap();
    std::fs::write(directory.path().join("salts/2026-03-14.tmp"), [7; 16]).unwrap();
    let salts = Salts::open(directory.path(), ms(NOW)).unwrap();
    assert!(!salts.in_force().cover(ms(NOW)));
    assert_eq!(*salts.missing().borrow(), ["2026-03-10".parse().unwrap()]);
    salts.told().put(&map(&FIVE), ms(NOW));
    salts.refresh(ms(NOW)).unwrap();
    assert_eq!((salts.in_force().salts.len(), files(directory.path()).len()), (5, 5));
    assert!(salts.in_force().cover(ms(NOW)) && salts.missing().borrow().is_empty());
}

#[test]
fn a_salt_that_cannot_be_written_is_not_in_force() {
    let directory = tempfile::tempdir().unwrap();
    let salts = Salts::open(directory.path(), ms(NOW)).unwrap();
    // A directory where the file is to be: not even root can rename over it.
    std::fs::create_dir_all(directory.path().join("salts/2026-03-10.tmp")).unwrap();
    salts.told().put(&map(&FIVE), ms(NOW));
    assert!(salts.refresh(ms(NOW)).is_err());
    let dates = |map: &SaltMap| map.len();
    assert!(!salts.in_force().cover(ms(NOW)) && dates(&salts.in_force().salts) < 5);
    std::fs::remove_dir(directory.path().join("salts/2026-03-10.tmp")).unwrap();
    salts.refresh(ms(NOW)).unwrap();
    assert_eq!(salts.in_force().salts, map(&FIVE));
}
