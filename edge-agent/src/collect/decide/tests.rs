//! What may be counted, by its time and the secret that came along.

use protocol::Place;

use super::*;

const NOW_MS: u64 = 1_795_565_302_000;
const HOUR_MS: u64 = 3_600_000;

#[test]
fn times_are_believed_for_three_days_and_with_the_secret_for_ever() {
    let (fresh, old) = (NOW_MS - 71 * HOUR_MS, NOW_MS - 73 * HOUR_MS);
    for (time, has_secret, expected) in [
        (HitTime::Age(0), false, Ok((NOW_MS, false))),
        (HitTime::Age(71 * HOUR_MS), false, Ok((fresh, false))),
        (HitTime::Age(73 * HOUR_MS), true, Err(Dropped::TooOld)),
        (HitTime::Claimed(fresh), false, Ok((fresh, false))),
        (HitTime::Claimed(old), false, Err(Dropped::TooOld)),
        (HitTime::Claimed(old), true, Ok((old, true))),
        (HitTime::Claimed(NOW_MS + HOUR_MS), false, Ok((NOW_MS, false))),
    ] {
        let mut hit = ParsedHit::empty(Place::Request);
        hit.time = time;
        let moment = admit(&hit, has_secret, NOW_MS);
        assert_eq!(moment.map(|moment| (moment.event_time_ms, moment.is_backdated)), expected, "{time:?}");
    }
}

#[test]
fn what_needs_the_secret_is_dropped_without_it() {
    let mut hit = ParsedHit::empty(Place::Request);
    hit.needs_secret = Some("cip");
    assert_eq!(admit(&hit, false, NOW_MS), Err(Dropped::SecretRequired));
    assert!(admit(&hit, true, NOW_MS).is_ok());
}
