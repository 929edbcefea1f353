//! Feed: tells loaders over gRPC which segments have become durable.
//!
//! In: what `segment` stored. Out: `meridian.feed.v1.SegmentFeed/Watch` for callers with the role loader, and the
//! health service for any service of ours. A hint only: a caller that is slow, late or cut off finds every segment by
//! listing the store.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use batch::Lane;
use futures::{Stream, StreamExt};
use identity::{Role, TlsFiles, tonic_peer_identity};
use proto::feed::segment_feed_server::{SegmentFeed, SegmentFeedServer};
use proto::feed::{SegmentAnnounced, WatchRequest};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, broadcast};
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;

use crate::config::FeedConfig;
use crate::metrics::{FeedMetrics, Metrics};
use crate::stored::Stored;

/// A bound port that does not serve yet.
pub(crate) struct FeedServer {
    listener: TcpListener,
    address: std::net::SocketAddr,
    server: Server,
    config: FeedConfig,
}

impl FeedServer {
    /// Opens the port.
    pub(crate) async fn bind(config: &FeedConfig, tls: &TlsFiles) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(config.listen).await.with_context(|| {
            format!(
                "cannot listen on feed.listen = \"{}\"; choose a free address, or port 0 for any",
                config.listen
            )
        })?;
        let address = listener.local_addr().context("feed")?;
        let server = Server::builder()
            .tls_config(identity::tonic_server_config(tls)?)
            .context("feed")?
            .max_concurrent_streams(config.max_streams)
            .http2_keepalive_interval(Some(Duration::from_millis(config.keep_alive_ms)))
            .http2_keepalive_timeout(Some(Duration::from_millis(config.keep_alive_timeout_ms)))
            .max_connection_age(Duration::from_millis(config.max_connection_age_ms))
            .max_connection_age_grace(Duration::from_millis(config.max_connection_age_grace_ms));
        Ok(Self { listener, address, server, config: config.clone() })
    }

    /// `https://ADDRESS`, for the ready line.
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Serves until shutdown; watches end with it, so that callers look for another hub.
    pub(crate) async fn run(
        self,
        stored: broadcast::Sender<Stored>,
        metrics: Arc<Metrics>,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<SegmentFeedServer<Feed>>().await;
        let stopping = {
            let shutdown = shutdown.clone();
            async move {
                shutdown.cancelled().await;
                health.set_not_serving::<SegmentFeedServer<Feed>>().await;
            }
        };
        let feed =
            Feed { stored, metrics, watchers: Arc::new(Semaphore::new(self.config.max_watchers)), shutdown };
        let incoming = TcpIncoming::from(self.listener).with_nodelay(Some(true));
        self.server
            // One limit for all connections, shedding outside of it: a caller beyond it is told so and does not wait.
            .layer(LoadShedLayer::new())
            .layer(GlobalConcurrencyLimitLayer::new(self.config.max_calls))
            .add_service(health_service)
            .add_service(SegmentFeedServer::new(feed))
            .serve_with_incoming_shutdown(incoming, stopping)
            .await
            .context("feed")
    }
}

struct Feed {
    stored: broadcast::Sender<Stored>,
    metrics: Arc<Metrics>,
    /// A watch holds its place as long as it lives; the limit on calls is over when its first byte is sent.
    watchers: Arc<Semaphore>,
    shutdown: CancellationToken,
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
