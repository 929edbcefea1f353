//! Finds segments in the store and hands out their batches, in order of seq.
//!
//! In: whole listings of `segments/rollup/` (the feed only says when to list sooner) and the segments themselves. Out: the
//! next batches of each stream, decoded and checked. Invariant: nothing here is remembered on disk; what is not indexed
//! or not cached for want of room is read again.

use std::sync::Arc;
use std::time::Duration;

use batch::{BatchHeader, RollupRows, SealedBatch, segment};
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use proto::batch::Lane;
use serde::{Deserialize, Serialize};

use crate::document::{Plan, Stream};
use crate::erased::leave_out;
use crate::metrics::ConsumeMetrics;

pub mod index;
pub mod cache;
pub mod check;
pub mod feed;
pub mod stall;

use cache::BatchCache;
use index::Index;
use stall::StallWatch;

/// The `[consume]` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsumeConfig {
    /// How often the segments are listed, ms (default 1,000); a hub's announcement makes it sooner.
    pub list_interval_ms: u64,
    /// A call to the object store must end within this time, ms (default 30,000). Later: it is repeated.
    pub store_timeout_ms: u64,
    /// Batches kept in memory until they are loaded, bytes (default 256 MiB). Beyond it they are read again when needed.
    pub cache_bytes: u64,
    /// Batches known ahead of the last one loaded, for each edge and epoch (default 10,000). Segments with later ones are
    /// read again when the loading has come closer.
    pub window_batches: u64,
    /// Segments read in one round (default 200): the rest waits for the next plan.
    pub segments_per_round: usize,
}

impl Default for ConsumeConfig {
    fn default() -> Self {
        Self {
            list_interval_ms: 1_000,
            store_timeout_ms: 30_000,
            cache_bytes: 256 * 1024 * 1024,
            window_batches: 10_000,
            segments_per_round: 200,
        }
    }
}

/// Why batches could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    /// The store failed.
    #[error("the object store failed at {key}: {source}")]
    Store {
        /// The object or prefix.
        key: String,
        /// What it said.
        source: object_store::Error,
    },
    /// No answer in time.
    #[error("the object store gave no answer about {0} in time")]
    Timeout(String),
    /// A plan names a batch that its segments do not hold as it was when the plan was made.
    #[error("plan {n} takes batch {seq} of edge {edge}, which its segments do not hold unchanged")]
    Missing {
        /// The plan.
        n: u64,
        /// Edge and epoch.
        edge: String,
        /// The batch.
        seq: u64,
    },
    /// A batch of a plan does not decode here, though it did where the plan was made.
    #[error("plan {n} takes batch {seq} of edge {edge}, which does not decode: {reason}")]
    Undecodable {
        /// The plan.
        n: u64,
        /// Edge and epoch.
        edge: String,
        /// The batch.
        seq: u64,
        /// Why.
        reason: String,
    },
}

/// A batch that may be loaded next.
#[derive(Debug)]
pub struct Candidate {
    /// The batch.
    pub batch: SealedBatch,
    /// The segment it was read from.
    pub segment: String,
}

/// The stage.
#[derive(Debug)]
pub struct Consumer {
    store: Arc<dyn ObjectStore>,
    config: ConsumeConfig,
    index: Index,
    cache: BatchCache,
    stalls: StallWatch,
    metrics: ConsumeMetrics,
}

impl Consumer {
    /// Nothing is known yet.
    pub fn new(store: Arc<dyn ObjectStore>, config: ConsumeConfig, metrics: ConsumeMetrics) -> Self {
        let index = Index::new(config.window_batches);
        let cache = BatchCache::new(config.cache_bytes);
        Self { store, config, index, cache, stalls: StallWatch::default(), metrics }
    }

    /// What is known.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// What is known, to move its watermarks.
    pub fn index_mut(&mut self) -> &mut Index {
        &mut self.index
    }

    /// Bytes in the cache.
    pub fn cached_bytes(&self) -> u64 {
        self.cache.bytes()
    }

