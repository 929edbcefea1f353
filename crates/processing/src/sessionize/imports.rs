//! Which sessions an import mark closes, first things first.
//!
//! Properties that nobody imports into keep no order: a list of their open sessions is enough. The first mark of a property
//! sorts it; as long as marks come, a queue is kept, whose entries may be too early or of sessions that are over.

use std::collections::{BTreeSet, HashMap};

use foldhash::fast::RandomState;

use crate::sessionize::lists::{Lists, NONE};
use crate::sessionize::wheel::Entry;

/// Entries that a queue may hold beyond twice the open sessions: of those that are over.
const STALE: usize = 64;

#[derive(Debug)]
struct OfProperty {
    first: u32,
    open: usize,
}

/// Open sessions by property.
#[derive(Debug, Default)]
pub(super) struct Imports {
    properties: HashMap<u32, OfProperty, RandomState>,
    links: Lists,
    queues: HashMap<u32, BTreeSet<Entry>, RandomState>,
}

impl Imports {
    /// A session was opened; `due` says which mark closes it.
    pub(super) fn insert(&mut self, property: u32, due: Entry) {
        let of_property = self.properties.entry(property).or_insert(OfProperty { first: NONE, open: 0 });
        of_property.open += 1;
        self.links.push(&mut of_property.first, due.slot);
        self.moved_up(property, due);
    }

    /// An earlier mark closes this session from now on.
    pub(super) fn moved_up(&mut self, property: u32, due: Entry) {
        if self.queues.is_empty() {
            return;
        }
        if let Some(queue) = self.queues.get_mut(&property) {
            queue.insert(due);
            let open = self.properties.get(&property).map_or(0, |of_property| of_property.open);
            if queue.len() > 2 * open + STALE {
                self.queues.remove(&property);
            }
        }
    }

    /// A session is over.
    pub(super) fn remove(&mut self, property: u32, slot: u32) {
        let Some(of_property) = self.properties.get_mut(&property) else { return };
        self.links.remove(&mut of_property.first, slot);
        of_property.open -= 1;
        if of_property.open == 0 {
            self.properties.remove(&property);
            self.queues.remove(&property);
        }
    }

    /// The slots of a property's open sessions, in no order.
    pub(super) fn slots(&self, property: u32) -> impl Iterator<Item = u32> + '_ {
        let first = self.properties.get(&property).map_or(NONE, |of_property| of_property.first);
        self.links.iter(first)
    }

    /// The first session of the property that a mark of this time closes; `due_of` gives the mark that closes the
    /// session in a slot.
    pub(super) fn first(
        &mut self,
        property: u32,
        event_time_ms: u64,
        due_of: impl Fn(u32) -> Option<Entry>,
    ) -> Option<u32> {
        let first = self.properties.get(&property)?.first;
        let queue = self
            .queues
            .entry(property)
            .or_insert_with(|| self.links.iter(first).filter_map(&due_of).collect());
        loop {
            let entry = *queue.first()?;
            if entry.at_ms > event_time_ms {
                return None;
            }
            match due_of(entry.slot) {
                Some(due) if due == entry => return Some(entry.slot),
                Some(due) if due.number == entry.number => {
                    queue.pop_first();
                    queue.insert(due);
                }
                _ => {
                    queue.pop_first();
                }
            }
        }
    }
}
