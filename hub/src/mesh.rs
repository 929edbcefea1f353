//! The gRPC port of the mesh, over mutual TLS.
//!
//! In: calls of loaders and edges. Out: what `feed` and `configure` serve there, and the health service for any service of ours.

use std::time::Duration;

use anyhow::Context as _;
use configuration::serve::Feed as ConfigFeed;
use identity::TlsFiles;
use proto::config::config_feed_server::ConfigFeedServer;
use proto::feed::segment_feed_server::SegmentFeedServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;

use crate::config::MeshConfig;
use crate::feed::Feed;

/// A bound port that does not serve yet.
pub(crate) struct Mesh {
    listener: TcpListener,
    address: std::net::SocketAddr,
    server: Server,
    max_calls: usize,
}

impl Mesh {
    /// Opens the port.
    pub(crate) async fn bind(config: &MeshConfig, tls: &TlsFiles) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(config.listen).await.with_context(|| {
            format!(
                "cannot listen on mesh.listen = \"{}\"; choose a free address, or port 0 for any",
                config.listen
            )
        })?;
        let address = listener.local_addr().context("mesh")?;
        let server = Server::builder()
            .tls_config(identity::tonic_server_config(tls)?)
            .context("mesh")?
            .max_concurrent_streams(config.max_streams)
            .http2_keepalive_interval(Some(Duration::from_millis(config.keep_alive_ms)))
            .http2_keepalive_timeout(Some(Duration::from_millis(config.keep_alive_timeout_ms)))
            .max_connection_age(Duration::from_millis(config.max_connection_age_ms))
            .max_connection_age_grace(Duration::from_millis(config.max_connection_age_grace_ms));
        Ok(Self { listener, address, server, max_calls: config.max_calls })
    }

    /// `https://ADDRESS`, for the ready line.
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Serves until shutdown; streams end with it, so that callers look for another hub.
    pub(crate) async fn run(
        self,
        segments: Option<Feed>,
        config: ConfigFeed,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<ConfigFeedServer<ConfigFeed>>().await;
        if segments.is_some() {
            health.set_serving::<SegmentFeedServer<Feed>>().await;
        }
        let stopping = async move {
            shutdown.cancelled().await;
            health.set_not_serving::<ConfigFeedServer<ConfigFeed>>().await;
            health.set_not_serving::<SegmentFeedServer<Feed>>().await;
        };
        let incoming = TcpIncoming::from(self.listener).with_nodelay(Some(true));
        self.server
            // One limit for all connections, shedding outside of it: a caller beyond it is told so and does not wait.
            .layer(LoadShedLayer::new())
            .layer(GlobalConcurrencyLimitLayer::new(self.max_calls))
            .add_service(health_service)
            .add_service(config.into_service())
            .add_optional_service(segments.map(SegmentFeedServer::new))
            .serve_with_incoming_shutdown(incoming, stopping)
            .await
            .context("mesh")
    }
}