    /// Lists the segments and reads new ones. Whether all that were due are read. `now_ms` is monotonic.
    ///
    /// # Errors
    /// When the store fails; what was read stays known.
    pub async fn refresh(&mut self, now_ms: u64) -> Result<bool, ConsumeError> {
        let prefix = segment::prefix(Lane::Rollup);
        let path = Path::from(prefix.as_str());
        let list = self.store.list(Some(&path)).map_ok(|object| (object.location.to_string(), object.size));
        let listing: Vec<(String, u64)> = self.within(&prefix, list.try_collect()).await?;
        self.index.on_listing(listing);
        let due = self.index.unread(now_ms);
        let all = due.len() <= self.config.segments_per_round;
        for key in due.into_iter().take(self.config.segments_per_round) {
            self.read_new(&key, now_ms).await?;
        }
        if all {
            self.note_stalls(now_ms);
        }
        Ok(all)
    }

    /// Every segment is read, so a batch that is not known is in none.
    fn note_stalls(&mut self, now_ms: u64) {
        let stalled = self.index.stalled();
        self.metrics.streams_stalled.set(u64::try_from(stalled.len()).unwrap_or(u64::MAX));
        for (stream, missing) in self.stalls.on_round(stalled, now_ms) {
            tracing::error!(
                edge = %stream.edge,
                epoch = %stream.epoch,
                seq = missing,
                "a batch is in no readable segment while later ones wait; nothing of this edge and epoch is loaded until \
                 its segment is put back"
            );
        }
    }

    /// Reads a segment into index and cache. One that is damaged is left where it is and read again later: the fault may
    /// have been one of reading, and its batches may lie in another.
    async fn read_new(&mut self, key: &str, now_ms: u64) -> Result<(), ConsumeError> {
        let Some(object) = self.get(key).await? else {
            // Retired by another loader since it was listed.
            self.index.forget(key);
            return Ok(());
        };
        match segment::decode(&object) {
            Ok(batches) => {
                self.metrics.segments_read.inc();
                let headers: Vec<BatchHeader> = batches.iter().map(|batch| batch.header().clone()).collect();
                let read = self.index.on_read(key, &headers);
                self.metrics.hits_in.inc_by(read.new_hits);
                for header in &read.conflicts {
                    if let Some(batch) = batches.iter().find(|batch| batch.header() == header) {
                        self.keep_conflicting(key, batch).await?;
                    }
                }
                for batch in &batches {
                    if self.index.is_waiting(batch.header()) {
                        self.cache.put(batch);
                    }
                }
            }
            Err(error) => {
                tracing::error!(segment = key, %error, "segment cannot be read; it is left where it is and tried again");
                if self.index.on_damaged(key, now_ms) {
                    self.metrics.segments_damaged.inc();
                }
            }
        }
        Ok(())
    }

    /// A batch that is never loaded, for another one has its id: it is copied to `quarantine/`, since its segment goes when
    /// the other one is loaded.
    async fn keep_conflicting(&self, segment: &str, batch: &SealedBatch) -> Result<(), ConsumeError> {
        let header = batch.header();
        let key = format!("quarantine/{}-{:08x}.batch", header.id, header.payload_crc32c);
        let bytes = segment::encode(std::slice::from_ref(batch));
        let path = Path::from(key.as_str());
        self.within(&key, self.store.put(&path, bytes.into())).await?;
        self.metrics.batches_conflicting.inc();
        tracing::error!(
            segment, batch = %header.id, hits = header.hits(), kept = key,
            "another batch has the same id and other bytes: two edges run on one data directory's copies, or a backup of it \
             was put back; the first one stays, this one is not loaded. Stop one of them and give it an empty data_dir"
        );
        Ok(())
    }

