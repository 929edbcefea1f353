//! What is taken of limited properties, at given times.

use property::{NewProperty, QuotaChange};

use super::*;

/// 2026-01-01T00:00:00Z.
const NEW_YEAR_MS: u64 = 1_767_225_600_000;
/// Days from 1970-01-01 to 2026-01-01, by `date -d 2026-01-01 +%s` / 86,400.
const NEW_YEAR: i32 = 20_454;
const HOUR_MS: u64 = 3_600_000;

fn property(time_zone: &str, daily_hits: u64, hits_per_second: u32) -> Property {
    let quota = QuotaChange { daily_hits: Some(daily_hits), hits_per_second: Some(hits_per_second) };
    let new =
        NewProperty { name: "Shop".into(), time_zone: time_zone.into(), quota, ..NewProperty::default() };
    new.create(0).unwrap().property
}

fn quotas(usual_per_second: u32) -> Quotas {
    Quotas::new(1_600, usual_per_second, Counter::default())
}

fn at(now_ms: u64) -> At {
    At { now_ms, monotonic_ms: now_ms - NEW_YEAR_MS + 1_000_000 }
}

/// `None`: taken; otherwise the code and its time.
fn take(quotas: &Quotas, property: &Property, hits: u64, now_ms: u64) -> Option<(Code, Option<u32>)> {
    let id = quotas.limited(property)?;
    let taken = quotas.take((id, property), None, hits, at(now_ms));
    taken.err().map(|refusal| (refusal.code, refusal.retry_after_s))
}

#[test]
fn a_day_has_its_quota_and_the_next_one_has_it_again() {
    let quotas = quotas(0);
    // 15 hours before midnight in Kathmandu (+05:45).
    let now_ms = NEW_YEAR_MS + 3 * HOUR_MS + HOUR_MS / 4;
    let (property, other) = (property("Asia/Kathmandu", 10, 0), property("Asia/Kathmandu", 10, 0));
    let refused = |seconds| Some((Code::OverQuota, Some(seconds)));
    for (hits, now_ms, expected) in [
        (9, now_ms, None),
        // It does not fit as a whole, and takes nothing.
        (2, now_ms, refused(54_000)),
        (1, now_ms, None),
        (1, now_ms, refused(54_000)),
        (1, now_ms + 15 * HOUR_MS - 1, refused(1)),
        (10, now_ms + 15 * HOUR_MS, None),
        (1, now_ms + 15 * HOUR_MS, refused(86_400)),
    ] {
        assert_eq!(take(&quotas, &property, hits, now_ms), expected, "{hits} at {now_ms}");
    }
    assert_eq!(take(&quotas, &other, 10, now_ms), None, "each property has its own");
}

#[test]
fn what_was_not_committed_may_come_again() {
    let (quotas, property) = (quotas(0), property("UTC", 3, 0));
    let id = quotas.limited(&property).unwrap();
    let taken = quotas.take((id, &property), None, 3, at(NEW_YEAR_MS)).unwrap();
    assert!(take(&quotas, &property, 1, NEW_YEAR_MS).is_some());
    quotas.give_back(&taken);
    assert_eq!(take(&quotas, &property, 3, NEW_YEAR_MS), None);
    // That of another day is nothing to this one.
    let next = NEW_YEAR_MS + 24 * HOUR_MS;
    assert_eq!(take(&quotas, &property, 3, next), None);
    quotas.give_back(&taken);
    assert!(take(&quotas, &property, 1, next).is_some());
}

#[test]
fn what_apis_have_counted_holds_on_its_day_and_under_its_quota() {
    let quotas = quotas(0);
    let property = property("UTC", 10, 0);
    let id = quotas.limited(&property).unwrap();
    for (local_date, daily_hits, is_refused) in [
        (NEW_YEAR, 10, true),
        (NEW_YEAR, 11, true),
        // It was raised since; yesterday's.
        (NEW_YEAR, 9, false),
        (NEW_YEAR - 1, 10, false),
    ] {
        let over = Some(OverQuota { local_date, daily_hits });
        let taken = quotas.take((id, &property), over, 1, at(NEW_YEAR_MS));
        assert_eq!(taken.is_err(), is_refused, "{over:?}");
        if let Err(refusal) = taken {
            assert_eq!((refusal.code, refusal.retry_after_s), (Code::OverQuota, Some(86_400)));
            assert!(refusal.message.contains("10 hits of its quota"), "{}", refusal.message);
        }
    }
}

