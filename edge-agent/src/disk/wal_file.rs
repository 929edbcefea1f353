//! One WAL file: a redb database `wal/{first block:020}.redb` that holds consecutive blocks.
//!
//! Tables: `meta` (format, first block, first position, received_at before it), `owner` (edge, epoch) and
//! `blocks: u64 -> bytes` (block number, block bytes with their own checksum). Made under a temporary name, renamed
//! when its meta data is durable; so a file with the right name always has an owner and a start. Written by the committer only.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use hit::block::BlockHeader;
use redb::{Builder, Database, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, TableDefinition};
use redb::{ReadableTable, ReadableTableMetadata};

use super::medium::Medium;
use super::{FORMAT, Owner};

const NUMBERS: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");
const NAMES: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("owner");
const BLOCKS: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("blocks");

/// The numbers in `meta`; the first three of a start follow the format.
const NUMBER_NAMES: [&str; 4] = ["format", "first_block", "first_position", "received_at_ms"];

/// Why a WAL file cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("WAL file {path:?} {reason}")]
pub(crate) struct FileError {
    path: PathBuf,
    reason: String,
}

/// Where a file begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    /// Number of the first block.
    pub(crate) block: u64,
    /// Position of its first hit.
    pub(crate) position: u64,
    /// `received_at_ms` of the block before; 0 at the very beginning.
    pub(crate) received_at_ms: u64,
}

/// What a file holds, by its first and last entry and their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Where it begins.
    pub(crate) start: Start,
    /// Where the next block begins: number, position, and time of the last block.
    pub(crate) end: Start,
}

enum Handle {
    Writable(Database),
    ReadOnly(ReadOnlyDatabase),
}

/// An open WAL file.
pub(crate) struct WalFile {
    path: PathBuf,
    handle: Handle,
}

impl std::fmt::Debug for WalFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("WalFile").field(&self.path).finish()
    }
}

/// The name of the file that begins with `block`.
pub(crate) fn file_name(block: u64) -> String {
    format!("{block:020}.redb")
}

/// The first block by a file's name.
pub(crate) fn first_block(path: &Path) -> Option<u64> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".redb")?;
    if stem.len() == 20 { stem.parse().ok() } else { None }
}

