//! What the edge keeps on disk, below the stages: the data directory, WAL files, and the state database.
//!
//! `DATA/state.redb` (identity, processed position, state of processing, outbox), `DATA/wal/*.redb` (blocks),
//! `DATA/salts/`. Only this module opens redb. Invariant: a directory entry is synced before anything relies on it.

pub(crate) mod sync;
pub(crate) mod wal_file;
pub(crate) mod wal_dir;
pub(crate) mod state;
pub(crate) mod entry;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hit::{EdgeId, Epoch};

use self::state::{StateError, StateStore};
use self::wal_dir::{WalDir, WalError};

/// Format of WAL files and of the state database that this build reads and writes.
pub(crate) const FORMAT: u64 = 1;

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
    #[error("cannot make data_dir = {path:?}: {source}")]
    Make {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// WAL files without the database they belong to.
    #[error("{0:?} is missing although WAL files lie beside it; put it back, or start with an empty data_dir")]
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
    std::fs::create_dir_all(&wal_root).map_err(make)?;
    sync::directory(root).map_err(make)?;
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
