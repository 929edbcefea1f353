//! The HTTP port that hits come to: HTTP/1.1 with keep-alive and HTTP/2, within TLS (told by ALPN) or without (RFC 9113, prior knowledge).
//!
//! Accept threads share the port (`SO_REUSEPORT`): each has its own listener and runtime, and a connection stays where it
//! was accepted, so that requests are read, parsed and answered where they came in, with short locks for what all threads look up. In: connections, at most `max_connections` (further ones wait in the kernel's queue). Out: submissions to the
//! committers; 204 only after their commit, else the error shape of `docs/errors.md`. A request is taken whole or refused
//! whole. Invariant: the full client address goes no further than this module.

pub(crate) mod listen;
pub(crate) mod pulse;
pub mod tls;
pub(crate) mod serve;
pub(crate) mod body;
pub(crate) mod client;
pub(crate) mod follow;
pub(crate) mod locate;
pub(crate) mod network;
pub(crate) mod origin;
pub(crate) mod salts;
mod consent;
pub(crate) mod quota;
pub(crate) mod accept;
pub(crate) mod decide;
pub(crate) mod answer;
pub(crate) mod tracker;
pub(crate) mod route;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use self::locate::told::LocationHeaders;
use self::pulse::Pulse;
use self::route::Routes;
use self::serve::Server;
use self::tls::Terminator;
use crate::handoff::Answers;

/// How long accepting pauses after an error such as too many open files.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Configuration of collect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address of the port; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Threads that accept connections; 0: one per core.
    pub threads: usize,
    /// Connections at once over all threads, TLS handshakes among them; further ones wait to be accepted. HTTP/2: as many requests
    /// at once over all connections, each thread its share; at the limit they are refused with 503 `overloaded`.
    pub max_connections: usize,
    /// HTTP/2: requests at once on a connection; the client waits with further ones.
    pub max_streams: u32,
    /// How long a TLS handshake, then the head of a request, and then its body may take, milliseconds; then the connection is closed,
    /// or the request refused.
    pub request_timeout_ms: u64,
    /// HTTP/2: how long a connection may be without a new request, milliseconds; then it is closed. HTTP/1.1: `request_timeout_ms`.
    pub idle_timeout_ms: u64,
    /// Networks of load balancers and CDNs, such as `10.0.0.0/8`: what they say of a client is believed, in the header named below, in
    /// `X-Forwarded-For`, or, without either, in `Forwarded`.
    pub trusted_proxies: Vec<IpNet>,
    /// Header in which trusted proxies put the client's address alone, such as `CF-Connecting-IP`, `True-Client-IP` or `Fastly-Client-IP`;
    /// `Forwarded` lets that one count before `X-Forwarded-For`. They must set it, or take it away. Empty: none.
    pub client_address_header: String,
    /// Requests at once whose body may have more than 64 KiB, which only other products' protocols allow (1 MB at most): their length says
    /// so, or is not told, or they are compressed. At the limit they are refused with 503 `overloaded`.
    pub max_large_bodies: usize,
    /// Domain under which every property has a collect host name of its own, its measurement id in lower case: with
    /// `collect.example.com`, whatever comes to `m-abcdefgh27.collect.example.com` is that property's. Absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_suffix: Option<String>,
    /// Folder of the built tracker, `t.js` and `t.full.js`; absent: the edge serves no script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracker_dir: Option<PathBuf>,
    /// Requests whose hits wait for the committer; at the limit they are refused with 503 `overloaded`.
    pub queue_submissions: usize,
    /// Bytes of these hits; likewise.
    pub queue_bytes: u64,
    /// Headers in which trusted proxies say where the client is. They must set them, or take them away. A country there goes before the
    /// database, which is then not asked.
    pub location_headers: LocationHeaders,
    /// Hits that this edge takes of a property in a second, where the property does not say itself, five seconds' worth of them at once; further
    /// ones are refused with 429 `rate_limited`. 0 (default): no limit.
    pub hits_per_second: u32,
    /// Properties whose hits are counted here because of a limit of theirs (default 100,000; some 60 bytes each). At the limit those of other
    /// days are let go, and those whose second alone is limited and is over; of a property that finds no room even so, hits are refused only when the apis have counted its quota.
    pub quota_properties: usize,
    /// Certificate and key; absent: no TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<tls::Config>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080),
            threads: 0,
            max_connections: 10_000,
            max_streams: 100,
            request_timeout_ms: 10_000,
            idle_timeout_ms: 60_000,
            trusted_proxies: Vec::new(),
            client_address_header: String::new(),
            max_large_bodies: 64,
            host_suffix: None,
            tracker_dir: None,
            queue_submissions: 8_192,
            queue_bytes: 64 << 20,
            location_headers: LocationHeaders::default(),
            hits_per_second: 0,
            quota_properties: 100_000,
            tls: None,
        }
    }
}

impl Config {
    /// Number of accept threads.
    pub(crate) fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            threads => threads,
        }
    }

    fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }
}

/// What one accept thread works with.
pub(crate) struct Thread {
    /// Its own listener.
    pub(crate) listener: std::net::TcpListener,
    /// Where requests go.
    pub(crate) routes: Routes,
    /// Answers of the committers to its requests.
    pub(crate) answers: Vec<Answers>,
    /// Connections that may still be opened, over all threads.
    pub(crate) slots: Arc<Semaphore>,
    /// `None`: cleartext.
    pub(crate) tls: Option<Terminator>,
}

/// Runs one accept thread: accepts connections until `shutdown`, then answers what is in flight.
pub(crate) fn run(thread: Thread, config: &Config, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(accept(thread, config, shutdown))
}

async fn accept(thread: Thread, config: &Config, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let Thread { listener, routes, answers, slots, tls } = thread;
    let listener = TcpListener::from_std(listener)?;
    for answers in answers {
        tokio::spawn(answers.deliver());
    }
    let pulse = Pulse::new(config.request_timeout());
    let server = Arc::new(Server::new(config, routes, tls, &pulse));
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = pulse.beat(false) => {}
        error = accept_all(&listener, &slots, &server, &pulse) => return error,
    }
    drop(listener);
    drop(server);
    tokio::select! {
        () = pulse.nobody_left() => {}
        () = pulse.beat(true) => {}
    }
    Ok(())
}

/// Ends only with an error.
async fn accept_all(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    server: &Arc<Server>,
    pulse: &Pulse,
) -> anyhow::Result<()> {
    loop {
        let slot = slots.clone().acquire_owned().await?;
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let (server, beats) = (server.clone(), pulse.beats());
        tokio::spawn(async move {
            server.serve(stream, peer.ip(), beats).await;
            drop(slot);
        });
    }
}
