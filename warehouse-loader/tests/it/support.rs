//! Batches for tests, and what their rows add up to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use batch::{
    BatchId, HitRow, ItemRow, RefusalRow, RollupRows, RowKey, SealedBatch, SessionRow, ValueRow,
    encode_rollup, segment,
};
use bytes::Bytes;
use hit::Epoch;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use proto::batch::Lane;

/// 2015-05-17T00:00Z in minutes.
pub(crate) const BASE_MINUTE: u32 = 16_572 * 1440;

/// What all rows add up to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) page_views: u64,
    pub(crate) events: u64,
    pub(crate) opened: u64,
    pub(crate) engagement_ms: u64,
    pub(crate) closed: u64,
    pub(crate) duration_ms: u64,
    pub(crate) revenue_micros: u64,
    pub(crate) custom_micros: [u64; 5],
    /// How many values were measured, and their sum.
    pub(crate) measured: (u64, u64),
    /// Lines of items, then items viewed, added to a cart, checked out and purchased, and their revenue.
    pub(crate) items: [u64; 6],
    /// Reason -> hits that were not counted.
    pub(crate) refused: BTreeMap<String, u64>,
    /// (property, local hour) -> events.
    pub(crate) hours: BTreeMap<(String, u32), u64>,
    pub(crate) visitors: BTreeSet<u64>,
}

impl Sums {
    pub(crate) fn add(&mut self, rows: &RollupRows) {
        for row in &rows.hits {
            self.page_views += row.page_views;
            self.events += row.events;
            self.opened += row.sessions;
            self.engagement_ms += row.engagement_ms;
            self.revenue_micros += row.revenue_micros;
            self.custom_micros.iter_mut().zip(row.custom_micros).for_each(|(sum, more)| *sum += more);
            let local_s = i64::from(row.key.minute) * 60 + i64::from(row.key.utc_offset_s);
            let hour = u32::try_from(local_s - local_s % 3600).unwrap();
            *self.hours.entry((row.key.property.to_string(), hour)).or_default() += row.events;
            self.visitors.extend(&row.visitors);
        }
        for row in &rows.sessions {
            self.closed += row.sessions;
            self.duration_ms += row.duration_ms;
        }
        for row in &rows.values {
            self.measured.0 += row.count;
            self.measured.1 += row.count * u64::from(row.value);
        }
        for row in &rows.items {
            let carts = [row.items_viewed, row.items_added_to_cart, row.items_checked_out];
            let more =
                [row.lines, carts[0], carts[1], carts[2], row.items_purchased, row.item_revenue_micros];
            self.items.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        }
        for row in &rows.refusals {
            *self.refused.entry(row.reason.to_string()).or_default() += row.hits;
        }
    }
}

pub(crate) fn key(property: &str, minute: u32, utc_offset_s: i32, page: &str) -> RowKey {
    let local_s = i64::from(minute) * 60 + i64::from(utc_offset_s);
    RowKey {
        property: property.into(),
        local_date: u16::try_from(local_s / 86_400).unwrap(),
        minute,
        utc_offset_s,
        traffic_class: "human".into(),
        page_path: page.into(),
        source: "google".into(),
        medium: "organic".into(),
        campaign: "".into(),
        country: "NP".into(),
        device: "desktop".into(),
        browser: "Firefox".into(),
        operating_system: "Linux".into(),
        ..RowKey::default()
    }
}

pub(crate) fn hit_row(key: RowKey, events: u64, visitors: Vec<u64>) -> HitRow {
    HitRow {
        key,
        event_name: "page_view".into(),
        page_views: events,
        events,
        sessions: 1,
        engagement_ms: events * 700,
        new_visitors: visitors.clone(),
        visitors,
        ..HitRow::default()
    }
}

