//! Whether a visitor was there before, where the client does not say: as far back as a memory of this edge reaches.
//!
//! In: enriched hits in WAL order. Out: for a hit that opens a session its visitor's type; what the client says goes first. Remembered are
//! visitors of sessions, by property and traffic class, for classes do not share sessions: a page that a browser loaded ahead is no visit.
//! The memory is bounded, in visitors and in time: at the limit the visitors remembered first are forgotten first, however often they came
//! since, and everybody is after 400 days. Who is to be forgotten sooner leaves an empty place in the order, so that numbers stay.
//!
//! A visitor is kept as SipHash-2-4 of property, class and visitor id, keyed by the epoch: what is kept names nobody, and not the property either.

use std::collections::{HashSet, VecDeque};
use std::hash::Hasher;

use foldhash::fast::RandomState;
use hit::Epoch;
use siphasher::sip::SipHasher24;

use crate::handover::{EnrichedHit, TrafficClass, VisitorType};

const DAY_MS: u64 = 86_400_000;

/// Days after which a visitor is forgotten: no browser keeps a cookie, and with it a client id, for longer without another visit
/// (RFC 6265bis).
pub const KEPT_DAYS: u64 = 400;

/// The empty place of a visitor who was forgotten before the turn came.
const FORGOTTEN: u64 = 0;

/// Visitors who were taken in on the same day of received time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// Days since 1970-01-01 UTC.
    pub day: u64,
    /// Places in the order.
    pub visitors: u64,
}

/// The visitors that this edge knows, in the order in which it came to know them.
pub struct KnownVisitors {
    key: [u8; 16],
    /// 0: nobody is remembered, and nothing is told.
    max: u64,
    order: VecDeque<u64>,
    /// The days of all places, oldest first.
    days: VecDeque<Day>,
    known: HashSet<u64, RandomState>,
    /// Visitors taken in since the epoch began; the oldest kept has the number `taken − order.len()`.
    taken: u64,
    taken_at_seal: u64,
    /// Numbers of places from before the last seal that became empty since.
    emptied: Vec<u64>,
}

/// What changed in the memory since a seal, or the whole memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VisitorChange {
    /// Number of the oldest visitor that is still known.
    pub oldest: u64,
    /// Number of the first visitor below.
    pub added_from: u64,
    /// Visitors, oldest first; 0 is an empty place.
    pub added: Vec<u64>,
    /// The days of those, oldest first; none: an earlier build wrote them, which kept no days.
    pub days: Vec<Day>,
    /// Numbers of visitors before `added_from` that were forgotten before their turn, in order.
    pub emptied: Vec<u64>,
}

impl KnownVisitors {
    /// Nobody; at most so many at a time.
    pub fn new(epoch: Epoch, max_known_visitors: u64) -> Self {
        Self {
            key: epoch.0,
            max: max_known_visitors,
            order: VecDeque::new(),
            days: VecDeque::new(),
            known: HashSet::default(),
            taken: 0,
            taken_at_seal: 0,
            emptied: Vec::new(),
        }
    }

    /// Forgets who was taken in 400 days before this received time; to be called before the hits of a block.
    pub fn begin_block(&mut self, received_at_ms: u64) {
        while let Some(first) = self.days.front()
            && (received_at_ms / DAY_MS).saturating_sub(first.day) > KEPT_DAYS
        {
            self.forget_oldest();
        }
    }

