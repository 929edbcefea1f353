//! A backup of the configuration: every entry of the log in one file, and back into an empty store.
//!
//! The file: a line that says what it is, then zstd of length-delimited `LogEntry`s from version 1. In: a store, or a file. Out: the other.
//! Both are read whole and checked before anything is made final: versions without a gap, one history, and the checksum of each from its
//! writes. A restored log begins a new generation, so that hubs and edges which are ahead of the backup take it all the same. Neither
//! contains keys or secrets, but their hashes and the keys of visitor ids: it is not for everyone.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use configuration::{Checksum, Position, SCHEMA};
use object_store::ObjectStore;
use prost::Message as _;
use proto::config::{Actor, Change, LogEntry};
use tokio::runtime::Handle;

use super::draft::checksum_after;
use super::log::{Created, Log, LogError};

/// First line of a backup.
const MAGIC: &[u8] = b"meridian configuration, log, 1\n";

/// zstd level.
const LEVEL: i32 = 3;

/// Longest entry, bytes; a file that claims a longer one is none of ours.
const ENTRY_MAX_BYTES: u64 = 1 << 30;

/// How long one read or write of the store may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Why there is no backup, or no restored log.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The file.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The store has no configuration.
    #[error("the store has no configuration: name the one that the apis have in config.store")]
    NoLog,
    /// The file is no backup, or damaged.
    #[error("{} is no whole backup of a configuration: {problem}", path.display())]
    NoBackup {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The store has a configuration already.
    #[error("the store has another configuration, at version {0}; restore into an empty store")]
    NotEmpty(u64),
    /// No random bytes.
    #[error("the operating system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Entries.
    pub versions: u64,
    /// Newest version; after a restore the one that says so.
    pub version: u64,
}

/// The chain of entries so far.
#[derive(Debug, Clone, Copy, Default)]
struct Chain(Position);

impl Chain {
    /// Takes the next entry in; the error says why it is not the next.
    fn next(&mut self, entry: &LogEntry) -> Result<(), String> {
        let before = self.0;
        let position = entry.position.clone().unwrap_or_default();
        let at = Position::try_from(&position).map_err(|error| error.to_string())?;
        if at.version != before.version + 1 {
            return Err(format!("version {} comes after {}", at.version, before.version));
        }
        if entry.schema > SCHEMA {
            return Err(format!("version {} has schema {}, of a newer build", at.version, entry.schema));
        }
        if before.version > 0 && at.history != before.history {
            return Err(format!("version {} is of another history", at.version));
        }
        let writes = entry.changes.iter().map(|change| change.writes.as_slice());
        let checksum: Checksum = writes.fold(before.checksum, checksum_after);
        if checksum != at.checksum || at.generation < before.generation {
            return Err(format!("version {} is damaged", at.version));
        }
        self.0 = at;
        Ok(())
    }
}

/// Copies the log of a store into a file, which appears under its name when all of it is there. `told` hears each version.
///
/// # Errors
/// When the store or the file fails, or the log is damaged.
pub fn backup(
    store: Arc<dyn ObjectStore>,
    runtime: Handle,
    to: &Path,
    told: &mut dyn FnMut(u64),
) -> Result<Copied, BackupError> {
    let log = Log::new(store, runtime, TIMEOUT);
    let failed = |source| BackupError::File { path: to.to_owned(), source };
    let Some(mut entry) = log.entry(1)? else { return Err(BackupError::NoLog) };
    let partial = to.with_added_extension("partial");
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial);
    let mut file = BufWriter::new(file.map_err(failed)?);
    file.write_all(MAGIC).map_err(failed)?;
    let mut packed = zstd::Encoder::new(file, LEVEL).map_err(failed)?;
    let mut chain = Chain::default();
    loop {
        let damaged = |problem| LogError::Damaged { key: "config/log".into(), problem };
        chain.next(&entry).map_err(damaged)?;
        packed.write_all(&entry.encode_length_delimited_to_vec()).map_err(failed)?;
        told(chain.0.version);
        match log.entry(chain.0.version + 1)? {
            Some(next) => entry = next,
            None => break,
        }
    }
    let file = packed.finish().and_then(|file| file.into_inner().map_err(io::IntoInnerError::into_error));
    file.and_then(|file| file.sync_all()).map_err(failed)?;
    durable::rename(&partial, to).map_err(failed)?;
    Ok(Copied { versions: chain.0.version, version: chain.0.version })
}

