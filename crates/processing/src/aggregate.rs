//! Minute rows: the sums of what happened since the last seal.
//!
//! In: hits with their placement, sessions that are over, and hits that are not counted. Out: rows of all tables in their one normal form.
//! Every measure only grows, so the order in which hits and sessions come does not matter.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use foldhash::fast::RandomState;

use batch::{
    CustomSums, HitRow, ItemRow, MAX_ITEMS, MAX_REVENUE_MICROS, RefusalRow, RollupRows, RowKey, SessionRow,
    ValueRow,
};

use crate::handover::{
    Acquisition, ClosedSession, Dimensions, EnrichedHit, Item, ItemAction, ItemLine, MeasuredValue,
    Placement, Receipt, TrafficClass, TrafficReason, VisitorType,
};

/// Key of a hit row.
#[derive(Debug, PartialEq, Eq)]
struct HitKey {
    dimensions: Dimensions,
    acquisition: Arc<Acquisition>,
    event: Arc<str>,
    page_title: Arc<str>,
    currency: Option<Arc<str>>,
    custom: Arc<str>,
}

/// Key of a value row.
#[derive(Debug, PartialEq, Eq)]
struct ValueKey {
    dimensions: Dimensions,
    acquisition: Arc<Acquisition>,
    value: MeasuredValue,
}

/// Key of an item row.
#[derive(Debug, PartialEq, Eq)]
struct ItemKey {
    dimensions: Dimensions,
    acquisition: Arc<Acquisition>,
    item: Item,
    currency: Arc<str>,
    custom: Arc<str>,
}

/// Key of a session row.
#[derive(Debug, PartialEq, Eq)]
struct SessionKey {
    dimensions: Dimensions,
    acquisition: Arc<Acquisition>,
    exit_page: Arc<str>,
}

impl Hash for HitKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.currency.as_deref().unwrap_or_default().as_bytes());
        hash_key(&self.dimensions, &self.acquisition, &[&self.event, &self.custom, &self.page_title], state);
    }
}

impl Hash for ValueKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u32(self.value.value);
        hash_key(&self.dimensions, &self.acquisition, &[self.value.name], state);
    }
}

impl Hash for ItemKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_key(&self.dimensions, &self.acquisition, &self.texts(), state);
    }
}

impl ItemKey {
    /// The key beside the dimensions.
    fn texts(&self) -> [&str; 7] {
        let Item { id, name, brand, category, variant } = &self.item;
        [id, name, brand, category, variant, &self.currency, &self.custom]
    }
}

impl Hash for SessionKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_key(&self.dimensions, &self.acquisition, &[&self.exit_page], state);
    }
}

/// Hashes every text that clients make up, and what tells the others apart: keys that differ only in what is left out are few, whoever
/// sends them.
fn hash_key<H: Hasher>(dimensions: &Dimensions, acquisition: &Acquisition, beside: &[&str], state: &mut H) {
    let Dimensions { property, minute, page_path, hostname, place, client, traffic, .. } = dimensions;
    let Acquisition { source, medium, campaign, first_source, visitor_type } = acquisition;
    state.write_u32(*minute);
    state.write_u16(u16::from(*traffic as u8) << 8 | u16::from(*visitor_type as u8));
    let texts = [property, page_path, hostname, &place.country, &place.region, &place.city];
    let more = [
        &client.browser,
        &client.browser_version,
        &client.operating_system,
        source,
        medium,
        campaign,
        first_source,
    ];
    for text in texts.into_iter().chain(more) {
        state.write(text.as_bytes());
    }
    for text in beside {
        state.write(text.as_bytes());
    }
}

/// Measures of a hit row.
#[derive(Debug, Default)]
struct HitSums {
    page_views: u64,
    events: u64,
    sessions: u64,
    engagement_ms: u64,
    visitors: Vec<u64>,
    new_visitors: Vec<u64>,
    revenue_micros: u64,
    key_events: u64,
    custom_micros: CustomSums,
}