#[test]
fn a_raised_quota_holds_at_once_and_a_lowered_one_too() {
    let quotas = quotas(0);
    let before = property("UTC", 10, 0);
    assert_eq!(take(&quotas, &before, 10, NEW_YEAR_MS), None);
    let with = |daily_hits| Property { quota: Quota { daily_hits, hits_per_second: 0 }, ..before.clone() };
    assert_eq!(take(&quotas, &with(12), 2, NEW_YEAR_MS), None);
    assert!(take(&quotas, &with(12), 1, NEW_YEAR_MS).is_some());
    assert!(take(&quotas, &with(5), 1, NEW_YEAR_MS).is_some());
    assert_eq!(take(&quotas, &with(0), 1_000, NEW_YEAR_MS), None);
}

#[test]
fn a_second_has_its_hits_after_a_burst() {
    let (own, usual) = (property("UTC", 0, 2), property("UTC", 0, 0));
    let quotas_of = |usual_per_second| quotas(usual_per_second);
    for (quotas, property, per_second) in
        [(quotas_of(0), &own, 2), (quotas_of(100), &own, 2), (quotas_of(3), &usual, 3)]
    {
        let limited = Some((Code::RateLimited, Some(1)));
        assert_eq!(take(&quotas, property, 5 * per_second, NEW_YEAR_MS), None);
        assert_eq!(take(&quotas, property, 1, NEW_YEAR_MS), limited);
        assert_eq!(take(&quotas, property, per_second, NEW_YEAR_MS + 1_000), None);
        assert_eq!(take(&quotas, property, per_second + 1, NEW_YEAR_MS + 2_000), limited);
        let (code, wait_s) = take(&quotas, property, 5 * per_second, NEW_YEAR_MS + 2_000).unwrap();
        assert_eq!((code, wait_s), (Code::RateLimited, Some(4)));
    }
    assert_eq!(quotas_of(0).limited(&usual), None);
}

#[test]
fn what_the_rate_refuses_is_not_of_the_day() {
    let (quotas, property) = (quotas(0), property("UTC", 12, 1));
    assert_eq!(take(&quotas, &property, 5, NEW_YEAR_MS), None);
    for _ in 0..20 {
        assert_eq!(take(&quotas, &property, 1, NEW_YEAR_MS), Some((Code::RateLimited, Some(1))));
    }
    assert_eq!(take(&quotas, &property, 5, NEW_YEAR_MS + 5_000), None);
    assert_eq!(take(&quotas, &property, 2, NEW_YEAR_MS + 10_000), None);
}

#[test]
fn a_property_that_finds_no_room_is_taken_and_told() {
    let uncounted = Counter::default();
    let quotas = Quotas::new(SHARDS, 0, uncounted.clone());
    // One place in each part.
    let mut of_one_part = std::iter::repeat_with(|| property("UTC", 1, 0))
        .filter(|property| quotas.limited(property).unwrap().last() == Some(&b'a'));
    let [first, second] = [of_one_part.next().unwrap(), of_one_part.next().unwrap()];
    assert_eq!(take(&quotas, &first, 1, NEW_YEAR_MS), None);
    assert_eq!((take(&quotas, &second, 7, NEW_YEAR_MS), uncounted.get()), (None, 7));
    assert!(take(&quotas, &first, 1, NEW_YEAR_MS).is_some());
    // Days later the first is let go.
    let later = NEW_YEAR_MS + 3 * 24 * HOUR_MS;
    assert_eq!(take(&quotas, &second, 1, later), None);
    assert!(take(&quotas, &second, 1, later).is_some());
    assert_eq!(uncounted.get(), 7);
}

#[test]
fn a_property_without_a_quota_of_the_day_makes_room_when_its_bucket_is_full() {
    let uncounted = Counter::default();
    let quotas = Quotas::new(SHARDS, 10, uncounted.clone());
    let mut of_one_part = std::iter::repeat_with(|| property("UTC", 0, 0))
        .filter(|property| quotas.limited(property).unwrap().last() == Some(&b'a'));
    let [first, second] = [of_one_part.next().unwrap(), of_one_part.next().unwrap()];
    assert_eq!(take(&quotas, &first, 50, NEW_YEAR_MS), None);
    assert_eq!((take(&quotas, &second, 99, NEW_YEAR_MS + 4_999), uncounted.get()), (None, 99));
    // After five seconds, and not before a look is due.
    assert_eq!(take(&quotas, &second, 50, NEW_YEAR_MS + 6_000), None);
    assert!(take(&quotas, &second, 1, NEW_YEAR_MS + 6_000).is_some());
    assert_eq!(uncounted.get(), 99);
}
