//! Minute rows: what reports are sums of.
//!
//! Every measure is additive and never negative, so that rows of equal keys may be merged in any order and from any
//! edge. Rows are ordered by (slot, key), which is the order they are sealed, loaded and compared in.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

/// The dimensions that all tables share. For a session row they are those of the session's first hit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowKey {
    /// Property id.
    pub property: Arc<str>,
    /// Local date in the property's zone, days since 1970-01-01.
    pub local_date: u16,
    /// Instant of the minute, minutes since 1970-01-01T00:00Z.
    pub minute: u32,
    /// Offset of the property's zone from UTC at that instant, seconds.
    pub utc_offset_s: i32,
    /// `human`, `bot`, `automation`, `spam` or `internal`.
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
    /// Host of the page, without `www.`; empty: no page.
    pub hostname: Arc<str>,
    /// Subdivision of the country; empty: unknown.
    pub region: Arc<str>,
    /// City; empty: unknown.
    pub city: Arc<str>,
    /// Major version of the browser; empty: unknown.
    pub browser_version: Arc<str>,
    /// Version of the operating system; empty: unknown.
    pub operating_system_version: Arc<str>,
    /// Maker of the device; empty: unknown.
    pub device_brand: Arc<str>,
    /// What speaks for the traffic class; empty: nothing, a human.
    pub traffic_reason: Arc<str>,
    /// `new`, `returning`, `new_to_edge`, `known_to_edge` or `(not set)`, of the session.
    pub visitor_type: Arc<str>,
    /// Source of the visitor's first visit, by the session; `(not set)`: the client does not say.
    pub first_source: Arc<str>,
}

/// The most revenue that a row may have, millionths: the edge counts no further, and the loader takes no more.
pub const MAX_REVENUE_MICROS: u64 = 1 << 60;

/// The most items of each kind that a row may have, likewise.
pub const MAX_ITEMS: u64 = 1 << 48;
/// Sums of custom metrics by slot, millionths. Each is bounded as revenue is, by [`MAX_REVENUE_MICROS`].
pub type CustomSums = [u64; hit::CUSTOM_METRICS as usize];

/// Between the values of [`HitRow::custom`]. Nobody types it, and in values it is replaced by a space.
pub const CUSTOM_SEPARATOR: char = '\u{1f}';

/// A row of `hit_rollup`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HitRow {
    /// Dimensions.
    pub key: RowKey,
    /// Event name.
    pub event_name: Arc<str>,
    /// Title of the page; empty: none was sent.
    pub page_title: Arc<str>,
    /// Currency of the revenue, ISO 4217; empty: there is none.
    pub currency: Arc<str>,
    /// Values of custom dimensions by slot, [`CUSTOM_SEPARATOR`] between them; empty: there is none.
    pub custom: Arc<str>,
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
    /// Revenue, millionths of the currency's unit.
    pub revenue_micros: u64,
    /// Hits that are key events.
    pub key_events: u64,
    /// Sums of custom metrics.
    pub custom_micros: CustomSums,
}

/// A row of `session_rollup`: sessions that are over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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

/// A row of `value_rollup`: how often a value was measured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValueRow {
    /// Dimensions.
    pub key: RowKey,
    /// What was measured, e.g. `lcp_ms`.
    pub name: Arc<str>,
    /// The value, rounded to a bucket's middle by [`crate::values::rounded`].
    pub value: u32,
    /// How often.
    pub count: u64,
}