/// Measures of an item row.
#[derive(Debug, Default)]
struct ItemSums {
    lines: u64,
    viewed: u64,
    added_to_cart: u64,
    checked_out: u64,
    purchased: u64,
    revenue_micros: u64,
}

/// Measures of a session row.
#[derive(Debug, Default)]
struct SessionSums {
    sessions: u64,
    engaged_sessions: u64,
    page_views: u64,
    events: u64,
    duration_ms: u64,
}

/// The rows since the last seal.
#[derive(Default)]
pub struct Aggregator {
    hits: HashMap<HitKey, HitSums, RandomState>,
    sessions: HashMap<SessionKey, SessionSums, RandomState>,
    values: HashMap<ValueKey, u64, RandomState>,
    items: HashMap<ItemKey, ItemSums, RandomState>,
    /// By the reason as well.
    refusals: HashMap<(Receipt, &'static str), u64, RandomState>,
    /// Bytes of the strings and ids in them; ids that come twice count twice until a seal.
    bytes: usize,
}

impl Aggregator {
    /// Adds a hit to its row.
    pub fn add_hit(&mut self, hit: EnrichedHit, placement: Placement) {
        let opens_session = placement.opens_session;
        let is_new = hit.first_visit || (opens_session && !hit.has_client_id);
        for value in hit.values {
            self.add_value(&hit.dimensions, &placement.acquisition, value);
        }
        for line in hit.items {
            self.add_item(&hit.dimensions, &placement.acquisition, line);
        }
        let (currency, revenue_micros) = hit.revenue.map(|paid| (paid.currency, paid.micros)).unzip();
        let key = HitKey {
            dimensions: hit.dimensions,
            acquisition: placement.acquisition,
            event: hit.event,
            page_title: hit.page_title,
            currency,
            custom: hit.custom,
        };
        let sums = match self.hits.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let key = entry.key();
                self.bytes += key_bytes(&key.dimensions, &key.acquisition)
                    + key.event.len()
                    + key.page_title.len()
                    + key.custom.len();
                entry.insert(HitSums::default())
            }
        };
        sums.page_views += u64::from(hit.is_page_view);
        sums.events += 1;
        sums.sessions += u64::from(opens_session);
        sums.engagement_ms = sums.engagement_ms.saturating_add(hit.engagement_ms);
        self.bytes += push_id(&mut sums.visitors, hit.visitor_id);
        if is_new {
            self.bytes += push_id(&mut sums.new_visitors, hit.visitor_id);
        }
        let revenue = sums.revenue_micros.saturating_add(revenue_micros.unwrap_or(0));
        sums.revenue_micros = revenue.min(MAX_REVENUE_MICROS);
        sums.key_events += u64::from(hit.is_key_event);
        for (sum, more) in sums.custom_micros.iter_mut().zip(hit.custom_micros) {
            *sum = sum.saturating_add(more).min(MAX_REVENUE_MICROS);
        }
    }

    fn add_value(&mut self, dimensions: &Dimensions, acquisition: &Arc<Acquisition>, value: MeasuredValue) {
        let key = ValueKey { dimensions: dimensions.clone(), acquisition: Arc::clone(acquisition), value };
        let count = match self.values.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                self.bytes += key_bytes(dimensions, acquisition) + value.name.len();
                entry.insert(0)
            }
        };
        *count += 1;
    }

    fn add_item(&mut self, dimensions: &Dimensions, acquisition: &Arc<Acquisition>, line: ItemLine) {
        let key = ItemKey {
            dimensions: dimensions.clone(),
            acquisition: Arc::clone(acquisition),
            item: line.item,
            currency: line.currency,
            custom: line.custom,
        };
        let sums = match self.items.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let texts: usize = entry.key().texts().iter().map(|text| text.len()).sum();
                self.bytes += key_bytes(dimensions, acquisition) + texts;
                entry.insert(ItemSums::default())
            }
        };
        sums.lines += 1;
        let count = match line.action {
            ItemAction::Viewed => &mut sums.viewed,
            ItemAction::AddedToCart => &mut sums.added_to_cart,
            ItemAction::CheckedOut => &mut sums.checked_out,
            ItemAction::Purchased => &mut sums.purchased,
        };
        *count = count.saturating_add(line.quantity).min(MAX_ITEMS);
        let revenue = sums.revenue_micros.saturating_add(line.revenue_micros);
        sums.revenue_micros = revenue.min(MAX_REVENUE_MICROS);
    }

    /// Adds a session that is over to its row.
    pub fn add_session(&mut self, session: ClosedSession) {
        let key = SessionKey {
            dimensions: session.dimensions,
            acquisition: session.acquisition,
            exit_page: session.exit_page,
        };
        let sums = match self.sessions.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let key = entry.key();
                self.bytes += key_bytes(&key.dimensions, &key.acquisition) + key.exit_page.len();
                entry.insert(SessionSums::default())
            }
        };
        sums.sessions += 1;
        sums.engaged_sessions += u64::from(session.engaged);
        sums.page_views += session.page_views;
        sums.events += session.events;
        sums.duration_ms = sums.duration_ms.saturating_add(session.duration_ms);
    }

    /// Adds hits that are not counted to their row.
    pub fn add_refusals(&mut self, receipt: Receipt, reason: &'static str, hits: u64) {
        let sum = match self.refusals.entry((receipt, reason)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                self.bytes += entry.key().0.property.len() + reason.len();
                entry.insert(0)
            }
        };
        *sum = sum.saturating_add(hits);
    }

    /// Rows in all tables.
    pub fn rows(&self) -> u64 {
        let rows = self.hits.len()
            + self.sessions.len()
            + self.values.len()
            + self.items.len()
            + self.refusals.len();
        u64::try_from(rows).unwrap_or(u64::MAX)
    }

    /// Bytes of the strings and visitor ids in the rows, about what they take in a batch before compression.
    pub fn bytes(&self) -> u64 {
        u64::try_from(self.bytes).unwrap_or(u64::MAX)
    }

    /// The rows since the last call, normalized.
    pub fn take(&mut self) -> RollupRows {
        let mut rows = RollupRows {
            hits: self.hits.drain().map(hit_row).collect(),
            sessions: self.sessions.drain().map(session_row).collect(),
            values: self.values.drain().map(value_row).collect(),
            items: self.items.drain().map(item_row).collect(),
            refusals: self.refusals.drain().map(refusal_row).collect(),
        };
        rows.normalize();
        self.bytes = 0;
        rows
    }
}

