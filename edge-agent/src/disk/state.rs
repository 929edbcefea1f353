//! `state.redb`: what the edge has processed, the state of processing, and the batches that are still to be sent.
//!
//! Tables: `meta` (identity; progress as JSON), `checkpoint` and `changes` (state of processing), `outbox_rollup` and
//! `outbox_raw` (by seq), `outbox_notes` (accounts of rollup batches again, so that opening need not read these). A flush writes all of them in one transaction, so after a crash either the whole flush is
//! there or none of it, and the WAL is processed from there again. Commits are two-phase with quick repair: a crash
//! never means walking the whole file, and values from outside cannot fake a commit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use batch::Lane;
use bytes::Bytes;
use hit::{EdgeId, Epoch};
use redb::{Builder, Database, ReadableDatabase, Table, TableDefinition, WriteTransaction};
use redb::{ReadableTable, ReadableTableMetadata};
use serde::{Deserialize, Serialize};

use super::FORMAT;
use super::entry::{self, EntryError, Note, RawEntry, RollupEntry};
use super::medium::Medium;

const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");
const CHECKPOINT: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("checkpoint");
const CHANGES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("changes");
const ROLLUP: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("outbox_rollup");
const RAW: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("outbox_raw");
/// Hits counted, received time of the oldest hit, bytes; little endian. Absent from what earlier versions wrote.
const NOTES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("outbox_notes");

/// Why the state database cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    /// Opening, reading or writing failed. After a failed write the process must stop.
    #[error("{path:?} {doing}: {source}")]
    Database {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What redb said.
        source: Box<redb::Error>,
    },
    /// The file's name could not be made durable.
    #[error("cannot make {path:?}: {source}")]
    Make {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// No random bytes for the epoch.
    #[error("the operating system gives no random bytes for an epoch: {0}")]
    Random(getrandom::Error),
    /// Identity or progress cannot be understood.
    #[error("{path:?} has a broken {field}: {reason}")]
    Meta {
        /// The file.
        path: PathBuf,
        /// Key in `meta`.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The directory is another edge's.
    #[error(
        "{path:?} belongs to the edge {found:?}, but the certificate in tls.cert says {expected:?}; give each edge \
         a data_dir of its own"
    )]
    OtherEdge {
        /// The file.
        path: PathBuf,
        /// The edge in the file.
        found: String,
        /// The edge in the certificate.
        expected: String,
    },
    /// A batch in the outbox is damaged.
    #[error("{path:?}: the outbox entry {lane} {seq} {source}")]
    Entry {
        /// The file.
        path: PathBuf,
        /// Its lane.
        lane: &'static str,
        /// Its seq.
        seq: u64,
        /// What is wrong.
        source: EntryError,
    },
}

/// How far this edge has come; written with every flush.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// First block that no rollup batch covers.
    pub(crate) next_block: u64,
    /// First position that no rollup batch covers.
    pub(crate) next_position: u64,
    /// Rollup batches sealed so far; the next has this plus one.
    pub(crate) rollup_seq: u64,
    /// Raw batches sealed so far.
    pub(crate) raw_seq: u64,
    /// Hits before `next_position` that are in no row, by reason.
    pub(crate) dropped: BTreeMap<String, u64>,
    /// Those in rows, by traffic class; empty in what earlier versions wrote.
    #[serde(default)]
    pub(crate) by_class: BTreeMap<String, u64>,
    /// Received time of the block before `next_block`; 0 in what earlier versions wrote.
    #[serde(default)]
    pub(crate) received_at_ms: u64,
}

/// The state of processing to store with a flush.
#[derive(Debug)]
pub(crate) enum StateWrite {
    /// What changed since the flush before.
    Change(Vec<u8>),
    /// Everything; what is stored is deleted.
    Checkpoint(Vec<u8>),
}

