//! The plan log and the checkpoints as objects of the store.
//!
//! In and out: documents. Every call ends within the store's time-out. A create has three ends: created, refused, and
//! unclear; after the latter two the caller reads what is there.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::document::{Checkpoint, FORMAT, Plan};

mod parts;

/// Why the log could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The store failed.
    #[error("the object store failed at {key}: {source}")]
    Store {
        /// The object or prefix.
        key: String,
        /// What it said.
        source: object_store::Error,
    },
    /// No answer in time.
    #[error("the object store gave no answer about {key} within {after_ms} ms")]
    Timeout {
        /// The object or prefix.
        key: String,
        /// The deadline.
        after_ms: u64,
    },
    /// An object that this build cannot read.
    #[error(
        "{key} is not a document of format {FORMAT}: {reason}; it was made by another build or is damaged"
    )]
    Document {
        /// The object.
        key: String,
        /// What is wrong.
        reason: String,
    },
}

/// How a create ended.
#[derive(Debug)]
pub enum Created {
    /// It is ours.
    Yes,
    /// Another one is there.
    Refused,
    /// Nobody knows.
    Unclear(LogError),
}

/// The objects of one shard.
#[derive(Debug, Clone)]
pub struct PlanLog {
    store: Arc<dyn ObjectStore>,
    shard: u16,
    timeout: Duration,
}

impl PlanLog {
    /// The log of a shard. `timeout`: for each call to the store.
    pub fn new(store: Arc<dyn ObjectStore>, shard: u16, timeout: Duration) -> Self {
        Self { store, shard, timeout }
    }

    /// Plan `n`, if it is there.
    ///
    /// # Errors
    /// When the store fails, or the object is not a plan that this build reads.
    pub async fn read(&self, n: u64) -> Result<Option<Plan>, LogError> {
        let key = self.plan_key(n);
        let Some(plan) = self.get::<Plan>(&key).await? else { return Ok(None) };
        if plan.format != FORMAT || plan.n != n || plan.shard != self.shard {
            let reason = format!("it says format {}, shard {}, plan {}", plan.format, plan.shard, plan.n);
            return Err(LogError::Document { key, reason });
        }
        Ok(Some(plan))
    }

