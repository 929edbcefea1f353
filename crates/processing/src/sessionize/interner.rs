//! Values that many sessions share, each kept once and named by a small id for as long as a session uses it.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::sessionize::slab::{Slab, Vacant};

/// Tables that are less than one part in so many full give memory back.
pub(super) const SPARSE: usize = 8;

#[derive(Debug)]
struct Shared<T> {
    value: Option<T>,
    users: u64,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self { value: None, users: 0 }
    }
}

impl<T> Vacant for Shared<T> {
    fn is_vacant(&self) -> bool {
        self.value.is_none()
    }
}

/// The values in use.
#[derive(Debug)]
pub(super) struct Interner<T> {
    values: Slab<Shared<T>>,
    ids: HashTable<u32>,
    hashes: RandomState,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self { values: Slab::default(), ids: HashTable::new(), hashes: RandomState::default() }
    }
}

impl<T: Eq + Hash> Interner<T> {
    /// The id of a value, if it is in use.
    pub(super) fn find<Q: Eq + Hash + ?Sized>(&self, value: &Q) -> Option<u32>
    where
        T: Borrow<Q>,
    {
        let is_same = |id: &u32| self.get(*id).is_some_and(|found| found.borrow() == value);
        self.ids.find(self.hashes.hash_one(value), is_same).copied()
    }

    /// The id of a value, used once more from now on; `None` when there are 2³² different ones.
    pub(super) fn intern(&mut self, value: T) -> Option<u32> {
        if let Some(id) = self.find(&value) {
            self.values.get_mut(id)?.users += 1;
            return Some(id);
        }
        let hash = self.hashes.hash_one(&value);
        let id = self.values.insert(Shared { value: Some(value), users: 1 })?;
        let Self { values, ids, hashes } = self;
        ids.insert_unique(hash, id, |id| hash_of(values, hashes, *id));
        Some(id)
    }

    /// Says that one user needs the value no more.
    pub(super) fn release(&mut self, id: u32) {
        let Some(shared) = self.values.get_mut(id) else { return };
        shared.users -= 1;
        if shared.users > 0 {
            return;
        }
        let Some(value) = self.values.remove(id).and_then(|shared| shared.value) else { return };
        let Self { values, ids, hashes } = self;
        if let Ok(entry) = ids.find_entry(hashes.hash_one(&value), |found| *found == id) {
            entry.remove();
        }
        if ids.len() * SPARSE < ids.capacity() {
            ids.shrink_to(2 * ids.len(), |id| hash_of(values, hashes, *id));
        }
    }

    pub(super) fn get(&self, id: u32) -> Option<&T> {
        self.values.get(id)?.value.as_ref()
    }
}

fn hash_of<T: Hash>(values: &Slab<Shared<T>>, hashes: &RandomState, id: u32) -> u64 {
    values.get(id).and_then(|shared| shared.value.as_ref()).map_or(0, |value| hashes.hash_one(value))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn value_is_kept_once_and_for_as_long_as_it_is_used() {
        let mut texts: Interner<Arc<str>> = Interner::default();
        let a = texts.intern("a".into()).unwrap();
        let b = texts.intern("b".into()).unwrap();
        assert_eq!(texts.intern("a".into()), Some(a));
        assert_eq!((texts.find("a"), texts.find("b"), texts.find("c")), (Some(a), Some(b), None));
        texts.release(a);
        assert_eq!(texts.get(a).map(|text| &**text), Some("a"));
        texts.release(a);
        assert_eq!((texts.get(a), texts.find("a"), texts.find("b")), (None, None, Some(b)));
    }

    #[test]
    fn memory_is_given_back() {
        let mut numbers: Interner<u64> = Interner::default();
        let ids: Vec<u32> = (0..10_000).map(|number| numbers.intern(number).unwrap()).collect();
        for (id, number) in ids.iter().zip(0..) {
            assert_eq!((numbers.find(&number), numbers.get(*id)), (Some(*id), Some(&number)));
        }
        ids.iter().skip(1).for_each(|id| numbers.release(*id));
        assert!(numbers.ids.capacity() < 100);
        assert_eq!(numbers.find(&0), Some(ids[0]));
        numbers.release(ids[0]);
        assert_eq!(numbers.values.len(), 0);
    }
}