/// All that one flush makes durable together.
#[derive(Debug)]
pub(crate) struct Flush {
    /// The rollup batch.
    pub(crate) rollup: RollupEntry,
    /// The raw batches of the same range.
    pub(crate) raw: Vec<RawEntry>,
    /// State of processing after it.
    pub(crate) state: StateWrite,
    /// How far that is.
    pub(crate) progress: Progress,
}

/// Stored state of processing.
#[derive(Debug, Default)]
pub(crate) struct StoredState {
    /// The last checkpoint.
    pub(crate) checkpoint: Option<Vec<u8>>,
    /// Changes since, in order.
    pub(crate) changes: Vec<Vec<u8>>,
}

/// Accounts and bytes of rollup batches, by seq.
type Notes = BTreeMap<u64, (Note, u64)>;

/// What is still to be sent, as found at opening.
#[derive(Debug, Default)]
pub(crate) struct OutboxContents {
    /// Rollup batches.
    pub(crate) rollup: Notes,
    /// Raw batches: bytes of the payload, by seq.
    pub(crate) raw: BTreeMap<u64, u64>,
    /// Hits in the rows of batches that a hub has acknowledged, since the epoch began.
    pub(crate) delivered: u64,
}

/// The state database.
#[derive(Debug)]
pub(crate) struct StateStore {
    database: Database,
    path: PathBuf,
    epoch: Epoch,
}

impl StateStore {
    /// Opens the database, or makes it with a new epoch.
    pub(crate) fn open(path: &Path, edge: &EdgeId, cache_bytes: usize) -> Result<Self, StateError> {
        if !path.exists() {
            create(path, edge, cache_bytes)?;
        }
        Self::open_on(path, path, edge, cache_bytes)
    }

    /// Opens a database that is there, and checks that it is this edge's.
    fn open_on(
        medium: &(impl Medium + ?Sized),
        path: &Path,
        edge: &EdgeId,
        cache_bytes: usize,
    ) -> Result<Self, StateError> {
        let mut builder = Builder::new();
        let database = medium
            .open(builder.set_cache_size(cache_bytes))
            .map_err(|error| database_error(path, "cannot be opened", error.into()))?;
        let mut store = Self { database, path: path.to_owned(), epoch: Epoch([0; 16]) };
        if store.meta("format")? != FORMAT.to_le_bytes() {
            let reason = format!("this build reads format {FORMAT}");
            return Err(StateError::Meta { path: path.to_owned(), field: "format", reason });
        }
        let found = store.meta("edge")?;
        if found != edge.as_str().as_bytes() {
            return Err(StateError::OtherEdge {
                path: path.to_owned(),
                found: String::from_utf8_lossy(&found).into_owned(),
                expected: edge.to_string(),
            });
        }
        let epoch = store.meta("epoch")?;
        store.epoch = Epoch::from_bytes(&epoch).ok_or_else(|| StateError::Meta {
            path: path.to_owned(),
            field: "epoch",
            reason: format!("{} bytes, expected 16", epoch.len()),
        })?;
        Ok(store)
    }

    /// The epoch of this data directory.
    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Bytes taken on disk. redb keeps the space of deleted values for later ones.
    pub(crate) fn disk_bytes(&self) -> u64 {
        super::allocated_bytes(&self.path)
    }

    /// How far the last flush came.
    pub(crate) fn load_progress(&self) -> Result<Progress, StateError> {
        self.parse_progress(&self.meta("progress")?)
    }

    fn parse_progress(&self, bytes: &[u8]) -> Result<Progress, StateError> {
        serde_json::from_slice(bytes).map_err(|error| StateError::Meta {
            path: self.path.clone(),
            field: "progress",
            reason: error.to_string(),
        })
    }