/// Gives the bytes added. Most rows have one visitor who comes many times.
fn push_id(ids: &mut Vec<u64>, id: u64) -> usize {
    if ids.last() == Some(&id) {
        return 0;
    }
    ids.push(id);
    size_of::<u64>()
}

fn key_bytes(dimensions: &Dimensions, acquisition: &Acquisition) -> usize {
    let client = &dimensions.client;
    let texts = [
        &*dimensions.property,
        &*dimensions.page_path,
        &*dimensions.hostname,
        &*dimensions.place.country,
        &*dimensions.place.region,
        &*dimensions.place.city,
        &client.browser,
        &client.browser_version,
        &client.operating_system,
        &client.operating_system_version,
        &client.device,
        &client.device_brand,
        dimensions.traffic.as_str(),
        &acquisition.source,
        &acquisition.medium,
        &acquisition.campaign,
        &acquisition.first_source,
    ];
    texts.iter().map(|text| text.len()).sum()
}

fn set_of(mut ids: Vec<u64>) -> Vec<u64> {
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn hit_row((key, sums): (HitKey, HitSums)) -> HitRow {
    HitRow {
        key: row_key(key.dimensions, &key.acquisition),
        event_name: key.event,
        page_title: key.page_title,
        page_views: sums.page_views,
        events: sums.events,
        sessions: sums.sessions,
        engagement_ms: sums.engagement_ms,
        visitors: set_of(sums.visitors),
        new_visitors: set_of(sums.new_visitors),
        currency: key.currency.unwrap_or_default(),
        custom: key.custom,
        revenue_micros: sums.revenue_micros,
        key_events: sums.key_events,
        custom_micros: sums.custom_micros,
    }
}

fn value_row((key, count): (ValueKey, u64)) -> ValueRow {
    ValueRow {
        key: row_key(key.dimensions, &key.acquisition),
        name: key.value.name.into(),
        value: key.value.value,
        count,
    }
}

fn item_row((key, sums): (ItemKey, ItemSums)) -> ItemRow {
    let Item { id, name, brand, category, variant } = key.item;
    ItemRow {
        key: row_key(key.dimensions, &key.acquisition),
        item_id: id,
        item_name: name,
        item_brand: brand,
        item_category: category,
        item_variant: variant,
        currency: key.currency,
        custom: key.custom,
        lines: sums.lines,
        items_viewed: sums.viewed,
        items_added_to_cart: sums.added_to_cart,
        items_checked_out: sums.checked_out,
        items_purchased: sums.purchased,
        item_revenue_micros: sums.revenue_micros,
    }
}

fn refusal_row(((receipt, reason), hits): ((Receipt, &'static str), u64)) -> RefusalRow {
    let Receipt { property, local_date, minute, utc_offset_s } = receipt;
    RefusalRow { property, local_date, minute, utc_offset_s, reason: reason.into(), hits }
}

fn session_row((key, sums): (SessionKey, SessionSums)) -> SessionRow {
    SessionRow {
        key: row_key(key.dimensions, &key.acquisition),
        exit_page: key.exit_page,
        sessions: sums.sessions,
        engaged_sessions: sums.engaged_sessions,
        page_views: sums.page_views,
        events: sums.events,
        duration_ms: sums.duration_ms,
    }
}

fn row_key(dimensions: Dimensions, acquisition: &Acquisition) -> RowKey {
    let client = &dimensions.client;
    RowKey {
        property: dimensions.property,
        local_date: dimensions.local_date,
        minute: dimensions.minute,
        utc_offset_s: dimensions.utc_offset_s,
        traffic_class: text_of(dimensions.traffic.class()),
        page_path: dimensions.page_path,
        source: Arc::clone(&acquisition.source),
        medium: Arc::clone(&acquisition.medium),
        campaign: Arc::clone(&acquisition.campaign),
        country: Arc::clone(&dimensions.place.country),
        device: Arc::clone(&client.device),
        browser: Arc::clone(&client.browser),
        operating_system: Arc::clone(&client.operating_system),
        hostname: dimensions.hostname,
        region: Arc::clone(&dimensions.place.region),
        city: Arc::clone(&dimensions.place.city),
        browser_version: Arc::clone(&client.browser_version),
        operating_system_version: Arc::clone(&client.operating_system_version),
        device_brand: Arc::clone(&client.device_brand),
        traffic_reason: text_of_reason(dimensions.traffic),
        visitor_type: text_of_type(acquisition.visitor_type),
        first_source: Arc::clone(&acquisition.first_source),
    }
}

/// The class as rows share it.
fn text_of(class: TrafficClass) -> Arc<str> {
    static TEXTS: LazyLock<[Arc<str>; TrafficClass::ALL.len()]> =
        LazyLock::new(|| TrafficClass::ALL.map(|class| class.as_str().into()));
    Arc::clone(&TEXTS[class as usize])
}

/// Likewise.
fn text_of_reason(reason: TrafficReason) -> Arc<str> {
    static TEXTS: LazyLock<[Arc<str>; TrafficReason::ALL.len()]> =
        LazyLock::new(|| TrafficReason::ALL.map(|reason| reason.as_str().into()));
    Arc::clone(&TEXTS[reason as usize])
}

/// Likewise.
fn text_of_type(visitor_type: VisitorType) -> Arc<str> {
    static TEXTS: LazyLock<[Arc<str>; VisitorType::ALL.len()]> =
        LazyLock::new(|| VisitorType::ALL.map(|kind| kind.as_str().into()));
    Arc::clone(&TEXTS[visitor_type as usize])
}

#[cfg(test)]
mod tests;
