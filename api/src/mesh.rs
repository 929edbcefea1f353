//! The port of the mesh: hubs follow the configuration and the salts here, over mutual TLS.
//!
//! In: calls of services with the role hub. Out: `meridian.config.v1.ConfigFeed`, and the health service.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use configuration::Salts;
use configuration::serve::Feed;
use identity::{Role, TlsFiles};
use proto::config::config_feed_server::ConfigFeedServer;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::history::History;

/// A silent connection is asked whether it lives after this time, and has as long again to answer.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Calls on one connection at once; a hub has one.
const STREAMS: u32 = 8;

/// The `[mesh]` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MeshConfig {
    /// Where it listens (default `127.0.0.1:9095`); port 0 picks a free one.
    pub listen: SocketAddr,
    /// Hubs that follow at once (default 256); a further one is told RESOURCE_EXHAUSTED.
    pub max_followers: usize,
    /// Certificate, key and CA; the certificate's name has the role api.
    pub tls: TlsFiles,
}

impl Default for MeshConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9095)),
            max_followers: 256,
            tls: TlsFiles::default(),
        }
    }
}

/// A bound port that does not serve yet.
pub(crate) struct Mesh {
    incoming: TcpIncoming,
    address: SocketAddr,
    server: Server,
    max_followers: usize,
}

impl Mesh {
    /// Opens the port.
    pub(crate) async fn bind(config: &MeshConfig) -> anyhow::Result<Self> {
        config.tls.identity()?.expect_role(Role::Api).context("mesh.tls.cert")?;
        let listener = tokio::net::TcpListener::bind(config.listen)
            .await
            .with_context(|| crate::busy("mesh.listen", config.listen))?;
        let server = Server::builder()
            .tls_config(identity::tonic_server_config(&config.tls)?)
            .context("mesh.tls")?
            .max_concurrent_streams(STREAMS)
            .http2_keepalive_interval(Some(KEEP_ALIVE))
            .http2_keepalive_timeout(Some(KEEP_ALIVE));
        let address = listener.local_addr()?;
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        Ok(Self { incoming, address, server, max_followers: config.max_followers })
    }

    /// `https://ADDRESS`, for the ready line.
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Serves until shutdown; streams end with it, so that hubs hear of it at once.
    pub(crate) async fn serve(
        mut self,
        history: History,
        salts: Salts,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<ConfigFeedServer<Feed>>().await;
        let feed = Feed {
            replica: Arc::clone(history.for_edges()),
            salts,
            followers: Arc::clone(history.followers()),
            role: Role::Hub,
            places: Arc::new(Semaphore::new(self.max_followers)),
            shutdown: shutdown.clone(),
        };
        let routes = self.server.add_service(health_service).add_service(feed.into_service());
        routes.serve_with_incoming_shutdown(self.incoming, shutdown.cancelled_owned()).await.context("mesh")
    }
}
