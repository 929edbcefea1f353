//! Whether the rows of a batch can be: what would break tables or sums is kept out.
//!
//! In: header and rows of a batch whose checksum is right, so a broken edge made them. Out: the reason for quarantine.

use batch::{BatchHeader, CUSTOM_SEPARATOR, HitRow, MAX_REVENUE_MICROS, RollupRows, RowKey};
use hit::CUSTOM_DIMENSIONS;

/// Greatest offset of a zone from UTC, seconds: the time zone database stays below 16 h, jiff allows 26 h.
const MAX_OFFSET_S: i32 = 26 * 3600;
/// Greatest measure of one row: sums of 2^16 such rows still fit in 64 bits.
const MAX_MEASURE: u64 = 1 << 48;
/// Longest reason of a refusal, bytes: a later build may have reasons that this one does not know.
const MAX_REASON_BYTES: usize = 64;
/// The last minute that `DateTime` holds.
const MAX_MINUTE: u32 = u32::MAX / 60;

/// Checks the range of a batch against where its stream stands.
///
/// # Errors
/// The reason, when the range does not follow.
pub fn check_range(header: &BatchHeader, position: u64) -> Result<(), String> {
    if header.from == position {
        return Ok(());
    }
    Err(format!("its positions begin at {}, where {position} is due", header.from))
}

/// Checks the rows of a batch.
///
/// # Errors
/// The reason, when a row cannot be.
pub fn check_rows(header: &BatchHeader, rows: &RollupRows) -> Result<(), String> {
    let mut events = 0_u64;
    for row in &rows.hits {
        check_key(&row.key)?;
        for (name, value) in [
            ("page_views", row.page_views),
            ("events", row.events),
            ("sessions", row.sessions),
            ("engagement_ms", row.engagement_ms),
            ("key_events", row.key_events),
        ] {
            check_measure(name, value)?;
        }
        check_extras(row)?;
        events = events.saturating_add(row.events);
    }
    // A hit is counted in one row; repeats and drops make it fewer.
    if events > header.hits() {
        return Err(format!("its rows count {events} events, made from {} hits", header.hits()));
    }
    for row in &rows.sessions {
        check_key(&row.key)?;
        for (name, value) in [
            ("sessions", row.sessions),
            ("engaged_sessions", row.engaged_sessions),
            ("page_views", row.page_views),
            ("events", row.events),
            ("duration_ms", row.duration_ms),
        ] {
            check_measure(name, value)?;
        }
    }
    for row in &rows.values {
        check_key(&row.key)?;
        check_measure("count", row.count)?;
    }
    for row in &rows.refusals {
        check_time(row.local_date, row.minute, row.utc_offset_s)?;
        check_measure("hits", row.hits)?;
        if row.reason.len() > MAX_REASON_BYTES {
            return Err(format!("a row has a reason of {} bytes", row.reason.len()));
        }
    }
    Ok(())
}

/// Money, key events and custom values of a row.
fn check_extras(row: &HitRow) -> Result<(), String> {
    if row.revenue_micros > MAX_REVENUE_MICROS {
        return Err(format!("a row has revenue_micros {}, which cannot be", row.revenue_micros));
    }
    if row.revenue_micros > 0 && row.currency.is_empty() {
        return Err("a row has revenue without a currency".to_owned());
    }
    if row.key_events > row.events {
        return Err(format!("a row has {} key events among {} events", row.key_events, row.events));
    }
    let values = row.custom.split(CUSTOM_SEPARATOR).count();
    if values > usize::from(CUSTOM_DIMENSIONS) || row.custom.ends_with(CUSTOM_SEPARATOR) {
        return Err(format!("a row has {values} custom values, or none behind the last separator"));
    }
    Ok(())
}

fn check_measure(name: &str, value: u64) -> Result<(), String> {
    if value > MAX_MEASURE { Err(format!("a row has {name} {value}, which cannot be")) } else { Ok(()) }
}

