//! Slots by time: which one comes first, when most are prolonged before their time is up.
//!
//! Far times lie in buckets of 16 s without an order; a bucket is sorted when its time comes, and by then few of its
//! slots are still due in it. Invariants: the order is that of (time, session number), whatever the buckets are; an
//! entry never lies after the time it stands for.

use std::collections::{BTreeMap, BTreeSet};

use crate::sessionize::lists::{Lists, NONE};

/// A bucket is 2¹⁴ ms long.
const BUCKET_BITS: u32 = 14;

/// A slot and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    /// Unix milliseconds.
    pub(super) at_ms: u64,
    /// Of the session: decides among equals.
    pub(super) number: u64,
    pub(super) slot: u32,
}

/// Entries by time.
#[derive(Debug, Default)]
pub(super) struct Wheel {
    /// The first slot of each bucket that is not sorted yet.
    far: BTreeMap<u32, u32>,
    links: Lists,
    /// The entries of all buckets before `near_until`.
    near: BTreeSet<Entry>,
    near_until: u64,
}

impl Wheel {
    pub(super) fn insert(&mut self, entry: Entry) {
        let bucket = bucket_of(entry.at_ms);
        if u64::from(bucket) < self.near_until {
            self.near.insert(entry);
        } else {
            self.links.push(self.far.entry(bucket).or_insert(NONE), entry.slot);
        }
    }

    /// Takes out an entry, by the time it was put in with.
    pub(super) fn remove(&mut self, entry: Entry) {
        let bucket = bucket_of(entry.at_ms);
        if u64::from(bucket) < self.near_until {
            self.near.remove(&entry);
        } else if let Some(first) = self.far.get_mut(&bucket) {
            self.links.remove(first, entry.slot);
            if *first == NONE {
                self.far.remove(&bucket);
            }
        }
    }

    /// The first entry, if its time is not after `until_ms`. `refile` is asked for the entry of each slot whose bucket
    /// is sorted: it may lie later than where the slot was put.
    pub(super) fn first(
        &mut self,
        until_ms: u64,
        mut refile: impl FnMut(u32) -> Option<Entry>,
    ) -> Option<Entry> {
        loop {
            if let Some(first) = self.near.first() {
                return (first.at_ms <= until_ms).then_some(*first);
            }
            let (bucket, first) = self.far.first_key_value().map(|(bucket, first)| (*bucket, *first))?;
            if u64::from(bucket) << BUCKET_BITS > until_ms {
                return None;
            }
            self.far.remove(&bucket);
            self.near_until = u64::from(bucket) + 1;
            let slots: Vec<u32> = self.links.iter(first).collect();
            let mut first = first;
            for slot in slots {
                self.links.remove(&mut first, slot);
                if let Some(entry) = refile(slot) {
                    self.insert(entry);
                }
            }
        }
    }
}

/// The last bucket takes everything later, too.
fn bucket_of(at_ms: u64) -> u32 {
    u32::try_from(at_ms >> BUCKET_BITS).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