    /// The type of the visitor whose session would begin with this hit. A passive event begins none: of it only the client's word counts.
    pub fn visitor_type(&self, hit: &EnrichedHit) -> VisitorType {
        if hit.visitor_type != VisitorType::NotSet || hit.is_passive || self.max == 0 {
            return hit.visitor_type;
        }
        let mut ids = [Some(hit.visitor_id), hit.previous_visitor_id].into_iter().flatten();
        if ids.any(|id| self.known.contains(&self.hash_of(hit, id))) {
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
        let visitor = self.hash_of(hit, hit.visitor_id);
        if self.known.contains(&visitor) {
            return;
        }
        while self.places() >= self.max {
            self.forget_oldest();
        }
        self.insert(visitor, hit.received_at_ms / DAY_MS);
    }

    /// Forgets these visitors of a property, whatever class they were of.
    pub fn forget(&mut self, property: &str, visitor_ids: impl IntoIterator<Item = u64>) {
        let key = self.key;
        let hashes = visitor_ids
            .into_iter()
            .flat_map(|id| TrafficClass::ALL.map(|class| hash(key, id, class, property)))
            .filter(|visitor| self.known.remove(visitor));
        let forgotten: HashSet<u64, RandomState> = hashes.collect();
        if forgotten.is_empty() {
            return;
        }
        // Nobody is looked for by place, so this walks through all: it is rare, and a million takes milliseconds.
        let oldest = self.oldest();
        for (number, visitor) in (oldest..).zip(&mut self.order) {
            if forgotten.contains(visitor) {
                *visitor = FORGOTTEN;
                if number < self.taken_at_seal {
                    self.emptied.push(number);
                }
            }
        }
    }

    /// Visitors known.
    pub fn len(&self) -> u64 {
        count(self.known.len())
    }

    /// Whether nobody is known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// What changed since the last call.
    pub fn take_change(&mut self) -> VisitorChange {
        let oldest = self.oldest();
        let mut emptied = std::mem::take(&mut self.emptied);
        emptied.retain(|number| *number >= oldest);
        emptied.sort_unstable();
        let change = VisitorChange { emptied, ..self.since(self.taken_at_seal) };
        self.taken_at_seal = self.taken;
        change
    }

    /// The whole memory.
    pub fn whole(&self) -> VisitorChange {
        self.since(0)
    }

    /// Puts in a change (or a whole memory) that was taken at this received time, after the state here; `false` when it does not fit.
    pub fn apply(&mut self, change: &VisitorChange, received_at_ms: u64) -> bool {
        while !self.order.is_empty() && self.oldest() < change.oldest {
            self.forget_oldest();
        }
        // With no place left the numbers may jump: who lay between came and was forgotten between two seals.
        if self.order.is_empty() && change.added_from >= self.taken {
            self.taken = change.added_from;
        }
        if self.taken != change.added_from || !change.emptied.iter().all(|number| self.empty(*number)) {
            return false;
        }
        let undated = [Day { day: received_at_ms / DAY_MS, visitors: count(change.added.len()) }];
        let days = if change.days.is_empty() { &undated[..] } else { &change.days };
        let mut visitors = change.added.iter();
        for Day { day, visitors: wanted } in days {
            for _ in 0..*wanted {
                let Some(visitor) = visitors.next() else { return false };
                if !self.insert(*visitor, *day) {
                    return false;
                }
            }
        }
        self.taken_at_seal = self.taken;
        visitors.next().is_none()
    }

    /// Forgets the oldest until the limit is kept.
    pub fn shrink(&mut self) {
        while self.places() > self.max {
            self.forget_oldest();
        }
    }

    /// Places in the order, empty ones among them.
    fn places(&self) -> u64 {
        count(self.order.len())
    }

    fn oldest(&self) -> u64 {
        self.taken - self.places()
    }

    fn since(&self, number: u64) -> VisitorChange {
        let oldest = self.oldest();
        let added_from = number.max(oldest);
        let skipped = usize::try_from(added_from - oldest).unwrap_or(usize::MAX);
        let mut left = self.taken - added_from;
        let mut days = Vec::new();
        // From the newest day back, for a change is a small part of the memory.
        for day in self.days.iter().rev() {
            let visitors = day.visitors.min(left);
            if visitors == 0 {
                break;
            }
            left -= visitors;
            days.push(Day { visitors, ..*day });
        }
        days.reverse();
        let added = self.order.iter().skip(skipped).copied().collect();
        VisitorChange { oldest, added_from, added, days, emptied: Vec::new() }
    }

    /// Whether the visitor was not known.
    fn insert(&mut self, visitor: u64, day: u64) -> bool {
        let is_new = visitor == FORGOTTEN || self.known.insert(visitor);
        self.order.push_back(visitor);
        self.taken += 1;
        match self.days.back_mut() {
            Some(last) if last.day == day => last.visitors += 1,
            _ => self.days.push_back(Day { day, visitors: 1 }),
        }
        is_new
    }

    /// Forgets the visitor of a number before its turn; `false`: there is no such number.
    fn empty(&mut self, number: u64) -> bool {
        let at = number.checked_sub(self.oldest()).and_then(|at| usize::try_from(at).ok());
        let Some(visitor) = at.and_then(|at| self.order.get_mut(at)) else { return false };
        self.known.remove(visitor);
        *visitor = FORGOTTEN;
        true
    }

    fn forget_oldest(&mut self) {
        let Some(visitor) = self.order.pop_front() else { return };
        self.known.remove(&visitor);
        let Some(first) = self.days.front_mut() else { return };
        first.visitors -= 1;
        if first.visitors == 0 {
            self.days.pop_front();
        }
    }

    fn hash_of(&self, hit: &EnrichedHit, visitor_id: u64) -> u64 {
        hash(self.key, visitor_id, hit.dimensions.traffic.class(), &hit.dimensions.property)
    }
}

fn hash(key: [u8; 16], visitor_id: u64, class: TrafficClass, property: &str) -> u64 {
    let mut hasher = SipHasher24::new_with_key(&key);
    hasher.write(&visitor_id.to_le_bytes());
    // No class has a name that another one's begins with.
    hasher.write(class.as_str().as_bytes());
    hasher.write(property.as_bytes());
    // 0 is an empty place.
    hasher.finish().max(1)
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
