//! How many hits are taken of a property: in a day of its zone, and in a second.
//!
//! In: what an operator sets. Out: the quota in force, and the local day that it counts on. 0 is no limit, so a property without a quota is
//! the default one. What is counted against it, and where, is the edge's and the api's.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Longest day there is, milliseconds: 24 hours and the change of a zone that skipped a date.
const DAY_MAX_MS: u64 = 48 * 3_600_000;

/// How many hits are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize)]
pub struct Quota {
    /// On a local day; 0: no limit.
    pub daily_hits: u64,
    /// By each edge in a second; 0: as many as the edge's own configuration says.
    pub hits_per_second: u32,
}

/// What of a quota is to be otherwise; `None`: as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuotaChange {
    /// On a local day; 0: no limit.
    pub daily_hits: Option<u64>,
    /// By each edge in a second; 0: as many as the edge's own configuration says.
    pub hits_per_second: Option<u32>,
}

impl QuotaChange {
    /// The quota after it.
    #[must_use]
    pub fn on(self, before: Quota) -> Quota {
        Quota {
            daily_hits: self.daily_hits.unwrap_or(before.daily_hits),
            hits_per_second: self.hits_per_second.unwrap_or(before.hits_per_second),
        }
    }

    /// The first field that it makes otherwise, with its new value.
    pub fn first_difference(self, before: Quota) -> Option<(&'static str, String)> {
        let after = self.on(before);
        if after.daily_hits != before.daily_hits {
            return Some(("daily_hits", after.daily_hits.to_string()));
        }
        (after.hits_per_second != before.hits_per_second)
            .then(|| ("hits_per_second", after.hits_per_second.to_string()))
    }
}

/// The date that it is in a zone at this time (unix milliseconds), as days since 1970-01-01.
pub fn local_date(now_ms: u64, zone: &TimeZone) -> i32 {
    let now = timestamp(now_ms);
    let local_s = now.as_second() + i64::from(zone.to_offset(now).seconds());
    i32::try_from(local_s.div_euclid(86_400)).unwrap_or(i32::MAX)
}

/// When that date is over, unix milliseconds.
pub fn next_midnight_ms(now_ms: u64, zone: &TimeZone) -> u64 {
    let end =
        timestamp(now_ms).to_zoned(zone.clone()).tomorrow().and_then(|tomorrow| tomorrow.start_of_day());
    let end_ms = end.ok().and_then(|end| u64::try_from(end.timestamp().as_millisecond()).ok());
    let latest_ms = now_ms.saturating_add(DAY_MAX_MS);
    end_ms.unwrap_or(latest_ms).clamp(now_ms.saturating_add(1), latest_ms)
}

fn timestamp(ms: u64) -> Timestamp {
    i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_that_of_the_zone() {
        // Dates and midnights by `TZ=… date -d @…` of GNU coreutils; Berlin's last Sunday in March has 23 hours.
        for (now, zone, date, hours_left) in [
            ("2026-01-01T12:00:00Z", "UTC", 20_454, 12.0),
            ("2026-01-01T23:59:59.999Z", "UTC", 20_454, 0.001 / 3600.0),
            ("2026-01-02T00:00:00Z", "UTC", 20_455, 24.0),
            ("2026-01-01T20:00:00Z", "Asia/Kathmandu", 20_455, 22.25),
            ("2026-01-01T04:00:00Z", "America/New_York", 20_453, 1.0),
            ("2026-03-28T23:00:00Z", "Europe/Berlin", 20_541, 23.0),
            ("1970-01-01T00:00:00Z", "UTC", 0, 24.0),
            ("1970-01-01T00:00:00Z", "America/New_York", -1, 5.0),
        ] {
            let now: Timestamp = now.parse().unwrap();
            let now_ms = u64::try_from(now.as_millisecond()).unwrap();
            let zone = TimeZone::get(zone).unwrap();
            let left_ms = u32::try_from(next_midnight_ms(now_ms, &zone) - now_ms).unwrap();
            let found = (local_date(now_ms, &zone), f64::from(left_ms) / 3_600_000.0);
            assert_eq!(found, (date, hours_left), "{now} {zone:?}");
        }
        // No clock tells such a time, and none makes a hit wait for ever.
        assert_eq!(next_midnight_ms(u64::MAX, &TimeZone::UTC), u64::MAX);
    }

    #[test]
    fn a_change_leaves_what_it_does_not_name() {
        let before = Quota { daily_hits: 10, hits_per_second: 2 };
        let change = |daily_hits, hits_per_second| QuotaChange { daily_hits, hits_per_second };
        for (change, after, difference) in [
            (change(None, None), (10, 2), None),
            (change(Some(10), Some(2)), (10, 2), None),
            (change(Some(0), None), (0, 2), Some(("daily_hits", "0"))),
            (change(None, Some(7)), (10, 7), Some(("hits_per_second", "7"))),
            (change(Some(11), Some(7)), (11, 7), Some(("daily_hits", "11"))),
        ] {
            let found = change.on(before);
            assert_eq!((found.daily_hits, found.hits_per_second), after, "{change:?}");
            let found = change.first_difference(before);
            assert_eq!(
                found.as_ref().map(|(field, value)| (*field, value.as_str())),
                difference,
                "{change:?}"
            );
        }
    }
}
