//! A copy of the configuration in a redb file.
//!
//! Tables: `records` (key, value), `deltas` (the last ones by version, so that followers which were away are sent what they missed and not
//! everything), `meta` (position, number of records, bytes of deltas). A version is written in one transaction with its position, after its
//! checksum was compared and the [`View`] has taken it in; so after a crash the file holds one version or the next. A file that does not
//! hold what its position says is set aside when it is opened, with an ERROR line, and the copy begins with nothing.

mod deltas;
mod file;
mod page;
mod replace;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use prost::Message as _;
use proto::config as wire;
use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction,
};
use tokio::sync::watch;

use crate::position::{Position, SCHEMA};
use crate::refusal::Refused;

pub use page::KeyValue;
pub use replace::Replacing;

const RECORDS: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("records");
const DELTAS: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("deltas");
const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");

/// Keys of `meta`.
const POSITION: &str = "position";
const COUNTS: &str = "counts";

/// Why the copy cannot be used. After a failed write the process must stop.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    /// Opening, reading or writing failed.
    #[error("configuration in {path:?} {doing}: {source}")]
    Database {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What redb said.
        source: Box<redb::Error>,
    },
    /// The file's name could not be made durable, or the file not set aside.
    #[error("cannot make {path:?}: {source}")]
    Make {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// What is stored beside the records cannot be understood.
    #[error("configuration in {path:?} has a broken {field}")]
    Meta {
        /// The file.
        path: PathBuf,
        /// Which entry.
        field: &'static str,
    },
}

/// Why a version was not put in force.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// It cannot be used; the one in force stays.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The copy cannot be used any more.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
}

/// Reads a version.
pub trait Records {
    /// The value of a key.
    ///
    /// # Errors
    /// When the file cannot be read.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, ReplicaError>;

    /// Every record whose key begins so, in the order of keys.
    ///
    /// # Errors
    /// When the file cannot be read; those that were told are good.
    fn for_each(&self, prefix: &str, told: &mut dyn FnMut(&str, &[u8])) -> Result<(), ReplicaError>;
}

/// Puts a version in place; cannot fail.
pub type Install = Box<dyn FnOnce() + Send>;

/// What a service makes of the records in memory, such as an index.
pub trait View: Send + Sync {
    /// Reads a version before it is stored: everything, or only what changed since the one before. What is given back is called when the
    /// version is stored.
    ///
    /// # Errors
    /// When the version cannot be used; it is refused then as damaged.
    fn prepare(&self, records: &dyn Records, changed: Option<&[wire::Record]>) -> Result<Install, String>;
}

/// For a service that makes nothing of the records.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoView;

impl View for NoView {
    fn prepare(&self, _records: &dyn Records, _changed: Option<&[wire::Record]>) -> Result<Install, String> {
        Ok(Box::new(|| {}))
    }
}

/// What is counted beside the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Counts {
    records: u64,
    delta_bytes: u64,
}

/// The copy.
pub struct Replica {
    path: PathBuf,
    database: Database,
    view: Arc<dyn View>,
    counts: Mutex<Counts>,
    position: watch::Sender<Position>,
}

impl Replica {
    /// Opens or makes the file, and has `view` take in what it holds. Blocks: every record is read and its checksum compared.
    ///
    /// # Errors
    /// When the file belongs to a running process, or cannot be read or made.
    pub fn open(path: &Path, cache_bytes: usize, view: Arc<dyn View>) -> Result<Arc<Self>, ReplicaError> {
        file::open(path, cache_bytes, view).map(Arc::new)
    }

    /// What it holds.
    pub fn position(&self) -> Position {
        *self.position.borrow()
    }

    /// Told whenever another version is in force.
    pub fn watch(&self) -> watch::Receiver<Position> {
        self.position.subscribe()
    }

    /// How many records it has.
    pub fn len(&self) -> u64 {
        self.counts().records
    }

