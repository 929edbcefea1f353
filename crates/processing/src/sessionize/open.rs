//! The open sessions and the ways to find them: by key, by due time, by property for import marks.
//!
//! A session stays where it lies by time when a hit prolongs it, and is moved when its old time comes up.
//! Invariant: an entry never lies after the time it stands for.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::handover::{Acquisition, EnrichedHit};
use crate::sessionize::imports::Imports;
use crate::sessionize::interned::Interned;
use crate::sessionize::keys::{Key, Keys};
use crate::sessionize::record::{Flag, Record};
use crate::sessionize::session::{DAY_MS, Figures, Fit, Session};
use crate::sessionize::slab::Slab;
use crate::sessionize::wheel::{Entry, Wheel};

/// Sessions that are open, by slot.
#[derive(Debug, Default)]
pub(super) struct OpenSessions {
    records: Slab<Record>,
    keys: Keys,
    /// Figures that do not fit into their records.
    wide: HashMap<u32, Box<Figures>, RandomState>,
    due: Wheel,
    /// Those with a client's session id, by the time it is forgotten.
    outlived: Wheel,
    imports: Imports,
    /// Slots of what changed since the last seal, some of them twice, or free again.
    dirty: Vec<u32>,
}

impl OpenSessions {
    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.records.len()).unwrap_or(u64::MAX)
    }

    pub(super) fn find(&self, key: &Key) -> Option<u32> {
        self.keys.find(key, key_of(&self.records))
    }

    /// How a hit lies to a session; one with a session id takes it whatever the gap, the day or the campaign.
    pub(super) fn fit(&self, slot: u32, hit: &EnrichedHit, interned: &Interned) -> Fit {
        if hit.session_id.is_some() {
            return Fit::Joins;
        }
        match self.figures(slot, interned).map_or(Fit::Joins, |figures| figures.fit(hit)) {
            Fit::Joins if self.is_of_another_campaign(slot, hit, interned) => Fit::Later,
            fit => fit,
        }
    }

    fn is_of_another_campaign(&self, slot: u32, hit: &EnrichedHit, interned: &Interned) -> bool {
        let Some(own) = &hit.campaign else { return false };
        let record = self.records.get(slot);
        let of_session = record.and_then(|record| interned.acquisitions.get(record.acquisition));
        of_session.is_some_and(|of_session| {
            (&own.source, &own.medium, &own.campaign)
                != (&of_session.source, &of_session.medium, &of_session.campaign)
        })
    }

    /// Puts in a session; gives its slot, or `None` when there is no room for further ones.
    pub(super) fn insert(&mut self, session: &Session, interned: &mut Interned) -> Option<u32> {
        let (mut record, wide) = Record::new(session, interned)?;
        let figures = session.figures();
        record.due_at_ms = figures.due_ms();
        record.set(Flag::Dirty, true);
        let (key, number, due_at_ms) = (record.key(), record.number, record.due_at_ms);
        let slot = self.records.insert(record)?;
        if let Some(wide) = wide {
            self.wide.insert(slot, Box::new(wide));
        }
        self.keys.insert(slot, &key, key_of(&self.records));
        for visitor_id in session.visitors.iter().skip(1) {
            self.keys.insert_further(slot, &key, *visitor_id);
        }
        self.due.insert(Entry { at_ms: due_at_ms, number, slot });
        if let Some(at_ms) = session.forgotten_at_ms() {
            self.outlived.insert(Entry { at_ms, number, slot });
        }
        self.imports.insert(key.property, Entry { at_ms: figures.import_due_ms(), number, slot });
        self.dirty.push(slot);
        Some(slot)
    }

    /// Makes a session known by a further visitor id.
    pub(super) fn also_known_as(&mut self, slot: u32, visitor_id: u64) {
        let Some(record) = self.records.get_mut(slot) else { return };
        if self.keys.insert_further(slot, &record.key(), visitor_id) {
            touch(record, slot, &mut self.dirty);
        }
    }

    /// Takes a hit into a session; gives where the session came from.
    pub(super) fn join(
        &mut self,
        slot: u32,
        hit: &EnrichedHit,
        interned: &mut Interned,
    ) -> Option<Arc<Acquisition>> {
        let mut figures = self.figures(slot, interned)?;
        let record = self.records.get_mut(slot)?;
        let was_wide = record.has(Flag::Wide);
        let import_due_before_ms = figures.import_due_ms();
        if figures.join(hit) {
            record.set_exit_page(&hit.dimensions.page_path, interned);
        }
        let wide = record.update(&figures, interned);
        touch(record, slot, &mut self.dirty);
        let (number, property, acquisition) = (record.number, record.property, record.acquisition);
        let old = Entry { at_ms: record.due_at_ms, number, slot };
        let due_ms = figures.due_ms();
        // New rules may have a shorter time-out.
        if due_ms < old.at_ms {
            record.due_at_ms = due_ms;
            self.due.remove(old);
            self.due.insert(Entry { at_ms: due_ms, ..old });
        }
        let import_due_ms = figures.import_due_ms();
        if import_due_ms < import_due_before_ms {
            self.imports.moved_up(property, Entry { at_ms: import_due_ms, ..old });
        }
        match wide {
            Some(wide) => {
                self.wide.insert(slot, Box::new(wide));
            }
            None if was_wide => {
                self.wide.remove(&slot);
            }
            None => {}
        }
        interned.acquisitions.get(acquisition).cloned()
    }

    /// Takes a session out.
    pub(super) fn remove(&mut self, slot: u32, interned: &mut Interned) -> Option<Session> {
        let session = self.session(slot, interned)?;
        let record = self.records.remove(slot)?;
        let key = record.key();
        self.keys.remove(slot, &key, key_of(&self.records));
        self.wide.remove(&slot);
        let entry = Entry { at_ms: record.due_at_ms, number: record.number, slot };
        self.due.remove(entry);
        if let Some(at_ms) = session.forgotten_at_ms() {
            self.outlived.remove(Entry { at_ms, ..entry });
        }
        self.imports.remove(record.property, slot);
        record.release(interned);
        Some(session)
    }

    /// The session whose session id is forgotten first, if it is at this received time.
    pub(super) fn first_outlived(&mut self, received_at_ms: u64) -> Option<u32> {
        let Self { records, outlived, .. } = self;
        let refile = |slot: u32| {
            let record = records.get(slot)?;
            Some(Entry { at_ms: record.opened_at_ms.saturating_add(DAY_MS), number: record.number, slot })
        };
        outlived.first(received_at_ms, refile).map(|entry| entry.slot)
    }

    /// The session that is due first, if it is due at this received time.
    pub(super) fn first_due(&mut self, received_at_ms: u64, interned: &Interned) -> Option<u32> {
        loop {
            let Self { records, wide, due, .. } = self;
            let entry = due.first(received_at_ms, |slot| refile(records, wide, slot, interned))?;
            let now = refile(records, wide, entry.slot, interned)?;
            if now == entry {
                return Some(entry.slot);
            }
            due.remove(entry);
            due.insert(now);
        }
    }

    /// The first session of the property that an import mark of this time closes.
    pub(super) fn first_over_by_import(
        &mut self,
        property: u32,
        event_time_ms: u64,
        interned: &Interned,
    ) -> Option<u32> {
        let Self { records, wide, imports, .. } = self;
        imports.first(property, event_time_ms, |slot| {
            let figures = figures_of(records, wide, slot, interned)?;
            Some(Entry { at_ms: figures.import_due_ms(), number: records.get(slot)?.number, slot })
        })
    }

    /// Numbers and slots of a property's sessions that are known by such ids, in no order.
    pub(super) fn of_visitors(&self, property: u32, is_meant: impl Fn(u64) -> bool) -> Vec<(u64, u32)> {
        let known_by = |slot: u32| {
            let record = self.records.get(slot)?;
            let mut visitors = self.keys.visitors(slot, &record.key()).into_iter();
            visitors.any(&is_meant).then_some((record.number, slot))
        };
        self.imports.slots(property).filter_map(known_by).collect()
    }

    /// A session as it is now.
    pub(super) fn session(&self, slot: u32, interned: &Interned) -> Option<Session> {
        let record = self.records.get(slot)?;
        let figures = self.figures(slot, interned)?;
        record.session(self.keys.visitors(slot, &record.key()), &figures, interned)
    }

    /// Every session, in no order.
    pub(super) fn all<'a>(&'a self, interned: &'a Interned) -> impl Iterator<Item = Session> + 'a {
        self.records.slots().filter_map(|slot| self.session(slot, interned))
    }

    /// Number and slot of every session.
    pub(super) fn numbers(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.records.slots().filter_map(|slot| Some((self.records.get(slot)?.number, slot)))
    }

    /// Takes every session as it is for sealed.
    pub(super) fn take_clean(&mut self) {
        for slot in std::mem::take(&mut self.dirty) {
            if let Some(record) = self.records.get_mut(slot) {
                record.set(Flag::Dirty, false);
            }
        }
    }

    /// The sessions that changed since the last call, in no order.
    pub(super) fn take_dirty(&mut self, interned: &Interned) -> Vec<Session> {
        let mut changed = Vec::new();
        for slot in std::mem::take(&mut self.dirty) {
            if let Some(record) = self.records.get_mut(slot).filter(|record| record.has(Flag::Dirty)) {
                record.set(Flag::Dirty, false);
                changed.extend(self.session(slot, interned));
            }
        }
        changed
    }

    fn figures(&self, slot: u32, interned: &Interned) -> Option<Figures> {
        figures_of(&self.records, &self.wide, slot, interned)
    }
}

fn key_of(records: &Slab<Record>) -> impl Fn(u32) -> Option<Key> + '_ {
    |slot| records.get(slot).map(Record::key)
}

fn figures_of(
    records: &Slab<Record>,
    wide: &HashMap<u32, Box<Figures>, RandomState>,
    slot: u32,
    interned: &Interned,
) -> Option<Figures> {
    records.get(slot)?.unpack(interned).or_else(|| wide.get(&slot).map(|figures| **figures))
}

/// The entry of a session as it is due now.
fn refile(
    records: &mut Slab<Record>,
    wide: &HashMap<u32, Box<Figures>, RandomState>,
    slot: u32,
    interned: &Interned,
) -> Option<Entry> {
    let due_ms = figures_of(records, wide, slot, interned)?.due_ms();
    let record = records.get_mut(slot)?;
    record.due_at_ms = due_ms;
    Some(Entry { at_ms: due_ms, number: record.number, slot })
}

fn touch(record: &mut Record, slot: u32, dirty: &mut Vec<u32>) {
    if !record.has(Flag::Dirty) {
        record.set(Flag::Dirty, true);
        dirty.push(slot);
    }
}
