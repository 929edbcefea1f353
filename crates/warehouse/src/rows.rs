//! Rows as the `clickhouse` crate sends them: field names are column names, in the order of the tables.
//!
//! Dates are days since 1970-01-01, times seconds (`DateTime`) or milliseconds (`DateTime64(3)`) since then, as RowBinary
//! has them. The client checks names and types against the server's table before it sends.

use batch::{CUSTOM_SEPARATOR, HitRow, ItemRow, RefusalRow, SessionRow, ValueRow};
use clickhouse::Row;
use serde::{Deserialize, Serialize};

/// A row of `hit_rollup`.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize)]
pub struct HitRollupRow<'a> {
    /// Property id.
    pub property: &'a str,
    /// Slot of the property.
    pub slot: u16,
    /// 0: live.
    pub generation: u32,
    /// Local date, days.
    pub local_date: u16,
    /// Instant of the minute, seconds.
    pub minute: u32,
    /// Offset of the zone, seconds.
    pub utc_offset_s: i32,
    /// `human`, `bot` …
    pub traffic_class: &'a str,
    /// Page path.
    pub page_path: &'a str,
    /// Source of the session.
    pub source: &'a str,
    /// Medium of the session.
    pub medium: &'a str,
    /// Campaign of the session.
    pub campaign: &'a str,
    /// Country code.
    pub country: &'a str,
    /// Device class.
    pub device: &'a str,
    /// Browser family.
    pub browser: &'a str,
    /// Operating system family.
    pub operating_system: &'a str,
    /// Host of the page.
    pub hostname: &'a str,
    /// Subdivision of the country.
    pub region: &'a str,
    /// City.
    pub city: &'a str,
    /// Major version of the browser.
    pub browser_version: &'a str,
    /// Version of the operating system.
    pub operating_system_version: &'a str,
    /// Maker of the device.
    pub device_brand: &'a str,
    /// What speaks for the traffic class.
    pub traffic_reason: &'a str,
    /// Whether the visitor was there before.
    pub visitor_type: &'a str,
    /// Source of the first visit.
    pub first_source: &'a str,
    /// Event.
    pub event_name: &'a str,
    /// Title of the page.
    pub page_title: &'a str,
    /// Currency of the revenue.
    pub currency: &'a str,
    /// Values of custom dimensions, by slot.
    pub custom: Vec<&'a str>,
    /// Page views.
    pub page_views: u64,
    /// Hits of any event.
    pub events: u64,
    /// Sessions opened.
    pub sessions: u64,
    /// Milliseconds.
    pub engagement_ms: u64,
    /// Visitor ids, ascending.
    pub visitors: &'a [u64],
    /// New visitors' ids, ascending.
    pub new_visitors: &'a [u64],
    /// Millionths of the currency's unit.
    pub revenue_micros: u64,
    /// Key events.
    pub key_events: u64,
    /// Millionths.
    pub custom_metric_1_micros: u64,
    /// Millionths.
    pub custom_metric_2_micros: u64,
    /// Millionths.
    pub custom_metric_3_micros: u64,
    /// Millionths.
    pub custom_metric_4_micros: u64,
    /// Millionths.
    pub custom_metric_5_micros: u64,
    /// Plan that inserts the row.
    pub plan: u64,
    /// After this time the server refuses the row, seconds.
    pub not_after: u32,
}

/// A row of `session_rollup`.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize)]
pub struct SessionRollupRow<'a> {
    /// Property id.
    pub property: &'a str,
    /// Slot of the property.
    pub slot: u16,
    /// 0: live.
    pub generation: u32,
    /// Local date of the first hit, days.
    pub local_date: u16,
    /// Minute of the first hit, seconds.
    pub minute: u32,
    /// Offset of the zone, seconds.
    pub utc_offset_s: i32,
    /// `human`, `bot` …
    pub traffic_class: &'a str,
    /// Entry page.
    pub page_path: &'a str,
    /// Source of the session.
    pub source: &'a str,
    /// Medium of the session.
    pub medium: &'a str,
    /// Campaign of the session.
    pub campaign: &'a str,
    /// Country code.
    pub country: &'a str,
    /// Device class.
    pub device: &'a str,
    /// Browser family.
    pub browser: &'a str,
    /// Operating system family.
    pub operating_system: &'a str,
    /// Host of the page.
    pub hostname: &'a str,
    /// Subdivision of the country.
    pub region: &'a str,
    /// City.
    pub city: &'a str,
    /// Major version of the browser.
    pub browser_version: &'a str,
    /// Version of the operating system.
    pub operating_system_version: &'a str,
    /// Maker of the device.
    pub device_brand: &'a str,
    /// What speaks for the traffic class.
    pub traffic_reason: &'a str,
    /// Whether the visitor was there before.
    pub visitor_type: &'a str,
    /// Source of the first visit.
    pub first_source: &'a str,
    /// Path of the last page viewed.
    pub exit_page: &'a str,
    /// Closed sessions.
    pub sessions: u64,
    /// Of these, engaged.
    pub engaged_sessions: u64,
    /// Page views in them.
    pub page_views: u64,
    /// Hits of any event in them.
    pub events: u64,
    /// Milliseconds.
    pub duration_ms: u64,
    /// Plan that inserts the row.
    pub plan: u64,
    /// After this time the server refuses the row, seconds.
    pub not_after: u32,
}

