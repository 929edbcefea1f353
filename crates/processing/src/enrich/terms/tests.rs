//! What hits are by the rules of sessions; days by tzdata.

use jiff::tz::TimeZoneDatabase;

use super::*;

fn terms(change: impl FnOnce(&mut Rules)) -> Terms {
    let mut rules = Rules::first("UTC");
    change(&mut rules);
    Terms::new(&rules)
}

/// (zone, instant, first instant of its local day, first of the next), unix seconds
#[test]
fn day_is_that_of_the_zone() {
    let terms = terms(|rules| rules.session.cut_at_midnight = true);
    for (zone, at_s, from_s, to_s) in [
        ("UTC", 1_780_272_000, 1_780_272_000, 1_780_358_400),
        ("UTC", 1_780_271_999, 1_780_185_600, 1_780_272_000),
        ("Asia/Kolkata", 1_780_252_200, 1_780_252_200, 1_780_338_600),
        // 2026-03-29 has 23 hours, 2026-10-25 has 25.
        ("Europe/Berlin", 1_774_746_000, 1_774_738_800, 1_774_821_600),
        ("Europe/Berlin", 1_792_890_000, 1_792_879_200, 1_792_969_200),
        // 2026-09-06 begins at 01:00: clocks are set forward at midnight, 04:00Z.
        ("America/Santiago", 1_788_667_199, 1_788_580_800, 1_788_667_200),
        ("America/Santiago", 1_788_667_200, 1_788_667_200, 1_788_750_000),
        ("UTC", 0, 0, 86_400),
        ("America/New_York", 18_000, 18_000, 104_400),
    ] {
        let zone_of_day = TimeZoneDatabase::bundled().get(zone).unwrap();
        let expected = Day { from_ms: from_s * 1000, to_ms: to_s * 1000 };
        assert_eq!(terms.day(at_s * 1000, &zone_of_day), Some(expected), "{zone} at {at_s}");
    }
    assert_eq!(self::terms(|_| ()).day(0, &TimeZone::UTC), None);
}

#[test]
fn events_are_passive_and_key_by_name() {
    let terms = terms(|rules| {
        rules.session.passive_events = vec!["ping".to_owned(), PAGE_VIEW.to_owned()];
        rules.events.key_events = vec!["sign_up".to_owned()];
    });
    assert!(terms.is_passive("ping") && !terms.is_passive("Ping") && !terms.is_passive("click"));
    assert!(!terms.is_passive(PAGE_VIEW), "a page view says that somebody is there");
    assert!(terms.is_key_event("sign_up") && terms.is_key_event("purchase") && !terms.is_key_event("ping"));
}

#[test]
fn campaign_matters_only_where_it_cuts() {
    let page = Address::parse("https://a.example/?utm_source=letter");
    assert_eq!(terms(|_| ()).campaign(&page), None);
    let cutting = terms(|rules| rules.session.cut_on_campaign = true);
    assert_eq!(cutting.campaign(&page).map(|own| own.source.to_string()), Some("letter".to_owned()));
    assert_eq!(cutting.campaign(&Address::parse("https://a.example/")), None);
}
