//! Hits of known properties that collect did not take, on their way into the next block.
//!
//! In: one after the other, from all accept threads. Out: counts by property, version of its rules and reason, taken by the
//! committer. They are no hits: nobody was told that they are kept, so a crash loses those that are in no block yet; what is in a
//! block is counted once. Bounded in keys; what finds no room is counted as left out. Invariant: a count is here or in a block, never in both.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hit::{Refusals, block};
use prometheus_client::metrics::counter::Counter;

/// Properties, versions and reasons that may wait at once; some 100 bytes each.
pub(crate) const KEYS: usize = 10_000;

/// What waits; shared by all accept threads and the committer.
#[derive(Debug)]
pub(crate) struct RefusedHits {
    limit: usize,
    waiting: Mutex<Refused>,
    /// Hits that found no room.
    left_out: Counter,
}

/// Counts of refused hits.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Refused {
    keys: usize,
    /// By property: it has few versions and reasons, and is found without a copy of its id.
    by_property: HashMap<String, Vec<Count>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Count {
    rules_version: u32,
    reason: &'static str,
    hits: u64,
}

impl RefusedHits {
    /// Room for so many keys; what finds none is counted in `left_out`.
    pub(crate) fn new(limit: usize, left_out: Counter) -> Self {
        Self { limit, waiting: Mutex::default(), left_out }
    }

    /// Counts hits of a property, refused under this version of its rules.
    pub(crate) fn add(&self, property_id: &str, rules_version: u32, reason: &'static str, hits: u64) {
        if !self.lock().add(property_id, Count { rules_version, reason, hits }, self.limit) {
            self.left_out.inc_by(hits);
        }
    }

    /// Whether there is something to take.
    pub(crate) fn are_waiting(&self) -> bool {
        self.lock().keys > 0
    }

    /// Takes all for a block.
    pub(crate) fn take(&self) -> Refused {
        std::mem::take(&mut *self.lock())
    }

    /// Brings back what was taken for a block that was not written. It has had its room: the limit does not count again.
    pub(crate) fn put_back(&self, refused: Refused) {
        let mut waiting = self.lock();
        for (property_id, counts) in refused.by_property {
            for count in counts {
                waiting.add(&property_id, count, usize::MAX);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Refused> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Refused {
    /// Appends them to an encoded `BlockBody`.
    pub(crate) fn push_to(&self, body: &mut Vec<u8>) {
        for (property_id, counts) in &self.by_property {
            for count in counts {
                let refusals = Refusals {
                    property_id: property_id.clone(),
                    rules_version: count.rules_version,
                    reason: count.reason.to_owned(),
                    count: count.hits,
                };
                block::push_refusals(body, &refusals);
            }
        }
    }

    /// `false`: there is no room for another key.
    fn add(&mut self, property_id: &str, added: Count, limit: usize) -> bool {
        let counts = self.by_property.get_mut(property_id);
        let same =
            |count: &&mut Count| count.reason == added.reason && count.rules_version == added.rules_version;
        match counts {
            Some(counts) => {
                if let Some(known) = counts.iter_mut().find(same) {
                    known.hits = known.hits.saturating_add(added.hits);
                    return true;
                }
                if self.keys >= limit {
                    return false;
                }
                counts.push(added);
            }
            None if self.keys >= limit => return false,
            None => {
                self.by_property.insert(property_id.to_owned(), vec![added]);
            }
        }
        self.keys += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use hit::BlockBody;
    use prost::Message as _;

    use super::*;

    /// `property version reason hits`, in order.
    fn shown(refused: &Refused) -> Vec<String> {
        let mut body = Vec::new();
        refused.push_to(&mut body);
        let refusals = BlockBody::decode(body.as_slice()).unwrap().refusals;
        let line = |r: &Refusals| format!("{} {} {} {}", r.property_id, r.rules_version, r.reason, r.count);
        let mut lines: Vec<String> = refusals.iter().map(line).collect();
        lines.sort();
        lines
    }

    #[test]
    fn counts_wait_by_property_version_and_reason_and_are_taken_once() {
        let refused = RefusedHits::new(10, Counter::default());
        assert!(!refused.are_waiting());
        refused.add("p_a", 1, "too_old", 1);
        refused.add("p_a", 1, "too_old", 2);
        refused.add("p_a", 2, "too_old", 4);
        refused.add("p_b", 1, "kind", 8);
        refused.add("p_a", 1, "kind", 16);
        assert!(refused.are_waiting());
        let taken = refused.take();
        assert_eq!(shown(&taken), ["p_a 1 kind 16", "p_a 1 too_old 3", "p_a 2 too_old 4", "p_b 1 kind 8"]);
        assert!(!refused.are_waiting());
        assert_eq!(refused.take(), Refused::default());
        refused.add("p_b", 1, "kind", 1);
        refused.put_back(taken);
        let again = refused.take();
        assert_eq!(shown(&again), ["p_a 1 kind 16", "p_a 1 too_old 3", "p_a 2 too_old 4", "p_b 1 kind 9"]);
    }

    #[test]
    fn what_finds_no_room_is_counted_as_left_out() {
        let left_out = Counter::default();
        let refused = RefusedHits::new(2, left_out.clone());
        for (property, reason, hits) in [
            ("p_a", "kind", 1),
            ("p_b", "kind", 1),
            ("p_c", "kind", 5),
            ("p_a", "too_old", 7),
            ("p_a", "kind", 1),
        ] {
            refused.add(property, 1, reason, hits);
        }
        assert_eq!(left_out.get(), 12);
        let taken = refused.take();
        assert_eq!(shown(&taken), ["p_a 1 kind 2", "p_b 1 kind 1"]);
        // Room again, and what comes back needs none.
        refused.add("p_c", 1, "kind", 1);
        refused.put_back(taken);
        assert_eq!(shown(&refused.take()), ["p_a 1 kind 2", "p_b 1 kind 1", "p_c 1 kind 1"]);
        assert_eq!(left_out.get(), 12);
    }
}
