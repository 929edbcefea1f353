//! The HTTP port that hits come to: HTTP/1.1 with keep-alive, and HTTP/2 without TLS (RFC 9113, prior knowledge).
//!
//! Accept threads share the port (`SO_REUSEPORT`): each has its own listener and runtime, and a connection stays where it
//! was accepted, so that requests are read, parsed and answered without locks. In: connections, at most `max_connections` (further ones wait in the kernel's queue). Out: submissions to the
//! committer; 204 only after their commit, else the error shape of `docs/errors.md`. A request is taken whole or refused
//! whole. Invariant: the full client address goes no further than this module.

pub(crate) mod listen;
pub(crate) mod body;
pub(crate) mod client;
pub(crate) mod follow;
pub(crate) mod locate;
pub(crate) mod network;
pub(crate) mod origin;
pub(crate) mod salts;
pub(crate) mod visitor;
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

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use self::locate::told::LocationHeaders;
use self::route::Routes;
use crate::handoff::Answers;

/// How often an idle connection of HTTP/2 is asked whether it is still there.
const HTTP2_PING_EVERY: Duration = Duration::from_secs(60);

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
    /// Connections at once over all threads; further ones wait to be accepted.
    pub max_connections: usize,
    /// HTTP/2: requests at once on a connection; the client waits with further ones.
    pub max_streams: u32,
    /// How long the head of a request, and then its body, may take, milliseconds; then the request is refused.
    pub request_timeout_ms: u64,
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
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080),
            threads: 0,
            max_connections: 10_000,
            max_streams: 100,
            request_timeout_ms: 10_000,
            trusted_proxies: Vec::new(),
            client_address_header: String::new(),
            max_large_bodies: 64,
            host_suffix: None,
            tracker_dir: None,
            queue_submissions: 8_192,
            queue_bytes: 64 << 20,
            location_headers: LocationHeaders::default(),
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
}

/// What one accept thread works with.
pub(crate) struct Thread {
    /// Its own listener.
    pub(crate) listener: std::net::TcpListener,
    /// Where requests go.
    pub(crate) routes: Routes,
    /// Answers of the committer to its requests.
    pub(crate) answers: Answers,
    /// Connections that may still be opened, over all threads.
    pub(crate) slots: Arc<Semaphore>,
}

/// Runs one accept thread: accepts connections until `shutdown`, then answers what is in flight.
pub(crate) fn run(thread: Thread, config: &Config, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(accept(thread, config, shutdown))
}

async fn accept(thread: Thread, config: &Config, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let Thread { listener, routes, answers, slots } = thread;
    let listener = TcpListener::from_std(listener)?;
    tokio::spawn(answers.deliver());
    let server = Arc::new(server(config));
    let timeout = Duration::from_millis(config.request_timeout_ms);
    let routes = Arc::new(routes);
    let graceful = GracefulShutdown::new();
    loop {
        let slot = tokio::select! {
            () = shutdown.cancelled() => break,
            slot = slots.clone().acquire_owned() => slot?,
        };
        let (stream, peer) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                    continue;
                }
            },
        };
        let (routes, server) = (routes.clone(), server.clone());
        let watcher = graceful.watcher();
        tokio::spawn(async move {
            serve(stream, peer.ip(), &routes, timeout, &server, watcher).await;
            drop(slot);
        });
    }
    drop(listener);
    drop(routes);
    graceful.shutdown().await;
    Ok(())
}

fn server(config: &Config) -> auto::Builder<TokioExecutor> {
    let timeout = Duration::from_millis(config.request_timeout_ms);
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(timeout);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(config.max_streams)
        .keep_alive_interval(HTTP2_PING_EVERY)
        .keep_alive_timeout(timeout);
    server
}

async fn serve(
    stream: TcpStream,
    peer: IpAddr,
    routes: &Arc<Routes>,
    timeout: Duration,
    server: &auto::Builder<TokioExecutor>,
    watcher: hyper_util::server::graceful::Watcher,
) {
    // Answers are small and each is waited for: no delay for fuller packets.
    let _older_kernels = stream.set_nodelay(true);
    routes.metrics().connections.inc();
    let service = service_fn(|request| {
        let routes = routes.clone();
        async move { Ok::<_, std::convert::Infallible>(routes.answer(peer, timeout, request).await) }
    });
    let connection = server.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        // A client that goes away in mid-request is everyday life.
        tracing::debug!(%error, "a connection ended early");
    }
    routes.metrics().connections.dec();
}