/// A row of `item_rollup`: what became of an item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ItemRow {
    /// Dimensions.
    pub key: RowKey,
    /// The shop's id of it; empty: not said, as in the texts below.
    pub item_id: Arc<str>,
    /// Name.
    pub item_name: Arc<str>,
    /// Brand.
    pub item_brand: Arc<str>,
    /// Category.
    pub item_category: Arc<str>,
    /// Variant.
    pub item_variant: Arc<str>,
    /// Currency of the event, ISO 4217; `(not set)`: what was sent is none.
    pub currency: Arc<str>,
    /// Values of custom dimensions, of the event or of the item, as in [`HitRow::custom`].
    pub custom: Arc<str>,
    /// Item lines that are counted here, whatever their quantity.
    pub lines: u64,
    /// Items viewed.
    pub items_viewed: u64,
    /// Items put into a cart.
    pub items_added_to_cart: u64,
    /// Items of checkouts that began.
    pub items_checked_out: u64,
    /// Items bought.
    pub items_purchased: u64,
    /// Price by quantity of what was bought, millionths of the currency's unit.
    pub item_revenue_micros: u64,
}

/// A row of `refusal_rollup`: hits of a property that were not counted. It has no key of hits: what a refused hit says of itself is not
/// known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefusalRow {
    /// Property id.
    pub property: Arc<str>,
    /// Local date of the receipt in the property's zone, days since 1970-01-01.
    pub local_date: u16,
    /// Instant of the minute of the receipt, minutes since 1970-01-01T00:00Z.
    pub minute: u32,
    /// Offset of the property's zone from UTC at that instant, seconds.
    pub utc_offset_s: i32,
    /// Why: one of [`hit::REFUSAL_REASONS`], or `other`.
    pub reason: Arc<str>,
    /// How many hits.
    pub hits: u64,
}

/// The rows of a batch, or of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RollupRows {
    /// Rows of `hit_rollup`.
    pub hits: Vec<HitRow>,
    /// Rows of `session_rollup`.
    pub sessions: Vec<SessionRow>,
    /// Rows of `value_rollup`.
    pub values: Vec<ValueRow>,
    /// Rows of `item_rollup`.
    pub items: Vec<ItemRow>,
    /// Rows of `refusal_rollup`.
    pub refusals: Vec<RefusalRow>,
}

impl RollupRows {
    /// Sorts by (slot, key) and adds up rows of equal keys: the one form in which rows are sealed and loaded.
    pub fn normalize(&mut self) {
        sort(
            &mut self.hits,
            |row| &row.key,
            |row| ([&row.event_name, &row.currency, &row.custom, &row.page_title], 0),
        );
        self.hits.dedup_by(|next, row| row.same_key(next) && row.absorb(next));
        sort(&mut self.sessions, |row| &row.key, |row| ([&row.exit_page], 0));
        self.sessions.dedup_by(|next, row| row.same_key(next) && row.absorb(next));
        sort(&mut self.values, |row| &row.key, |row| ([&row.name], row.value));
        self.values.dedup_by(|next, row| row.same_key(next) && row.absorb(next));
        sort(&mut self.items, |row| &row.key, |row| (row.texts(), 0));
        self.items.dedup_by(|next, row| row.same_key(next) && row.absorb(next));
        // Few, and with one text beside the property.
        self.refusals.sort_by(|a, b| a.order().cmp(&b.order()));
        self.refusals.dedup_by(|next, row| row.order() == next.order() && row.absorb(next));
    }

    /// Adds the rows of another batch behind these.
    pub fn append(&mut self, other: Self) {
        let Self { hits, sessions, values, items, refusals } = other;
        self.hits.extend(hits);
        self.sessions.extend(sessions);
        self.values.extend(values);
        self.items.extend(items);
        self.refusals.extend(refusals);
    }

