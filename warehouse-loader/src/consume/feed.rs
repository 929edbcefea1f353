//! Listens to the hubs' announcements. They only say that it is worth listing now: nothing depends on them.
//!
//! In: one gRPC stream per hub. Out: a wake-up. A stream that ends is opened again after a pause that grows to
//! `reconnect_max_ms`.

use std::sync::Arc;
use std::time::Duration;

use identity::{Role, TlsFiles};
use proto::feed::WatchRequest;
use proto::feed::segment_feed_client::SegmentFeedClient;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

/// The `[feed]` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeedConfig {
    /// Feeds of the hubs, `https://HOST:PORT` (mutual TLS) or `http://HOST:PORT`; empty (default): the loader only lists.
    pub hubs: Vec<String>,
    /// Certificates for `https` feeds.
    pub tls: Option<TlsFiles>,
    /// A connection must stand within this time, ms (default 3,000). Later: it is tried again.
    pub connect_timeout_ms: u64,
    /// Longest pause between two attempts, ms (default 10,000).
    pub reconnect_max_ms: u64,
}

impl Default for FeedConfig {
    fn default() -> Self {
        Self { hubs: vec![], tls: None, connect_timeout_ms: 3_000, reconnect_max_ms: 10_000 }
    }
}

impl FeedConfig {
    /// Checks the values; the error is a sentence that names field, value and way out.
    ///
    /// # Errors
    /// When a URL cannot be used.
    pub fn validate(&self) -> Result<(), String> {
        for hub in &self.hubs {
            if let Err(error) = Endpoint::from_shared(hub.clone()) {
                return Err(format!(
                    "feed.hubs holds {hub:?}, which is no URL ({error}): use https://HOST:PORT"
                ));
            }
            if hub.starts_with("https://") && self.tls.is_none() {
                return Err(format!(
                    "feed.hubs holds {hub:?}, which needs the table [feed.tls]: set ca, cert and key"
                ));
            }
        }
        Ok(())
    }
}

/// Pause before the first new attempt.
const RECONNECT_MIN_MS: u64 = 200;

/// Watches one hub until shutdown.
pub async fn watch(config: FeedConfig, hub: String, wake: Arc<Notify>, shutdown: CancellationToken) {
    let mut pause_ms = RECONNECT_MIN_MS;
    loop {
        let ended = tokio::select! {
            () = shutdown.cancelled() => return,
            ended = follow(&config, &hub, &wake) => ended,
        };
        match ended {
            Ok(()) => pause_ms = RECONNECT_MIN_MS,
            Err(error) => {
                tracing::debug!(hub, error = %format!("{error:#}"), "feed not connected; listing goes on");
            }
        }
        // Jitter, so that loaders do not come back to a hub all at once.
        let jittered = rand::rng().random_range(pause_ms / 2..=pause_ms);
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(Duration::from_millis(jittered)) => {}
        }
        pause_ms = (pause_ms * 2).min(config.reconnect_max_ms.max(RECONNECT_MIN_MS));
    }
}

/// One stream, from connecting to its end.
async fn follow(config: &FeedConfig, hub: &str, wake: &Notify) -> anyhow::Result<()> {
    let mut client = SegmentFeedClient::new(connect(config, hub).await?);
    let request = WatchRequest { lane: proto::batch::Lane::Rollup.into() };
    let mut stream = client.watch(request).await?.into_inner();
    tracing::info!(hub, "feed connected");
    wake.notify_one();
    while stream.message().await?.is_some() {
        wake.notify_one();
    }
    Ok(())
}

async fn connect(config: &FeedConfig, hub: &str) -> anyhow::Result<Channel> {
    let mut endpoint = Endpoint::from_shared(hub.to_owned())?
        .connect_timeout(Duration::from_millis(config.connect_timeout_ms))
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_while_idle(true);
    if let (Some(tls), true) = (&config.tls, hub.starts_with("https://")) {
        endpoint = endpoint.tls_config(identity::tonic_client_config(tls, &Role::Hub.dns_name())?)?;
    }
    Ok(endpoint.connect().await?)
}
