//! The hub's side: accept edges, check what they send, hand it on, write acknowledgements.
//!
//! In: QUIC connections of edges. Out: [`Incoming`] batches on one bounded queue per lane. A full queue, or
//! [`ServerConfig::lane_bytes`] not acknowledged, stops the reading of the stream, and QUIC's window stops the edge.
//!
//! Shutdown: no further batch is taken, what was handed on is still acknowledged, then every lane is told
//! `shutting_down` and the connections close. The queues close as soon as no batch can follow.

mod lane;
mod reset;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use batch::{BatchHeader, Lane, SealedBatch};
use identity::{Identity, IdentityError, Role, TlsFiles, quinn_peer_identity};
use quinn::VarInt;
use tokio::sync::mpsc::{OwnedPermit, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::ALPN;
use crate::config::ServerConfig;
use crate::error::TransportError;
use crate::refusal::Refusal;

/// A batch whose header, checksum and sender were checked.
#[derive(Debug)]
pub struct Incoming {
    /// The batch.
    pub batch: SealedBatch,
    /// To be sent when the batch is durable.
    pub ack: AckHandle,
}

/// The right to acknowledge one batch. Dropped without [`AckHandle::send`], the batch is never acknowledged and the
/// edge sends it again on another connection. It also holds the batch's share of the limits.
#[derive(Debug)]
pub struct AckHandle {
    seq: u64,
    acks: OwnedPermit<u64>,
    _shares: Vec<OwnedSemaphorePermit>,
}

impl AckHandle {
    /// The right to put `seq` into a queue of acknowledgements.
    pub fn new(seq: u64, acks: OwnedPermit<u64>) -> Self {
        Self { seq, acks, _shares: Vec::new() }
    }

    /// Acknowledges: the batch is durable. Does not wait; on a lost connection it does nothing.
    pub fn send(self) {
        self.acks.send(self.seq);
    }
}

/// Where batches go. The receiver decides the capacity; a full queue stops the reading of that lane only.
#[derive(Debug, Clone)]
pub struct LaneQueues {
    /// Batches of minute rows.
    pub rollup: Sender<Incoming>,
    /// Batches of WAL blocks.
    pub raw: Sender<Incoming>,
}

impl LaneQueues {
    /// The queue of a lane; no batch has an unspecified one.
    fn of(&self, lane: Lane) -> Sender<Incoming> {
        if lane == Lane::Raw { self.raw.clone() } else { self.rollup.clone() }
    }
}

/// Told what a server does, for metrics.
pub trait Observer: Send + Sync + 'static {
    /// An edge has connected.
    fn connected(&self) {}
    /// A connection is over.
    fn disconnected(&self) {}
    /// A batch is handed on, now.
    fn received(&self, _batch: &BatchHeader) {}
    /// A lane was refused, or a batch and with it the lane. `Lane::Unspecified` before its hello.
    fn refused(&self, _lane: Lane, _refusal: &Refusal) {}
}

/// Nobody wants to know.
impl Observer for () {}

/// A bound port that does not accept yet.
#[derive(Debug)]
pub struct Server {
    endpoint: quinn::Endpoint,
    hub: Identity,
    config: ServerConfig,
}

/// What all connections share.
struct Shared {
    hub: Identity,
    config: ServerConfig,
    observer: Arc<dyn Observer>,
    shutdown: CancellationToken,
    rollup_bytes: Arc<Semaphore>,
    raw_bytes: Arc<Semaphore>,
}

impl Shared {
    fn total_bytes(&self, lane: Lane) -> Arc<Semaphore> {
        Arc::clone(if lane == Lane::Raw { &self.raw_bytes } else { &self.rollup_bytes })
    }

    fn handshake_timeout(&self) -> Duration {
        self.config.quic.handshake_timeout()
    }
}

impl Server {
    /// Opens the port. Reads the certificates; call it inside the runtime.
    ///
    /// # Errors
    /// When the certificate is not a hub's, or settings or address cannot be used.
    pub fn bind(tls: &TlsFiles, config: &ServerConfig) -> Result<Self, TransportError> {
        config.validate().map_err(TransportError::Config)?;
        let hub = tls.identity()?.expect_role(Role::Hub)?;
        let mut quic = identity::quinn_server_config(tls, &[ALPN])?;
        quic.transport_config(config.quic.quinn()?);
        quic.max_incoming(config.max_connections);
        let socket = config.quic.socket(config.listen)?;
        let runtime = Arc::new(quinn::TokioRuntime);
        let endpoint = quinn::Endpoint::new(reset::endpoint_config(tls)?, Some(quic), socket, runtime)
            .map_err(|source| TransportError::Socket { address: config.listen, source })?;
        Ok(Self { endpoint, hub, config: config.clone() })
    }