    /// Number of rows in all tables.
    pub fn len(&self) -> usize {
        self.hits.len() + self.sessions.len() + self.values.len() + self.items.len() + self.refusals.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Puts rows in the order of (slot, key, what is beside the key), in place: rows are large.
///
/// What is sorted are numbers that stand for the first parts of the key; texts are only looked at where these are equal.
fn sort<T, const N: usize>(
    rows: &mut [T],
    key: impl Fn(&T) -> &RowKey,
    beside: impl for<'a> Fn(&'a T) -> ([&'a Arc<str>; N], u32),
) {
    let ranks = property_ranks(rows.iter().map(|row| &*key(row).property));
    let numbered = rows.iter().zip(0..);
    let mut order: Vec<(u128, u32)> =
        numbered.map(|(row, at)| (key(row).prefix(ranks[&*key(row).property]), at)).collect();
    let row = |at: u32| &rows[usize::try_from(at).unwrap_or(usize::MAX)];
    order.sort_unstable_by(|(prefix_a, a), (prefix_b, b)| {
        prefix_a.cmp(prefix_b).then_with(|| {
            let (a, b) = (row(*a), row(*b));
            let ((texts_a, value_a), (texts_b, value_b)) = (beside(a), beside(b));
            key(a)
                .cmp_texts(key(b))
                .then_with(|| cmp_texts(texts_a, texts_b))
                .then_with(|| value_a.cmp(&value_b))
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
        cmp_texts(self.texts(), other.texts())
    }

    fn texts(&self) -> [&Arc<str>; 18] {
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
            &self.hostname,
            &self.region,
            &self.city,
            &self.browser_version,
            &self.operating_system_version,
            &self.device_brand,
            &self.traffic_reason,
            &self.visitor_type,
            &self.first_source,
        ]
    }
}

fn cmp_texts<const N: usize>(a: [&Arc<str>; N], b: [&Arc<str>; N]) -> Ordering {
    a.into_iter().zip(b).fold(Ordering::Equal, |so_far, (a, b)| so_far.then_with(|| cmp_text(a, b)))
}

/// Most equal texts are one and the same.
fn cmp_text(a: &Arc<str>, b: &Arc<str>) -> Ordering {
    if Arc::ptr_eq(a, b) { Ordering::Equal } else { a.cmp(b) }
}

impl HitRow {
    fn same_key(&self, other: &Self) -> bool {
        self.key == other.key
            && self.event_name == other.event_name
            && self.currency == other.currency
            && self.custom == other.custom
            && self.page_title == other.page_title
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
        self.revenue_micros = self.revenue_micros.saturating_add(other.revenue_micros);
        self.key_events = self.key_events.saturating_add(other.key_events);
        for (sum, more) in self.custom_micros.iter_mut().zip(other.custom_micros) {
            *sum = sum.saturating_add(more);
        }
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

impl ValueRow {
    fn same_key(&self, other: &Self) -> bool {
        self.key == other.key && self.name == other.name && self.value == other.value
    }

    fn absorb(&mut self, other: &mut Self) -> bool {
        self.count = self.count.saturating_add(other.count);
        true
    }
}

impl ItemRow {
    /// The key beside the dimensions.
    fn texts(&self) -> [&Arc<str>; 7] {
        let Self { item_id, item_name, item_brand, item_category, item_variant, currency, custom, .. } = self;
        [item_id, item_name, item_brand, item_category, item_variant, currency, custom]
    }

    fn same_key(&self, other: &Self) -> bool {
        self.key == other.key && self.texts() == other.texts()
    }

    fn absorb(&mut self, other: &mut Self) -> bool {
        self.lines = self.lines.saturating_add(other.lines);
        self.items_viewed = self.items_viewed.saturating_add(other.items_viewed);
        self.items_added_to_cart = self.items_added_to_cart.saturating_add(other.items_added_to_cart);
        self.items_checked_out = self.items_checked_out.saturating_add(other.items_checked_out);
        self.items_purchased = self.items_purchased.saturating_add(other.items_purchased);
        self.item_revenue_micros = self.item_revenue_micros.saturating_add(other.item_revenue_micros);
        true
    }
}

impl RefusalRow {
    /// The whole key, in its order.
    fn order(&self) -> (u16, &str, u16, u32, i32, &str) {
        let slot = hit::slot_of(&self.property);
        (slot, &self.property, self.local_date, self.minute, self.utc_offset_s, &self.reason)
    }

    fn absorb(&mut self, other: &mut Self) -> bool {
        self.hits = self.hits.saturating_add(other.hits);
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