    /// The state of processing as of the last flush.
    pub(crate) fn load_state(&self) -> Result<StoredState, StateError> {
        let read = || -> Result<StoredState, redb::Error> {
            let transaction = self.database.begin_read()?;
            let mut stored = StoredState::default();
            if let Some((_, bytes)) = transaction.open_table(CHECKPOINT)?.last()? {
                stored.checkpoint = Some(bytes.value().to_vec());
            }
            for change in transaction.open_table(CHANGES)?.iter()? {
                stored.changes.push(change?.1.value().to_vec());
            }
            Ok(stored)
        };
        read().map_err(|error| self.error("cannot be read", error))
    }

    /// What is still to be sent, and what was.
    pub(crate) fn load_outbox(&self) -> Result<OutboxContents, StateError> {
        let notes = self.load_notes().map_err(|error| self.error("cannot be read", error))?;
        let rollup = notes.map_or_else(|| self.read_notes(), Ok)?;
        let mut contents = OutboxContents { delivered: self.delivered()?, rollup, raw: BTreeMap::new() };
        let mut after = 0;
        while let Some(raw) = self.next_raw(after)? {
            after = raw.header.id.seq;
            contents.raw.insert(after, raw.header.payload_bytes);
        }
        Ok(contents)
    }

    /// The accounts of rollup batches, unless an earlier version has written or deleted some of these.
    fn load_notes(&self) -> Result<Option<Notes>, redb::Error> {
        let transaction = self.database.begin_read()?;
        let table = match transaction.open_table(NOTES) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let rollup = transaction.open_table(ROLLUP)?;
        let first = |table: &redb::ReadOnlyTable<u64, &'static [u8]>| -> Result<_, redb::Error> {
            Ok(table.first()?.map(|(seq, _)| seq.value()))
        };
        if rollup.len()? != table.len()? || first(&rollup)? != first(&table)? {
            return Ok(None);
        }
        let mut notes = Notes::new();
        for entry in table.iter()? {
            let (seq, bytes) = entry?;
            let Some(note) = note_from(bytes.value()) else { return Ok(None) };
            notes.insert(seq.value(), note);
        }
        Ok(Some(notes))
    }

    /// The same from the batches themselves, one at a time: the outbox may be much larger than the memory.
    fn read_notes(&self) -> Result<Notes, StateError> {
        let (mut notes, mut after) = (Notes::new(), 0);
        while let Some((seq, bytes)) = self.first_after(ROLLUP, after)? {
            let note = entry::note_of(&bytes).map_err(|error| self.entry(Lane::Rollup, seq, error))?;
            notes.insert(seq, (note, u64::try_from(bytes.len()).unwrap_or(u64::MAX)));
            after = seq;
        }
        Ok(notes)
    }

    /// Makes a flush durable: all of it or, after a crash, none.
    pub(crate) fn flush(&self, flush: &Flush) -> Result<(), StateError> {
        let progress = serde_json::to_vec(&flush.progress).map_err(|error| StateError::Meta {
            path: self.path.clone(),
            field: "progress",
            reason: error.to_string(),
        })?;
        self.write("could not be flushed", |transaction| {
            let rollup = flush.rollup.encode();
            let seq = flush.rollup.batch.header().id.seq;
            transaction.open_table(ROLLUP)?.insert(seq, rollup.as_slice())?;
            let note = note_bytes(flush.rollup.note, flush.rollup.batch.header().payload_bytes);
            transaction.open_table(NOTES)?.insert(seq, note.as_slice())?;
            let mut raw = transaction.open_table(RAW)?;
            for entry in &flush.raw {
                raw.insert(entry.header.id.seq, entry.encode().as_slice())?;
            }
            let mut changes = transaction.open_table(CHANGES)?;
            match &flush.state {
                StateWrite::Change(bytes) => {
                    changes.insert(seq, bytes.as_slice())?;
                }
                StateWrite::Checkpoint(bytes) => {
                    clear(&mut changes)?;
                    let mut checkpoint = transaction.open_table(CHECKPOINT)?;
                    clear(&mut checkpoint)?;
                    checkpoint.insert(seq, bytes.as_slice())?;
                }
            }
            transaction.open_table(META)?.insert("progress", progress.as_slice())?;
            Ok(())
        })
    }

    /// Deletes acknowledged batches; gives the first block that is still needed, by a raw batch or by processing.
    pub(crate) fn acknowledge(&self, acks: &[(Lane, u64)]) -> Result<u64, StateError> {
        let mut delivered = self.delivered()?;
        let mut oldest_raw = None;
        let mut progress = Vec::new();
        self.write("could not be written for acks", |transaction| {
            let mut rollup = transaction.open_table(ROLLUP)?;
            let mut notes = transaction.open_table(NOTES)?;
            let mut raw = transaction.open_table(RAW)?;
            for (lane, seq) in acks {
                if *lane == Lane::Raw {
                    raw.remove(seq)?;
                } else if let Some(bytes) = rollup.remove(seq)? {
                    notes.remove(seq)?;
                    // It was read once before it was sent, so it reads again.
                    delivered += entry::note_of(bytes.value()).unwrap_or_default().counted;
                }
            }
            let mut meta = transaction.open_table(META)?;
            meta.insert("delivered", delivered.to_le_bytes().as_slice())?;
            // Both in this transaction: a flush in between would bring a raw batch of blocks thought to be done with.
            oldest_raw =
                raw.first()?.map(|(seq, bytes)| (seq.value(), Bytes::copy_from_slice(bytes.value())));
            progress = meta.get("progress")?.map_or_else(Vec::new, |value| value.value().to_vec());
            Ok(())
        })?;
        match oldest_raw {
            Some((seq, bytes)) => RawEntry::decode(bytes)
                .map(|raw| raw.first_block)
                .map_err(|error| self.entry(Lane::Raw, seq, error)),
            None => Ok(self.parse_progress(&progress)?.next_block),
        }
    }

    /// The first rollup batch after `seq`.
    pub(crate) fn next_rollup(&self, seq: u64) -> Result<Option<RollupEntry>, StateError> {
        let Some((seq, bytes)) = self.first_after(ROLLUP, seq)? else { return Ok(None) };
        RollupEntry::decode(bytes).map(Some).map_err(|error| self.entry(Lane::Rollup, seq, error))
    }

    /// The first raw batch after `seq`.
    pub(crate) fn next_raw(&self, seq: u64) -> Result<Option<RawEntry>, StateError> {
        let Some((seq, bytes)) = self.first_after(RAW, seq)? else { return Ok(None) };
        RawEntry::decode(bytes).map(Some).map_err(|error| self.entry(Lane::Raw, seq, error))
    }

    fn first_after(
        &self,
        table: TableDefinition<'static, u64, &'static [u8]>,
        seq: u64,
    ) -> Result<Option<(u64, Bytes)>, StateError> {
        let read = || -> Result<Option<(u64, Bytes)>, redb::Error> {
            let transaction = self.database.begin_read()?;
            let table = transaction.open_table(table)?;
            let Some(found) = table.range(seq.saturating_add(1)..)?.next() else { return Ok(None) };
            let (seq, bytes) = found?;
            Ok(Some((seq.value(), Bytes::copy_from_slice(bytes.value()))))
        };
        read().map_err(|error| self.error("cannot be read", error))
    }

    fn delivered(&self) -> Result<u64, StateError> {
        let bytes = self.meta("delivered")?;
        bytes.as_slice().try_into().map(u64::from_le_bytes).map_err(|_| StateError::Meta {
            path: self.path.clone(),
            field: "delivered",
            reason: format!("{} bytes, expected 8", bytes.len()),
        })
    }

    fn meta(&self, field: &'static str) -> Result<Vec<u8>, StateError> {
        let read = || -> Result<Option<Vec<u8>>, redb::Error> {
            let table = self.database.begin_read()?.open_table(META)?;
            Ok(table.get(field)?.map(|value| value.value().to_vec()))
        };
        read().map_err(|error| self.error("cannot be read", error))?.ok_or_else(|| StateError::Meta {
            path: self.path.clone(),
            field,
            reason: "it is missing".into(),
        })
    }

    fn write(
        &self,
        doing: &'static str,
        change: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), StateError> {
        write(&self.database, change).map_err(|error| self.error(doing, error))
    }

    fn error(&self, doing: &'static str, error: redb::Error) -> StateError {
        database_error(&self.path, doing, error)
    }

    fn entry(&self, lane: Lane, seq: u64, source: EntryError) -> StateError {
        StateError::Entry { path: self.path.clone(), lane: batch::sealed::lane_name(lane), seq, source }
    }
}

