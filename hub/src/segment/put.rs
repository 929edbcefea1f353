//! One segment into the store, however often it takes.

use std::sync::Arc;
use std::time::Duration;

use batch::sealed::lane_name;
use batch::{Lane, SealedBatch, segment};
use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, PutMode, PutOptions, PutPayload};
use proto::feed::SegmentAnnounced;
use service::{SharedClock, fail};

use crate::config::SegmentConfig;
use crate::metrics::Metrics;

/// What a PUT needs.
pub(super) struct Put {
    pub(super) lane: Lane,
    pub(super) hub: String,
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) clock: SharedClock,
    pub(super) config: SegmentConfig,
    pub(super) metrics: Arc<Metrics>,
}

/// Why one attempt failed.
#[derive(Debug, thiserror::Error)]
enum PutError {
    #[error("{0}")]
    Store(#[from] object_store::Error),
    #[error("no answer within {0} ms")]
    TimedOut(u64),
    #[error("no random number for the key: {0}")]
    Random(#[from] getrandom::Error),
}

impl Put {
    /// Returns when an object with these batches is durable; repeats until then.
    pub(super) async fn store(&self, batches: Vec<SealedBatch>) -> SegmentAnnounced {
        let count = u32::try_from(batches.len()).unwrap_or(u32::MAX);
        let bytes = segment::encode(&batches);
        // The object holds them now.
        drop(batches);
        let mut pause_ms = self.config.retry_first_ms;
        loop {
            match self.attempt(&bytes).await {
                Ok((key, created_at_ms)) => {
                    let size_bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                    tracing::debug!(key, size_bytes, batches = count, "segment stored");
                    return SegmentAnnounced { key, size_bytes, batches: count, created_at_ms };
                }
                Err(error) => {
                    self.metrics.segment.put_failed(self.lane);
                    tracing::warn!(lane = lane_name(self.lane), %error, pause_ms, "segment not stored, trying again");
                }
            }
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            pause_ms = pause_ms.saturating_mul(2).min(self.config.retry_max_ms);
        }
    }

    /// One PUT under a key of its own; a failed one may have left an object behind.
    async fn attempt(&self, bytes: &Bytes) -> Result<(String, u64), PutError> {
        let mut random = [0; 4];
        getrandom::fill(&mut random)?;
        let created_at_ms = self.clock.now_ms();
        let key = segment::key(self.lane, created_at_ms, &self.hub, u32::from_le_bytes(random));
        let begun_ms = self.clock.monotonic_ms();
        let location = Path::from(key.as_str());
        let put = self.store.put_opts(
            &location,
            PutPayload::from_bytes(bytes.clone()),
            PutOptions::from(PutMode::Create),
        );
        fail::point("hub.segment.put.before");
        let limit_ms = self.config.put_timeout_ms;
        tokio::time::timeout(Duration::from_millis(limit_ms), put)
            .await
            .map_err(|_| PutError::TimedOut(limit_ms))??;
        fail::point("hub.segment.put.after");
        let taken = Duration::from_millis(self.clock.monotonic_ms().saturating_sub(begun_ms));
        let size_bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.metrics.segment.put(self.lane, taken.as_secs_f64(), size_bytes);
        Ok((key, created_at_ms))
    }
}
