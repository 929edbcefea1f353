//! Whether the rows of a batch can be: what would break tables or sums is kept out.
//!
//! In: header and rows of a batch whose checksum is right, so a broken edge made them. Out: the reason for quarantine.

use batch::{
    BatchHeader, CUSTOM_SEPARATOR, HitRow, ItemRow, MAX_ITEMS, MAX_REVENUE_MICROS, RollupRows, RowKey,
};
use hit::{CUSTOM_DIMENSIONS, limits};

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
    check_items(header, &rows.items)
}

/// Rows of items: each line is one of a hit.
fn check_items(header: &BatchHeader, rows: &[ItemRow]) -> Result<(), String> {
    let mut lines = 0_u64;
    for row in rows {
        check_key(&row.key)?;
        for (name, value) in [
            ("items_viewed", row.items_viewed),
            ("items_added_to_cart", row.items_added_to_cart),
            ("items_checked_out", row.items_checked_out),
            ("items_purchased", row.items_purchased),
        ] {
            if value > MAX_ITEMS {
                return Err(format!("a row has {name} {value}, which cannot be"));
            }
        }
        check_money("item_revenue_micros", row.item_revenue_micros, &row.currency)?;
        check_custom(&row.custom)?;
        lines = lines.saturating_add(row.lines);
    }
    let most = header.hits().saturating_mul(u64::try_from(limits::ITEMS).unwrap_or(u64::MAX));
    if lines > most {
        return Err(format!("its rows count {lines} item lines, made from {} hits", header.hits()));
    }
    Ok(())
}

/// Money, key events, custom metrics and custom values of a row.
fn check_extras(row: &HitRow) -> Result<(), String> {
    check_money("revenue_micros", row.revenue_micros, &row.currency)?;
    for micros in row.custom_micros {
        if micros > MAX_REVENUE_MICROS {
            return Err(format!("a row has custom_micros {micros}, which cannot be"));
        }
    }
    if row.key_events > row.events {
        return Err(format!("a row has {} key events among {} events", row.key_events, row.events));
    }
    check_custom(&row.custom)
}

fn check_money(name: &str, micros: u64, currency: &str) -> Result<(), String> {
    if micros > MAX_REVENUE_MICROS {
        return Err(format!("a row has {name} {micros}, which cannot be"));
    }
    if micros > 0 && currency.is_empty() {
        return Err(format!("a row has {name} without a currency"));
    }
    Ok(())
}

fn check_custom(custom: &str) -> Result<(), String> {
    let values = custom.split(CUSTOM_SEPARATOR).count();
    if values > usize::from(CUSTOM_DIMENSIONS) || custom.ends_with(CUSTOM_SEPARATOR) {
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
    fn items_that_cannot_be_are_named() {
        let checked = |change: &dyn Fn(&mut ItemRow)| {
            let hits = rows(|_| {}).hits;
            let key = hits[0].key.clone();
            let mut row = ItemRow { key, lines: 1, items_viewed: 1, ..ItemRow::default() };
            change(&mut row);
            check_rows(&header(1), &RollupRows { hits, items: vec![row], ..RollupRows::default() })
        };
        assert_eq!(checked(&|_| {}), Ok(()));
        let most = |row: &mut ItemRow| {
            (row.lines, row.items_purchased, row.item_revenue_micros) = (200, 1 << 48, 1 << 60);
            row.currency = "EUR".into();
        };
        assert_eq!(checked(&most), Ok(()));
        let reason = |change: &dyn Fn(&mut ItemRow)| checked(change).unwrap_err();
        assert!(reason(&|row| row.lines = 201).contains("201 item lines"));
        assert!(reason(&|row| row.items_viewed = (1 << 48) + 1).contains("items_viewed"));
        assert!(reason(&|row| row.items_added_to_cart = (1 << 48) + 1).contains("items_added_to_cart"));
        assert!(reason(&|row| row.items_checked_out = (1 << 48) + 1).contains("items_checked_out"));
        assert!(reason(&|row| row.items_purchased = u64::MAX).contains("items_purchased"));
        assert!(reason(&|row| row.item_revenue_micros = 1).contains("without a currency"));
        assert!(reason(&|row| row.item_revenue_micros = (1 << 60) + 1).contains("cannot be"));
        assert!(reason(&|row| row.custom = "a\u{1f}".into()).contains("custom values"));
        assert!(reason(&|row| row.key.minute = u32::MAX).contains("minute"));
    }

    #[test]
    fn what_cannot_be_is_named() {
        assert_eq!(check_rows(&header(1), &rows(|_| {})), Ok(()));
        let reason = |rows| check_rows(&header(1), &rows).unwrap_err();
        assert!(reason(rows(|row| row.events = 2)).contains("2 events"));
        assert!(reason(rows(|row| row.engagement_ms = 1 << 50)).contains("engagement_ms"));
        let most = MAX_REVENUE_MICROS;
        assert_eq!(check_rows(&header(1), &rows(|row| row.custom_micros = [most; 5])), Ok(()));
        let over = rows(|row| row.custom_micros[4] = most + 1);
        assert!(reason(over).contains("custom_micros 1152921504606846977"));
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