/// `count` rows of some properties in whole, half and quarter-hour zones, over two days.
pub(crate) fn many_rows(seed: u64, count: u32) -> RollupRows {
    const OFFSETS: [i32; 5] = [0, 19_800, 20_700, 37_800, -12_600];
    let mut rows = RollupRows::default();
    for at in 0..count {
        let number = u64::from(at) + seed * 1_000_003;
        let property = number % 40;
        let offset = OFFSETS[usize::try_from(property % 5).unwrap()];
        let minute = BASE_MINUTE + u32::try_from(number * 7 % 2880).unwrap();
        let mut key = key(&format!("p_{property}"), minute, offset, &format!("/{}", number % 97));
        // Each dimension has values of its own, so that two that are mixed up are noticed.
        key.hostname = format!("host-{}", number % 2).into();
        key.region = format!("region-{}", number % 3).into();
        key.city = format!("city-{}", number % 5).into();
        key.browser_version = format!("browser-{}", number % 7).into();
        key.operating_system_version = format!("system-{}", number % 11).into();
        key.device_brand = format!("brand-{}", number % 13).into();
        key.visitor_type = ["new", "returning"][at as usize % 2].into();
        key.first_source = format!("first-{}", number % 17).into();
        let mut hit = hit_row(key.clone(), 1 + number % 3, vec![number % 1009]);
        if number.is_multiple_of(5) {
            (hit.currency, hit.revenue_micros) = (["EUR", "JPY"][at as usize % 2].into(), number % 10_000);
        }
        hit.page_title = format!("title-{}", number % 19).into();
        hit.custom = ["", "a", "a\u{1f}b"][at as usize % 3].into();
        hit.key_events = number % 2;
        hit.custom_micros = [2, 3, 5, 7, 11].map(|slot| number * slot % 10_000);
        rows.hits.push(hit);
        if number.is_multiple_of(7) {
            let value = u32::try_from(number % 3_000).unwrap();
            rows.values.push(ValueRow {
                key: key.clone(),
                name: "lcp_ms".into(),
                value,
                count: 1 + number % 2,
            });
        }
        if number.is_multiple_of(6) {
            rows.items.push(item_row(key.clone(), number, at));
        }
        if number.is_multiple_of(11) {
            rows.refusals.push(RefusalRow {
                property: key.property.clone(),
                local_date: key.local_date,
                minute,
                utc_offset_s: offset,
                reason: ["too_old", "invalid_field", "foreign_hostname"][at as usize % 3].into(),
                hits: 1 + number % 5,
            });
        }
        if number.is_multiple_of(4) {
            rows.sessions.push(SessionRow {
                key,
                exit_page: "/out".into(),
                sessions: 1,
                engaged_sessions: number % 2,
                page_views: 2,
                events: 3,
                duration_ms: number % 100_000,
            });
        }
    }
    rows.normalize();
    rows
}

fn item_row(key: RowKey, number: u64, at: u32) -> ItemRow {
    ItemRow {
        key,
        item_id: format!("SKU-{}", number % 19).into(),
        item_name: format!("name-{}", number % 23).into(),
        item_brand: format!("maker-{}", number % 11).into(),
        item_category: format!("category-{}", number % 5).into(),
        item_variant: format!("variant-{}", number % 7).into(),
        currency: ["EUR", "JPY"][at as usize % 2].into(),
        custom: ["", "a", "\u{1f}b"][at as usize % 3].into(),
        lines: 1 + number % 2,
        items_viewed: number % 3,
        items_added_to_cart: number % 5,
        items_checked_out: number % 7,
        items_purchased: number % 11,
        item_revenue_micros: number % 10_000,
    }
}

/// Makes the batches of one edge, one after the other.
pub(crate) struct Edge {
    pub(crate) name: String,
    pub(crate) epoch: Epoch,
    pub(crate) seq: u64,
    pub(crate) position: u64,
    /// Added to the time until which its batches are complete.
    pub(crate) late_ms: u64,
}

impl Edge {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.into(), epoch: Epoch([7; 16]), seq: 0, position: 0, late_ms: 0 }
    }

    pub(crate) fn batch(&mut self, rows: &RollupRows) -> SealedBatch {
        let hits: u64 = rows.hits.iter().map(|row| row.events).sum();
        self.payload(Bytes::from(encode_rollup(rows).unwrap()), hits)
    }

    pub(crate) fn payload(&mut self, payload: Bytes, hits: u64) -> SealedBatch {
        self.seq += 1;
        let id = BatchId {
            edge: self.name.parse().unwrap(),
            epoch: self.epoch,
            lane: Lane::Rollup,
            seq: self.seq,
        };
        let from = self.position;
        self.position += hits;
        SealedBatch::seal(id, from..self.position, 1_000 * self.seq + self.late_ms, payload).unwrap()
    }
}

/// Writes a segment as a hub does.
pub(crate) async fn put_segment(
    store: &Arc<dyn ObjectStore>,
    number: u32,
    batches: &[SealedBatch],
) -> String {
    let key = segment::key(Lane::Rollup, 1_000 + u64::from(number), "hub-1", number);
    store.put(&Path::from(key.as_str()), segment::encode(batches).into()).await.unwrap();
    key
}
