//! Rows as the `clickhouse` crate sends them: field names are column names, in the order of the tables.
//!
//! Dates are days since 1970-01-01, times seconds (`DateTime`) or milliseconds (`DateTime64(3)`) since then, as RowBinary
//! has them. The client checks names and types against the server's table before it sends.

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
    /// `human` or `bot`.
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
    /// Event.
    pub event_name: &'a str,
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
    /// `human` or `bot`.
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
