//! The ways to find a session: by visitor, by due time, by property for import marks, by what changed since a seal.
//!
//! Invariant: every index names exactly the sessions that are open, or remembered, and a key names one of them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::handover::{Acquisition, EnrichedHit, TrafficClass};
use crate::sessionize::session::{Fit, Session};

/// (time in unix milliseconds, session number): time decides, then the order of opening.
type ByTime = BTreeSet<(u64, u64)>;

/// What a hit finds its session by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    property: Arc<str>,
    traffic_class: TrafficClass,
    visitor_id: u64,
    session_id: Option<u64>,
}

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

/// An open session and where it lies in the indexes by time.
///
/// Each hit makes its session due later. Moving its entries each time would be the dearest part of processing, so they
/// stay where they are and are moved when they come up. Invariant: an entry never lies after the time it stands for.
struct Open {
    session: Session,
    /// Time of its entry in `due`.
    due_at_ms: u64,
    /// Time of its entry in `import_due`.
    import_due_at_ms: u64,
    /// Whether `dirty` names it since the last seal.
    is_dirty: bool,
}

/// All sessions and the ways to find them.
#[derive(Default)]
pub(super) struct Index {
    open: HashMap<u64, Open, RandomState>,
    remembered: HashMap<u64, Remembered, RandomState>,
    numbers: HashMap<Key, u64, RandomState>,
    /// Open sessions by due time.
    due: ByTime,
    /// Open sessions with a session id, by the time it is forgotten.
    outlived: ByTime,
    /// Remembered sessions by the time they are forgotten.
    forgotten: ByTime,
    /// Open sessions of each property by the import mark that closes them.
    import_due: HashMap<Arc<str>, ByTime, RandomState>,
    next_number: u64,
    next_number_at_seal: u64,
    /// Numbers of what changed since the last seal, some of them twice.
    dirty: Vec<u64>,
}

impl Index {
    pub(super) fn open_count(&self) -> u64 {
        u64::try_from(self.open.len()).unwrap_or(u64::MAX)
    }

    pub(super) fn remembered_count(&self) -> u64 {
        u64::try_from(self.remembered.len()).unwrap_or(u64::MAX)
    }

    pub(super) fn next_number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    /// The session of the hit's visitor, or of its visitor of the day before.
    pub(super) fn find(&self, hit: &EnrichedHit) -> Option<u64> {
        let by = |visitor_id| self.numbers.get(&Key::of_hit(hit, visitor_id)).copied();
        by(hit.visitor_id).or_else(|| by(hit.previous_visitor_id?))
    }

    pub(super) fn remembered(&self, number: u64) -> Option<&Remembered> {
        self.remembered.get(&number)
    }

    /// How a hit lies to an open session; one with a session id takes it whatever the gap.
    pub(super) fn fit(&self, number: u64, hit: &EnrichedHit) -> Fit {
        match self.open.get(&number) {
            Some(open) if open.session.session_id.is_none() => open.session.fit(hit),
            _ => Fit::Joins,
        }
    }

    /// Makes a session known by the hit's visitor id too; to be called for a hit that was found to belong to it.
    pub(super) fn also_known_as(&mut self, number: u64, hit: &EnrichedHit) {
        let visitors = match (self.open.get_mut(&number), self.remembered.get_mut(&number)) {
            (Some(open), _) => &mut open.session.visitors,
            (None, Some(remembered)) => &mut remembered.visitors,
            (None, None) => return,
        };
        if !visitors.contains(&hit.visitor_id) {
            visitors.push(hit.visitor_id);
            self.numbers.insert(Key::of_hit(hit, hit.visitor_id), number);
            self.dirty.push(number);
        }
    }

    pub(super) fn insert(&mut self, session: Session) {
        let number = session.number;
        for key in Key::of_session(&session) {
            self.numbers.insert(key, number);
        }
        let (due_at_ms, import_due_at_ms) = (session.due_ms(), session.import_due_ms());
        self.due.insert((due_at_ms, number));
        if let Some(at_ms) = session.forgotten_at_ms() {
            self.outlived.insert((at_ms, number));
        }
        let of_property = self.import_due.entry(Arc::clone(&session.dimensions.property)).or_default();
        of_property.insert((import_due_at_ms, number));
        self.open.insert(number, Open { session, due_at_ms, import_due_at_ms, is_dirty: true });
        self.dirty.push(number);
    }