/// Copies a backup into a store without configuration. One that was broken off goes on when it is run again. `told` hears each version.
///
/// # Errors
/// When the file is damaged (nothing is written then), or the store fails or has another configuration.
pub fn restore(
    store: Arc<dyn ObjectStore>,
    runtime: Handle,
    from: &Path,
    now_ms: u64,
    told: &mut dyn FnMut(u64),
) -> Result<Copied, BackupError> {
    let log = Log::new(store, runtime, TIMEOUT);
    let mut chain = Chain::default();
    // All of it, before anything is written.
    for entry in entries(from)? {
        chain.next(&entry?).map_err(|problem| BackupError::NoBackup { path: from.to_owned(), problem })?;
    }
    let end = chain.0;
    if end.is_nothing() {
        return Err(BackupError::NoBackup { path: from.to_owned(), problem: "it is empty".into() });
    }
    // What is there is a part of this backup only where a restore was broken off.
    if !log.is_restoring()? {
        if let Some(newest) = log.newest()? {
            return Err(BackupError::NotEmpty(newest));
        }
        log.begin_restore()?;
    }
    for entry in entries(from)? {
        let entry = entry?;
        let version = entry.position.as_ref().map_or(0, |position| position.version);
        create(&log, &entry)?;
        told(version);
    }
    let mut entry_id = [0; 16];
    getrandom::fill(&mut entry_id).map_err(BackupError::Random)?;
    let position = Position { generation: end.generation + 1, version: end.version + 1, ..end };
    let actor = Some(Actor { kind: "operator".to_owned(), id: String::new() });
    let change = Change { actor, at_ms: now_ms, method: "Restore".to_owned(), writes: Vec::new() };
    let position = Some(position.into());
    create(&log, &LogEntry { position, schema: SCHEMA, entry_id: entry_id.to_vec(), changes: vec![change] })?;
    log.end_restore()?;
    Ok(Copied { versions: end.version + 1, version: end.version + 1 })
}

fn create(log: &Log, entry: &LogEntry) -> Result<(), BackupError> {
    match log.create(entry)? {
        Created::Ours => Ok(()),
        Created::Theirs => {
            Err(BackupError::NotEmpty(entry.position.as_ref().map_or(0, |position| position.version)))
        }
    }
}

/// The entries of a backup.
fn entries(path: &Path) -> Result<impl Iterator<Item = Result<LogEntry, BackupError>>, BackupError> {
    let failed = |source| BackupError::File { path: path.to_owned(), source };
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let mut magic = Vec::new();
    let length = u64::try_from(MAGIC.len()).unwrap_or(u64::MAX);
    file.by_ref().take(length).read_to_end(&mut magic).map_err(failed)?;
    if magic != MAGIC {
        let problem = "it does not begin as one".to_owned();
        return Err(BackupError::NoBackup { path: path.to_owned(), problem });
    }
    let mut unpacked = BufReader::new(zstd::Decoder::new(file).map_err(failed)?);
    let path = path.to_owned();
    Ok(std::iter::from_fn(move || {
        let read = read(&mut unpacked).transpose()?;
        Some(read.map_err(|error| BackupError::NoBackup { path: path.clone(), problem: error.to_string() }))
    }))
}

/// The next entry; `None` at the end.
fn read(file: &mut impl Read) -> io::Result<Option<LogEntry>> {
    let Some(length) = read_varint(file)? else { return Ok(None) };
    if length > ENTRY_MAX_BYTES {
        return Err(io::Error::other(format!("an entry of {length} bytes")));
    }
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(0) < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    LogEntry::decode(bytes.as_slice()).map(Some).map_err(io::Error::other)
}

/// A length of protobuf: seven bits a byte, the lowest first. `None` at the end of the file.
fn read_varint(file: &mut impl Read) -> io::Result<Option<u64>> {
    let (mut value, mut shift) = (0_u64, 0);
    loop {
        let mut byte = [0];
        if file.read(&mut byte)? == 0 {
            return if shift == 0 { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        value |= u64::from(byte[0] & 0x7f) << shift;
        if byte[0] & 0x80 == 0 {
            return Ok(Some(value));
        }
        shift += 7;
        if shift > 56 {
            return Err(io::Error::other("a length that is none"));
        }
    }
}