    /// Whether plan `n` is done.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn is_done(&self, n: u64) -> Result<bool, LogError> {
        self.exists(&self.done_key(n)).await
    }

    /// Whether a plan that was in the log is done: its mark is there, or the plan itself is gone. In this order: retirement
    /// deletes a plan before its mark, so a plan that is still there after its mark was missed is not done. Another plan
    /// under the number was created by a loader that does not know of the checkpoint yet; the one asked for is gone.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn is_over(&self, plan: &Plan) -> Result<bool, LogError> {
        Ok(self.is_done(plan.n).await? || self.read(plan.n).await?.as_ref() != Some(plan))
    }

    /// Leaves the mark that statements of a repair may change tables under plan `n`, or that its rows have to be compared
    /// although it is done. Others may have left it before.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_repair(&self, n: u64, loader: &str, now_ms: u64) -> Result<(), LogError> {
        #[derive(Serialize)]
        struct Repair<'a> {
            format: u32,
            n: u64,
            repair_by: &'a str,
            repair_at_ms: u64,
        }
        let repair = Repair { format: FORMAT, n, repair_by: loader, repair_at_ms: now_ms };
        self.put_new(&self.repair_key(n), &repair).await.map(drop)
    }

    /// Whether there is the mark of a repair under plan `n`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn has_repair(&self, n: u64) -> Result<bool, LogError> {
        self.exists(&self.repair_key(n)).await
    }

    /// The plans with the mark of a repair that are still in the log.
    ///
    /// # Errors
    /// When the store fails, or an object is not a plan that this build reads.
    pub async fn plans_with_repair(&self) -> Result<Vec<Plan>, LogError> {
        let mut plans = Vec::new();
        for key in self.list(&format!("plans/{}", self.shard)).await? {
            if let Some(n) = number(&key, ".repair.json") {
                plans.extend(self.read(n).await?);
            }
        }
        Ok(plans)
    }

    /// Creates a plan, unless there is one of its number.
    pub async fn create(&self, plan: &Plan) -> Created {
        match self.put_new(&self.plan_key(plan.n), plan).await {
            Ok(true) => Created::Yes,
            Ok(false) => Created::Refused,
            Err(error) => Created::Unclear(error),
        }
    }

    /// Writes that plan `n` is done; others may have written it before.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_done(&self, n: u64, loader: &str, now_ms: u64) -> Result<(), LogError> {
        #[derive(Serialize)]
        struct Done<'a> {
            format: u32,
            n: u64,
            done_by: &'a str,
            done_at_ms: u64,
        }
        let done = Done { format: FORMAT, n, done_by: loader, done_at_ms: now_ms };
        self.put_new(&self.done_key(n), &done).await.map(drop)
    }

    /// The checkpoint with the greatest number.
    ///
    /// # Errors
    /// When the store fails, or the object is not a checkpoint that this build reads.
    pub async fn newest_checkpoint(&self) -> Result<Option<Checkpoint>, LogError> {
        loop {
            let Some(n) = self.checkpoints().await?.into_iter().max() else { return Ok(None) };
            let key = self.checkpoint_key(n);
            // Another loader may have written a newer one and deleted this.
            let Some(checkpoint) = self.get::<Checkpoint>(&key).await? else { continue };
            if checkpoint.format != FORMAT || checkpoint.n != n || checkpoint.shard != self.shard {
                let reason = format!("it says format {}, plan {}", checkpoint.format, checkpoint.n);
                return Err(LogError::Document { key, reason });
            }
            return Ok(Some(checkpoint));
        }
    }

    /// Writes a checkpoint; one of its number says the same.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), LogError> {
        self.put_new(&self.checkpoint_key(checkpoint.n), checkpoint).await.map(drop)
    }

    /// Numbers of the checkpoints.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn checkpoints(&self) -> Result<Vec<u64>, LogError> {
        let keys = self.list(&format!("checkpoints/{}", self.shard)).await?;
        Ok(keys.iter().filter_map(|key| number(key, ".json")).collect())
    }

    /// Numbers of the plans and of their marks that lie at or below `n`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn numbers_to(&self, n: u64) -> Result<Vec<u64>, LogError> {
        let keys = self.list(&format!("plans/{}", self.shard)).await?;
        let suffixes = [".done.json", ".repair.json", ".json"];
        let of = |key: &String| suffixes.into_iter().find_map(|suffix| number(key, suffix));
        let mut numbers: Vec<u64> = keys.iter().filter_map(of).filter(|found| *found <= n).collect();
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }

    /// Deletes plan `n`, then its marks, that of done last: a plan without it would seem to be open.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delete_plan(&self, n: u64) -> Result<(), LogError> {
        self.delete(&self.plan_key(n)).await?;
        self.delete(&self.repair_key(n)).await?;
        self.delete(&self.done_key(n)).await
    }

    /// Deletes a checkpoint.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delete_checkpoint(&self, n: u64) -> Result<(), LogError> {
        self.delete(&self.checkpoint_key(n)).await
    }

    fn plan_key(&self, n: u64) -> String {
        format!("plans/{}/{n:020}.json", self.shard)
    }

    fn done_key(&self, n: u64) -> String {
        format!("plans/{}/{n:020}.done.json", self.shard)
    }

    fn repair_key(&self, n: u64) -> String {
        format!("plans/{}/{n:020}.repair.json", self.shard)
    }

    fn checkpoint_key(&self, n: u64) -> String {
        format!("checkpoints/{}/{n:020}.json", self.shard)
    }

    async fn exists(&self, key: &str) -> Result<bool, LogError> {
        let path = Path::from(key);
        match self.within(key, self.store.head(&path)).await {
            Ok(_) => Ok(true),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, LogError> {
        let path = Path::from(key);
        let read = async { self.store.get(&path).await?.bytes().await };
        let bytes: Bytes = match self.within(key, read).await {
            Ok(bytes) => bytes,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| LogError::Document { key: key.to_owned(), reason: error.to_string() })
    }

    /// Whether the object was created; `false` if there was one.
    async fn put_new(&self, key: &str, document: &impl Serialize) -> Result<bool, LogError> {
        let bytes = serde_json::to_vec(document)
            .map_err(|error| LogError::Document { key: key.to_owned(), reason: error.to_string() })?;
        let path = Path::from(key);
        let put = self.store.put_opts(&path, bytes.into(), PutOptions::from(PutMode::Create));
        match self.within(key, put).await {
            Ok(_) => Ok(true),
            Err(LogError::Store { source: object_store::Error::AlreadyExists { .. }, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn delete(&self, key: &str) -> Result<(), LogError> {
        let path = Path::from(key);
        match self.within(key, self.store.delete(&path)).await {
            Err(error) if is_absent(&error) => Ok(()),
            result => result,
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, LogError> {
        let path = Path::from(prefix);
        let list = self.store.list(Some(&path)).map_ok(|object| object.location.to_string()).try_collect();
        self.within(prefix, list).await
    }

    async fn within<T>(
        &self,
        key: &str,
        work: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, LogError> {
        let key = key.to_owned();
        match tokio::time::timeout(self.timeout, work).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(source)) => Err(LogError::Store { key, source }),
            Err(_) => {
                let after_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
                Err(LogError::Timeout { key, after_ms })
            }
        }
    }
}

fn is_absent(error: &LogError) -> bool {
    matches!(error, LogError::Store { source: object_store::Error::NotFound { .. }, .. })
}

/// The number in `…/{n:020}{suffix}`.
fn number(key: &str, suffix: &str) -> Option<u64> {
    key.rsplit('/').next()?.strip_suffix(suffix)?.parse().ok()
}

#[cfg(test)]
mod tests;
