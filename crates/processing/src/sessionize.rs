//! Sessions: which hits belong together, and when a session is over.
//!
//! In: enriched hits in WAL order, import marks, received time. Out: for each hit its [`Placement`], and the sessions
//! that are over, each once. Sessions are found by (property, traffic class, visitor or visitor of the day before),
//! and by the client's session id where there is one; the definitions are in docs/design/0001, "Processing". A passive
//! event that finds none to join is in no session.
//!
//! Open sessions lie by due time, so that passing time costs only what is due. Among equals the session that opened
//! first goes first: the order is a function of the WAL. A million of them are open at a large edge, so each takes few
//! bytes: texts are shared and named by ids, times are distances, and indexes hold slots.

pub mod session;
mod slab;
mod lists;
mod interner;
mod interned;
mod keys;
mod record;
mod wheel;
mod imports;
mod open;
mod remembered;
mod index;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::handover::{Acquisition, ClosedSession, EnrichedHit, Placement};
use crate::sessionize::index::{Index, Place};
use crate::sessionize::session::{Fit, Session};

pub use crate::sessionize::index::{Remembered, SessionChange};

/// Slots and ids have 32 bits, and a session has two pages.
const MAX_OPEN: u64 = 1 << 30;

/// The open sessions, and the closed ones that a client's session id may still name.
pub struct Sessions {
    index: Index,
    max_open: u64,
    /// Since the last [`Sessions::take_closed`].
    closed: Vec<ClosedSession>,
}

impl Sessions {
    /// No session; at most this many open at a time, and as many remembered.
    pub fn new(max_open_sessions: u64) -> Self {
        let max_open = max_open_sessions.clamp(1, MAX_OPEN);
        Self { index: Index::default(), max_open, closed: Vec::new() }
    }

    /// Forgets the client's session ids whose 24 h are over at this received time; to be called before the hits of a
    /// block. A session still open under such an id is over.
    pub fn begin_block(&mut self, received_at_ms: u64) {
        self.index.is_restored();
        while let Some(session) = self.index.pop_outlived(received_at_ms) {
            self.closed.push(session.close());
        }
        self.index.forget_remembered(received_at_ms);
    }

    /// Finds the session of a hit, or opens one; `acquisition` is asked for hits that join none.
    pub fn place(&mut self, hit: &EnrichedHit, acquisition: impl FnOnce() -> Acquisition) -> Placement {
        let slot = match self.index.find(hit) {
            None if hit.is_passive => return outside(acquisition()),
            None => return self.open(hit, acquisition()),
            Some(place @ Place::Remembered(slot)) => {
                let Some(acquisition) = self.index.acquisition_of_remembered(slot) else {
                    return self.open(hit, acquisition());
                };
                self.index.also_known_as(place, hit);
                return Placement { opens_session: false, acquisition };
            }
            Some(Place::Open(slot)) => slot,
        };
        match self.index.fit(slot, hit) {
            Fit::Joins => {
                self.index.also_known_as(Place::Open(slot), hit);
                match self.index.join(slot, hit) {
                    Some(acquisition) => Placement { opens_session: false, acquisition },
                    None => self.open(hit, acquisition()),
                }
            }
            Fit::Later | Fit::Older if hit.is_passive => outside(acquisition()),
            Fit::Later => {
                self.close(slot, hit.received_at_ms);
                self.open(hit, acquisition())
            }
            Fit::Older => {
                let session = Session::open(0, hit, acquisition());
                let acquisition = Arc::clone(&session.acquisition);
                self.closed.push(session.close());
                Placement { opens_session: true, acquisition }
            }
        }
    }

    /// An import says that no further hit of the property lies before this event time.
    pub fn on_import_mark(&mut self, property: &str, event_time_ms: u64, received_at_ms: u64) {
        while let Some(slot) = self.index.first_over_by_import(property, event_time_ms) {
            self.close(slot, received_at_ms);
        }
    }

    /// Closes the sessions that are over at this received time; to be called after the hits of a block.
    pub fn on_time(&mut self, received_at_ms: u64) {
        while let Some(slot) = self.index.first_due(received_at_ms) {
            self.close(slot, received_at_ms);
        }
    }

    /// Books the open sessions of these visitors of a property as over, and keeps nothing of them, whatever session ids they had.
    pub fn forget_visitors(&mut self, property: &str, visitor_ids: &BTreeSet<u64>) {
        let is_meant = |id| visitor_ids.contains(&id);
        self.closed.extend(self.index.take_open_of(property, is_meant).map(Session::close));
        self.index.forget_remembered_of(property, is_meant);
    }

    /// Drops all sessions of a property: they are booked nowhere. Gives the visitors they were of, some of them twice.
    pub fn forget_property(&mut self, property: &str) -> Vec<u64> {
        let mut visitors = self.index.forget_remembered_of(property, |_| true);
        visitors.extend(self.index.take_open_of(property, |_| true).flat_map(|session| session.visitors));
        visitors
    }

    /// The sessions that were closed since the last call, in the order they were.
    pub fn take_closed(&mut self) -> Vec<ClosedSession> {
        std::mem::take(&mut self.closed)
    }

    /// Sessions that are open.
    pub fn open_count(&self) -> u64 {
        self.index.open_count()
    }

    /// Closed sessions that a client's session id may still name.
    pub fn remembered_count(&self) -> u64 {
        self.index.remembered_count()
    }

    /// What changed since the last call.
    pub fn take_change(&mut self) -> SessionChange {
        self.index.take_change()
    }

    /// Everything.
    pub fn whole(&self) -> SessionChange {
        self.index.whole()
    }

    /// Puts in a change (or everything) that was taken after the state here.
    pub fn apply(&mut self, change: SessionChange) {
        self.index.apply(change);
    }

    fn open(&mut self, hit: &EnrichedHit, acquisition: Acquisition) -> Placement {
        while self.index.open_count() >= self.max_open
            && let Some(slot) = self.index.first_due(u64::MAX)
        {
            self.close(slot, hit.received_at_ms);
        }
        let session = Session::open(self.index.next_number(), hit, acquisition);
        Placement { opens_session: true, acquisition: self.index.insert(&session) }
    }

    /// Books a session that is over; its session id stays remembered for the rest of its 24 h.
    fn close(&mut self, slot: u32, received_at_ms: u64) {
        let Some(session) = self.index.remove(slot) else { return };
        if let Some(forgotten_at_ms) = session.forgotten_at_ms()
            && received_at_ms < forgotten_at_ms
        {
            self.index.remember(&session, forgotten_at_ms, self.max_open);
        }
        self.closed.push(session.close());
    }
}

/// The placement of a passive event that is in no session.
fn outside(acquisition: Acquisition) -> Placement {
    Placement { opens_session: false, acquisition: Arc::new(acquisition) }
}

#[cfg(test)]
mod tests;
