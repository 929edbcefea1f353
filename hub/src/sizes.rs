//! What the segments in the store take, by lane, for `/status`: counted in the background, never on request.
//!
//! The cost is bounded: one listing of each lane per `refresh_ms`, and at most `objects` objects looked at.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use batch::sealed::lane_name;
use batch::{Lane, segment};
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path;
use tokio_util::sync::CancellationToken;

use crate::config::SizesConfig;

/// Bytes per lane, as of the last listing; other hubs' segments count too, for the store is shared.
#[derive(Debug, Default)]
pub(crate) struct Sizes {
    rollup_bytes: AtomicU64,
    raw_bytes: AtomicU64,
}

impl Sizes {
    /// Bytes of a lane.
    pub(crate) fn bytes(&self, lane: Lane) -> u64 {
        self.of(lane).load(Ordering::Relaxed)
    }

    fn of(&self, lane: Lane) -> &AtomicU64 {
        if lane == Lane::Raw { &self.raw_bytes } else { &self.rollup_bytes }
    }

    /// Lists again and again until shutdown.
    pub(crate) async fn refresh(
        self: Arc<Self>,
        store: Arc<dyn ObjectStore>,
        config: SizesConfig,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let listing = async {
            loop {
                for lane in [Lane::Rollup, Lane::Raw] {
                    match count(store.as_ref(), lane, config.objects).await {
                        Ok(bytes) => self.of(lane).store(bytes, Ordering::Relaxed),
                        // The last known size stays.
                        Err(error) => tracing::warn!(lane = lane_name(lane), %error, "cannot list segments"),
                    }
                }
                tokio::time::sleep(Duration::from_millis(config.refresh_ms)).await;
            }
        };
        shutdown.run_until_cancelled(listing).await;
        Ok(())
    }
}

async fn count(store: &dyn ObjectStore, lane: Lane, objects: usize) -> object_store::Result<u64> {
    let prefix = Path::from(segment::prefix(lane));
    let mut listing = store.list(Some(&prefix));
    let (mut bytes, mut seen) = (0, 0);
    while let Some(object) = listing.try_next().await? {
        bytes += object.size;
        seen += 1;
        if seen >= objects {
            tracing::warn!(lane = lane_name(lane), objects, "more segments than are counted");
            break;
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;
    use object_store::{ObjectStoreExt, PutPayload};

    use super::*;

    #[tokio::test]
    async fn segments_of_a_lane_are_added_up_to_the_limit() {
        let store = InMemory::new();
        for (key, bytes) in [
            ("segments/rollup/a", "12"),
            ("segments/rollup/b", "345"),
            ("segments/raw/c", "6"),
            ("plans/d", "7"),
        ] {
            store.put(&Path::from(key), PutPayload::from_static(bytes.as_bytes())).await.unwrap();
        }
        assert_eq!(count(&store, Lane::Rollup, 10).await.unwrap(), 5);
        assert_eq!(count(&store, Lane::Raw, 10).await.unwrap(), 1);
        assert_eq!(count(&store, Lane::Rollup, 1).await.unwrap(), 2);
    }
}
