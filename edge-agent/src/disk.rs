//! What the edge keeps on disk, below the stages: the data directory, WAL files, and the state database.
//!
//! `DATA/state.redb` (identity, processed position, state of processing, outbox), `DATA/wal/*.redb` (blocks), both again in
//! `DATA/regions/NAME/` for each further region; `DATA/salts/`. Only this module opens redb. Invariant: a directory entry is synced before anything relies on it.

mod medium;
pub(crate) mod wal_file;
pub(crate) mod wal_dir;
pub(crate) mod state;
pub(crate) mod entry;
pub(crate) mod regions;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use batch::{Lane, SealedBatch};
use bytes::Bytes;
use hit::{EdgeId, Epoch};

use self::entry::RawEntry;
use self::state::{StateError, StateStore};
use self::wal_dir::{WalDir, WalError};

/// Format of WAL files and of the state database that this build reads and writes.
pub(crate) const FORMAT: u64 = 1;

/// Bytes that a file takes on disk. Not its length: redb doubles the length of a file that grows, and most of it is a
/// hole that takes nothing.
pub(crate) fn allocated_bytes(path: &Path) -> u64 {
    // In units of 512 bytes, whatever the file system's block size is (stat(2)).
    std::fs::metadata(path).map_or(0, |meta| meta.blocks().saturating_mul(512))
}

/// Whose data this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The edge.
    pub(crate) edge: EdgeId,
    /// This data directory.
    pub(crate) epoch: Epoch,
}

/// An opened data directory; redb's file lock keeps other processes out.
#[derive(Debug)]
pub(crate) struct DataDir {
    /// Whose it is.
    pub(crate) owner: Owner,
    /// State and outbox.
    pub(crate) state: Arc<StateStore>,
    /// WAL files.
    pub(crate) wal: Arc<WalDir>,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The directory could not be made.
    #[error("cannot make the data directory {path:?}: {source}")]
    Make {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// WAL files without the database they belong to.
    #[error(
        "{0:?} is missing although WAL files lie beside it; put it back, or start with an empty data_dir"
    )]
    StateMissing(PathBuf),
    /// The state database.
    #[error(transparent)]
    State(#[from] StateError),
    /// The WAL.
    #[error(transparent)]
    Wal(#[from] WalError),
}

/// Opens or makes the data directory of `edge` and checks that its WAL runs on without a gap.
pub(crate) fn open(root: &Path, edge: &EdgeId, caches: Caches) -> Result<DataDir, OpenError> {
    let wal_root = root.join("wal");
    let make = |source| OpenError::Make { path: root.to_owned(), source };
    durable::create_dir_all(&wal_root).map_err(make)?;
    // A run that was killed may have left names that are not durable yet, and this one is going to rely on them: those
    // beside `wal` are synced with its own.
    durable::sync_dir(&wal_root).map_err(make)?;
    let state_path = root.join("state.redb");
    let has_wal = std::fs::read_dir(&wal_root).map_err(make)?.next().is_some();
    if has_wal && !state_path.exists() {
        return Err(OpenError::StateMissing(state_path));
    }
    let state = StateStore::open(&state_path, edge, caches.state_bytes)?;
    let owner = Owner { edge: edge.clone(), epoch: state.epoch() };
    let wal = WalDir::open(&wal_root, owner.clone(), caches.wal_bytes)?;
    wal.expect_from(state.load_progress()?.next_block)?;
    Ok(DataDir { owner, state: Arc::new(state), wal: Arc::new(wal) })
}

/// Memory for redb's page caches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caches {
    /// Of each open WAL file, bytes.
    pub(crate) wal_bytes: usize,
    /// Of the state database, bytes.
    pub(crate) state_bytes: usize,
}

/// Why a batch of the outbox cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BatchReadError {
    /// The outbox.
    #[error(transparent)]
    State(#[from] StateError),
    /// The WAL blocks of a raw batch.
    #[error("raw batch {seq} cannot be read: {source}")]
    Wal {
        /// Its seq.
        seq: u64,
        /// What is wrong.
        source: WalError,
    },
    /// The blocks are not those that were sealed.
    #[error(transparent)]
    Damaged(#[from] batch::BatchError),
}

impl DataDir {
    /// The first batch of a lane after `seq`, with its payload.
    pub(crate) fn next_batch(&self, lane: Lane, seq: u64) -> Result<Option<SealedBatch>, BatchReadError> {
        if lane != Lane::Raw {
            return Ok(self.state.next_rollup(seq)?.map(|entry| entry.batch));
        }
        loop {
            let Some(entry) = self.state.next_raw(seq)? else { return Ok(None) };
            let error = match self.raw_payload(&entry) {
                Ok(payload) => return Ok(Some(SealedBatch::open(entry.header, payload)?)),
                Err(error) => error,
            };
            // An ack of an earlier connection may have deleted batch and blocks meanwhile.
            if self.state.next_raw(seq)?.as_ref() == Some(&entry) {
                return Err(BatchReadError::Wal { seq: entry.header.id.seq, source: error });
            }
        }
    }

    fn raw_payload(&self, entry: &RawEntry) -> Result<Bytes, WalError> {
        let mut payload = Vec::with_capacity(usize::try_from(entry.header.payload_bytes).unwrap_or(0));
        for block in entry.first_block..=entry.last_block {
            let (_, bytes) = self.wal.read(block)?;
            batch::raw::push_block(&mut payload, &bytes);
        }
        Ok(Bytes::from(payload))
    }
}

#[cfg(test)]
mod forgetful;
#[cfg(test)]
mod tests;
