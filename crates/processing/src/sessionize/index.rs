//! All sessions, open and remembered, and what changed in them since a seal.
//!
//! Sessions lie in slots, in few bytes (`open`, `record`, `remembered`), and are found by key, by due time, by property.
//! Outside they are known by their numbers. Invariant: no order of a hash table, and no slot, is ever seen outside.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::handover::{Acquisition, EnrichedHit, TrafficClass};
use crate::sessionize::interned::Interned;
use crate::sessionize::keys::Key;
use crate::sessionize::open::OpenSessions;
use crate::sessionize::remembered::RememberedSessions;
use crate::sessionize::session::{Fit, Session};

/// A closed session that a client's session id may still name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// The session's number.
    pub number: u64,
    /// Property id.
    pub property: Arc<str>,
    /// Traffic class.
    pub traffic_class: TrafficClass,
    /// Visitor ids it is known by.
    pub visitors: Vec<u64>,
    /// Hash of the client's session id.
    pub session_id: u64,
    /// Received time at which it is forgotten, unix milliseconds.
    pub forgotten_at_ms: u64,
    /// Of its hits, also of those to come.
    pub acquisition: Arc<Acquisition>,
}

/// What changed since a seal, or everything. Sessions come by number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionChange {
    /// Number that the next session gets.
    pub next_number: u64,
    /// Sessions that are open, as they are now.
    pub open: Vec<Session>,
    /// Sessions that are remembered, as they are now.
    pub remembered: Vec<Remembered>,
    /// Numbers of sessions that are neither any more.
    pub gone: Vec<u64>,
}

/// Where a session lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Slot among the open ones.
    Open(u32),
    /// Slot among those remembered.
    Remembered(u32),
}

/// All sessions and the ways to find them.
#[derive(Default)]
pub(super) struct Index {
    interned: Interned,
    open: OpenSessions,
    remembered: RememberedSessions,
    next_number: u64,
    next_number_at_seal: u64,
    /// Numbers of sessions that were known at the last seal and left their place since.
    left: Vec<u64>,
    /// Places by number, while state is put in: changes name sessions by number. Dropped with the first block.
    places: Option<HashMap<u64, Place, RandomState>>,
}

impl Index {
    pub(super) fn open_count(&self) -> u64 {
        self.open.len()
    }

    pub(super) fn remembered_count(&self) -> u64 {
        self.remembered.len()
    }

    pub(super) fn next_number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    /// No more state is put in.
    pub(super) fn is_restored(&mut self) {
        self.places = None;
    }

    /// The session of the hit's visitor, or of its visitor of the day before.
    pub(super) fn find(&self, hit: &EnrichedHit) -> Option<Place> {
        let key = Key {
            property: self.interned.properties.find(&*hit.dimensions.property)?,
            traffic_class: hit.dimensions.traffic.class(),
            visitor_id: hit.visitor_id,
            session_id: hit.session_id,
        };
        let by = |key: &Key| {
            let open = self.open.find(key).map(Place::Open);
            // Only a session id is remembered.
            open.or_else(|| key.session_id.and_then(|_| self.remembered.find(key).map(Place::Remembered)))
        };
        by(&key).or_else(|| by(&Key { visitor_id: hit.previous_visitor_id?, ..key }))
    }

    /// Where a remembered session came from.
    pub(super) fn acquisition_of_remembered(&self, slot: u32) -> Option<Arc<Acquisition>> {
        self.remembered.acquisition(slot, &self.interned)
    }

    /// How a hit that was found to belong to an open session lies to it.
    pub(super) fn fit(&self, slot: u32, hit: &EnrichedHit) -> Fit {
        self.open.fit(slot, hit, &self.interned)
    }

    /// Makes a session known by the hit's visitor id too; to be called for a hit that was found to belong to it.
    pub(super) fn also_known_as(&mut self, place: Place, hit: &EnrichedHit) {
        match place {
            Place::Open(slot) => self.open.also_known_as(slot, hit.visitor_id),
            Place::Remembered(slot) => self.remembered.also_known_as(slot, hit.visitor_id),
        }
    }

    /// Puts in an open session; gives the acquisition as sessions share it.
    pub(super) fn insert(&mut self, session: &Session) -> Arc<Acquisition> {
        // There is room: no more sessions are open at a time than slots have numbers.
        let slot = self.open.insert(session, &mut self.interned);
        if let (Some(places), Some(slot)) = (&mut self.places, slot) {
            places.insert(session.number, Place::Open(slot));
        }
        let acquisitions = &self.interned.acquisitions;
        let shared = acquisitions.find(&session.acquisition).and_then(|id| acquisitions.get(id));
        Arc::clone(shared.unwrap_or(&session.acquisition))
    }