/// A row of `value_rollup`.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize)]
pub struct ValueRollupRow<'a> {
    /// Property id.
    pub property: &'a str,
    /// Slot of the property.
    pub slot: u16,
    /// 0: live.
    pub generation: u32,
    /// Local date, days.
    pub local_date: u16,
    /// Instant of the minute, seconds.
    pub minute: u32,
    /// Offset of the zone, seconds.
    pub utc_offset_s: i32,
    /// `human`, `bot` …
    pub traffic_class: &'a str,
    /// Page path.
    pub page_path: &'a str,
    /// Source of the session.
    pub source: &'a str,
    /// Medium of the session.
    pub medium: &'a str,
    /// Campaign of the session.
    pub campaign: &'a str,
    /// Country code.
    pub country: &'a str,
    /// Device class.
    pub device: &'a str,
    /// Browser family.
    pub browser: &'a str,
    /// Operating system family.
    pub operating_system: &'a str,
    /// Host of the page.
    pub hostname: &'a str,
    /// Subdivision of the country.
    pub region: &'a str,
    /// City.
    pub city: &'a str,
    /// Major version of the browser.
    pub browser_version: &'a str,
    /// Version of the operating system.
    pub operating_system_version: &'a str,
    /// Maker of the device.
    pub device_brand: &'a str,
    /// What speaks for the traffic class.
    pub traffic_reason: &'a str,
    /// Whether the visitor was there before.
    pub visitor_type: &'a str,
    /// Source of the first visit.
    pub first_source: &'a str,
    /// What was measured.
    pub name: &'a str,
    /// The middle of the value's bucket.
    pub value: u32,
    /// How often.
    pub count: u64,
    /// Plan that inserts the row.
    pub plan: u64,
    /// After this time the server refuses the row, seconds.
    pub not_after: u32,
}

/// A row of `item_rollup`.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize)]
pub struct ItemRollupRow<'a> {
    /// Property id.
    pub property: &'a str,
    /// Slot of the property.
    pub slot: u16,
    /// 0: live.
    pub generation: u32,
    /// Local date, days.
    pub local_date: u16,
    /// Instant of the minute, seconds.
    pub minute: u32,
    /// Offset of the zone, seconds.
    pub utc_offset_s: i32,
    /// `human`, `bot` …
    pub traffic_class: &'a str,
    /// Page path.
    pub page_path: &'a str,
    /// Source of the session.
    pub source: &'a str,
    /// Medium of the session.
    pub medium: &'a str,
    /// Campaign of the session.
    pub campaign: &'a str,
    /// Country code.
    pub country: &'a str,
    /// Device class.
    pub device: &'a str,
    /// Browser family.
    pub browser: &'a str,
    /// Operating system family.
    pub operating_system: &'a str,
    /// Host of the page.
    pub hostname: &'a str,
    /// Subdivision of the country.
    pub region: &'a str,
    /// City.
    pub city: &'a str,
    /// Major version of the browser.
    pub browser_version: &'a str,
    /// Version of the operating system.
    pub operating_system_version: &'a str,
    /// Maker of the device.
    pub device_brand: &'a str,
    /// What speaks for the traffic class.
    pub traffic_reason: &'a str,
    /// Whether the visitor was there before.
    pub visitor_type: &'a str,
    /// Source of the first visit.
    pub first_source: &'a str,
    /// The shop's id of it.
    pub item_id: &'a str,
    /// Name.
    pub item_name: &'a str,
    /// Brand.
    pub item_brand: &'a str,
    /// Category.
    pub item_category: &'a str,
    /// Variant.
    pub item_variant: &'a str,
    /// Currency of the event.
    pub currency: &'a str,
    /// Values of custom dimensions, by slot.
    pub custom: Vec<&'a str>,
    /// Items viewed.
    pub items_viewed: u64,
    /// Items put into a cart.
    pub items_added_to_cart: u64,
    /// Items of checkouts that began.
    pub items_checked_out: u64,
    /// Items bought.
    pub items_purchased: u64,
    /// Millionths of the currency's unit.
    pub item_revenue_micros: u64,
    /// Item lines.
    pub lines: u64,
    /// Plan that inserts the row.
    pub plan: u64,
    /// After this time the server refuses the row, seconds.
    pub not_after: u32,
}

