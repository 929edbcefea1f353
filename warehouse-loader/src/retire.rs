//! Writes checkpoints and deletes what they make needless.
//!
//! In: the ledger after a plan. Out: a checkpoint; then old plans, old checkpoints, segments. Invariant: a plan is deleted
//! only below a checkpoint that is written, a rollup segment only when a checkpoint's watermarks cover all its batches.

use std::sync::Arc;
use std::time::Duration;

use batch::segment;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use proto::batch::Lane;
use serde::{Deserialize, Serialize};

use crate::document::Checkpoint;
use crate::metrics::{DeletedKind, DeletedLabels, RetireMetrics};
use crate::plan_log::{LogError, PlanLog};

/// The `[retire]` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetireConfig {
    /// A checkpoint is written each time so many plans are done (default 64).
    pub checkpoint_plans: u64,
    /// Plans kept below the newest checkpoint, for people to look at (default 64).
    pub keep_plans: u64,
    /// Checkpoints kept (default 3, at least 1).
    pub keep_checkpoints: usize,
    /// A rollup segment stays at least this long, s (default 3,600), and until its batches are below a checkpoint.
    pub segment_retention_s: u64,
    /// A raw segment stays this long, s (default 604,800: 7 days).
    pub raw_retention_s: u64,
}

impl Default for RetireConfig {
    fn default() -> Self {
        Self {
            checkpoint_plans: 64,
            keep_plans: 64,
            keep_checkpoints: 3,
            segment_retention_s: 3_600,
            raw_retention_s: 604_800,
        }
    }
}

/// The stage.
#[derive(Debug)]
pub struct Retirer {
    store: Arc<dyn ObjectStore>,
    log: PlanLog,
    config: RetireConfig,
    timeout: Duration,
    metrics: RetireMetrics,
}

/// What is left of the raw lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RawLane {
    /// Bytes of its segments.
    pub bytes: u64,
}

impl Retirer {
    /// The stage. `timeout`: for each call to the store.
    pub fn new(
        store: Arc<dyn ObjectStore>,
        log: PlanLog,
        config: RetireConfig,
        timeout: Duration,
        metrics: RetireMetrics,
    ) -> Self {
        Self { store, log, config, timeout, metrics }
    }

    /// Whether a checkpoint is due after plan `n`.
    pub fn is_due(&self, n: u64) -> bool {
        n > 0 && n.is_multiple_of(self.config.checkpoint_plans.max(1))
    }

    /// Segments created before this time (unix ms) may go.
    pub fn segments_before_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.config.segment_retention_s.saturating_mul(1_000))
    }

    /// Plans below this number are deleted once there is a checkpoint of plan `n`.
    pub fn plans_before(&self, n: u64) -> u64 {
        n.saturating_sub(self.config.keep_plans)
    }

    /// Writes the checkpoint, then deletes plans and checkpoints below it.
    ///
    /// # Errors
    /// When the store fails; the next checkpoint deletes what is left.
    pub async fn checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), LogError> {
        self.log.put_checkpoint(checkpoint).await?;
        self.metrics.checkpoints.inc();
        tracing::info!(plan = checkpoint.n, "checkpoint written");
        for n in self.log.numbers_to(self.plans_before(checkpoint.n)).await? {
            self.log.delete_plan(n).await?;
            self.count(DeletedKind::plan);
        }
        let mut checkpoints = self.log.checkpoints().await?;
        checkpoints.sort_unstable();
        let surplus = checkpoints.len().saturating_sub(self.config.keep_checkpoints.max(1));
        for n in checkpoints.into_iter().take(surplus) {
            self.log.delete_checkpoint(n).await?;
            self.count(DeletedKind::checkpoint);
        }
        Ok(())
    }

    /// Deletes rollup segments that are loaded and old enough.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delete_segments(&self, keys: &[String]) -> Result<(), LogError> {
        for key in keys {
            self.delete(key).await?;
            self.count(DeletedKind::rollup_segment);
        }
        Ok(())
    }

    /// Deletes what plans removed, when no plan before them is left.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delete_parts(&self, numbers: &[u64]) -> Result<(), LogError> {
        for n in numbers {
            self.log.delete_part(*n).await?;
            self.count(DeletedKind::erased_part);
        }
        Ok(())
    }

    /// When the oldest segment of any lane was created, unix milliseconds.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn oldest_segment_ms(&self) -> Result<Option<u64>, LogError> {
        let mut oldest: Option<u64> = None;
        for lane in [Lane::Rollup, Lane::Raw] {
            let prefix = segment::prefix(lane);
            let path = Path::from(prefix.as_str());
            let list = self.store.list(Some(&path)).try_fold(None, |oldest: Option<u64>, object| {
                let created = segment::created_at_ms(object.location.as_ref());
                std::future::ready(Ok(oldest.into_iter().chain(created).min()))
            });
            oldest = oldest.into_iter().chain(self.within(&prefix, list).await?).min();
        }
        Ok(oldest)
    }

    /// Whether any batch is in quarantine.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn has_quarantine(&self) -> Result<bool, LogError> {
        let prefix = "quarantine";
        let path = Path::from(prefix);
        let mut list = self.store.list(Some(&path));
        Ok(self.within(prefix, list.try_next()).await?.is_some())
    }

    /// Deletes raw segments that are old enough, and says what is left.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delete_raw(&self, now_ms: u64) -> Result<RawLane, LogError> {
        let before_ms = now_ms.saturating_sub(self.config.raw_retention_s.saturating_mul(1_000));
        let prefix = segment::prefix(Lane::Raw);
        let path = Path::from(prefix.as_str());
        let list = self.store.list(Some(&path)).try_collect::<Vec<_>>();
        let objects = self.within(&prefix, list).await?;
        let mut left = RawLane::default();
        for object in objects {
            let key = object.location.to_string();
            if segment::created_at_ms(&key).is_some_and(|created| created < before_ms) {
                self.delete(&key).await?;
                self.count(DeletedKind::raw_segment);
            } else {
                left.bytes += object.size;
            }
        }
        Ok(left)
    }

    fn count(&self, kind: DeletedKind) {
        self.metrics.deleted.get_or_create(&DeletedLabels { kind }).inc();
    }

    async fn delete(&self, key: &str) -> Result<(), LogError> {
        let path = Path::from(key);
        match self.within(key, self.store.delete(&path)).await {
            // Another loader was faster.
            Err(LogError::Store { source: object_store::Error::NotFound { .. }, .. }) => Ok(()),
            result => result,
        }
    }

    async fn within<T>(
        &self,
        key: &str,
        work: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, LogError> {
        let key = key.to_owned();
        match tokio::time::timeout(self.timeout, work).await {
            Ok(result) => result.map_err(|source| LogError::Store { key, source }),
            Err(_) => {
                let after_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
                Err(LogError::Timeout { key, after_ms })
            }
        }
    }
}
