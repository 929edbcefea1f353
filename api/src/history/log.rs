//! The log in the object store: `config/log/VERSION`, one entry each, and `config/snapshots/VERSION`.
//!
//! Versions are twenty digits, so that listings are in order. Every entry is created if absent and never changed or deleted; snapshots may
//! be: they only shorten a start. After a create without a clean answer the entry that is there is read and tells by its id whose it is.
//! Calls block: they are made from the author's thread and at start; only the audit reads entries without.

use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload};
use prost::Message as _;
use proto::config::LogEntry;
use tokio::runtime::Handle;

const ENTRIES: &str = "config/log";
const SNAPSHOTS: &str = "config/snapshots";
/// There while a restore writes entries.
const RESTORING: &str = "config/restoring";

/// Snapshots that are kept: who reads the last but one still finds it.
const SNAPSHOTS_KEPT: usize = 3;

/// How often a create is tried that had no clean answer.
const ATTEMPTS: u32 = 3;

/// The store failed, or holds something that is none of the log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The store.
    #[error("{key}: {source}")]
    Store {
        /// The object.
        key: String,
        /// What it said.
        source: Box<object_store::Error>,
    },
    /// No answer.
    #[error("{key}: the store did not answer within {ms} ms")]
    Timeout {
        /// The object.
        key: String,
        /// How long was waited.
        ms: u128,
    },
    /// The object is damaged.
    #[error("{key} is damaged: {problem}")]
    Damaged {
        /// The object.
        key: String,
        /// What is wrong.
        problem: String,
    },
}

/// What became of an entry.
#[derive(Debug)]
pub(super) enum Created {
    /// It is the log's.
    Ours,
    /// Another api was faster.
    Theirs,
}

/// The log.
#[derive(Debug)]
pub(super) struct Log {
    store: Arc<dyn ObjectStore>,
    runtime: Handle,
    timeout: Duration,
}

impl Log {
    pub(super) fn new(store: Arc<dyn ObjectStore>, runtime: Handle, timeout: Duration) -> Self {
        Self { store, runtime, timeout }
    }

    /// Where its calls run.
    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// The entry of a version; `None` if there is none yet.
    pub(super) fn entry(&self, version: u64) -> Result<Option<LogEntry>, LogError> {
        self.runtime.block_on(self.read_entry(version))
    }

    /// The same, for who does not block.
    pub(super) async fn read_entry(&self, version: u64) -> Result<Option<LogEntry>, LogError> {
        let key = format!("{ENTRIES}/{version:020}");
        let Some(bytes) = self.read(&key).await? else { return Ok(None) };
        match LogEntry::decode(bytes.as_slice()) {
            Ok(entry) if entry.position.as_ref().is_some_and(|position| position.version == version) => {
                Ok(Some(entry))
            }
            Ok(_) => Err(LogError::Damaged { key, problem: "it holds another version".into() }),
            Err(error) => Err(LogError::Damaged { key, problem: error.to_string() }),
        }
    }

    /// Makes an entry, unless there is one of its version.
    pub(super) fn create(&self, entry: &LogEntry) -> Result<Created, LogError> {
        let version = entry.position.as_ref().map_or(0, |position| position.version);
        let key = format!("{ENTRIES}/{version:020}");
        let bytes = entry.encode_to_vec();
        let mut attempt = 1;
        loop {
            let failed = match self.put(&key, bytes.clone(), PutMode::Create) {
                Ok(()) => return Ok(Created::Ours),
                Err(error) => error,
            };
            // Refused, or nobody knows: what is there decides.
            match self.entry(version) {
                Ok(Some(there)) if there.entry_id == entry.entry_id => return Ok(Created::Ours),
                Ok(Some(_)) => return Ok(Created::Theirs),
                Ok(None) | Err(_) if attempt < ATTEMPTS => attempt += 1,
                Ok(None) => return Err(failed),
                Err(error) => return Err(error),
            }
        }
    }

    /// The newest version.
    pub(super) fn newest(&self) -> Result<Option<u64>, LogError> {
        Ok(self.versions(ENTRIES, 0)?.max())
    }

    /// The newest snapshot, if there is one from this version on.
    pub(super) fn newest_snapshot(&self, from: u64) -> Result<Option<(u64, Vec<u8>)>, LogError> {
        let Some(version) = self.versions(SNAPSHOTS, from)?.max() else { return Ok(None) };
        Ok(self.get(&format!("{SNAPSHOTS}/{version:020}"))?.map(|bytes| (version, bytes)))
    }

    /// Versions of a folder from this one on.
    fn versions(&self, folder: &str, from: u64) -> Result<impl Iterator<Item = u64> + use<>, LogError> {
        let prefix = Key::from(folder);
        // What sorts before the version is not even listed.
        let after = Key::from(format!("{folder}/{:020}", from.saturating_sub(1)));
        let listed = self.within(folder, async {
            use futures::TryStreamExt as _;
            let names = self.store.list_with_offset(Some(&prefix), &after).map_ok(|object| object.location);
            names.try_collect::<Vec<_>>().await
        })?;
        let versions = listed.into_iter().filter_map(|key| key.filename()?.parse::<u64>().ok());
        Ok(versions.filter(move |version| *version >= from))
    }

    /// Whether a restore is going on, or was broken off.
    pub(super) fn is_restoring(&self) -> Result<bool, LogError> {
        Ok(self.get(RESTORING)?.is_some())
    }

    /// Says that a restore is going on.
    pub(super) fn begin_restore(&self) -> Result<(), LogError> {
        self.put(RESTORING, Vec::new(), PutMode::Overwrite)
    }

    /// Says that it is over.
    pub(super) fn end_restore(&self) -> Result<(), LogError> {
        self.within(RESTORING, self.store.delete(&Key::from(RESTORING)))
    }

    /// Writes a snapshot, and deletes all but the newest few; one that is there already is as good.
    pub(super) fn put_snapshot(&self, version: u64, bytes: Vec<u8>) -> Result<(), LogError> {
        let key = format!("{SNAPSHOTS}/{version:020}");
        match self.put(&key, bytes, PutMode::Create) {
            Err(LogError::Store { source, .. })
                if matches!(*source, object_store::Error::AlreadyExists { .. }) => {}
            put => put?,
        }
        let mut kept: Vec<u64> = self.versions(SNAPSHOTS, 0)?.collect();
        kept.sort_unstable();
        for version in kept.iter().rev().skip(SNAPSHOTS_KEPT) {
            let key = format!("{SNAPSHOTS}/{version:020}");
            self.within(&key, self.store.delete(&Key::from(key.as_str())))?;
        }
        Ok(())
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, LogError> {
        self.runtime.block_on(self.read(key))
    }

    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, LogError> {
        let path = Key::from(key);
        match self.in_time(key, async { self.store.get(&path).await?.bytes().await }).await {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(LogError::Store { source, .. })
                if matches!(*source, object_store::Error::NotFound { .. }) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn put(&self, key: &str, bytes: Vec<u8>, mode: PutMode) -> Result<(), LogError> {
        let path = Key::from(key);
        let put = self.store.put_opts(&path, PutPayload::from(bytes), PutOptions::from(mode));
        self.within(key, put).map(drop)
    }

    fn within<T>(
        &self,
        key: &str,
        call: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, LogError> {
        self.runtime.block_on(self.in_time(key, call))
    }

    async fn in_time<T>(
        &self,
        key: &str,
        call: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, LogError> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(source)) => Err(LogError::Store { key: key.to_owned(), source: Box::new(source) }),
            Err(_) => Err(LogError::Timeout { key: key.to_owned(), ms: self.timeout.as_millis() }),
        }
    }
}