/// A row of `refusal_rollup`.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize)]
pub struct RefusalRollupRow<'a> {
    /// Property id.
    pub property: &'a str,
    /// Slot of the property.
    pub slot: u16,
    /// 0: live.
    pub generation: u32,
    /// Local date, days.
    pub local_date: u16,
    /// Instant of the minute, seconds.
    pub minute: u32,
    /// Offset of the zone, seconds.
    pub utc_offset_s: i32,
    /// Why they were not counted.
    pub reason: &'a str,
    /// How many hits.
    pub hits: u64,
    /// Plan that inserts the row.
    pub plan: u64,
    /// After this time the server refuses the row, seconds.
    pub not_after: u32,
}

/// A row of `watermark`.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct WatermarkRow {
    /// Edge id.
    pub edge: String,
    /// Epoch, 32 hexadecimal digits.
    pub epoch: String,
    /// `rollup` or `raw`.
    pub lane: String,
    /// Shard of the plan.
    pub shard: u16,
    /// Number of the plan.
    pub plan: u64,
    /// Last batch taken.
    pub seq: u64,
    /// First WAL position that is not in.
    pub position: u64,
    /// Every hit received before this time is in, milliseconds.
    pub complete_until: i64,
}

impl<'a> HitRollupRow<'a> {
    /// The row of this plan; refused after `not_after`, unix seconds.
    pub fn new(row: &'a HitRow, generation: u32, plan: u64, not_after: u32) -> Self {
        let key = &row.key;
        let [custom_1, custom_2, custom_3, custom_4, custom_5] = row.custom_micros;
        Self {
            property: &key.property,
            slot: hit::slot_of(&key.property),
            generation,
            local_date: key.local_date,
            minute: key.minute.saturating_mul(60),
            utc_offset_s: key.utc_offset_s,
            traffic_class: &key.traffic_class,
            page_path: &key.page_path,
            source: &key.source,
            medium: &key.medium,
            campaign: &key.campaign,
            country: &key.country,
            device: &key.device,
            browser: &key.browser,
            operating_system: &key.operating_system,
            hostname: &key.hostname,
            region: &key.region,
            city: &key.city,
            browser_version: &key.browser_version,
            operating_system_version: &key.operating_system_version,
            device_brand: &key.device_brand,
            traffic_reason: &key.traffic_reason,
            visitor_type: &key.visitor_type,
            first_source: &key.first_source,
            event_name: &row.event_name,
            page_title: &row.page_title,
            currency: &row.currency,
            custom: custom(&row.custom),
            page_views: row.page_views,
            events: row.events,
            sessions: row.sessions,
            engagement_ms: row.engagement_ms,
            visitors: &row.visitors,
            new_visitors: &row.new_visitors,
            revenue_micros: row.revenue_micros,
            key_events: row.key_events,
            custom_metric_1_micros: custom_1,
            custom_metric_2_micros: custom_2,
            custom_metric_3_micros: custom_3,
            custom_metric_4_micros: custom_4,
            custom_metric_5_micros: custom_5,
            plan,
            not_after,
        }
    }
}

