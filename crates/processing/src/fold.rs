//! Folding: a property with very many page paths, titles, hosts, custom values or items in one local hour gets `(other)` for those that come new.
//!
//! In: enriched hits. Out: the same, each of these texts folded when the limit of its property and local hour is
//! reached. An hour's count begins with its first hit and is forgotten 26 h of received time later (a live hit of
//! that hour has long come by then; a later one begins a new count), or earlier when all counts together reach
//! their memory limit: the one that began first goes first. Texts are kept as 64-bit hashes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hasher;
use std::sync::Arc;

use batch::CUSTOM_SEPARATOR;
use foldhash::fast::RandomState;
use siphasher::sip::SipHasher24;

use crate::handover::{Dimensions, Item, ItemLine};
use crate::limits::Limits;

/// What stands for the pages beyond the limit.
pub const OTHER: &str = "(other)";
/// Memory of one counted path, bytes: its hash in a set that grows by doubling, and its share of the hour's entry.
pub const BYTES_PER_PAGE: u64 = 32;
/// How long an hour's count is kept after it began, milliseconds of received time.
const KEPT_MS: u64 = 26 * 3_600_000;

/// The pages of one property and local hour.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hour {
    property: Arc<str>,
    /// Hours since 1970-01-01T00 on the property's wall clock.
    local_hour: i64,
    began_at_ms: u64,
    pages: HashSet<u64, RandomState>,
    /// Pages added since the last seal.
    fresh: Vec<u64>,
}

/// Pages counted per property and local hour.
pub struct PageCounts {
    max_pages_per_hour: u64,
    max_pages: u64,
    /// By number, which counts hours in the order they began.
    hours: BTreeMap<u64, Hour>,
    /// Local hour and number of each property's hours: one or two of them.
    numbers: HashMap<Arc<str>, Vec<(i64, u64)>, RandomState>,
    next_number: u64,
    pages: u64,
    /// Numbers with fresh pages.
    dirty: BTreeSet<u64>,
    /// Numbers of hours that were forgotten before their turn since the last seal.
    gone: Vec<u64>,
    other: Arc<str>,
}

/// What changed in one hour, or the whole of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HourChange {
    /// Number of the hour.
    pub number: u64,
    /// Property id.
    pub property: Arc<str>,
    /// Hours since 1970-01-01T00 on the property's wall clock.
    pub local_hour: i64,
    /// Received time of its first hit, unix milliseconds.
    pub began_at_ms: u64,
    /// Hashes of the paths to add.
    pub pages: Vec<u64>,
}

/// What changed since a seal, or everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageChange {
    /// Number of the oldest hour that is still kept.
    pub oldest: u64,
    /// Number that the next hour gets.
    pub next_number: u64,
    /// Hours with new pages, by number.
    pub hours: Vec<HourChange>,
    /// Numbers of hours that were forgotten before their turn, in order.
    pub gone: Vec<u64>,
}

impl PageCounts {
    /// Nothing counted yet.
    pub fn new(limits: &Limits) -> Self {
        Self {
            max_pages_per_hour: limits.max_pages_per_property_hour.max(1),
            max_pages: (limits.page_window_bytes / BYTES_PER_PAGE).max(1),
            hours: BTreeMap::new(),
            numbers: HashMap::default(),
            next_number: 0,
            pages: 0,
            dirty: BTreeSet::new(),
            gone: Vec::new(),
            other: OTHER.into(),
        }
    }

    /// Forgets the counts that began 26 h before this received time; to be called before the hits of a block.
    pub fn begin_block(&mut self, received_at_ms: u64) {
        while let Some((_, hour)) = self.hours.first_key_value()
            && received_at_ms.saturating_sub(hour.began_at_ms) >= KEPT_MS
        {
            self.forget_oldest();
        }
    }

    /// Replaces the page path, its title, the host, the values of custom dimensions as a whole, and all that is said of an item, when
    /// their property has too many in this local hour. All count to one limit.
    pub fn fold(
        &mut self,
        dimensions: &mut Dimensions,
        page_title: &mut Arc<str>,
        custom: &mut Arc<str>,
        items: &mut [ItemLine],
        received_at_ms: u64,
    ) {
        let number = self.hour_of(dimensions, received_at_ms);
        if !self.has_room(number, hash_of("", &dimensions.page_path)) {
            dimensions.page_path = Arc::clone(&self.other);
        }
        if !dimensions.hostname.is_empty() && !self.has_room(number, hash_of("host", &dimensions.hostname)) {
            dimensions.hostname = Arc::clone(&self.other);
        }
        if !page_title.is_empty() && !self.has_room(number, hash_of("title", page_title)) {
            *page_title = Arc::clone(&self.other);
        }
        self.fold_custom(number, custom);
        for line in items {
            if !self.has_room(number, hash_of_item(&line.item)) {
                let other = || Arc::clone(&self.other);
                let (id, name, brand) = (other(), other(), other());
                line.item = Item { id, name, brand, category: other(), variant: other() };
            }
            self.fold_custom(number, &mut line.custom);
        }
    }

    fn fold_custom(&mut self, number: u64, custom: &mut Arc<str>) {
        if !custom.is_empty() && !self.has_room(number, hash_of("custom", custom)) {
            let values =
                custom.split(CUSTOM_SEPARATOR).map(|value| if value.is_empty() { "" } else { OTHER });
            *custom = values.collect::<Vec<_>>().join(&CUSTOM_SEPARATOR.to_string()).into();
        }
    }