    /// Takes a hit into an open session; gives where the session came from.
    pub(super) fn join(&mut self, number: u64, hit: &EnrichedHit) -> Option<Arc<Acquisition>> {
        let open = self.open.get_mut(&number)?;
        open.session.join(hit);
        if !open.is_dirty {
            open.is_dirty = true;
            self.dirty.push(number);
        }
        // New rules may have a shorter time-out.
        let (due_ms, import_due_ms) = (open.session.due_ms(), open.session.import_due_ms());
        if due_ms < open.due_at_ms {
            self.due.remove(&(open.due_at_ms, number));
            self.due.insert((due_ms, number));
            open.due_at_ms = due_ms;
        }
        if import_due_ms < open.import_due_at_ms
            && let Some(of_property) = self.import_due.get_mut(&open.session.dimensions.property)
        {
            of_property.remove(&(open.import_due_at_ms, number));
            of_property.insert((import_due_ms, number));
            open.import_due_at_ms = import_due_ms;
        }
        Some(Arc::clone(&open.session.acquisition))
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Session> {
        let Open { session, due_at_ms, import_due_at_ms, .. } = self.open.remove(&number)?;
        for key in Key::of_session(&session) {
            self.numbers.remove(&key);
        }
        self.due.remove(&(due_at_ms, number));
        if let Some(at_ms) = session.forgotten_at_ms() {
            self.outlived.remove(&(at_ms, number));
        }
        if let Some(of_property) = self.import_due.get_mut(&session.dimensions.property) {
            of_property.remove(&(import_due_at_ms, number));
            if of_property.is_empty() {
                self.import_due.remove(&session.dimensions.property);
            }
        }
        self.dirty.push(number);
        Some(session)
    }

    /// Keeps a closed session findable by its session id; at the limit the one forgotten first makes room.
    pub(super) fn remember(&mut self, session: &Session, forgotten_at_ms: u64, max_remembered: u64) {
        let Some(session_id) = session.session_id else { return };
        while self.remembered_count() >= max_remembered
            && let Some((_, number)) = self.forgotten.first().copied()
        {
            self.forget(number);
        }
        self.insert_remembered(Remembered {
            number: session.number,
            property: Arc::clone(&session.dimensions.property),
            traffic_class: session.dimensions.client.traffic_class,
            visitors: session.visitors.clone(),
            session_id,
            forgotten_at_ms,
            acquisition: Arc::clone(&session.acquisition),
        });
    }

    /// Forgets the remembered sessions whose time has come.
    pub(super) fn forget_remembered(&mut self, received_at_ms: u64) {
        while let Some((at_ms, number)) = self.forgotten.first().copied()
            && at_ms <= received_at_ms
        {
            self.forget(number);
        }
    }

    /// Takes out an open session whose session id is forgotten at this received time.
    pub(super) fn pop_outlived(&mut self, received_at_ms: u64) -> Option<Session> {
        let (at_ms, number) = self.outlived.first().copied()?;
        if at_ms <= received_at_ms { self.remove(number) } else { None }
    }

    /// The open session that is due first, if it is due at this received time.
    pub(super) fn first_due(&mut self, received_at_ms: u64) -> Option<u64> {
        loop {
            let (at_ms, number) = self.due.first().copied()?;
            if at_ms > received_at_ms {
                return None;
            }
            let open = self.open.get_mut(&number)?;
            let due_ms = open.session.due_ms();
            if due_ms == at_ms {
                return Some(number);
            }
            self.due.pop_first();
            self.due.insert((due_ms, number));
            open.due_at_ms = due_ms;
        }
    }

    /// The first open session of the property that an import mark of this time closes.
    pub(super) fn first_over_by_import(&mut self, property: &str, event_time_ms: u64) -> Option<u64> {
        let of_property = self.import_due.get_mut(property)?;
        loop {
            let (at_ms, number) = of_property.first().copied()?;
            if at_ms > event_time_ms {
                return None;
            }
            let open = self.open.get_mut(&number)?;
            let due_ms = open.session.import_due_ms();
            if due_ms == at_ms {
                return Some(number);
            }
            of_property.pop_first();
            of_property.insert((due_ms, number));
            open.import_due_at_ms = due_ms;
        }
    }

    pub(super) fn take_change(&mut self) -> SessionChange {
        let mut change = SessionChange { next_number: self.next_number, ..SessionChange::default() };
        self.dirty.sort_unstable();
        self.dirty.dedup();
        for number in std::mem::take(&mut self.dirty) {
            if let Some(open) = self.open.get_mut(&number) {
                open.is_dirty = false;
                change.open.push(open.session.clone());
            } else if let Some(remembered) = self.remembered.get(&number) {
                change.remembered.push(remembered.clone());
            } else if number < self.next_number_at_seal {
                change.gone.push(number);
            }
        }
        self.next_number_at_seal = self.next_number;
        change
    }

    pub(super) fn whole(&self) -> SessionChange {
        let mut open: Vec<Session> = self.open.values().map(|open| open.session.clone()).collect();
        open.sort_unstable_by_key(|session| session.number);
        let mut remembered: Vec<Remembered> = self.remembered.values().cloned().collect();
        remembered.sort_unstable_by_key(|session| session.number);
        SessionChange { next_number: self.next_number, open, remembered, gone: Vec::new() }
    }

    pub(super) fn apply(&mut self, change: SessionChange) {
        // All that changed goes first: a key may have passed from one session to another.
        let open = change.open.iter().map(|session| session.number);
        let remembered = change.remembered.iter().map(|session| session.number);
        for number in open.chain(remembered).chain(change.gone.iter().copied()).collect::<Vec<_>>() {
            self.remove(number);
            self.forget(number);
        }
        change.open.into_iter().for_each(|session| self.insert(session));
        change.remembered.into_iter().for_each(|session| self.insert_remembered(session));
        self.next_number = change.next_number;
        self.next_number_at_seal = change.next_number;
        for number in std::mem::take(&mut self.dirty) {
            if let Some(open) = self.open.get_mut(&number) {
                open.is_dirty = false;
            }
        }
    }

    fn insert_remembered(&mut self, remembered: Remembered) {
        let number = remembered.number;
        for key in Key::of_remembered(&remembered) {
            self.numbers.insert(key, number);
        }
        self.forgotten.insert((remembered.forgotten_at_ms, number));
        self.remembered.insert(number, remembered);
        self.dirty.push(number);
    }

    fn forget(&mut self, number: u64) {
        let Some(remembered) = self.remembered.remove(&number) else { return };
        for key in Key::of_remembered(&remembered) {
            self.numbers.remove(&key);
        }
        self.forgotten.remove(&(remembered.forgotten_at_ms, number));
        self.dirty.push(number);
    }
}

impl Key {
    fn of_hit(hit: &EnrichedHit, visitor_id: u64) -> Self {
        Self {
            property: Arc::clone(&hit.dimensions.property),
            traffic_class: hit.dimensions.client.traffic_class,
            visitor_id,
            session_id: hit.session_id,
        }
    }

    fn of_session(session: &Session) -> impl Iterator<Item = Self> + '_ {
        session.visitors.iter().map(|visitor_id| Self {
            property: Arc::clone(&session.dimensions.property),
            traffic_class: session.dimensions.client.traffic_class,
            visitor_id: *visitor_id,
            session_id: session.session_id,
        })
    }

    fn of_remembered(remembered: &Remembered) -> impl Iterator<Item = Self> + '_ {
        remembered.visitors.iter().map(|visitor_id| Self {
            property: Arc::clone(&remembered.property),
            traffic_class: remembered.traffic_class,
            visitor_id: *visitor_id,
            session_id: Some(remembered.session_id),
        })
    }
}
