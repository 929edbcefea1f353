//! Minute rows: what reports are sums of.
//!
//! Every measure is additive and never negative, so that rows of equal keys may be merged in any order and from any
//! edge. Rows are ordered by (slot, key), which is the order they are sealed, loaded and compared in.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

/// The dimensions both tables share. For a session row they are those of the session's first hit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowKey {
    /// Property id.
    pub property: Arc<str>,
    /// Local date in the property's zone, days since 1970-01-01.
    pub local_date: u16,
    /// Instant of the minute, minutes since 1970-01-01T00:00Z.
    pub minute: u32,
    /// Offset of the property's zone from UTC at that instant, seconds.
    pub utc_offset_s: i32,
    /// `human` or `bot`.
    pub traffic_class: Arc<str>,
    /// Page path of the hit; the entry page of a session.
    pub page_path: Arc<str>,
    /// Source of the session, e.g. `google`, `(direct)`.
    pub source: Arc<str>,
    /// Medium of the session, e.g. `organic`, `(none)`.
    pub medium: Arc<str>,
    /// Campaign of the session; empty: none.
    pub campaign: Arc<str>,
    /// ISO 3166-1 alpha-2; empty: unknown.
    pub country: Arc<str>,
    /// Device class: `desktop`, `mobile`, `tablet`, `bot`, `other`.
    pub device: Arc<str>,
    /// Browser family by uap-core.
    pub browser: Arc<str>,
    /// Operating system family by uap-core.
    pub operating_system: Arc<str>,
}

/// A row of `hit_rollup`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HitRow {
    /// Dimensions.
    pub key: RowKey,
    /// Event name.
    pub event_name: Arc<str>,
    /// Hits whose event is `page_view`.
    pub page_views: u64,
    /// Hits of any event.
    pub events: u64,
    /// Sessions whose first hit is in this row.
    pub sessions: u64,
    /// Visible and focused time, milliseconds.
    pub engagement_ms: u64,
    /// Visitor ids, ascending, each once.
    pub visitors: Vec<u64>,
    /// Ids of new visitors, ascending, each once.
    pub new_visitors: Vec<u64>,
}

/// A row of `session_rollup`: sessions that are over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Dimensions of the first hit.
    pub key: RowKey,
    /// Path of the last page viewed.
    pub exit_page: Arc<str>,
    /// Closed sessions.
    pub sessions: u64,
    /// Of these, engaged.
    pub engaged_sessions: u64,
    /// Page views in them.
    pub page_views: u64,
    /// Hits of any event in them.
    pub events: u64,
    /// Last less first event time, summed, milliseconds.
    pub duration_ms: u64,
}

/// The rows of a batch, or of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RollupRows {
    /// Rows of `hit_rollup`.
    pub hits: Vec<HitRow>,
    /// Rows of `session_rollup`.
    pub sessions: Vec<SessionRow>,
}

impl RollupRows {
    /// Sorts by (slot, key) and adds up rows of equal keys: the one form in which rows are sealed and loaded.
    pub fn normalize(&mut self) {
        sort(&mut self.hits, |row| &row.key, |row| &row.event_name);
        self.hits.dedup_by(|next, row| row.same_key(next) && row.absorb(next));
        sort(&mut self.sessions, |row| &row.key, |row| &row.exit_page);
        self.sessions.dedup_by(|next, row| row.same_key(next) && row.absorb(next));
    }

