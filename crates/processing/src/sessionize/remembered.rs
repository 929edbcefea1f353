//! Closed sessions that a client's session id may still name.

use std::sync::Arc;

use crate::handover::{Acquisition, TrafficClass};
use crate::sessionize::index::Remembered;
use crate::sessionize::interned::Interned;
use crate::sessionize::keys::{Key, Keys};
use crate::sessionize::slab::{Slab, Vacant};
use crate::sessionize::wheel::{Entry, Wheel};

/// A remembered session.
#[derive(Debug, Default)]
struct Note {
    number: u64,
    visitor_id: u64,
    session_id: u64,
    forgotten_at_ms: u64,
    property: u32,
    acquisition: u32,
    traffic_class: TrafficClass,
    is_taken: bool,
    is_dirty: bool,
}

impl Vacant for Note {
    fn is_vacant(&self) -> bool {
        !self.is_taken
    }
}

impl Note {
    fn key(&self) -> Key {
        Key {
            property: self.property,
            traffic_class: self.traffic_class,
            visitor_id: self.visitor_id,
            session_id: Some(self.session_id),
        }
    }

    fn entry(&self, slot: u32) -> Entry {
        Entry { at_ms: self.forgotten_at_ms, number: self.number, slot }
    }
}

/// Remembered sessions, by slot.
#[derive(Debug, Default)]
pub(super) struct RememberedSessions {
    notes: Slab<Note>,
    keys: Keys,
    forgotten: Wheel,
    /// Slots of what changed since the last seal, some of them twice, or free again.
    dirty: Vec<u32>,
}

impl RememberedSessions {
    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.notes.len()).unwrap_or(u64::MAX)
    }

    pub(super) fn find(&self, key: &Key) -> Option<u32> {
        self.keys.find(key, key_of(&self.notes))
    }

    pub(super) fn acquisition(&self, slot: u32, interned: &Interned) -> Option<Arc<Acquisition>> {
        interned.acquisitions.get(self.notes.get(slot)?.acquisition).cloned()
    }

    /// Puts in a session; gives its slot, or `None` when there is no room for further ones.
    pub(super) fn insert(&mut self, session: &Remembered, interned: &mut Interned) -> Option<u32> {
        let note = Note {
            number: session.number,
            visitor_id: session.visitors.first().copied().unwrap_or(0),
            session_id: session.session_id,
            forgotten_at_ms: session.forgotten_at_ms,
            property: interned.properties.intern(session.property.clone())?,
            acquisition: interned.acquisitions.intern(session.acquisition.clone())?,
            is_taken: true,
            traffic_class: session.traffic_class,
            is_dirty: true,
        };
        let key = note.key();
        let slot = self.notes.insert(note)?;
        self.keys.insert(slot, &key, key_of(&self.notes));
        for visitor_id in session.visitors.iter().skip(1) {
            self.keys.insert_further(slot, &key, *visitor_id);
        }
        self.forgotten.insert(Entry { at_ms: session.forgotten_at_ms, number: session.number, slot });
        self.dirty.push(slot);
        Some(slot)
    }

    /// Makes a session known by a further visitor id.
    pub(super) fn also_known_as(&mut self, slot: u32, visitor_id: u64) {
        let Some(note) = self.notes.get_mut(slot) else { return };
        if self.keys.insert_further(slot, &note.key(), visitor_id) && !note.is_dirty {
            note.is_dirty = true;
            self.dirty.push(slot);
        }
    }

    /// The session that is forgotten first, if it is at this received time.
    pub(super) fn first_forgotten(&mut self, received_at_ms: u64) -> Option<u32> {
        let Self { notes, forgotten, .. } = self;
        let refile = |slot| notes.get(slot).map(|note| note.entry(slot));
        forgotten.first(received_at_ms, refile).map(|entry| entry.slot)
    }

    /// Takes a session out; gives its number.
    pub(super) fn remove(&mut self, slot: u32, interned: &mut Interned) -> Option<u64> {
        let note = self.notes.remove(slot)?;
        self.keys.remove(slot, &note.key(), key_of(&self.notes));
        self.forgotten.remove(note.entry(slot));
        interned.properties.release(note.property);
        interned.acquisitions.release(note.acquisition);
        Some(note.number)
    }

    /// Slots of a property's sessions that are known by such ids, in no order.
    pub(super) fn of_visitors(&self, property: u32, is_meant: impl Fn(u64) -> bool) -> Vec<u32> {
        let of_property = self.notes.slots().filter(|slot| {
            let key = self.notes.get(*slot).filter(|note| note.property == property).map(Note::key);
            key.is_some_and(|key| self.keys.visitors(*slot, &key).into_iter().any(&is_meant))
        });
        of_property.collect()
    }

    /// The visitor ids that a session is known by.
    pub(super) fn visitors(&self, slot: u32) -> Vec<u64> {
        self.notes.get(slot).map_or_else(Vec::new, |note| self.keys.visitors(slot, &note.key()))
    }

    /// Every session, in no order.
    pub(super) fn all<'a>(&'a self, interned: &'a Interned) -> impl Iterator<Item = Remembered> + 'a {
        self.notes.slots().filter_map(|slot| self.session(slot, interned))
    }

    /// Number and slot of every session.
    pub(super) fn numbers(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.notes.slots().filter_map(|slot| Some((self.notes.get(slot)?.number, slot)))
    }

    /// Takes every session as it is for sealed.
    pub(super) fn take_clean(&mut self) {
        for slot in std::mem::take(&mut self.dirty) {
            if let Some(note) = self.notes.get_mut(slot) {
                note.is_dirty = false;
            }
        }
    }

    /// The sessions that changed since the last call, in no order.
    pub(super) fn take_dirty(&mut self, interned: &Interned) -> Vec<Remembered> {
        let mut changed = Vec::new();
        for slot in std::mem::take(&mut self.dirty) {
            if let Some(note) = self.notes.get_mut(slot).filter(|note| note.is_dirty) {
                note.is_dirty = false;
                changed.extend(self.session(slot, interned));
            }
        }
        changed
    }

    fn session(&self, slot: u32, interned: &Interned) -> Option<Remembered> {
        let note = self.notes.get(slot)?;
        let key = note.key();
        Some(Remembered {
            number: note.number,
            property: interned.properties.get(note.property)?.clone(),
            traffic_class: key.traffic_class,
            visitors: self.keys.visitors(slot, &key),
            session_id: note.session_id,
            forgotten_at_ms: note.forgotten_at_ms,
            acquisition: interned.acquisitions.get(note.acquisition)?.clone(),
        })
    }
}

fn key_of(notes: &Slab<Note>) -> impl Fn(u32) -> Option<Key> + '_ {
    |slot| notes.get(slot).map(Note::key)
}