    /// The batch `seq` of a stream, if it is known.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn candidate(&mut self, stream: &Stream, seq: u64) -> Result<Option<Candidate>, ConsumeError> {
        let Some(waiting) = self.index.waiting(stream, seq) else { return Ok(None) };
        let header = waiting.header.clone();
        let segments = waiting.segments.clone();
        if let (Some(payload), Some(segment)) = (self.cache.get(stream, seq), segments.first())
            && let Ok(batch) = SealedBatch::open(header.clone(), payload)
        {
            return Ok(Some(Candidate { batch, segment: segment.clone() }));
        }
        for segment in segments {
            if let Some(batch) =
                self.read_batches(&segment).await?.into_iter().find(|b| *b.header() == header)
            {
                return Ok(Some(Candidate { batch, segment }));
            }
        }
        Ok(None)
    }

    /// The batches that a plan takes, in its order.
    ///
    /// # Errors
    /// When the store fails, or the segments do not hold what the plan took.
    pub async fn batches_of(&mut self, plan: &Plan) -> Result<Vec<SealedBatch>, ConsumeError> {
        let mut all = Vec::new();
        for take in &plan.takes {
            let stream = take.stream();
            let mut found = std::collections::BTreeMap::new();
            for segment in &take.segments {
                for batch in self.read_batches(segment).await? {
                    let id = &batch.header().id;
                    let mine = id.edge == stream.edge && id.epoch == stream.epoch && id.lane == Lane::Rollup;
                    if mine && (take.seq_from..=take.seq_to).contains(&id.seq) {
                        found.entry(id.seq).or_insert(batch);
                    }
                }
            }
            let missing = |seq| ConsumeError::Missing { n: plan.n, edge: take.edge.to_string(), seq };
            let mut crc = 0;
            for seq in take.seq_from..=take.seq_to {
                let batch = match found.remove(&seq) {
                    Some(batch) => batch,
                    None => self.sent_again(&stream, seq).await?.ok_or_else(|| missing(seq))?,
                };
                crc = crc32c::crc32c_append(crc, &batch.header().payload_crc32c.to_le_bytes());
                all.push(batch);
            }
            if crc != take.crc32c {
                return Err(missing(take.seq_from));
            }
        }
        Ok(all)
    }

    /// A batch that its segment does not hold any more. A segment may be listed, and planned, before its PUT has ended, and
    /// be gone after a loss of power; its edge has no acknowledgement then and sends the batch again, the same bytes.
    async fn sent_again(&mut self, stream: &Stream, seq: u64) -> Result<Option<SealedBatch>, ConsumeError> {
        Ok(self.candidate(stream, seq).await?.map(|candidate| candidate.batch))
    }

    /// Drops what lies at or below the index's watermarks.
    pub fn forget_loaded(&mut self) {
        let index = &self.index;
        self.cache.retain(|stream, seq| index.waiting(stream, seq).is_some());
    }

    async fn read_batches(&self, key: &str) -> Result<Vec<SealedBatch>, ConsumeError> {
        let Some(object) = self.get(key).await? else { return Ok(vec![]) };
        Ok(segment::decode(&object).unwrap_or_default())
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, ConsumeError> {
        let path = Path::from(key);
        match self.within(key, async { self.store.get(&path).await?.bytes().await }).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(ConsumeError::Store { source: object_store::Error::NotFound { .. }, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn within<T>(
        &self,
        key: &str,
        work: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, ConsumeError> {
        let timeout = Duration::from_millis(self.config.store_timeout_ms);
        match tokio::time::timeout(timeout, work).await {
            Ok(result) => result.map_err(|source| ConsumeError::Store { key: key.to_owned(), source }),
            Err(_) => Err(ConsumeError::Timeout(key.to_owned())),
        }
    }
}

/// The rows of a plan's batches without those it skips or leaves out. Runs long: call it on a thread that may block.
///
/// # Errors
/// When a batch that is not skipped does not decode.
pub fn rows_of(plan: &Plan, batches: &[SealedBatch]) -> Result<RollupRows, ConsumeError> {
    let mut all = RollupRows::default();
    for batch in batches {
        let id = &batch.header().id;
        let skipped = plan
            .skips
            .iter()
            .any(|skip| skip.edge == id.edge && skip.epoch == id.epoch && skip.seq == id.seq);
        if skipped {
            continue;
        }
        let rows = batch::decode_rollup(batch.payload()).map_err(|error| ConsumeError::Undecodable {
            n: plan.n,
            edge: id.edge.to_string(),
            seq: id.seq,
            reason: error.to_string(),
        })?;
        all.append(rows);
    }
    leave_out(&mut all, &plan.without.iter().cloned().collect());
    Ok(all)
}