    /// Whether a text may have rows of its own in this hour; counts it then.
    fn has_room(&mut self, number: u64, text: u64) -> bool {
        let Some(hour) = self.hours.get_mut(&number) else { return true };
        if hour.pages.contains(&text) {
            return true;
        }
        if count(hour.pages.len()) >= self.max_pages_per_hour {
            return false;
        }
        hour.pages.insert(text);
        hour.fresh.push(text);
        self.dirty.insert(number);
        self.pages += 1;
        self.shrink();
        true
    }

    /// Paths counted in all hours.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// What changed since the last call.
    pub fn take_change(&mut self) -> PageChange {
        let mut hours = Vec::new();
        for number in std::mem::take(&mut self.dirty) {
            if let Some(hour) = self.hours.get_mut(&number) {
                let pages = std::mem::take(&mut hour.fresh);
                hours.push(hour.change(number, pages));
            }
        }
        let mut gone = std::mem::take(&mut self.gone);
        gone.sort_unstable();
        PageChange { gone, ..self.change(hours) }
    }

    /// Everything.
    pub fn whole(&self) -> PageChange {
        let all = self.hours.iter();
        self.change(
            all.map(|(number, hour)| {
                let mut pages: Vec<u64> = hour.pages.iter().copied().collect();
                pages.sort_unstable();
                hour.change(*number, pages)
            })
            .collect(),
        )
    }

    /// Puts in a change (or everything) that was taken after the state here.
    pub fn apply(&mut self, change: &PageChange) {
        while self.hours.first_key_value().is_some_and(|(number, _)| *number < change.oldest) {
            self.forget_oldest();
        }
        change.gone.iter().for_each(|number| self.forget(*number));
        self.next_number = change.next_number;
        for from in &change.hours {
            self.name(&from.property, from.local_hour, from.number);
            let hour = self.hours.entry(from.number).or_insert_with(|| Hour {
                property: Arc::clone(&from.property),
                local_hour: from.local_hour,
                began_at_ms: from.began_at_ms,
                pages: HashSet::default(),
                fresh: Vec::new(),
            });
            for page in &from.pages {
                self.pages += u64::from(hour.pages.insert(*page));
            }
        }
    }

    /// Forgets the oldest hours until the memory limit is kept; the hour that began last always stays.
    pub fn shrink(&mut self) {
        while self.pages > self.max_pages && self.hours.len() > 1 {
            self.forget_oldest();
        }
    }

    fn change(&self, hours: Vec<HourChange>) -> PageChange {
        let oldest = self.hours.first_key_value().map_or(self.next_number, |(number, _)| *number);
        PageChange { oldest, next_number: self.next_number, hours, gone: Vec::new() }
    }

    fn hour_of(&mut self, dimensions: &Dimensions, received_at_ms: u64) -> u64 {
        let local_s = i64::from(dimensions.minute) * 60 + i64::from(dimensions.utc_offset_s);
        let local_hour = local_s.div_euclid(3600);
        let known = self.numbers.get(&dimensions.property).map(Vec::as_slice).unwrap_or_default();
        if let Some((_, number)) = known.iter().rev().find(|(hour, _)| *hour == local_hour) {
            return *number;
        }
        let number = self.next_number;
        self.next_number += 1;
        let hour = Hour {
            property: Arc::clone(&dimensions.property),
            local_hour,
            began_at_ms: received_at_ms,
            pages: HashSet::default(),
            fresh: Vec::new(),
        };
        self.hours.insert(number, hour);
        self.name(&dimensions.property, local_hour, number);
        number
    }

    /// Makes an hour findable.
    fn name(&mut self, property: &Arc<str>, local_hour: i64, number: u64) {
        let named = self.numbers.entry(Arc::clone(property)).or_default();
        if !named.contains(&(local_hour, number)) {
            named.push((local_hour, number));
        }
    }

    /// Forgets what was counted of a property.
    pub fn forget_property(&mut self, property: &str) {
        for (_, number) in self.numbers.get(property).cloned().unwrap_or_default() {
            self.forget(number);
            self.gone.push(number);
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(number) = self.hours.first_key_value().map(|(number, _)| *number) {
            self.forget(number);
        }
    }

    fn forget(&mut self, number: u64) {
        if let Some(hour) = self.hours.remove(&number) {
            self.pages -= count(hour.pages.len());
            self.dirty.remove(&number);
            if let Some(named) = self.numbers.get_mut(&hour.property) {
                named.retain(|(_, named)| *named != number);
                if named.is_empty() {
                    self.numbers.remove(&hour.property);
                }
            }
        }
    }
}

impl Hour {
    fn change(&self, number: u64, pages: Vec<u64>) -> HourChange {
        HourChange {
            number,
            property: Arc::clone(&self.property),
            local_hour: self.local_hour,
            began_at_ms: self.began_at_ms,
            pages,
        }
    }
}

/// Of a text; `kind` tells texts apart that are none of a page.
fn hash_of(kind: &str, text: &str) -> u64 {
    let mut hasher = SipHasher24::new();
    hasher.write(kind.as_bytes());
    hasher.write(text.as_bytes());
    hasher.finish()
}

/// Of all that is said of an item.
fn hash_of_item(item: &Item) -> u64 {
    let Item { id, name, brand, category, variant } = item;
    let mut hasher = SipHasher24::new();
    hasher.write(b"item");
    for text in [id, name, brand, category, variant] {
        hasher.write(text.as_bytes());
        // No text has this byte.
        hasher.write_u8(0xff);
    }
    hasher.finish()
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