fn note_bytes(note: Note, bytes: u64) -> Vec<u8> {
    [note.counted, note.oldest_ms, bytes].iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn note_from(bytes: &[u8]) -> Option<(Note, u64)> {
    let (numbers, []) = bytes.as_chunks::<8>() else { return None };
    let &[counted, oldest_ms, bytes] = numbers else { return None };
    let note = Note { counted: u64::from_le_bytes(counted), oldest_ms: u64::from_le_bytes(oldest_ms) };
    Some((note, u64::from_le_bytes(bytes)))
}

fn write(
    database: &Database,
    change: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    change(&transaction)?;
    transaction.commit()?;
    Ok(())
}

fn clear(table: &mut Table<'_, u64, &'static [u8]>) -> Result<(), redb::Error> {
    table.retain(|_, _| false)?;
    Ok(())
}

/// Makes the database under a temporary name, so that one with the right name always has an owner.
fn create(path: &Path, edge: &EdgeId, cache_bytes: usize) -> Result<(), StateError> {
    let temporary = path.with_extension("tmp");
    let make = |source| StateError::Make { path: path.to_owned(), source };
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(make(error)),
        _ => {}
    }
    let epoch = Epoch::random().map_err(StateError::Random)?;
    // Closed again: opening is the same for a new one and for one that is there.
    new_database(temporary.as_path(), edge, epoch, cache_bytes)
        .map(drop)
        .map_err(|error| database_error(path, "cannot be made", error))?;
    durable::rename(&temporary, path).map_err(make)
}