    /// Whether it has no record.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The version in force, as it stays for who reads it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&self) -> Result<Reader<'_>, ReplicaError> {
        let transaction = self.database.begin_read().map_err(|error| self.failed("cannot be read", error))?;
        Ok(Reader { replica: self, transaction })
    }

    /// Puts further versions in force, one after the other; those that it has already are passed over. Blocks on the disk. Gives what
    /// is not as it was.
    ///
    /// # Errors
    /// When one does not follow, or is not what its checksum says: none of them is in force then.
    pub fn apply(&self, deltas: &[wire::Delta]) -> Result<u64, ApplyError> {
        let from = self.position();
        let write = self.begin_write()?;
        let mut state = State { position: from, counts: self.counts() };
        let mut changed = Vec::new();
        for delta in deltas {
            self.apply_one(&write, delta, &mut state, &mut changed)?;
        }
        let applied = state.position.version - from.version;
        if applied > 0 {
            self.commit(write, state, Some(&changed))?;
        }
        Ok(applied)
    }

    fn apply_one(
        &self,
        write: &WriteTransaction,
        delta: &wire::Delta,
        state: &mut State,
        changed: &mut Vec<wire::Record>,
    ) -> Result<(), ApplyError> {
        let to = offered(delta.position.as_ref(), delta.schema)?;
        let (version, at) = (to.version, state.position);
        if !at.is_nothing() && to.history != at.history {
            return Err(Refused::OtherHistory { version }.into());
        }
        if to.order() <= at.order() {
            return Ok(());
        }
        if version != at.version + 1 {
            let problem = format!("it does not follow {}, which is in force", at.version);
            return Err(Refused::Corrupt { version, problem }.into());
        }
        let mut table = write.open_table(RECORDS).map_err(|error| self.failed("cannot be changed", error))?;
        for record in &delta.records {
            self.put(&mut table, record, state)?;
        }
        if state.position.checksum != to.checksum {
            let problem = format!("checksum {} instead of {}", state.position.checksum, to.checksum);
            return Err(Refused::Corrupt { version, problem }.into());
        }
        if state.counts.records == 0 {
            return Err(Refused::Empty { version, records: self.len() }.into());
        }
        state.position = to;
        deltas::keep(self, write, version, &delta.encode_to_vec(), &mut state.counts)?;
        changed.extend(delta.records.iter().cloned());
        Ok(())
    }

    /// One record, with checksum and count.
    fn put(
        &self,
        table: &mut Table<'_, &'static str, &'static [u8]>,
        record: &wire::Record,
        state: &mut State,
    ) -> Result<(), ReplicaError> {
        let key = record.key.as_str();
        let checksum = &mut state.position.checksum;
        let failed = |error| self.failed("cannot be changed", error);
        let before = match &record.value {
            Some(value) => {
                *checksum = checksum.with(key, value);
                state.counts.records += 1;
                table.insert(key, value.as_slice()).map_err(failed)?
            }
            None => table.remove(key).map_err(failed)?,
        };
        if let Some(before) = before {
            *checksum = checksum.without(key, before.value());
            state.counts.records -= 1;
        }
        Ok(())
    }

    /// Has the view take the version in, stores it, and tells of it.
    fn commit(
        &self,
        write: WriteTransaction,
        state: State,
        changed: Option<&[wire::Record]>,
    ) -> Result<(), ApplyError> {
        let install = {
            let table = write.open_table(RECORDS).map_err(|error| self.failed("cannot be read", error))?;
            let version = state.position.version;
            self.view
                .prepare(&Written { replica: self, table: &table }, changed)
                .map_err(|problem| Refused::Corrupt { version, problem })?
        };
        self.write_meta(&write, state)?;
        write.commit().map_err(|error| self.failed("cannot be stored", error))?;
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = state.counts;
        install();
        self.position.send_replace(state.position);
        Ok(())
    }

    fn write_meta(&self, write: &WriteTransaction, state: State) -> Result<(), ReplicaError> {
        let mut meta = write.open_table(META).map_err(|error| self.failed("cannot be changed", error))?;
        let position = wire::Position::from(state.position).encode_to_vec();
        let counts = [state.counts.records.to_le_bytes(), state.counts.delta_bytes.to_le_bytes()].concat();
        for (key, value) in [(POSITION, position), (COUNTS, counts)] {
            meta.insert(key, value.as_slice()).map_err(|error| self.failed("cannot be changed", error))?;
        }
        Ok(())
    }

    fn begin_write(&self) -> Result<WriteTransaction, ReplicaError> {
        let mut write =
            self.database.begin_write().map_err(|error| self.failed("cannot be changed", error))?;
        write.set_quick_repair(true);
        Ok(write)
    }

    fn counts(&self) -> Counts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, doing: &'static str, source: impl Into<redb::Error>) -> ReplicaError {
        ReplicaError::Database { path: self.path.clone(), doing, source: Box::new(source.into()) }
    }
}

