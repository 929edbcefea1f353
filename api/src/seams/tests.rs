//! Changes of zone at instants chosen by hand, with days and hours reckoned by hand from the offsets: Berlin is UTC+1 and New York UTC-5
//! on 3 March 2025, Pago Pago UTC-11, Kiritimati UTC+14.

use super::*;

const BERLIN: &str = "Europe/Berlin";
const NEW_YORK: &str = "America/New_York";

/// Zones and currencies, each from this instant.
fn book(versions: &[(&str, &str, &str)]) -> Rulebook {
    let rules = versions.iter().enumerate().map(|(index, (since, zone, currency))| Rules {
        version: u32::try_from(index).unwrap() + 1,
        since_ms: since.parse::<Timestamp>().map_or(0, |at| u64::try_from(at.as_millisecond()).unwrap()),
        currency: (*currency).to_owned(),
        ..Rules::first(zone)
    });
    Rulebook::try_from(rules.collect::<Vec<_>>()).unwrap()
}

fn days(from: &str, to: &str) -> Days {
    Days { from: from.parse().unwrap(), to: to.parse().unwrap() }
}

#[test]
fn days_that_touch_a_change_say_so_and_those_beside_it_do_not() {
    let east = book(&[("", NEW_YORK, "USD"), ("2025-03-03T02:00:00Z", BERLIN, "USD")]);
    let west = book(&[("", BERLIN, "EUR"), ("2025-03-03T11:00:00Z", NEW_YORK, "EUR")]);
    let over = book(&[("", BERLIN, "EUR"), ("2025-03-03T02:00:00Z", NEW_YORK, "EUR")]);
    for (rules, from, to, zone, touched) in [
        // 21:00 on the 2nd becomes 03:00 on the 3rd.
        (&east, "2025-03-01", "2025-03-01", NEW_YORK, false),
        (&east, "2025-03-01", "2025-03-02", NEW_YORK, true),
        (&east, "2025-03-02", "2025-03-03", BERLIN, true),
        (&east, "2025-03-03", "2025-03-09", BERLIN, true),
        (&east, "2025-03-04", "2025-03-09", BERLIN, false),
        // 12:00 on the 3rd becomes 06:00 on the 3rd.
        (&west, "2025-02-01", "2025-03-02", BERLIN, false),
        (&west, "2025-03-03", "2025-03-03", NEW_YORK, true),
        (&west, "2025-03-01", "2025-03-31", NEW_YORK, true),
        (&west, "2025-03-04", "2025-03-31", NEW_YORK, false),
        // 03:00 on the 3rd becomes 21:00 on the 2nd.
        (&over, "2025-03-01", "2025-03-01", BERLIN, false),
        (&over, "2025-03-02", "2025-03-02", NEW_YORK, true),
        (&over, "2025-03-03", "2025-03-03", NEW_YORK, true),
        (&over, "2025-03-04", "2025-03-04", NEW_YORK, false),
    ] {
        let (days, said) = (days(from, to), format!("{from} to {to}"));
        assert_eq!(time_zone(rules, days), zone, "{said}");
        assert_eq!(notes(rules, days, true).len(), usize::from(touched), "{said}");
    }
}

#[test]
fn a_note_says_what_becomes_of_hours_and_days() {
    for (before, after, at, moved, lengths) in [
        (
            BERLIN,
            NEW_YORK,
            "2025-03-03T11:00:00Z",
            "back from 2025-03-03 12:00 to 2025-03-03 06:00",
            "; 2025-03-03 has 30 h",
        ),
        (
            NEW_YORK,
            BERLIN,
            "2025-03-03T11:00:00Z",
            "on from 2025-03-03 06:00 to 2025-03-03 12:00",
            "; 2025-03-03 has 18 h",
        ),
        (
            BERLIN,
            NEW_YORK,
            "2025-03-03T02:00:00Z",
            "back from 2025-03-03 03:00 to 2025-03-02 21:00",
            "; 2025-03-02 has 27 h; 2025-03-03 has 27 h",
        ),
        (
            NEW_YORK,
            BERLIN,
            "2025-03-03T02:00:00Z",
            "on from 2025-03-02 21:00 to 2025-03-03 03:00",
            "; 2025-03-02 has 21 h; 2025-03-03 has 21 h",
        ),
        (
            "Pacific/Pago_Pago",
            "Pacific/Kiritimati",
            "2025-03-03T10:30:00Z",
            "on from 2025-03-02 23:30 to 2025-03-04 00:30",
            "; 2025-03-02 has 23.5 h; 2025-03-03 has 0 h; 2025-03-04 has 23.5 h",
        ),
    ] {
        let rules = book(&[("", before, "EUR"), (at, after, "EUR")]);
        let [note] = notes(&rules, days("2025-03-01", "2025-03-31"), false).try_into().unwrap();
        assert_eq!((note.code, note.at.as_str()), ("time_zone_changed", at));
        assert_eq!((note.before.as_str(), note.after.as_str()), (before, after));
        assert!(note.message.contains(moved) && note.message.ends_with(lengths), "{}", note.message);
    }
    // Another name of the same time moves nothing.
    let rules = book(&[("", "Europe/Berlin", "EUR"), ("2025-03-03T11:00:00Z", "Europe/Paris", "EUR")]);
    let [note] = notes(&rules, days("2025-03-03", "2025-03-03"), false).try_into().unwrap();
    assert!(note.message.ends_with("from then on"), "{}", note.message);
}

#[test]
fn currencies_are_told_with_money_only_and_unknown_times_not_at_all() {
    let rules = book(&[
        ("", BERLIN, "EUR"),
        ("2025-03-03T11:00:00Z", BERLIN, "USD"),
        ("2025-03-05T11:00:00Z", BERLIN, "GBP"),
    ]);
    let all = days("2025-03-01", "2025-03-31");
    assert_eq!(notes(&rules, all, false), []);
    let told = notes(&rules, all, true);
    let told: Vec<_> =
        told.iter().map(|note| (note.code, note.before.as_str(), note.after.as_str())).collect();
    assert_eq!(told, [("currency_changed", "EUR", "USD"), ("currency_changed", "USD", "GBP")]);
    assert_eq!(notes(&rules, days("2025-03-04", "2025-03-04"), true), []);
    let unknown = book(&[("", BERLIN, "EUR"), ("", NEW_YORK, "USD")]);
    assert_eq!((notes(&unknown, all, true), time_zone(&unknown, all)), (vec![], NEW_YORK));
}
