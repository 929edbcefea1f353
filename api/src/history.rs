//! The configuration's history: an append-only log in the object store, written by every api without a leader.
//!
//! In: changes that callers ask for, each a function of the state before it. Out: versions, one object each, created if absent; a copy
//! of the newest state in `data_dir` and, beside it, the part of it that edges get, which hubs follow. One thread writes: it takes
//! what waits, reads what other apis have written, decides, creates the next object, and decides again if another was faster. So no
//! update is lost and all apis have one history.

pub mod log;
pub mod draft;
pub mod backup;
mod project;
mod audit;
mod start;
mod author;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use configuration::replica::Reader;
use configuration::serve::{Followers, Reach};
use configuration::{Position, Replica, ReplicaError};
use object_store::ObjectStore;
use proto::config as wire;
use serde::{Deserialize, Serialize};
use service::SharedClock;
use service::metrics::SharedRegistry;
use store::StoreConfig;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use self::draft::Draft;
use crate::refuse::{Code, Refusal};

pub use self::author::Author;
pub use self::log::LogError;

/// The `[config]` table of the api.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HistoryConfig {
    /// The object store with the log, as that of hubs and loaders.
    pub store: StoreConfig,
    /// Where the local copy lies; one api per directory. It may be lost: it is made anew from the store.
    pub data_dir: PathBuf,
    /// How often the log is asked for what other apis have written, ms (default 500).
    pub poll_ms: u64,
    /// How long one read or write of the store may take, ms (default 10,000); then it has failed.
    pub store_timeout_ms: u64,
    /// Changes that wait to be written (default 256); more are refused with RESOURCE_EXHAUSTED, or 503.
    pub queue_changes: usize,
    /// How long the answer to a change waits until connected edges have it, ms (default 1,000). Later: it is answered all the same.
    pub in_force_wait_ms: u64,
    /// Versions after which a snapshot is written (default 1,000), so that a start need not read the whole log.
    pub snapshot_versions: u64,
    /// Memory for what is read of the local copy, bytes (default 64 MiB).
    pub cache_bytes: usize,
}

impl Default for HistoryConfig {
    fn default() -> Self {
        Self {
            store: StoreConfig::default(),
            data_dir: "/var/lib/meridian/api".into(),
            poll_ms: 500,
            store_timeout_ms: 10_000,
            queue_changes: 256,
            in_force_wait_ms: 1_000,
            snapshot_versions: 1_000,
            cache_bytes: 64 << 20,
        }
    }
}

impl HistoryConfig {
    /// Checks the values; the error is a sentence that names field, value and way out.
    ///
    /// # Errors
    /// When one cannot be used.
    pub fn validate(&self) -> Result<(), String> {
        self.store.validate().map_err(|message| format!("config.{message}"))?;
        if self.data_dir.as_os_str().is_empty() {
            return Err("config.data_dir is empty: set it to a path".into());
        }
        for (field, value) in [
            ("config.poll_ms", self.poll_ms),
            ("config.store_timeout_ms", self.store_timeout_ms),
            ("config.queue_changes", u64::try_from(self.queue_changes).unwrap_or(u64::MAX)),
            ("config.snapshot_versions", self.snapshot_versions),
        ] {
            if value == 0 {
                return Err(format!("{field} is 0: set it to at least 1"));
            }
        }
        Ok(())
    }
}

/// Why the history cannot be used at start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The local copy.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Local copy and store are not of one deployment.
    #[error(
        "the copy in config.data_dir = {0:?} is not one of the log in config.store: name the right store, or remove that directory to take \
         the configuration from this store"
    )]
    OtherStore(PathBuf),
    /// The log is not whole yet.
    #[error(
        "a restore of the configuration goes on in config.store, or was broken off; run `meridian config restore` again"
    )]
    Restoring,
    /// No random bytes.
    #[error("the operating system gives no random bytes for a new history: {0}")]
    Random(getrandom::Error),
    /// A version of the log cannot be put in force.
    #[error("the configuration's log cannot be followed: {0}")]
    Refused(#[from] configuration::Refused),
}

/// The history as callers use it.
#[derive(Debug, Clone)]
pub struct History {
    /// Everything.
    replica: Arc<Replica>,
    /// What edges get.
    for_edges: Arc<Replica>,
    log: Arc<log::Log>,
    followers: Arc<Followers>,
    wanted: mpsc::Sender<author::Wanted>,
    in_force_wait: Duration,
}

