//! Opens the file: reads every record once, compares the checksum, and sets a damaged file aside.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use prost::Message as _;
use proto::config as wire;
use redb::{Builder, DatabaseError, ReadTransaction, StorageError};
use tokio::sync::watch;

use super::{COUNTS, Counts, META, POSITION, RECORDS, Records as _, Replica, ReplicaError, State, View};
use crate::position::{Checksum, Position};

/// What a damaged file is called.
const ASIDE: &str = "damaged";

/// Why a file was not taken as it is.
enum Found {
    Damaged(String),
    Failed(ReplicaError),
}

impl From<ReplicaError> for Found {
    fn from(error: ReplicaError) -> Self {
        match error {
            ReplicaError::Database { source, .. } if matches!(*source, redb::Error::Corrupted(_)) => {
                Self::Damaged(source.to_string())
            }
            ReplicaError::Meta { .. } => Self::Damaged(error.to_string()),
            other => Self::Failed(other),
        }
    }
}

pub(super) fn open(path: &Path, cache_bytes: usize, view: Arc<dyn View>) -> Result<Replica, ReplicaError> {
    match open_as_it_is(path, cache_bytes, Arc::clone(&view)) {
        Ok(replica) => Ok(replica),
        Err(Found::Failed(error)) => Err(error),
        Err(Found::Damaged(problem)) => {
            let aside = aside(path);
            tracing::error!(
                path = %path.display(), aside = %aside.display(), problem,
                "the local configuration is damaged and set aside; this service takes it anew"
            );
            durable::rename(path, &aside).map_err(|source| ReplicaError::Make { path: aside, source })?;
            open_as_it_is(path, cache_bytes, view).map_err(|found| match found {
                Found::Failed(error) => error,
                Found::Damaged(_) => {
                    ReplicaError::Meta { path: path.to_owned(), field: "file right after it was made" }
                }
            })
        }
    }
}

fn open_as_it_is(path: &Path, cache_bytes: usize, view: Arc<dyn View>) -> Result<Replica, Found> {
    if let Some(folder) = path.parent() {
        durable::create_dir_all(folder)
            .map_err(|source| ReplicaError::Make { path: folder.to_owned(), source })?;
    }
    let opened = Builder::new().set_cache_size(cache_bytes).create(path);
    let database = opened.map_err(|error| match error {
        DatabaseError::Storage(StorageError::Corrupted(problem)) => Found::Damaged(problem),
        // Not a database: redb says so as an I/O error about invalid data.
        DatabaseError::Storage(StorageError::Io(error))
            if error.kind() == std::io::ErrorKind::InvalidData =>
        {
            Found::Damaged(error.to_string())
        }
        other => Found::Failed(ReplicaError::Database {
            path: path.to_owned(),
            doing: "cannot be opened",
            source: Box::new(other.into()),
        }),
    })?;
    durable::sync_name(path).map_err(|source| ReplicaError::Make { path: path.to_owned(), source })?;
    let replica = Replica {
        path: path.to_owned(),
        database,
        view,
        counts: Mutex::default(),
        position: watch::Sender::new(Position::default()),
    };
    make_tables(&replica)?;
    load(&replica)?;
    Ok(replica)
}

fn make_tables(replica: &Replica) -> Result<(), ReplicaError> {
    let write = replica.begin_write()?;
    let failed = |error: redb::TableError| replica.failed("cannot be made", error);
    write.open_table(RECORDS).map_err(failed)?;
    write.open_table(super::DELTAS).map_err(failed)?;
    let is_new = {
        use redb::ReadableTable as _;
        let meta = write.open_table(META).map_err(failed)?;
        let position = meta.get(POSITION).map_err(|error| replica.failed("cannot be read", error))?;
        position.is_none()
    };
    if is_new {
        replica.write_meta(&write, State { position: Position::default(), counts: Counts::default() })?;
    }
    write.commit().map_err(|error| replica.failed("cannot be made", error))
}

/// Compares the records with what is said of them, and gives them to the view.
fn load(replica: &Replica) -> Result<(), Found> {
    let reader = replica.read()?;
    let (position, counts) = read_meta(replica, &reader.transaction)?;
    let (mut checksum, mut records) = (Checksum::default(), 0);
    reader.for_each("", &mut |key, value| {
        checksum = checksum.with(key, value);
        records += 1;
    })?;
    if (checksum, records) != (position.checksum, counts.records) {
        return Err(Found::Damaged(format!(
            "version {} has {records} records with checksum {checksum} instead of {} with {}",
            position.version, counts.records, position.checksum
        )));
    }
    let install = replica.view.prepare(&reader, None).map_err(Found::Damaged)?;
    install();
    drop(reader);
    if let Ok(mut held) = replica.counts.lock() {
        *held = counts;
    }
    replica.position.send_replace(position);
    Ok(())
}

pub(super) fn read_meta(
    replica: &Replica,
    transaction: &ReadTransaction,
) -> Result<(Position, Counts), ReplicaError> {
    let broken = |field| ReplicaError::Meta { path: replica.path.clone(), field };
    let meta = transaction.open_table(META).map_err(|error| replica.failed("cannot be read", error))?;
    let read = |key| -> Result<Vec<u8>, ReplicaError> {
        let value = meta.get(key).map_err(|error| replica.failed("cannot be read", error))?;
        Ok(value.map(|value| value.value().to_vec()).unwrap_or_default())
    };
    let position = wire::Position::decode(read(POSITION)?.as_slice()).map_err(|_| broken(POSITION))?;
    let position = Position::try_from(&position).map_err(|_| broken(POSITION))?;
    let counts = read(COUNTS)?;
    let number = |range| {
        let bytes = counts.get(range).and_then(|bytes: &[u8]| bytes.try_into().ok());
        bytes.map(u64::from_le_bytes).ok_or_else(|| broken(COUNTS))
    };
    let counts = Counts { records: number(0..8)?, delta_bytes: number(8..16)? };
    Ok((position, counts))
}

/// Beside the file; one that was set aside before gives way.
fn aside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(ASIDE);
    path.with_file_name(name)
}
