//! Whether a visitor was there before, where the client does not say: as far back as a memory of this edge reaches.
//!
//! In: enriched hits in WAL order. Out: for a hit that opens a session its visitor's type; what the client says goes first. Remembered are
//! visitors of sessions, by property and traffic class, for classes do not share sessions: a page that a browser loaded ahead is no visit.
//! The memory is bounded: at the limit the visitors remembered first are forgotten first, however often they came since.
//!
//! A visitor is kept as SipHash-2-4 of property, class and visitor id, keyed by the epoch: what is kept names nobody.

use std::collections::{HashSet, VecDeque};
use std::hash::Hasher;

use foldhash::fast::RandomState;
use hit::Epoch;
use siphasher::sip::SipHasher24;

use crate::handover::{EnrichedHit, VisitorType};

/// The visitors that this edge knows, in the order in which it came to know them.
pub struct KnownVisitors {
    key: [u8; 16],
    /// 0: nobody is remembered, and nothing is told.
    max: u64,
    order: VecDeque<u64>,
    known: HashSet<u64, RandomState>,
    /// Visitors taken in since the epoch began; the oldest kept has the number `taken − order.len()`.
    taken: u64,
    taken_at_seal: u64,
}

/// What changed in the memory since a seal, or the whole memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VisitorChange {
    /// Number of the oldest visitor that is still known.
    pub oldest: u64,
    /// Number of the first visitor below.
    pub added_from: u64,
    /// Visitors, oldest first.
    pub added: Vec<u64>,
}

impl KnownVisitors {
    /// Nobody; at most so many at a time.
    pub fn new(epoch: Epoch, max_known_visitors: u64) -> Self {
        Self {
            key: epoch.0,
            max: max_known_visitors,
            order: VecDeque::new(),
            known: HashSet::default(),
            taken: 0,
            taken_at_seal: 0,
        }
    }

    /// The type of the visitor whose session would begin with this hit. A passive event begins none: of it only the client's word counts.
    pub fn visitor_type(&self, hit: &EnrichedHit) -> VisitorType {
        if hit.visitor_type != VisitorType::NotSet || hit.is_passive || self.max == 0 {
            return hit.visitor_type;
        }
        let mut ids = [Some(hit.visitor_id), hit.previous_visitor_id].into_iter().flatten();
        if ids.any(|id| self.known.contains(&self.hash(hit, id))) {
            VisitorType::KnownToEdge
        } else {
            VisitorType::NewToEdge
        }
    }

    /// Remembers the visitor of a hit that opened a session. One that joined a session by the id of the day before has a new id, which is
    /// remembered, too: the visitor had a session today.
    pub fn remember(&mut self, hit: &EnrichedHit, opens_session: bool) {
        let is_on_a_new_day = hit.previous_visitor_id.is_some() && !hit.is_passive;
        if self.max == 0 || !(opens_session || is_on_a_new_day) {
            return;
        }
        let visitor = self.hash(hit, hit.visitor_id);
        if self.known.contains(&visitor) {
            return;
        }
        while self.len() >= self.max {
            self.forget_oldest();
        }
        self.insert(visitor);
    }

    /// Visitors known.
    pub fn len(&self) -> u64 {
        u64::try_from(self.order.len()).unwrap_or(u64::MAX)
    }

    /// Whether nobody is known.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// What changed since the last call.
    pub fn take_change(&mut self) -> VisitorChange {
        let change = self.since(self.taken_at_seal);
        self.taken_at_seal = self.taken;
        change
    }

    /// The whole memory.
    pub fn whole(&self) -> VisitorChange {
        self.since(0)
    }

    /// Puts in a change (or a whole memory) that was taken after the state here; `false` when it does not fit.
    pub fn apply(&mut self, change: &VisitorChange) -> bool {
        while !self.is_empty() && self.oldest() < change.oldest {
            self.forget_oldest();
        }
        // With nobody left the numbers may jump: who lay between came and was forgotten between two seals.
        if self.is_empty() && change.added_from >= self.taken {
            self.taken = change.added_from;
        }
        if self.taken != change.added_from {
            return false;
        }
        let is_new = change.added.iter().all(|visitor| self.insert(*visitor));
        self.taken_at_seal = self.taken;
        is_new
    }

    /// Forgets the oldest until the limit is kept.
    pub fn shrink(&mut self) {
        while self.len() > self.max {
            self.forget_oldest();
        }
    }

    fn oldest(&self) -> u64 {
        self.taken - self.len()
    }

    fn since(&self, number: u64) -> VisitorChange {
        let oldest = self.oldest();
        let added_from = number.max(oldest);
        let skipped = usize::try_from(added_from - oldest).unwrap_or(usize::MAX);
        VisitorChange { oldest, added_from, added: self.order.iter().skip(skipped).copied().collect() }
    }

    /// Whether the visitor was not known.
    fn insert(&mut self, visitor: u64) -> bool {
        let is_new = self.known.insert(visitor);
        self.order.push_back(visitor);
        self.taken += 1;
        is_new
    }

    fn forget_oldest(&mut self) {
        if let Some(visitor) = self.order.pop_front() {
            self.known.remove(&visitor);
        }
    }

    fn hash(&self, hit: &EnrichedHit, visitor_id: u64) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write(&visitor_id.to_le_bytes());
        // No class has a name that another one's begins with.
        hasher.write(hit.dimensions.traffic.class().as_str().as_bytes());
        hasher.write(hit.dimensions.property.as_bytes());
        hasher.finish()
    }
}

#[cfg(test)]
mod tests;