impl std::fmt::Debug for Replica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replica")
            .field("path", &self.path)
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}

/// A version that is being written.
#[derive(Debug, Clone, Copy)]
struct State {
    position: Position,
    counts: Counts,
}

/// The position of a version that is offered, if this build can read it.
fn offered(position: Option<&wire::Position>, schema: u32) -> Result<Position, Refused> {
    let position = position.cloned().unwrap_or_default();
    let version = position.version;
    if schema > SCHEMA {
        return Err(Refused::NewerSchema { version, schema });
    }
    match Position::try_from(&position) {
        Ok(position) if !position.is_nothing() => Ok(position),
        Ok(_) => Err(Refused::Corrupt { version, problem: "it has no position".to_owned() }),
        Err(error) => Err(Refused::Corrupt { version, problem: error.to_string() }),
    }
}

/// A version that is in force, or was when this was made.
pub struct Reader<'a> {
    replica: &'a Replica,
    transaction: ReadTransaction,
}

impl Reader<'_> {
    /// Which version it is.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn position(&self) -> Result<Position, ReplicaError> {
        Ok(file::read_meta(self.replica, &self.transaction)?.0)
    }

    /// How many records it has.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn count(&self) -> Result<u64, ReplicaError> {
        Ok(file::read_meta(self.replica, &self.transaction)?.1.records)
    }
}

impl Records for Reader<'_> {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, ReplicaError> {
        match self.transaction.open_table(RECORDS) {
            Ok(table) => get(self.replica, &table, key),
            Err(error) => Err(self.replica.failed("cannot be read", error)),
        }
    }

    fn for_each(&self, prefix: &str, told: &mut dyn FnMut(&str, &[u8])) -> Result<(), ReplicaError> {
        match self.transaction.open_table(RECORDS) {
            Ok(table) => for_each(self.replica, &table, prefix, told),
            Err(error) => Err(self.replica.failed("cannot be read", error)),
        }
    }
}

/// A version that is not stored yet.
struct Written<'a, 'b> {
    replica: &'a Replica,
    table: &'a Table<'b, &'static str, &'static [u8]>,
}

impl Records for Written<'_, '_> {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, ReplicaError> {
        get(self.replica, self.table, key)
    }

    fn for_each(&self, prefix: &str, told: &mut dyn FnMut(&str, &[u8])) -> Result<(), ReplicaError> {
        for_each(self.replica, self.table, prefix, told)
    }
}

fn get(
    replica: &Replica,
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &str,
) -> Result<Option<Vec<u8>>, ReplicaError> {
    let found = table.get(key).map_err(|error| replica.failed("cannot be read", error))?;
    Ok(found.map(|value| value.value().to_vec()))
}

fn for_each(
    replica: &Replica,
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    prefix: &str,
    told: &mut dyn FnMut(&str, &[u8]),
) -> Result<(), ReplicaError> {
    let failed = |error| replica.failed("cannot be read", error);
    for entry in table.range(prefix..).map_err(failed)? {
        let (key, value) = entry.map_err(failed)?;
        if !key.value().starts_with(prefix) {
            break;
        }
        told(key.value(), value.value());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