/// Who asks for a change, and how it is called in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribution {
    /// Who.
    pub actor: wire::Actor,
    /// The call.
    pub method: &'static str,
}

impl History {
    /// Opens the local copies, brings them up to the log, and makes a new log in an empty store. What it gives beside itself has to be
    /// run on a thread of its own. Blocks, on the store too.
    ///
    /// # Errors
    /// When copy or store cannot be used.
    pub fn open(
        config: &HistoryConfig,
        store: Arc<dyn ObjectStore>,
        clock: SharedClock,
        registry: &SharedRegistry,
        runtime: &tokio::runtime::Handle,
    ) -> Result<(Self, Author), StartError> {
        let timeout = Duration::from_millis(config.store_timeout_ms);
        let log = Arc::new(log::Log::new(store, runtime.clone(), timeout));
        let copies = start::open(config, &log, clock.now_ms())?;
        let (wanted, queue) = mpsc::channel(config.queue_changes);
        let history = Self {
            replica: Arc::clone(&copies.replica),
            for_edges: Arc::clone(&copies.for_edges),
            log: Arc::clone(&log),
            followers: Arc::default(),
            wanted,
            in_force_wait: Duration::from_millis(config.in_force_wait_ms),
        };
        let metrics = registry.register(author::AuthorMetrics::new);
        Ok((history, Author::new(config, log, copies, queue, clock, metrics)))
    }

    /// Which version is in force here.
    pub fn position(&self) -> Position {
        self.replica.position()
    }

    /// How many records it has.
    pub fn records(&self) -> u64 {
        self.replica.len()
    }

    /// The state in force.
    ///
    /// # Errors
    /// `Internal`.
    pub fn read(&self) -> Result<Reader<'_>, Refusal> {
        self.replica.read().map_err(|error| unreadable(&error))
    }

    /// What a version changed.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn entry(&self, version: u64) -> Result<wire::LogEntry, Refusal> {
        let entry = self.log.read_entry(version).await.and_then(|entry| {
            let key = format!("version {version}");
            entry.ok_or_else(|| LogError::Damaged { key, problem: "it is not there any more".to_owned() })
        });
        entry.map_err(|error| {
            tracing::error!(%error, "a version of the configuration's log cannot be read");
            Refusal::new(
                Code::Unavailable,
                "the configuration's log cannot be read now; try again in a second",
            )
        })
    }

    /// What hubs follow.
    pub fn for_edges(&self) -> &Arc<Replica> {
        &self.for_edges
    }

    /// Who follows.
    pub fn followers(&self) -> &Arc<Followers> {
        &self.followers
    }

    /// Makes a change: `make` reads the state and writes what is to be otherwise; it may be called again on a newer state. When this
    /// returns, the change is durable, in force here, and, if they are quick, in force at every edge that is connected.
    ///
    /// # Errors
    /// What `make` refuses; `Overloaded` when too many wait; `Unavailable` when the store does not answer.
    pub async fn change<T: Send + 'static>(
        &self,
        by: Attribution,
        make: impl FnMut(&mut Draft<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        let wanted = author::Wanted::new(by, make, reply);
        self.wanted.try_send(wanted).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Refusal::new(Code::Overloaded, "too many changes wait to be written; try again in a second")
            }
            mpsc::error::TrySendError::Closed(_) => stopping(),
        })?;
        let (value, version) = answer.await.map_err(|_| stopping())??;
        self.wait_in_force(version).await;
        Ok(value)
    }

    /// Waits until every connected edge has this version, but not long.
    async fn wait_in_force(&self, version: u64) {
        let mut reach = self.followers.watch();
        let everywhere =
            reach.wait_for(|Reach { version: lowest, .. }| lowest.is_none_or(|lowest| lowest >= version));
        let _late_or_not = tokio::time::timeout(self.in_force_wait, everywhere).await;
    }
}

/// Follows the log and writes it until shutdown; to be called on a thread of its own.
///
/// # Errors
/// When the local copy cannot be written any more.
pub fn run(author: Author, shutdown: &CancellationToken) -> anyhow::Result<()> {
    author.run(shutdown)
}

fn stopping() -> Refusal {
    Refusal::new(Code::Unavailable, "the api stops; try again at another one")
}

/// What cannot be read is our fault.
pub(crate) fn unreadable(error: &dyn std::fmt::Display) -> Refusal {
    tracing::error!(%error, "the configuration cannot be read");
    Refusal::new(Code::Internal, "the configuration cannot be read; the log of the api says why")
}

#[cfg(test)]
pub(crate) mod tests;