impl<'a> SessionRollupRow<'a> {
    /// The row of this plan; refused after `not_after`, unix seconds.
    pub fn new(row: &'a SessionRow, generation: u32, plan: u64, not_after: u32) -> Self {
        let key = &row.key;
        Self {
            property: &key.property,
            slot: hit::slot_of(&key.property),
            generation,
            local_date: key.local_date,
            minute: key.minute.saturating_mul(60),
            utc_offset_s: key.utc_offset_s,
            traffic_class: &key.traffic_class,
            page_path: &key.page_path,
            source: &key.source,
            medium: &key.medium,
            campaign: &key.campaign,
            country: &key.country,
            device: &key.device,
            browser: &key.browser,
            operating_system: &key.operating_system,
            hostname: &key.hostname,
            region: &key.region,
            city: &key.city,
            browser_version: &key.browser_version,
            operating_system_version: &key.operating_system_version,
            device_brand: &key.device_brand,
            traffic_reason: &key.traffic_reason,
            visitor_type: &key.visitor_type,
            first_source: &key.first_source,
            exit_page: &row.exit_page,
            sessions: row.sessions,
            engaged_sessions: row.engaged_sessions,
            page_views: row.page_views,
            events: row.events,
            duration_ms: row.duration_ms,
            plan,
            not_after,
        }
    }
}

impl<'a> ValueRollupRow<'a> {
    /// The row of this plan; refused after `not_after`, unix seconds.
    pub fn new(row: &'a ValueRow, generation: u32, plan: u64, not_after: u32) -> Self {
        let key = &row.key;
        Self {
            property: &key.property,
            slot: hit::slot_of(&key.property),
            generation,
            local_date: key.local_date,
            minute: key.minute.saturating_mul(60),
            utc_offset_s: key.utc_offset_s,
            traffic_class: &key.traffic_class,
            page_path: &key.page_path,
            source: &key.source,
            medium: &key.medium,
            campaign: &key.campaign,
            country: &key.country,
            device: &key.device,
            browser: &key.browser,
            operating_system: &key.operating_system,
            hostname: &key.hostname,
            region: &key.region,
            city: &key.city,
            browser_version: &key.browser_version,
            operating_system_version: &key.operating_system_version,
            device_brand: &key.device_brand,
            traffic_reason: &key.traffic_reason,
            visitor_type: &key.visitor_type,
            first_source: &key.first_source,
            name: &row.name,
            value: row.value,
            count: row.count,
            plan,
            not_after,
        }
    }
}

impl<'a> RefusalRollupRow<'a> {
    /// The row of this plan; refused after `not_after`, unix seconds.
    pub fn new(row: &'a RefusalRow, generation: u32, plan: u64, not_after: u32) -> Self {
        Self {
            property: &row.property,
            slot: hit::slot_of(&row.property),
            generation,
            local_date: row.local_date,
            minute: row.minute.saturating_mul(60),
            utc_offset_s: row.utc_offset_s,
            reason: &row.reason,
            hits: row.hits,
            plan,
            not_after,
        }
    }
}

impl<'a> ItemRollupRow<'a> {
    /// The row of this plan; refused after `not_after`, unix seconds.
    pub fn new(row: &'a ItemRow, generation: u32, plan: u64, not_after: u32) -> Self {
        let key = &row.key;
        Self {
            property: &key.property,
            slot: hit::slot_of(&key.property),
            generation,
            local_date: key.local_date,
            minute: key.minute.saturating_mul(60),
            utc_offset_s: key.utc_offset_s,
            traffic_class: &key.traffic_class,
            page_path: &key.page_path,
            source: &key.source,
            medium: &key.medium,
            campaign: &key.campaign,
            country: &key.country,
            device: &key.device,
            browser: &key.browser,
            operating_system: &key.operating_system,
            hostname: &key.hostname,
            region: &key.region,
            city: &key.city,
            browser_version: &key.browser_version,
            operating_system_version: &key.operating_system_version,
            device_brand: &key.device_brand,
            traffic_reason: &key.traffic_reason,
            visitor_type: &key.visitor_type,
            first_source: &key.first_source,
            item_id: &row.item_id,
            item_name: &row.item_name,
            item_brand: &row.item_brand,
            item_category: &row.item_category,
            item_variant: &row.item_variant,
            currency: &row.currency,
            custom: custom(&row.custom),
            items_viewed: row.items_viewed,
            items_added_to_cart: row.items_added_to_cart,
            items_checked_out: row.items_checked_out,
            items_purchased: row.items_purchased,
            item_revenue_micros: row.item_revenue_micros,
            lines: row.lines,
            plan,
            not_after,
        }
    }
}

fn custom(values: &str) -> Vec<&str> {
    if values.is_empty() { Vec::new() } else { values.split(CUSTOM_SEPARATOR).collect() }
}
