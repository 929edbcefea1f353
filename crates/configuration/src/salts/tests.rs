//! Which dates need a salt and until when; what is told takes nothing away.

use super::*;

fn ms(time: &str) -> u64 {
    u64::try_from(time.parse::<Timestamp>().unwrap().as_millisecond()).unwrap()
}

fn text(dates: impl IntoIterator<Item = Date>) -> Vec<String> {
    dates.into_iter().map(|date| date.to_string()).collect()
}

fn map(salts: &[(&str, u8)]) -> SaltMap {
    salts.iter().map(|(date, byte)| (date.parse().unwrap(), Salt::new([*byte; 16]))).collect()
}

#[test]
fn at_the_date_line_it_is_two_dates_or_three() {
    for (now, expected) in [
        // Kiribati (+14) is a day ahead of Baker Island (-12) from 10:00 to 12:00 UTC by two dates.
        ("2026-03-10T09:59:59.999Z", &["2026-03-09", "2026-03-10"][..]),
        ("2026-03-10T10:00:00Z", &["2026-03-09", "2026-03-10", "2026-03-11"]),
        ("2026-03-10T11:59:59.999Z", &["2026-03-09", "2026-03-10", "2026-03-11"]),
        ("2026-03-10T12:00:00Z", &["2026-03-10", "2026-03-11"]),
        ("2024-02-28T23:00:00Z", &["2024-02-28", "2024-02-29"]),
        ("2026-12-31T10:30:00Z", &["2026-12-30", "2026-12-31", "2027-01-01"]),
    ] {
        assert_eq!(text(somewhere(ms(now))), expected, "{now}");
        let ahead = text(wanted(ms(now)));
        assert_eq!(ahead[..expected.len()], *expected, "{now}");
        assert_eq!(ahead.len(), expected.len() + 2, "{now}");
    }
    assert_eq!(
        text(wanted(ms("2026-02-27T12:00:00Z"))),
        ["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02"]
    );
    assert_eq!(somewhere(u64::MAX), []);
}

#[test]
fn a_salt_expires_72_hours_after_its_date_began_anywhere() {
    let date = "2026-03-10".parse().unwrap();
    // It began at UTC+14: at 10:00 UTC on the 9th.
    assert!(!has_expired(date, ms("2026-03-12T09:59:59.999Z")));
    assert!(has_expired(date, ms("2026-03-12T10:00:00Z")));
}

#[test]
fn coverage_ends_where_the_first_date_without_a_salt_begins() {
    let salts = map(&[("2026-03-09", 1), ("2026-03-10", 2), ("2026-03-11", 3), ("2026-03-13", 4)]);
    let now = ms("2026-03-10T11:00:00Z");
    assert_eq!(covered_until_ms(&salts, now), ms("2026-03-11T10:00:00Z"));
    assert_eq!(missing(&salts, now), []);
    let later = ms("2026-03-11T10:00:00Z");
    assert_eq!(text(missing(&salts, later)), ["2026-03-12"]);
    assert!(covered_until_ms(&salts, later) <= later);
    assert!(covered_until_ms(&SaltMap::new(), now) <= now);
    // The west still has a date that is missing.
    let without_west = map(&[("2026-03-10", 2), ("2026-03-11", 3)]);
    assert_eq!(text(missing(&without_west, now)), ["2026-03-09"]);
    assert!(covered_until_ms(&without_west, now) <= now);
    assert_eq!(covered_until_ms(&salts, u64::MAX), 0);
}

#[test]
fn what_is_told_adds_and_replaces_and_takes_nothing_away() {
    let now = ms("2026-03-10T11:00:00Z");
    let salts = Salts::new(map(&[("2026-03-09", 1), ("2026-03-10", 2)]));
    let mut watch = salts.watch();
    // The last ones have long expired, or are far ahead.
    for told in [&[][..], &[("2026-03-10", 2)], &[("2026-03-07", 9), ("2027-01-01", 9)]] {
        assert_eq!(salts.put(&map(told), now), []);
        assert_eq!(*salts.held(), map(&[("2026-03-09", 1), ("2026-03-10", 2)]));
        assert!(!watch.has_changed().unwrap(), "{told:?} changes nothing");
    }
    assert_eq!(text(salts.put(&map(&[("2026-03-10", 7), ("2026-03-11", 3)]), now)), ["2026-03-10"]);
    assert!(watch.has_changed().unwrap());
    assert_eq!(**watch.borrow_and_update(), map(&[("2026-03-09", 1), ("2026-03-10", 7), ("2026-03-11", 3)]));
    salts.let_go(ms("2026-03-11T10:00:00Z"));
    assert_eq!(**watch.borrow_and_update(), map(&[("2026-03-10", 7), ("2026-03-11", 3)]));
}

#[test]
fn the_wire_keeps_salts_and_tells_what_is_none() {
    let salts = map(&[("2026-03-09", 1), ("2026-03-10", 2)]);
    assert_eq!(of_wire(&to_wire(&salts)), (salts.clone(), 0));
    let mut told = to_wire(&salts);
    told.salts[0].salt.pop();
    told.salts.push(wire::DateSalt { date: "tomorrow".into(), salt: vec![0; 16] });
    assert_eq!(of_wire(&told), (map(&[("2026-03-10", 2)]), 2));
}

#[test]
fn a_stored_salt_tells_every_damage_and_another_date() {
    let date: Date = "2026-03-10".parse().unwrap();
    let salt = Salt::new(*b"0123456789abcdef");
    let object = to_object(date, &salt);
    assert_eq!((object.len(), &object[..16]), (32, &b"0123456789abcdef"[..]));
    assert_eq!(of_object(date, &object), Ok(salt));
    assert_eq!(of_object(date.tomorrow().unwrap(), &object), Err(NoSalt::Checksum));
    assert_eq!(of_object(date, &object[..31]), Err(NoSalt::Length(31)));
    for bit in 0..object.len() * 8 {
        let mut damaged = object.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(of_object(date, &damaged), Err(NoSalt::Checksum), "bit {bit}");
    }
}

#[test]
fn no_log_line_shows_a_salt() {
    let shown = format!("{:?}", Salts::new(map(&[("2026-03-09", 171)])));
    assert!(
        shown.contains("2026") && !shown.contains("171") && !shown.to_lowercase().contains("ab, "),
        "{shown}"
    );
}
