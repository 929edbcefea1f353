//! What a hit finds its session by.
//!
//! A table of slots alone: the keys lie in the sessions. Few sessions are known by the ids of two days; the second one
//! is in a map beside the table. Invariant: a key names one slot.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::handover::TrafficClass;
use crate::sessionize::interner::SPARSE;

/// Whose session, of which class, and under which of the client's session ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    /// Id of the property among the interned ones.
    pub(super) property: u32,
    pub(super) traffic_class: TrafficClass,
    pub(super) visitor_id: u64,
    pub(super) session_id: Option<u64>,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let beside = u64::from(self.traffic_class as u8) << 1 | u64::from(self.session_id.is_some());
        state.write_u64(u64::from(self.property) << 8 | beside);
        state.write_u64(self.visitor_id);
        state.write_u64(self.session_id.unwrap_or(0));
    }
}

/// Slots by key.
#[derive(Debug, Default)]
pub(super) struct Keys {
    hashes: RandomState,
    /// By the first visitor id of their sessions.
    slots: HashTable<u32>,
    /// By the further ones.
    further: HashMap<Key, u32, RandomState>,
    /// The further ones of each slot that has some.
    visitors: HashMap<u32, Vec<u64>, RandomState>,
}

impl Keys {
    /// The slot of this key; `key_of` gives the key that a slot was put in with.
    pub(super) fn find(&self, key: &Key, key_of: impl Fn(u32) -> Option<Key>) -> Option<u32> {
        let is_same = |slot: &u32| key_of(*slot).as_ref() == Some(key);
        let found = self.slots.find(self.hashes.hash_one(key), is_same).copied();
        found.or_else(|| self.further.get(key).copied())
    }

    /// Puts in a slot, to be found by its key, which `key_of` gives from now on.
    pub(super) fn insert(&mut self, slot: u32, key: &Key, key_of: impl Fn(u32) -> Option<Key>) {
        let Self { hashes, slots, .. } = self;
        slots.insert_unique(hashes.hash_one(key), slot, |slot| hash_of(hashes, key_of(*slot)));
    }

    /// Makes a slot known by a further visitor id; whether it was not known by it before.
    pub(super) fn insert_further(&mut self, slot: u32, key: &Key, visitor_id: u64) -> bool {
        let of_slot = self.visitors.get(&slot);
        if visitor_id == key.visitor_id || of_slot.is_some_and(|known| known.contains(&visitor_id)) {
            return false;
        }
        self.visitors.entry(slot).or_default().push(visitor_id);
        self.further.insert(Key { visitor_id, ..*key }, slot);
        true
    }

    /// Takes a slot out with all its keys; `key_of` need not know it any more.
    pub(super) fn remove(&mut self, slot: u32, key: &Key, key_of: impl Fn(u32) -> Option<Key>) {
        let Self { hashes, slots, .. } = self;
        if let Ok(entry) = slots.find_entry(hashes.hash_one(key), |found| *found == slot) {
            entry.remove();
        }
        if slots.len() * SPARSE < slots.capacity() {
            slots.shrink_to(2 * slots.len(), |slot| hash_of(hashes, key_of(*slot)));
        }
        if self.visitors.is_empty() {
            return;
        }
        for visitor_id in self.visitors.remove(&slot).unwrap_or_default() {
            self.further.remove(&Key { visitor_id, ..*key });
        }
    }

    /// The visitor ids of a slot, the one of its key first.
    pub(super) fn visitors(&self, slot: u32, key: &Key) -> Vec<u64> {
        let mut visitors = vec![key.visitor_id];
        visitors.extend(self.visitors.get(&slot).into_iter().flatten());
        visitors
    }
}

fn hash_of(hashes: &RandomState, key: Option<Key>) -> u64 {
    key.map_or(0, |key| hashes.hash_one(key))
}