fn check_key(key: &RowKey) -> Result<(), String> {
    check_time(key.local_date, key.minute, key.utc_offset_s)
}

fn check_time(local_date: u16, minute: u32, utc_offset_s: i32) -> Result<(), String> {
    if minute > MAX_MINUTE {
        return Err(format!("a row has minute {minute}, after 2106"));
    }
    if !(-MAX_OFFSET_S..=MAX_OFFSET_S).contains(&utc_offset_s) {
        return Err(format!("a row has an offset of {utc_offset_s} s"));
    }
    let local_s = i64::from(minute) * 60 + i64::from(utc_offset_s);
    // A day of grace: minutes are cut off, and offsets of old times are not whole minutes.
    if (local_s.div_euclid(86_400) - i64::from(local_date)).abs() > 1 {
        return Err(format!("a row has local date {local_date} and minute {minute}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use batch::{BatchId, RefusalRow};
    use hit::Epoch;
    use proto::batch::Lane;

    use super::*;

    fn header(hits: u64) -> BatchHeader {
        let id = BatchId { edge: "e".parse().unwrap(), epoch: Epoch([0; 16]), lane: Lane::Rollup, seq: 1 };
        BatchHeader { id, from: 0, to: hits, complete_until_ms: 0, payload_bytes: 0, payload_crc32c: 0 }
    }

    fn rows(change: impl FnOnce(&mut HitRow)) -> RollupRows {
        let key = RowKey {
            property: "p".into(),
            local_date: 16_572,
            minute: 16_572 * 1440,
            utc_offset_s: 0,
            traffic_class: "human".into(),
            page_path: "/".into(),
            source: "".into(),
            medium: "".into(),
            campaign: "".into(),
            country: "".into(),
            device: "".into(),
            browser: "".into(),
            operating_system: "".into(),
            ..RowKey::default()
        };
        let mut row = HitRow {
            key,
            event_name: "page_view".into(),
            page_views: 1,
            events: 1,
            sessions: 1,
            engagement_ms: 0,
            visitors: vec![1],
            new_visitors: vec![],
            ..HitRow::default()
        };
        change(&mut row);
        RollupRows { hits: vec![row], ..RollupRows::default() }
    }

    #[test]
    fn what_cannot_be_is_named() {
        assert_eq!(check_rows(&header(1), &rows(|_| {})), Ok(()));
        let reason = |rows| check_rows(&header(1), &rows).unwrap_err();
        assert!(reason(rows(|row| row.events = 2)).contains("2 events"));
        assert!(reason(rows(|row| row.engagement_ms = 1 << 50)).contains("engagement_ms"));
        assert!(reason(rows(|row| row.key.local_date = 16_580)).contains("local date 16580"));
        assert!(reason(rows(|row| row.key.minute = u32::MAX)).contains("minute"));
        assert!(reason(rows(|row| row.key.utc_offset_s = 1_000_000)).contains("offset"));
        let refused = |change: fn(&mut RefusalRow)| {
            let mut row = RefusalRow {
                property: "p".into(),
                local_date: 16_572,
                minute: 16_572 * 1440,
                utc_offset_s: 0,
                reason: "too_old".into(),
                hits: 7,
            };
            change(&mut row);
            // From a tick: no hit was taken.
            check_rows(&header(0), &RollupRows { refusals: vec![row], ..RollupRows::default() })
        };
        assert_eq!(refused(|_| {}), Ok(()));
        assert!(refused(|row| row.hits = 1 << 50).unwrap_err().contains("hits"));
        assert!(refused(|row| row.local_date = 16_580).unwrap_err().contains("local date 16580"));
        assert!(refused(|row| row.reason = "x".repeat(65).into()).unwrap_err().contains("reason of 65"));
        assert!(check_range(&header(1), 0).is_ok() && check_range(&header(1), 5).is_err());
    }
}
