//! What reports must say: the generator's own count of acknowledged hits.
//!
//! A hit counts for the local day of its event time, which only the edge knows to the millisecond: it lies between the
//! moments the request left and was answered. Where midnight lies between them the hit is counted as of either day.

use std::collections::HashMap;

use crate::generate::{Counted, Request};

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// Hits of one property, day, event and class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Number of the property.
    pub property: u32,
    /// Days since 1970-01-01, UTC.
    pub day: i32,
    /// Number of the event.
    pub event: u8,
    /// Sent by a crawler.
    pub is_bot: bool,
}

/// Counts by key.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    counts: HashMap<Key, u64>,
    /// Hits that belong to this day or to the one after it.
    either: HashMap<Key, u64>,
    /// Hits acknowledged, repeats not counted.
    pub hits: u64,
    /// Hits acknowledged that were repeats.
    pub repeats: u64,
}

impl Tally {
    /// Counts a request that left and was acknowledged at these times (unix milliseconds).
    pub fn acknowledged(&mut self, request: &Request, left_ms: i64, answered_ms: i64) {
        self.hits += request.counted.len() as u64;
        self.repeats += u64::from(request.hits) - request.counted.len() as u64;
        for hit in &request.counted {
            let key = |at_ms: i64| Key { day: day(at_ms, hit), ..Key::of(request.property, hit) };
            let (earliest, latest) = (key(left_ms), key(answered_ms));
            let counts = if earliest == latest { &mut self.counts } else { &mut self.either };
            *counts.entry(earliest).or_default() += 1;
        }
    }

    /// Adds the counts of another thread.
    pub fn absorb(&mut self, other: Self) {
        for (key, count) in other.counts {
            *self.counts.entry(key).or_default() += count;
        }
        for (key, count) in other.either {
            *self.either.entry(key).or_default() += count;
        }
        self.hits += other.hits;
        self.repeats += other.repeats;
    }

    /// Numbers of the properties with hits, ascending, each once.
    pub fn properties(&self) -> Vec<u32> {
        let mut all: Vec<u32> =
            self.counts.keys().chain(self.either.keys()).map(|key| key.property).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// What each property must show.
    pub fn by_property(&self) -> HashMap<u32, Expected> {
        let mut all: HashMap<u32, Expected> = HashMap::new();
        for (key, count) in &self.counts {
            *all.entry(key.property).or_default().sure.entry(*key).or_default() += count;
        }
        for (key, count) in &self.either {
            *all.entry(key.property).or_default().either.entry(*key).or_default() += count;
        }
        all
    }
}

/// What one property must show.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// Hits of a certain day.
    pub sure: HashMap<Key, u64>,
    /// Hits of this day or the next.
    pub either: HashMap<Key, u64>,
}

impl Expected {
    /// How `reported` differs: a sentence per key; empty when it does not.
    pub fn differences(&self, reported: &HashMap<Key, u64>) -> Vec<String> {
        let mut keys: Vec<Key> =
            self.sure.keys().chain(self.either.keys()).chain(reported.keys()).copied().collect();
        keys.extend(self.either.keys().map(|key| key.next_day()));
        keys.sort_unstable();
        keys.dedup();
        let mut left: HashMap<Key, u64> = self.either.clone();
        let mut differences = Vec::new();
        // Days ascend within an event and class: what the day before did not take is what this one may.
        for key in keys {
            let sure = self.sure.get(&key).copied().unwrap_or(0);
            let has = reported.get(&key).copied().unwrap_or(0);
            let must = key.day_before().and_then(|before| left.get(&before)).copied().unwrap_or(0);
            let may = left.get(&key).copied().unwrap_or(0);
            if has < sure + must || has > sure + must + may {
                differences.push(format!("{key}: acknowledged {}, reported {has}", sure + must));
                continue;
            }
            if let Some(rest) = left.get_mut(&key) {
                *rest -= has - sure - must;
            }
        }
        differences
    }
}

impl Key {
    fn of(property: u32, hit: &Counted) -> Self {
        Self { property, day: 0, event: hit.event, is_bot: hit.is_bot }
    }

    fn next_day(self) -> Self {
        Self { day: self.day + 1, ..self }
    }

    fn day_before(self) -> Option<Self> {
        Some(Self { day: self.day.checked_sub(1)?, ..self })
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let date = jiff::civil::date(1970, 1, 1).saturating_add(jiff::Span::new().days(self.day));
        let class = if self.is_bot { "bot" } else { "human" };
        write!(formatter, "{date} {} {class}", crate::generate::event_name(self.event))
    }
}

fn day(at_ms: i64, hit: &Counted) -> i32 {
    i32::try_from((at_ms - i64::from(hit.age_ms)).div_euclid(DAY_MS)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 20_000 * DAY_MS + DAY_MS / 2;

    fn request(hits: u32) -> Request {
        let hit = Counted { event: 0, is_bot: false, age_ms: 0 };
        let counted = vec![hit; hits as usize];
        Request { property: 3, body: bytes::Bytes::new(), agent: 0, address: [0; 4], counted, hits }
    }

    fn key(day: i32) -> Key {
        Key { property: 3, day, event: 0, is_bot: false }
    }

    #[test]
    fn one_hit_more_or_less_is_a_difference() {
        let mut tally = Tally::default();
        tally.acknowledged(&request(5), NOON, NOON + 3);
        let expected = &tally.by_property()[&3];
        assert!(expected.differences(&HashMap::from([(key(20_000), 5)])).is_empty());
        for wrong in [4, 6] {
            let differences = expected.differences(&HashMap::from([(key(20_000), wrong)]));
            assert_eq!(
                differences,
                [format!("2024-10-04 page_view human: acknowledged 5, reported {wrong}")]
            );
        }
        assert_eq!(expected.differences(&HashMap::from([(key(20_000), 5), (key(20_001), 1)])).len(), 1);
        assert_eq!(expected.differences(&HashMap::new()).len(), 1);
    }

    #[test]
    fn hits_answered_after_midnight_count_for_one_of_both_days() {
        let midnight = 20_001 * DAY_MS;
        let mut tally = Tally::default();
        tally.acknowledged(&request(2), midnight - 9, midnight - 5);
        tally.acknowledged(&request(3), midnight - 2, midnight + 2);
        tally.acknowledged(&request(4), midnight + 3, midnight + 4);
        let expected = &tally.by_property()[&3];
        for (before, after, good) in
            [(2, 7, true), (5, 4, true), (3, 6, true), (3, 7, false), (1, 8, false), (6, 3, false)]
        {
            let reported = HashMap::from([(key(20_000), before), (key(20_001), after)]);
            assert_eq!(expected.differences(&reported).is_empty(), good, "{before} and {after}");
        }
    }
}
