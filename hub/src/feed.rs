//! Feed: tells loaders over gRPC which segments have become durable.
//!
//! In: what `segment` stored. Out: `meridian.feed.v1.SegmentFeed/Watch` for callers with the role loader. A hint only: a caller that is
//! slow, late or cut off finds every segment by listing the store.

use std::pin::Pin;
use std::sync::Arc;

use batch::Lane;
use futures::{Stream, StreamExt};
use identity::{Role, tonic_peer_identity};
use proto::feed::segment_feed_server::SegmentFeed;
use proto::feed::{SegmentAnnounced, WatchRequest};
use tokio::sync::{Semaphore, broadcast};
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::metrics::{FeedMetrics, Metrics};
use crate::stored::Stored;

/// The service.
pub(crate) struct Feed {
    stored: broadcast::Sender<Stored>,
    metrics: Arc<Metrics>,
    /// A watch holds its place as long as it lives; the limit on calls is over when its first byte is sent.
    watchers: Arc<Semaphore>,
    shutdown: CancellationToken,
}

impl Feed {
    /// For up to `max_watchers` callers.
    pub(crate) fn new(
        stored: broadcast::Sender<Stored>,
        metrics: Arc<Metrics>,
        max_watchers: usize,
        shutdown: CancellationToken,
    ) -> Self {
        Self { stored, metrics, watchers: Arc::new(Semaphore::new(max_watchers)), shutdown }
    }
}

#[tonic::async_trait]
impl SegmentFeed for Feed {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<SegmentAnnounced, Status>> + Send>>;

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let peer = tonic_peer_identity(&request)
            .and_then(|peer| peer.expect_role(Role::Loader))
            .map_err(|error| Status::permission_denied(error.to_string()))?;
        let place = Arc::clone(&self.watchers)
            .try_acquire_owned()
            .map_err(|_| Status::resource_exhausted("this hub has as many watchers as it takes"))?;
        let lane = request.get_ref().lane();
        tracing::debug!(loader = peer.id(), "watches");
        let guard = Watcher::new(Arc::clone(&self.metrics), place);
        let announcements = BroadcastStream::new(self.stored.subscribe())
            .filter_map(move |next| std::future::ready(guard.select(next, lane)))
            .map(Ok)
            .take_until(self.shutdown.clone().cancelled_owned());
        Ok(Response::new(Box::pin(announcements)))
    }
}

/// A watch, counted while it lives.
struct Watcher {
    metrics: Arc<Metrics>,
    _place: tokio::sync::OwnedSemaphorePermit,
}

impl Watcher {
    fn new(metrics: Arc<Metrics>, place: tokio::sync::OwnedSemaphorePermit) -> Self {
        metrics.feed.watchers.inc();
        Self { metrics, _place: place }
    }

    /// What the caller is told.
    fn select(&self, next: Result<Stored, BroadcastStreamRecvError>, lane: Lane) -> Option<SegmentAnnounced> {
        let metrics: &FeedMetrics = &self.metrics.feed;
        match next {
            Ok(stored) => (lane == Lane::Unspecified || lane == stored.lane).then_some(stored.announced),
            Err(BroadcastStreamRecvError::Lagged(lost)) => {
                metrics.lost.inc_by(lost);
                None
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.metrics.feed.watchers.dec();
    }
}
