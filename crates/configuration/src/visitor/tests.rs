//! Who is the same visitor, and until when.

use crate::Salt;

use super::*;

const KEY: [u8; 16] = [7; 16];

fn ms(time: &str) -> u64 {
    u64::try_from(time.parse::<Timestamp>().unwrap().as_millisecond()).unwrap()
}

fn keys<'a>(property_id: &'a str, zone: &'a TimeZone) -> PropertyKeys<'a> {
    PropertyKeys { property_id, visitor_key: &KEY, zone, session_timeout_ms: 1_800_000 }
}

fn traits(host: &str) -> Traits<'_> {
    Traits { host, address: "203.0.113.7".parse().unwrap(), user_agent: "UA" }
}

fn salts(dates: &[&str]) -> SaltMap {
    dates.iter().zip(1..).map(|(date, n)| (date.parse().unwrap(), Salt::new([n; 16]))).collect()
}

#[test]
fn hash_is_siphash_2_4_over_fields_with_their_lengths() {
    // Made with an independent SipHash-2-4 in Python: key 07…07, fields "p_a" and "client".
    assert_eq!(with_client_id(keys("p_a", &TimeZone::UTC), "client").visitor_id, 0x5241_f910_c5f8_549b);
    assert_eq!(hash(&KEY, &[b"ab", b"c"]), 0xeeec_553f_5acd_5e86);
    assert_ne!(hash(&KEY, &[b"ab", b"c"]), hash(&KEY, &[b"a", b"bc"]));
}

#[test]
fn a_client_id_is_the_same_visitor_for_ever_and_of_one_property_only() {
    let zone = TimeZone::UTC;
    let here = with_client_id(keys("p_a", &zone), "client");
    assert_eq!(here, with_client_id(keys("p_a", &zone), "client"));
    assert_ne!(here.visitor_id, with_client_id(keys("p_b", &zone), "client").visitor_id);
    assert_eq!(here.previous_visitor_id, None);
}

#[test]
fn a_cookieless_visitor_is_another_one_on_each_local_date() {
    let zone = TimeZone::get("Asia/Kolkata").unwrap();
    let salts = salts(&["2026-03-09", "2026-03-10", "2026-03-11"]);
    let id = |time| cookieless(keys("p_a", &zone), traits("example.com"), ms(time), &salts).visitor_id;
    // Local midnight is 18:30 UTC.
    assert_eq!(id("2026-03-09T18:30:00Z"), id("2026-03-10T18:29:59Z"));
    assert_ne!(id("2026-03-10T18:29:59Z"), id("2026-03-10T18:30:00Z"));
}

#[test]
fn domains_and_not_hosts_tell_sites_apart() {
    let salts = salts(&["2026-03-10"]);
    let id = |host, address: &str, user_agent| {
        let traits = Traits { host, address: address.parse().unwrap(), user_agent };
        cookieless(keys("p_a", &TimeZone::UTC), traits, ms("2026-03-10T12:00:00Z"), &salts).visitor_id
    };
    let here = id("www.example.co.uk", "203.0.113.7", "UA");
    assert_eq!(here, id("shop.example.co.uk", "203.0.113.7", "UA"));
    for other in [
        id("www.other.co.uk", "203.0.113.7", "UA"),
        id("www.example.co.uk", "203.0.113.8", "UA"),
        id("www.example.co.uk", "2001:db8::7", "UA"),
        id("www.example.co.uk", "203.0.113.7", "UB"),
    ] {
        assert_ne!(here, other);
    }
}

#[test]
fn the_day_before_counts_within_the_session_timeout_after_local_midnight() {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let salts = salts(&["2026-03-09", "2026-03-10"]);
    let ids = |time| cookieless(keys("p_a", &zone), traits("example.com"), ms(time), &salts);
    let evening = ids("2026-03-09T22:59:59Z");
    assert_eq!(evening.previous_visitor_id, None);
    for early in ["2026-03-09T23:00:00Z", "2026-03-09T23:29:59.999Z"] {
        assert_eq!(ids(early).previous_visitor_id, Some(evening.visitor_id), "{early}");
    }
    assert_eq!(ids("2026-03-09T23:30:00Z").previous_visitor_id, None);
}

#[test]
fn a_day_that_begins_at_one_o_clock_has_its_midnight_there() {
    // Beirut sets its clocks forward at midnight: 2026-03-29 began at 01:00, that is at 22:00 UTC.
    let zone = TimeZone::get("Asia/Beirut").unwrap();
    let ids = |time| cookieless(keys("p_a", &zone), traits("example.com"), ms(time), &SaltMap::new());
    assert_eq!(ids("2026-03-28T22:00:00Z").previous_visitor_id, Some(ids("2026-03-28T21:59:00Z").visitor_id));
    assert_eq!(ids("2026-03-28T22:30:00Z").previous_visitor_id, None);
}

#[test]
fn dates_without_a_salt_have_a_key_of_property_and_date() {
    let id = |property, time| {
        cookieless(keys(property, &TimeZone::UTC), traits("example.com"), ms(time), &SaltMap::new())
            .visitor_id
    };
    assert_eq!(id("p_a", "2015-05-17T10:00:00Z"), id("p_a", "2015-05-17T23:00:00Z"));
    assert_ne!(id("p_a", "2015-05-17T10:00:00Z"), id("p_a", "2015-05-18T10:00:00Z"));
    assert_ne!(id("p_a", "2015-05-17T10:00:00Z"), id("p_b", "2015-05-17T10:00:00Z"));
}