    /// Number of rows in both tables.
    pub fn len(&self) -> usize {
        self.hits.len() + self.sessions.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Puts rows in the order of (slot, key, the text beside the key), in place: rows are large.
///
/// What is sorted are numbers that stand for the first parts of the key; texts are only looked at where these are equal.
fn sort<T>(rows: &mut [T], key: impl Fn(&T) -> &RowKey, beside: impl Fn(&T) -> &Arc<str>) {
    let ranks = property_ranks(rows.iter().map(|row| &*key(row).property));
    let numbered = rows.iter().zip(0..);
    let mut order: Vec<(u128, u32)> =
        numbered.map(|(row, at)| (key(row).prefix(ranks[&*key(row).property]), at)).collect();
    let row = |at: u32| &rows[usize::try_from(at).unwrap_or(usize::MAX)];
    order.sort_unstable_by(|(prefix_a, a), (prefix_b, b)| {
        prefix_a.cmp(prefix_b).then_with(|| {
            let (a, b) = (row(*a), row(*b));
            key(a).cmp_texts(key(b)).then_with(|| cmp_text(beside(a), beside(b)))
        })
    });
    drop(ranks);
    let mut order: Vec<usize> =
        order.into_iter().map(|(_, at)| usize::try_from(at).unwrap_or(usize::MAX)).collect();
    for to in 0..rows.len() {
        // A row that stood there was swapped to where an earlier one came from.
        let mut from = order[to];
        while from < to {
            from = order[from];
        }
        rows.swap(to, from);
        order[to] = from;
    }
}

/// The place of each property in the order of (slot, id).
fn property_ranks<'a>(properties: impl Iterator<Item = &'a str>) -> HashMap<&'a str, u32, RandomState> {
    let mut ranks: HashMap<&str, u32, RandomState> = properties.map(|property| (property, 0)).collect();
    let mut ordered: Vec<(u16, &str)> =
        ranks.keys().map(|property| (hit::slot_of(property), *property)).collect();
    ordered.sort_unstable();
    for ((_, property), rank) in ordered.into_iter().zip(0..) {
        ranks.insert(property, rank);
    }
    ranks
}

impl RowKey {
    /// Property (by its rank), date, minute and offset as one number of the same order.
    fn prefix(&self, property_rank: u32) -> u128 {
        // Flipping the sign bit makes the order of an i32 that of a u32.
        let offset = u32::from_ne_bytes(self.utc_offset_s.to_ne_bytes()) ^ (1 << 31);
        u128::from(property_rank) << 96
            | u128::from(self.local_date) << 64
            | u128::from(self.minute) << 32
            | u128::from(offset)
    }

    /// Compares what [`RowKey::prefix`] leaves out.
    fn cmp_texts(&self, other: &Self) -> Ordering {
        self.texts()
            .into_iter()
            .zip(other.texts())
            .fold(Ordering::Equal, |so_far, (a, b)| so_far.then_with(|| cmp_text(a, b)))
    }

    fn texts(&self) -> [&Arc<str>; 9] {
        [
            &self.traffic_class,
            &self.page_path,
            &self.source,
            &self.medium,
            &self.campaign,
            &self.country,
            &self.device,
            &self.browser,
            &self.operating_system,
        ]
    }
}

/// Most equal texts are one and the same.
fn cmp_text(a: &Arc<str>, b: &Arc<str>) -> Ordering {
    if Arc::ptr_eq(a, b) { Ordering::Equal } else { a.cmp(b) }
}

impl HitRow {
    fn same_key(&self, other: &Self) -> bool {
        self.key == other.key && self.event_name == other.event_name
    }

    /// Adds the measures of a row of the same key; always true, so that it fits `dedup_by`. Rows may come from
    /// outside, so sums saturate rather than overflow.
    fn absorb(&mut self, other: &mut Self) -> bool {
        self.page_views = self.page_views.saturating_add(other.page_views);
        self.events = self.events.saturating_add(other.events);
        self.sessions = self.sessions.saturating_add(other.sessions);
        self.engagement_ms = self.engagement_ms.saturating_add(other.engagement_ms);
        merge_ids(&mut self.visitors, &other.visitors);
        merge_ids(&mut self.new_visitors, &other.new_visitors);
        true
    }
}

impl SessionRow {
    fn same_key(&self, other: &Self) -> bool {
        self.key == other.key && self.exit_page == other.exit_page
    }

    fn absorb(&mut self, other: &mut Self) -> bool {
        self.sessions = self.sessions.saturating_add(other.sessions);
        self.engaged_sessions = self.engaged_sessions.saturating_add(other.engaged_sessions);
        self.page_views = self.page_views.saturating_add(other.page_views);
        self.events = self.events.saturating_add(other.events);
        self.duration_ms = self.duration_ms.saturating_add(other.duration_ms);
        true
    }
}

/// Unites two ascending sets of ids.
fn merge_ids(into: &mut Vec<u64>, other: &[u64]) {
    into.extend_from_slice(other);
    into.sort_unstable();
    into.dedup();
}

#[cfg(test)]
mod tests;