    /// The address it is bound to.
    ///
    /// # Errors
    /// When the operating system does not tell.
    pub fn local_address(&self) -> std::io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// Who this hub is, by its certificate.
    pub fn hub(&self) -> &Identity {
        &self.hub
    }

    /// Serves until `shutdown`, then until everything handed on is acknowledged or given up.
    pub async fn run(self, queues: LaneQueues, observer: Arc<dyn Observer>, shutdown: CancellationToken) {
        let total = usize::try_from(self.config.total_lane_bytes).unwrap_or(Semaphore::MAX_PERMITS);
        let shared = Arc::new(Shared {
            hub: self.hub,
            config: self.config,
            observer,
            shutdown: shutdown.clone(),
            rollup_bytes: Arc::new(Semaphore::new(total)),
            raw_bytes: Arc::new(Semaphore::new(total)),
        });
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(ended) = connections.join_next() => note_panic(ended),
                incoming = self.endpoint.accept() => {
                    let Some(incoming) = incoming else { break };
                    if connections.len() >= shared.config.max_connections {
                        incoming.refuse();
                        continue;
                    }
                    connections.spawn(serve_connection(Arc::clone(&shared), queues.clone(), incoming));
                }
            }
        }
        drop(queues);
        // Refuses those who dial now.
        self.endpoint.set_server_config(None);
        while let Some(ended) = connections.join_next().await {
            note_panic(ended);
        }
        self.endpoint.close(VarInt::from_u32(0), b"shutting down");
        self.endpoint.wait_idle().await;
    }
}

async fn serve_connection(shared: Arc<Shared>, queues: LaneQueues, incoming: quinn::Incoming) {
    let address = incoming.remote_address();
    let connection = match handshake(&shared, incoming).await {
        Ok(connection) => connection,
        Err(error) => {
            tracing::info!(%address, %error, "handshake failed");
            return;
        }
    };
    // A peer of another role is told so on its first stream.
    let peer = quinn_peer_identity(&connection).and_then(|peer| peer.expect_role(Role::Edge));
    shared.observer.connected();
    tracing::info!(%address, edge = peer.as_ref().map_or("?", Identity::id), "connected");
    let reason = serve_lanes(&shared, queues, &connection, &peer).await;
    tracing::info!(%address, edge = peer.as_ref().map_or("?", Identity::id), reason, "disconnected");
    shared.observer.disconnected();
}

async fn handshake(shared: &Shared, incoming: quinn::Incoming) -> Result<quinn::Connection, TransportError> {
    let limit = shared.handshake_timeout();
    let connecting = incoming.accept()?;
    let timed_out = || TransportError::TimedOut {
        doing: "finishing a handshake",
        after_ms: shared.config.quic.handshake_timeout_ms,
    };
    Ok(tokio::time::timeout(limit, connecting).await.map_err(|_| timed_out())??)
}

/// Serves the streams of a connection until it is lost or shutdown begins; returns why, when all of them have ended.
async fn serve_lanes(
    shared: &Arc<Shared>,
    queues: LaneQueues,
    connection: &quinn::Connection,
    peer: &Result<Identity, IdentityError>,
) -> String {
    let mut lanes = JoinSet::new();
    let reason = loop {
        tokio::select! {
            biased;
            () = shared.shutdown.cancelled() => break "shutting down".to_owned(),
            Some(ended) = lanes.join_next() => note_panic(ended),
            stream = connection.accept_bi() => match stream {
                Ok((send, receive)) => {
                    lanes.spawn(lane::serve(Arc::clone(shared), queues.clone(), peer.clone(), send, receive));
                }
                Err(error) => break error.to_string(),
            }
        }
    };
    drop(queues);
    while let Some(ended) = lanes.join_next().await {
        note_panic(ended);
    }
    connection.close(VarInt::from_u32(0), b"shutting down");
    reason
}

fn note_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task failed; its batches are not acknowledged");
    }
}
