//! Repeats: a hit whose id was seen within 24 h of received time goes no further.
//!
//! In: property and id of each hit, in WAL order. Out: whether the hit is a repeat. The window is exact by received
//! time, counted from the copy that was counted (a repeat does not lengthen it), and bounded in memory: at the limit
//! the oldest ids are forgotten first.
//!
//! An id is kept as SipHash-2-4-128 of its property and text, keyed by the epoch, which no client knows.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use hit::Epoch;
use hit::limits::ID_WINDOW_MS;
use siphasher::sip128::{Hasher128, SipHasher24};

/// Memory of one id, bytes: 16 in the queue and 17 in the set, both grown by doubling (45 on average).
pub const BYTES_PER_ID: u64 = 48;

/// Ids of one block: they came at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    received_at_ms: u64,
    ids: u64,
}

/// The ids of the last 24 h, oldest first.
pub struct IdWindow {
    key: [u8; 16],
    max_ids: u64,
    ids: VecDeque<u128>,
    groups: VecDeque<Group>,
    known: HashSet<u128, BuildHasherDefault<AlreadyHashed>>,
    /// Ids taken in since the epoch began; the oldest kept has the number `taken − ids.len()`.
    taken: u64,
    taken_at_seal: u64,
}

/// What changed in the window since a seal, or the whole window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdChange {
    /// Number of the oldest id that is still kept.
    pub oldest: u64,
    /// Number of the first id below.
    pub added_from: u64,
    /// Received time (unix ms) and ids, 16 bytes each (little endian), oldest first.
    pub added: Vec<(u64, Vec<u8>)>,
}

impl IdWindow {
    /// An empty window of at most this much memory (at least one id).
    pub fn new(epoch: Epoch, id_window_bytes: u64) -> Self {
        Self {
            key: epoch.0,
            max_ids: (id_window_bytes / BYTES_PER_ID).max(1),
            ids: VecDeque::new(),
            groups: VecDeque::new(),
            known: HashSet::default(),
            taken: 0,
            taken_at_seal: 0,
        }
    }

    /// Forgets what is older than 24 h at this received time; to be called before the hits of a block.
    pub fn begin_block(&mut self, received_at_ms: u64) {
        while let Some(group) = self.groups.front()
            && received_at_ms.saturating_sub(group.received_at_ms) >= ID_WINDOW_MS
        {
            self.forget_oldest();
        }
    }

    /// Whether this hit repeats an earlier one; if not, its id is remembered. A hit without id never repeats.
    pub fn is_repeat(&mut self, property_id: &str, hit_id: &str, received_at_ms: u64) -> bool {
        if hit_id.is_empty() {
            return false;
        }
        let id = self.hash(property_id, hit_id);
        if self.known.contains(&id) {
            return true;
        }
        self.remember(id, received_at_ms);
        self.shrink();
        false
    }

    /// Ids kept.
    pub fn entries(&self) -> u64 {
        count(self.ids.len())
    }

    /// When the oldest id kept was received, unix milliseconds.
    pub fn oldest_received_at_ms(&self) -> Option<u64> {
        self.groups.front().map(|group| group.received_at_ms)
    }

    /// What changed since the last call.
    pub fn take_change(&mut self) -> IdChange {
        let change = self.since(self.taken_at_seal);
        self.taken_at_seal = self.taken;
        change
    }

    /// The whole window.
    pub fn whole(&self) -> IdChange {
        self.since(0)
    }

    /// Puts in a change (or a whole window) that was taken after the state here; `false` when it does not fit.
    pub fn apply(&mut self, change: &IdChange) -> bool {
        while !self.ids.is_empty() && self.oldest() < change.oldest {
            self.forget_oldest();
        }
        // With nothing left the numbers may jump: what lay between came and was forgotten between two seals.
        if self.ids.is_empty() && change.added_from >= self.taken {
            self.taken = change.added_from;
        }
        if self.taken != change.added_from {
            return false;
        }
        for (received_at_ms, ids) in &change.added {
            let (ids, rest) = ids.as_chunks::<16>();
            if !rest.is_empty() {
                return false;
            }
            for id in ids {
                self.remember(u128::from_le_bytes(*id), *received_at_ms);
            }
        }
        self.taken_at_seal = self.taken;
        true
    }

    /// Forgets the oldest until the limit is kept.
    pub fn shrink(&mut self) {
        while self.entries() > self.max_ids {
            self.forget_oldest();
        }
    }

    fn oldest(&self) -> u64 {
        self.taken - self.entries()
    }

    fn since(&self, number: u64) -> IdChange {
        let oldest = self.oldest();
        let added_from = number.max(oldest);
        // From the newest group back, for a change is a small part of the window.
        let mut left = self.taken - added_from;
        let mut sizes = Vec::new();
        for group in self.groups.iter().rev() {
            if left == 0 {
                break;
            }
            let wanted = group.ids.min(left);
            left -= wanted;
            sizes.push((group.received_at_ms, wanted));
        }
        let skipped = usize::try_from(added_from - oldest).unwrap_or(usize::MAX);
        let mut ids = self.ids.iter().skip(skipped);
        let bytes_of = |(received_at_ms, wanted): (u64, u64)| {
            let bytes = (0..wanted).filter_map(|_| ids.next()).flat_map(|id| id.to_le_bytes()).collect();
            (received_at_ms, bytes)
        };
        IdChange { oldest, added_from, added: sizes.into_iter().rev().map(bytes_of).collect() }
    }

    fn remember(&mut self, id: u128, received_at_ms: u64) {
        self.known.insert(id);
        self.ids.push_back(id);
        self.taken += 1;
        match self.groups.back_mut() {
            Some(group) if group.received_at_ms == received_at_ms => group.ids += 1,
            _ => self.groups.push_back(Group { received_at_ms, ids: 1 }),
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(id) = self.ids.pop_front() {
            self.known.remove(&id);
        }
        let Some(group) = self.groups.front_mut() else { return };
        group.ids -= 1;
        if group.ids == 0 {
            self.groups.pop_front();
        }
    }

    fn hash(&self, property_id: &str, hit_id: &str) -> u128 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        // The length keeps ("a", "bc") and ("ab", "c") apart.
        hasher.write(&count(property_id.len()).to_le_bytes());
        hasher.write(property_id.as_bytes());
        hasher.write(hit_id.as_bytes());
        hasher.finish128().as_u128()
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Ids are keyed hashes already: their low half spreads well enough.
#[derive(Default)]
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, id: u128) {
        self.0 = u64::try_from(id & u128::from(u64::MAX)).unwrap_or(0);
    }
}

#[cfg(test)]
mod tests;
