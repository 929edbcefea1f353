//! Days of a report: `YYYY-MM-DD`, `today`, `yesterday`, `NdaysAgo`, in the zone of the property.
//!
//! In: the two texts, the present instant, the zone. Out: first and last local day, inclusive. The instant comes from
//! outside.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::refuse::Refusal;

/// First and last year that the warehouse's `Date` holds whole.
const YEARS: std::ops::RangeInclusive<i16> = 1970..=2148;

/// The local days of a report, inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    /// First day.
    pub from: Date,
    /// Last day, not before the first.
    pub to: Date,
}

/// Reads both ends; `now_ms` is the instant that `today` means.
pub fn parse(from: &str, to: &str, now_ms: u64, zone: &TimeZone) -> Result<Days, Refusal> {
    let now = i64::try_from(now_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let today = now.unwrap_or(Timestamp::MAX).to_zoned(zone.clone()).date();
    let days = Days { from: day("from", from, today)?, to: day("to", to, today)? };
    if days.from > days.to {
        return Err(Refusal::invalid(
            "to",
            to,
            format!("which is {}, before the first day ({}); swap from and to", days.to, days.from),
        ));
    }
    Ok(days)
}

fn day(field: &'static str, text: &str, today: Date) -> Result<Date, Refusal> {
    let found = match text {
        "today" => Some(today),
        "yesterday" => today.checked_sub(1.day()).ok(),
        _ => match text.strip_suffix("daysAgo") {
            Some(count) => days_ago(count, today),
            None => iso(text),
        },
    };
    found.filter(|day| YEARS.contains(&day.year())).ok_or_else(|| {
        Refusal::invalid(
            field,
            text,
            "which is not a day from 1970 to 2148; write YYYY-MM-DD, today, yesterday or NdaysAgo (30daysAgo)",
        )
    })
}

fn days_ago(count: &str, today: Date) -> Option<Date> {
    if count.is_empty() || !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    today.checked_sub(count.parse::<i32>().ok()?.days()).ok()
}

/// Exactly `YYYY-MM-DD`: ISO 8601 has more forms, and jiff reads them.
fn iso(text: &str) -> Option<Date> {
    let form = text.bytes().enumerate().all(|(index, byte)| match index {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    if text.len() == 10 && form { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2015-05-17T20:30:00Z.
    const NOW_MS: u64 = 1_431_894_600_000;

    fn days(from: &str, to: &str, zone: &str) -> Result<(String, String), String> {
        let zone = TimeZone::get(zone).unwrap();
        parse(from, to, NOW_MS, &zone)
            .map(|days| (days.from.to_string(), days.to.to_string()))
            .map_err(|refusal| refusal.message)
    }

    #[test]
    fn today_is_the_day_of_the_zone() {
        for (zone, today, yesterday) in [
            ("UTC", "2015-05-17", "2015-05-16"),
            ("Asia/Kolkata", "2015-05-18", "2015-05-17"), // 02:00 there
            ("Asia/Kathmandu", "2015-05-18", "2015-05-17"),
            ("Pacific/Kiritimati", "2015-05-18", "2015-05-17"),
            ("Pacific/Pago_Pago", "2015-05-17", "2015-05-16"),
        ] {
            let expected = (yesterday.to_owned(), today.to_owned());
            assert_eq!(days("yesterday", "today", zone), Ok(expected.clone()), "{zone}");
            assert_eq!(days("1daysAgo", "0daysAgo", zone), Ok(expected), "{zone}");
        }
        let leap = days("1903daysAgo", "2012-02-29", "UTC").unwrap();
        assert_eq!(leap, ("2010-03-01".into(), "2012-02-29".into()));
    }

    #[test]
    fn other_texts_are_refused_by_field() {
        for bad in [
            "",
            "2015-5-17",
            "20150517",
            "2015-02-29",
            "2015-05-17T00",
            "-1daysAgo",
            "daysAgo",
            "+1daysAgo",
            "99999999999daysAgo",
            "999999daysAgo",
            "Today",
            "0001-01-01",
            "2149-01-01",
            "２０15-05-1",
        ] {
            let message = days(bad, "today", "UTC").unwrap_err();
            assert!(message.starts_with(&format!("from is {bad:?}")), "{message}");
        }
        assert!(days("today", "yesterday", "UTC").unwrap_err().starts_with("to is \"yesterday\""));
    }
}
