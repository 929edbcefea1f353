//! What a disk holds for certain at a cut, and what it may hold besides.
//!
//! The model is strict. A sync of a file keeps its bytes and length as they were when the sync began, and no name; a
//! sync of a directory keeps its entries, neither the bytes of its files nor its own name. A rename is two changes of
//! entries that need not go together.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::log::{Event, Inode, Kind, Log};

/// The disk at a cut.
#[derive(Debug)]
pub(crate) struct Disk {
    /// By inode.
    pub(crate) inodes: Vec<Contents>,
}

/// What is known of an inode; a directory has no bytes, a file no entries.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) is_directory: bool,
    /// Bytes that were synced.
    pub(crate) bytes: Bytes,
    /// Entries that were synced.
    pub(crate) entries: BTreeMap<String, Inode>,
    /// Changes that were not, in the order in which they were made.
    pub(crate) loose: Vec<Loose>,
}

/// A change that a loss of power may undo.
#[derive(Debug, Clone)]
pub(crate) enum Loose {
    Bytes { at: u64, bytes: Arc<[u8]> },
    Length(u64),
    Entry { name: String, inode: Option<Inode> },
}

/// Bytes of a file, which may have holes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Bytes {
    pub(crate) fn write(&mut self, at: u64, bytes: &[u8]) {
        let range = range(at, bytes.len());
        if self.0.len() < range.end {
            self.0.resize(range.end, 0);
        }
        if let Some(place) = self.0.get_mut(range) {
            place.copy_from_slice(bytes);
        }
    }

    pub(crate) fn set_length(&mut self, length: u64) {
        self.0.resize(range(length, 0).start, 0);
    }
}

#[allow(clippy::expect_used)] // files of tests are small
fn range(at: u64, length: usize) -> Range<usize> {
    let at = usize::try_from(at).expect("a file of a test fits into memory");
    at..at + length
}

/// One file of a disk, for backends that tests put in the place of a file.
#[derive(Debug, Clone, Default)]
pub struct ForgetfulFile {
    pub(crate) synced: Bytes,
    pub(crate) loose: Vec<Loose>,
}

impl ForgetfulFile {
    /// A file with these bytes, synced.
    pub fn holding(bytes: Vec<u8>) -> Self {
        Self { synced: Bytes(bytes), loose: Vec::new() }
    }

    /// Writes, for the time being.
    pub fn write(&mut self, at: u64, bytes: &[u8]) {
        self.loose.push(Loose::Bytes { at, bytes: bytes.into() });
    }

    /// Cuts or extends, for the time being.
    pub fn set_length(&mut self, length: u64) {
        self.loose.push(Loose::Length(length));
    }

    /// Keeps all that was done.
    pub fn sync(&mut self) {
        for change in std::mem::take(&mut self.loose) {
            make(&mut self.synced, &change);
        }
    }

    /// What was synced, and nothing else.
    pub fn synced(&self) -> &[u8] {
        &self.synced.0
    }
}

/// Changes bytes.
pub(crate) fn make(bytes: &mut Bytes, change: &Loose) {
    match change {
        Loose::Bytes { at, bytes: written } => bytes.write(*at, written),
        Loose::Length(length) => bytes.set_length(*length),
        Loose::Entry { .. } => {}
    }
}

impl Disk {
    /// After the first `cut` events, if the syncs of the points `without` do nothing.
    pub(crate) fn at(log: &Log, cut: usize, without: &[usize]) -> Self {
        let events = log.events.get(..cut).unwrap_or(&log.events);
        // Events of each inode before this one are durable.
        let mut durable = vec![0; log.kinds.len()];
        for event in events {
            if let Event::Sync { inode, since, point } = event
                && !without.contains(point)
                && let Some(until) = durable.get_mut(*inode)
            {
                *until = (*since).max(*until);
            }
        }
        let mut inodes: Vec<Contents> = log
            .kinds
            .iter()
            .map(|kind| Contents { is_directory: *kind == Kind::Directory, ..Contents::default() })
            .collect();
        for (index, event) in events.iter().enumerate() {
            let Some(changed) = event.changes() else { continue };
            let (Some(contents), Some(until)) = (inodes.get_mut(changed), durable.get(changed)) else {
                continue;
            };
            let change = match event {
                Event::Enter { name, inode, .. } => Loose::Entry { name: name.clone(), inode: Some(*inode) },
                Event::Leave { name, .. } => Loose::Entry { name: name.clone(), inode: None },
                Event::Write { at, bytes, .. } => Loose::Bytes { at: *at, bytes: Arc::clone(bytes) },
                Event::Length { length, .. } => Loose::Length(*length),
                Event::Sync { .. } | Event::Acknowledged(_) => continue,
            };
            if index < *until { contents.keep(change) } else { contents.loose.push(change) }
        }
        Self { inodes }
    }

    /// The same when nothing is lost: what other processes see.
    pub(crate) fn seen(log: &Log, cut: usize) -> Self {
        let mut disk = Self::at(log, cut, &[]);
        for contents in &mut disk.inodes {
            for change in std::mem::take(&mut contents.loose) {
                contents.keep(change);
            }
        }
        disk
    }
}

impl Contents {
    /// Makes a change.
    pub(crate) fn keep(&mut self, change: Loose) {
        match change {
            Loose::Entry { name, inode: Some(inode) } => drop(self.entries.insert(name, inode)),
            Loose::Entry { name, inode: None } => drop(self.entries.remove(&name)),
            bytes => make(&mut self.bytes, &bytes),
        }
    }
}