impl WalFile {
    /// Makes a file that begins at `start`; its name is durable when this returns.
    pub(crate) fn create(
        root: &Path,
        start: Start,
        owner: &Owner,
        cache_bytes: usize,
    ) -> Result<Self, FileError> {
        let path = root.join(file_name(start.block));
        let temporary = root.join("new.tmp");
        let fail = |reason: String| FileError { path: path.clone(), reason };
        match std::fs::remove_file(&temporary) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(fail(format!("cannot be made: {temporary:?} is in the way: {error}")));
            }
            _ => {}
        }
        let database = new_database(temporary.as_path(), start, owner, cache_bytes)
            .map_err(|error| fail(format!("cannot be made: {error}")))?;
        durable::rename(&temporary, &path).map_err(|error| fail(format!("cannot be named: {error}")))?;
        Ok(Self { path, handle: Handle::Writable(database) })
    }

    /// Opens the last file to append to it; after a crash redb repairs it, and a damaged one is refused.
    pub(crate) fn open_writable(path: &Path, cache_bytes: usize) -> Result<Self, FileError> {
        Self::open_writable_on(path, path, cache_bytes)
    }

    fn open_writable_on(
        medium: &(impl Medium + ?Sized),
        path: &Path,
        cache_bytes: usize,
    ) -> Result<Self, FileError> {
        let mut builder = Builder::new();
        builder.set_cache_size(cache_bytes).set_check_integrity_on_open(true);
        let database = medium.open(&builder).map_err(|error| open_error(path, &error))?;
        Ok(Self { path: path.to_owned(), handle: Handle::Writable(database) })
    }

    /// Opens a file that is not written any more. One that was not closed (a crash) is repaired first.
    pub(crate) fn open_read_only(path: &Path, cache_bytes: usize) -> Result<Self, FileError> {
        Self::open_read_only_on(path, path, cache_bytes)
    }

    fn open_read_only_on(
        medium: &(impl Medium + ?Sized),
        path: &Path,
        cache_bytes: usize,
    ) -> Result<Self, FileError> {
        let mut builder = Builder::new();
        builder.set_cache_size(cache_bytes);
        let handle = match medium.open_read_only(&builder) {
            Ok(database) => database,
            Err(redb::DatabaseError::RepairAborted) => {
                drop(Self::open_writable_on(medium, path, cache_bytes)?);
                medium.open_read_only(&builder).map_err(|error| open_error(path, &error))?
            }
            Err(error) => return Err(open_error(path, &error)),
        };
        Ok(Self { path: path.to_owned(), handle: Handle::ReadOnly(handle) })
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it can be appended to.
    pub(crate) fn is_writable(&self) -> bool {
        matches!(self.handle, Handle::Writable(_))
    }

    /// Bytes taken on disk.
    pub(crate) fn disk_bytes(&self) -> u64 {
        super::allocated_bytes(&self.path)
    }

    /// Commits one block with fsync. After an error the file refuses further writes: stop the process.
    pub(crate) fn append(&self, block: u64, bytes: &[u8]) -> Result<(), FileError> {
        let Handle::Writable(database) = &self.handle else {
            return Err(self.error("is open for reading only"));
        };
        let commit = || -> Result<(), redb::Error> {
            let mut transaction = database.begin_write()?;
            transaction.set_durability(redb::Durability::Immediate)?;
            transaction.open_table(BLOCKS)?.insert(block, bytes)?;
            transaction.commit()?;
            Ok(())
        };
        commit().map_err(|error| self.error(format!("could not be written at block {block}: {error}")))
    }

    /// Checks owner and format, and that block numbers run without a gap from the file's name on.
    pub(crate) fn extent(&self, owner: &Owner) -> Result<Extent, FileError> {
        let expected =
            first_block(&self.path).ok_or_else(|| self.error("has a name that is not a block number"))?;
        let transaction = self.begin_read()?;
        let unreadable = |error: redb::Error| self.error(format!("cannot be read: {error}"));
        let start = self.read_meta(&transaction, owner, expected)?;
        let table = transaction.open_table(BLOCKS).map_err(|error| unreadable(error.into()))?;
        let first = table.first().map_err(|error| unreadable(error.into()))?;
        let last = table.last().map_err(|error| unreadable(error.into()))?;
        let (Some((first, _)), Some((last, bytes))) = (first, last) else {
            return Ok(Extent { start, end: start });
        };
        let count = table.len().map_err(|error| unreadable(error.into()))?;
        let (first, last) = (first.value(), last.value());
        if first != start.block || Some(count) != last.checked_sub(first).map(|gap| gap + 1) {
            return Err(self.error(format!(
                "has a gap: {count} blocks from {first} to {last}, and should begin at {}",
                start.block
            )));
        }
        let header = self.header(last, bytes.value())?;
        let end = Start { block: last + 1, position: header.to(), received_at_ms: header.received_at_ms };
        Ok(Extent { start, end })
    }

    fn read_meta(
        &self,
        transaction: &ReadTransaction,
        owner: &Owner,
        expected: u64,
    ) -> Result<Start, FileError> {
        let unreadable = |error: redb::Error| self.error(format!("cannot be read: {error}"));
        let numbers = || -> Result<[u64; 4], redb::Error> {
            let table = transaction.open_table(NUMBERS)?;
            let mut numbers = [u64::MAX; 4];
            for (slot, name) in numbers.iter_mut().zip(NUMBER_NAMES) {
                if let Some(value) = table.get(name)? {
                    *slot = value.value();
                }
            }
            Ok(numbers)
        };
        let is_ours = || -> Result<bool, redb::Error> {
            let table = transaction.open_table(NAMES)?;
            let is = |name, expected: &[u8]| -> Result<bool, redb::Error> {
                Ok(table.get(name)?.is_some_and(|value| value.value() == expected))
            };
            Ok(is("edge", owner.edge.as_str().as_bytes())? && is("epoch", &owner.epoch.0)?)
        };
        let [format, block, position, received_at_ms] = numbers().map_err(unreadable)?;
        if format != FORMAT {
            return Err(self.error(format!("has format {format}, this build reads {FORMAT}")));
        }
        if !is_ours().map_err(unreadable)? {
            return Err(self.error("belongs to another edge or data directory"));
        }
        if block != expected {
            return Err(self.error(format!("begins with block {block} by its contents")));
        }
        Ok(Start { block, position, received_at_ms })
    }

    /// The bytes of a block, their checksum and number checked.
    pub(crate) fn read(&self, block: u64) -> Result<(BlockHeader, Bytes), FileError> {
        let transaction = self.begin_read()?;
        let read = || -> Result<Option<Bytes>, redb::Error> {
            let table = transaction.open_table(BLOCKS)?;
            let found = table.get(block)?;
            Ok(found.map(|bytes| Bytes::copy_from_slice(bytes.value())))
        };
        let bytes = read()
            .map_err(|error| self.error(format!("cannot be read at block {block}: {error}")))?
            .ok_or_else(|| self.error(format!("lacks block {block}")))?;
        let header = self.header(block, &bytes)?;
        Ok((header, bytes))
    }

    fn header(&self, block: u64, bytes: &[u8]) -> Result<BlockHeader, FileError> {
        let header = hit::block::decode_header(bytes)
            .map_err(|error| self.error(format!("is damaged at block {block}: {error}")))?;
        if header.block != block {
            return Err(self.error(format!("holds block {} where {block} should be", header.block)));
        }
        Ok(header)
    }

    fn begin_read(&self) -> Result<ReadTransaction, FileError> {
        match &self.handle {
            Handle::Writable(database) => database.begin_read(),
            Handle::ReadOnly(database) => database.begin_read(),
        }
        .map_err(|error| self.error(format!("cannot be read: {error}")))
    }

    fn error(&self, reason: impl Into<String>) -> FileError {
        FileError { path: self.path.clone(), reason: reason.into() }
    }
}

fn open_error(path: &Path, error: &redb::DatabaseError) -> FileError {
    let reason = match error {
        redb::DatabaseError::DatabaseAlreadyOpen => "is open in another process".to_owned(),
        other => format!("cannot be opened: {other}"),
    };
    FileError { path: path.to_owned(), reason }
}

/// A database with its meta data, durable but for the name of its file.
fn new_database(
    medium: &(impl Medium + ?Sized),
    start: Start,
    owner: &Owner,
    cache_bytes: usize,
) -> Result<Database, redb::Error> {
    let mut builder = Builder::new();
    let database = medium.create(builder.set_cache_size(cache_bytes))?;
    write_meta(&database, start, owner)?;
    Ok(database)
}

fn write_meta(database: &Database, start: Start, owner: &Owner) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut numbers = transaction.open_table(NUMBERS)?;
        let values = [FORMAT, start.block, start.position, start.received_at_ms];
        for (name, value) in NUMBER_NAMES.into_iter().zip(values) {
            numbers.insert(name, value)?;
        }
        let mut names = transaction.open_table(NAMES)?;
        names.insert("edge", owner.edge.as_str().as_bytes())?;
        names.insert("epoch", owner.epoch.0.as_slice())?;
        transaction.open_table(BLOCKS)?;
    }
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests;
