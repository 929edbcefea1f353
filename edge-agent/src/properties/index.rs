//! All properties at this moment, by what they are looked up by.
//!
//! The tables hold shared pointers alone; ids are compared where they lie. Invariant: a property is in both tables or in none.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use configuration::stored::quota::OverQuota;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use property::Property;

use super::stored::{Id, Rulebooks, Stored, id_of, measurement_id_of};

/// The properties in force.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Whether a version was read; it may have no property yet.
    is_filled: bool,
    hashes: RandomState,
    by_id: HashTable<Arc<Stored>>,
    by_measurement_id: HashTable<Arc<Stored>>,
    /// Of aliases and data streams, by the key of their record.
    keys: HashMap<Box<str>, Id, RandomState>,
    /// Those that have had all hits of a day.
    over_quota: HashMap<Id, OverQuota, RandomState>,
    rulebooks: Rulebooks,
}

impl Index {
    /// A version was read.
    pub(super) fn fill(&mut self) {
        self.is_filled = true;
    }

    pub(super) fn is_filled(&self) -> bool {
        self.is_filled
    }

    pub(super) fn by_id(&self, id: &Id) -> Option<&Arc<Stored>> {
        self.by_id.find(self.hashes.hash_one(id), |stored| stored.id() == id)
    }

    pub(super) fn by_measurement_id(&self, measurement_id: &str) -> Option<&Arc<Stored>> {
        let wanted = measurement_id_of(measurement_id)?;
        self.by_measurement_id.find(self.hashes.hash_one(wanted), |stored| *stored.measurement_id() == wanted)
    }

    /// The property of an alias or a data stream.
    pub(super) fn by_key(&self, key: &str) -> Option<&Arc<Stored>> {
        self.by_id(self.keys.get(key)?)
    }

    /// Puts a property in, or in the place of the one before.
    pub(super) fn set(&mut self, property: &Property) {
        let Some(stored) = Stored::new(property, &mut self.rulebooks) else { return };
        self.remove(&property.property_id);
        self.insert(Arc::new(stored));
    }

    fn insert(&mut self, stored: Arc<Stored>) {
        let (hash, hashes) = (self.hashes.hash_one(stored.id()), &self.hashes);
        self.by_id.insert_unique(hash, Arc::clone(&stored), |stored| hashes.hash_one(stored.id()));
        let hash = hashes.hash_one(stored.measurement_id());
        self.by_measurement_id.insert_unique(hash, stored, |stored| hashes.hash_one(stored.measurement_id()));
    }

    /// Takes a property out.
    pub(super) fn remove(&mut self, property_id: &str) {
        let Some(id) = id_of(property_id) else { return };
        let Ok(found) = self.by_id.find_entry(self.hashes.hash_one(id), |stored| *stored.id() == id) else {
            return;
        };
        let (stored, _) = found.remove();
        let hash = self.hashes.hash_one(stored.measurement_id());
        if let Ok(found) = self.by_measurement_id.find_entry(hash, |other| Arc::ptr_eq(other, &stored)) {
            found.remove();
        }
    }

    /// Puts an alias or a data stream in, or takes it out.
    pub(super) fn set_key(&mut self, key: &str, property_id: Option<&str>) {
        match property_id.and_then(id_of) {
            Some(id) => drop(self.keys.insert(key.into(), id)),
            None => drop(self.keys.remove(key)),
        }
    }

    /// What is known of the quota of a property.
    pub(super) fn over_quota(&self, id: &Id) -> Option<OverQuota> {
        self.over_quota.get(id).copied()
    }

    /// The property has had all hits of a day, or nothing is known of it any more.
    pub(super) fn set_over_quota(&mut self, property_id: &str, over: Option<OverQuota>) {
        match (id_of(property_id), over) {
            (Some(id), Some(over)) => drop(self.over_quota.insert(id, over)),
            (Some(id), None) => drop(self.over_quota.remove(&id)),
            (None, _) => {}
        }
    }

    /// Those that nobody asked for since the last call, without what was made of them.
    pub(super) fn idle(&self) -> Vec<Stored> {
        self.by_id.iter().filter_map(|stored| stored.without_traffic()).collect()
    }

    /// Puts one of these in its place, unless it was changed meanwhile.
    pub(super) fn replace_idle(&mut self, idle: Stored) {
        let idle = Arc::new(idle);
        let hashes = &self.hashes;
        let hash = hashes.hash_one(idle.id());
        let of_id =
            self.by_id.entry(hash, |stored| stored.id() == idle.id(), |stored| hashes.hash_one(stored.id()));
        let Entry::Occupied(mut of_id) = of_id else { return };
        if !of_id.get().is_like(&idle) {
            return;
        }
        let before = std::mem::replace(of_id.get_mut(), Arc::clone(&idle));
        let hash = hashes.hash_one(idle.measurement_id());
        if let Some(found) = self.by_measurement_id.find_mut(hash, |other| Arc::ptr_eq(other, &before)) {
            *found = idle;
        }
    }
}