/// A database with its first contents, durable but for the name of its file.
fn new_database(
    medium: &(impl Medium + ?Sized),
    edge: &EdgeId,
    epoch: Epoch,
    cache_bytes: usize,
) -> Result<Database, redb::Error> {
    let mut builder = Builder::new();
    let database = medium.create(builder.set_cache_size(cache_bytes))?;
    fill(&database, edge, epoch)?;
    Ok(database)
}

/// What a new database holds.
fn fill(database: &Database, edge: &EdgeId, epoch: Epoch) -> Result<(), redb::Error> {
    write(database, |transaction| {
        let mut meta = transaction.open_table(META)?;
        meta.insert("format", FORMAT.to_le_bytes().as_slice())?;
        meta.insert("edge", edge.as_str().as_bytes())?;
        meta.insert("epoch", epoch.0.as_slice())?;
        meta.insert("delivered", 0_u64.to_le_bytes().as_slice())?;
        let progress = serde_json::to_vec(&Progress::default()).unwrap_or_default();
        meta.insert("progress", progress.as_slice())?;
        for table in [CHECKPOINT, CHANGES, ROLLUP, RAW, NOTES] {
            transaction.open_table(table)?;
        }
        Ok(())
    })
}

fn database_error(path: &Path, doing: &'static str, error: redb::Error) -> StateError {
    let doing = match error {
        redb::Error::DatabaseAlreadyOpen => {
            "is in use by another process; stop it, or choose another data_dir"
        }
        _ => doing,
    };
    StateError::Database { path: path.to_owned(), doing, source: Box::new(error) }
}

#[cfg(test)]
mod power_tests;
#[cfg(test)]
mod tests;