    /// Takes a hit into an open session; gives where the session came from.
    pub(super) fn join(&mut self, slot: u32, hit: &EnrichedHit) -> Option<Arc<Acquisition>> {
        self.open.join(slot, hit, &mut self.interned)
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<Session> {
        let session = self.open.remove(slot, &mut self.interned)?;
        self.leaves(session.number);
        Some(session)
    }

    /// Keeps a closed session findable by its session id; at the limit the one forgotten first makes room.
    pub(super) fn remember(&mut self, session: &Session, forgotten_at_ms: u64, max_remembered: u64) {
        let Some(session_id) = session.session_id else { return };
        while self.remembered_count() >= max_remembered
            && let Some(slot) = self.remembered.first_forgotten(u64::MAX)
        {
            self.forget(slot);
        }
        self.insert_remembered(&Remembered {
            number: session.number,
            property: Arc::clone(&session.dimensions.property),
            traffic_class: session.dimensions.traffic.class(),
            visitors: session.visitors.clone(),
            session_id,
            forgotten_at_ms,
            acquisition: Arc::clone(&session.acquisition),
        });
    }

    /// Forgets the remembered sessions whose time has come.
    pub(super) fn forget_remembered(&mut self, received_at_ms: u64) {
        while let Some(slot) = self.remembered.first_forgotten(received_at_ms) {
            self.forget(slot);
        }
    }

    /// Takes out an open session whose session id is forgotten at this received time.
    pub(super) fn pop_outlived(&mut self, received_at_ms: u64) -> Option<Session> {
        let slot = self.open.first_outlived(received_at_ms)?;
        self.remove(slot)
    }

    /// The open session that is due first, if it is due at this received time.
    pub(super) fn first_due(&mut self, received_at_ms: u64) -> Option<u32> {
        self.open.first_due(received_at_ms, &self.interned)
    }

    /// The first open session of the property that an import mark of this time closes.
    pub(super) fn first_over_by_import(&mut self, property: &str, event_time_ms: u64) -> Option<u32> {
        let property = self.interned.properties.find(property)?;
        self.open.first_over_by_import(property, event_time_ms, &self.interned)
    }

    /// Takes out the open sessions of a property that are known by such ids, the one that opened first ahead; each when it is asked for,
    /// for a session taken out is much larger than one that is open.
    pub(super) fn take_open_of(
        &mut self,
        property: &str,
        is_meant: impl Fn(u64) -> bool,
    ) -> impl Iterator<Item = Session> {
        let property = self.interned.properties.find(property);
        let mut found = property.map_or_else(Vec::new, |property| self.open.of_visitors(property, is_meant));
        found.sort_unstable();
        found.into_iter().filter_map(|(_, slot)| self.remove(slot))
    }

    /// Forgets the remembered sessions of a property that are known by such ids; gives all ids they were known by.
    pub(super) fn forget_remembered_of(
        &mut self,
        property: &str,
        is_meant: impl Fn(u64) -> bool,
    ) -> Vec<u64> {
        let Some(property) = self.interned.properties.find(property) else { return Vec::new() };
        let mut visitors = Vec::new();
        for slot in self.remembered.of_visitors(property, is_meant) {
            visitors.extend(self.remembered.visitors(slot));
            self.forget(slot);
        }
        visitors
    }

    pub(super) fn take_change(&mut self) -> SessionChange {
        let mut change = SessionChange {
            next_number: self.next_number,
            open: self.open.take_dirty(&self.interned),
            remembered: self.remembered.take_dirty(&self.interned),
            gone: std::mem::take(&mut self.left),
        };
        change.sort();
        // One that was closed and is remembered left its place only.
        let remembered = &change.remembered;
        change
            .gone
            .retain(|number| remembered.binary_search_by_key(number, |session| session.number).is_err());
        self.next_number_at_seal = self.next_number;
        change
    }

    pub(super) fn whole(&self) -> SessionChange {
        let mut change = SessionChange {
            next_number: self.next_number,
            open: self.open.all(&self.interned).collect(),
            remembered: self.remembered.all(&self.interned).collect(),
            gone: Vec::new(),
        };
        change.sort();
        change
    }

    pub(super) fn apply(&mut self, change: SessionChange) {
        let places = self.places.take().unwrap_or_else(|| self.places_by_number());
        self.places = Some(places);
        // All that changed goes first: a key may have passed from one session to another.
        let open = change.open.iter().map(|session| session.number);
        let remembered = change.remembered.iter().map(|session| session.number);
        for number in open.chain(remembered).chain(change.gone.iter().copied()) {
            match self.places.as_mut().and_then(|places| places.remove(&number)) {
                Some(Place::Open(slot)) => drop(self.open.remove(slot, &mut self.interned)),
                Some(Place::Remembered(slot)) => drop(self.remembered.remove(slot, &mut self.interned)),
                None => {}
            }
        }
        for session in change.open {
            self.insert(&session);
        }
        for session in change.remembered {
            self.insert_remembered(&session);
        }
        self.next_number = change.next_number;
        self.next_number_at_seal = change.next_number;
        self.open.take_clean();
        self.remembered.take_clean();
        self.left = Vec::new();
    }

    fn insert_remembered(&mut self, remembered: &Remembered) {
        let slot = self.remembered.insert(remembered, &mut self.interned);
        if let (Some(places), Some(slot)) = (&mut self.places, slot) {
            places.insert(remembered.number, Place::Remembered(slot));
        }
    }

    fn forget(&mut self, slot: u32) {
        if let Some(number) = self.remembered.remove(slot, &mut self.interned) {
            self.leaves(number);
        }
    }

    fn leaves(&mut self, number: u64) {
        if number < self.next_number_at_seal {
            self.left.push(number);
        }
        if let Some(places) = &mut self.places {
            places.remove(&number);
        }
    }

    fn places_by_number(&self) -> HashMap<u64, Place, RandomState> {
        let open = self.open.numbers().map(|(number, slot)| (number, Place::Open(slot)));
        let remembered = self.remembered.numbers().map(|(number, slot)| (number, Place::Remembered(slot)));
        open.chain(remembered).collect()
    }
}

impl SessionChange {
    fn sort(&mut self) {
        self.open.sort_unstable_by_key(|session| session.number);
        self.remembered.sort_unstable_by_key(|session| session.number);
        self.gone.sort_unstable();
        self.gone.dedup();
    }
}
