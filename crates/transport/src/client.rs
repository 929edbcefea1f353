//! The edge's side: dial a hub, open lanes, send batches, take acknowledgements.
//!
//! Made for a `select!` loop: what waits here may be dropped and called again. A batch counts as delivered only when
//! its [`Ack`] came; after any error the lane is over, and everything not acknowledged is sent again on a new one.
//! How many bytes are on the way at once is the caller's decision.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use batch::{Lane, SealedBatch};
use bytes::Bytes;
use hit::{EdgeId, Epoch};
use identity::{Identity, Role, TlsFiles, quinn_peer_identity};
use proto::batch::{Ack, BatchHeader, Hello};
use quinn::{ReadError, SendStream, VarInt, WriteError};

use crate::config::TransportConfig;
use crate::error::TransportError;
use crate::frame::Frame;
use crate::refusal::Refusal;
use crate::stream::{FrameReader, StreamError};
use crate::{ALPN, VERSION};

/// Buffers given to QUIC in one call.
const WRITE_CHUNKS: usize = 16;

/// What a lane's stream carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneId {
    /// The edge, as in its certificate.
    pub edge: EdgeId,
    /// Its data directory.
    pub epoch: Epoch,
    /// Rollup or raw.
    pub lane: Lane,
}

/// The edge's UDP socket and certificates; connections are made from it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    endpoint: quinn::Endpoint,
    client: quinn::ClientConfig,
    handshake_timeout: Duration,
}

impl Endpoint {
    /// Opens a socket on `bind` (`0.0.0.0:0` for hubs with IPv4 addresses, `[::]:0` for others). Reads the
    /// certificates; call it inside the runtime.
    ///
    /// # Errors
    /// When the certificates, the settings or the address cannot be used.
    pub fn new(tls: &TlsFiles, bind: SocketAddr, config: &TransportConfig) -> Result<Self, TransportError> {
        let mut client = identity::quinn_client_config(tls, &[ALPN])?;
        client.transport_config(config.quinn()?);
        let socket = config.socket(bind)?;
        let runtime = Arc::new(quinn::TokioRuntime);
        let endpoint = quinn::Endpoint::new(quinn::EndpointConfig::default(), None, socket, runtime)
            .map_err(|source| TransportError::Socket { address: bind, source })?;
        Ok(Self { endpoint, client, handshake_timeout: config.handshake_timeout() })
    }

    /// Connects to whatever hub answers at `address`: its certificate must be of our CA and of the role hub.
    ///
    /// # Errors
    /// When there is none in time, or it is not a hub.
    pub async fn connect(&self, address: SocketAddr) -> Result<Connection, TransportError> {
        self.dial(address, &Role::Hub.dns_name()).await
    }

    /// Connects to one hub and no other.
    ///
    /// # Errors
    /// When it does not answer in time, or another one does.
    pub async fn connect_to(
        &self,
        address: SocketAddr,
        hub: &Identity,
    ) -> Result<Connection, TransportError> {
        let connection = self.dial(address, &hub.dns_name()).await?;
        if connection.hub == *hub {
            return Ok(connection);
        }
        Err(TransportError::OtherHub { found: Box::new(connection.hub), expected: Box::new(hub.clone()) })
    }

    async fn dial(&self, address: SocketAddr, name: &str) -> Result<Connection, TransportError> {
        let connecting = self.endpoint.connect_with(self.client.clone(), address, name)?;
        let connection = within(self.handshake_timeout, "connecting", connecting).await??;
        let hub = quinn_peer_identity(&connection)?.expect_role(Role::Hub)?;
        Ok(Connection { connection, hub, handshake_timeout: self.handshake_timeout })
    }

    /// Closes every connection and waits until the hubs know, or would have given up.
    pub async fn close(&self) {
        self.endpoint.close(VarInt::from_u32(0), b"done");
        self.endpoint.wait_idle().await;
    }
}

/// A connection to one hub. Clones share it.
#[derive(Debug, Clone)]
pub struct Connection {
    connection: quinn::Connection,
    hub: Identity,
    handshake_timeout: Duration,
}

impl Connection {
    /// Who answered.
    pub fn hub(&self) -> &Identity {
        &self.hub
    }

    /// QUIC's estimate of the round-trip time.
    pub fn round_trip(&self) -> Duration {
        self.connection.rtt()
    }

    /// Waits until the connection is over, and says why.
    pub async fn closed(&self) -> TransportError {
        self.connection.closed().await.into()
    }

    /// Leaves; batches that are not acknowledged may or may not have been stored.
    pub fn close(&self) {
        self.connection.close(VarInt::from_u32(0), b"done");
    }

    /// Opens a lane and waits for the hub's word that it takes it. The rollup lane goes before the raw lane.
    ///
    /// # Errors
    /// When the hub refuses the lane, does not answer in time, or the connection is lost.
    pub async fn open_lane(&self, id: &LaneId) -> Result<(LaneSender, LaneReceiver), TransportError> {
        within(self.handshake_timeout, "opening a lane", self.hello(id)).await?
    }

    async fn hello(&self, id: &LaneId) -> Result<(LaneSender, LaneReceiver), TransportError> {
        let (stream, answers) = self.connection.open_bi().await?;
        // Two levels and no more: quinn walks through them for every packet. A stream that is gone says so below.
        let _gone = stream.set_priority(i32::from(id.lane == Lane::Rollup));
        let mut sender = LaneSender { stream, queue: VecDeque::new() };
        let mut receiver = LaneReceiver { frames: FrameReader::new(answers) };
        let hello = Hello {
            version: VERSION,
            edge: id.edge.to_string(),
            epoch: id.epoch.0.to_vec(),
            lane: id.lane.into(),
        };
        sender.queue.push_back(Frame::Hello(hello).encode());
        sender.flush().await?;
        match receiver.next_frame().await? {
            Frame::HelloReply(reply) if reply.version == VERSION => Ok((sender, receiver)),
            Frame::HelloReply(_) => Err(TransportError::Unexpected("a hello reply of another version")),
            _ => Err(TransportError::Unexpected("an answer to hello that is no hello reply")),
        }
    }
}

/// The sending half of a lane. Dropping it ends the lane after what was sent.
#[derive(Debug)]
pub struct LaneSender {
    stream: SendStream,
    queue: VecDeque<Bytes>,
}

impl LaneSender {
    /// Puts a batch behind what is still to be written, without waiting. It shares the payload's memory.
    pub fn enqueue(&mut self, batch: &SealedBatch) {
        self.queue.push_back(Frame::Batch(BatchHeader::from(batch.header())).encode());
        if !batch.payload().is_empty() {
            self.queue.push_back(batch.payload().clone());
        }
    }

    /// Whether everything was handed to QUIC.
    pub fn is_flushed(&self) -> bool {
        self.queue.is_empty()
    }

    /// Waits until everything enqueued is handed to QUIC; waits long when the hub does not read. May be dropped and
    /// called again: it carries on where it was.
    ///
    /// # Errors
    /// [`TransportError::Ended`] when the hub wants nothing more on this lane (the receiver knows why), or the
    /// connection is lost.
    pub async fn flush(&mut self) -> Result<(), TransportError> {
        while !self.queue.is_empty() {
            let mut chunks: Vec<Bytes> = self.queue.iter().take(WRITE_CHUNKS).cloned().collect();
            let written = self.stream.write_chunks(&mut chunks).await.map_err(write_error)?;
            self.queue.drain(..written.chunks);
            if let (Some(front), Some(rest)) = (self.queue.front_mut(), chunks.get_mut(written.chunks)) {
                // It may have been written in part.
                *front = std::mem::take(rest);
            }
        }
        Ok(())
    }

    /// [`Self::enqueue`] and [`Self::flush`]. When dropped while it waits, the batch stays enqueued: flush, do not
    /// send it again.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub async fn send(&mut self, batch: &SealedBatch) -> Result<(), TransportError> {
        self.enqueue(batch);
        self.flush().await
    }

    /// Says that no batch will follow; the hub still acknowledges what it has and then ends the lane.
    ///
    /// # Errors
    /// When the lane is over already.
    pub fn finish(&mut self) -> Result<(), TransportError> {
        self.stream.finish().map_err(|_| TransportError::Ended)
    }
}

/// The receiving half of a lane.
pub struct LaneReceiver {
    frames: FrameReader,
}

impl std::fmt::Debug for LaneReceiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LaneReceiver")
    }
}

impl LaneReceiver {
    /// Waits for the next acknowledgement; they come in any order. May be dropped and called again: none is lost.
    ///
    /// # Errors
    /// [`TransportError::Refused`] with code and sentence; [`TransportError::Ended`] when the hub has finished the
    /// lane; any other: the lane is lost.
    pub async fn next_ack(&mut self) -> Result<Ack, TransportError> {
        match self.next_frame().await? {
            Frame::Ack(ack) => Ok(ack),
            _ => Err(TransportError::Unexpected("something else than an ack on an open lane")),
        }
    }

    /// The next frame that is no refusal.
    async fn next_frame(&mut self) -> Result<Frame, TransportError> {
        match self.frames.next_frame().await {
            Ok(Some(Frame::Refused(refused))) => Err(Refusal::from(refused).into()),
            Ok(Some(frame)) => Ok(frame),
            Ok(None) | Err(StreamError::Cut) => Err(TransportError::Ended),
            Err(StreamError::Frame(error)) => Err(error.into()),
            Err(StreamError::Read(ReadError::ConnectionLost(error))) => Err(error.into()),
            Err(StreamError::Read(_)) => Err(TransportError::Ended),
        }
    }
}

fn write_error(error: WriteError) -> TransportError {
    match error {
        WriteError::ConnectionLost(error) => error.into(),
        WriteError::Stopped(_) | WriteError::ClosedStream | WriteError::ZeroRttRejected => {
            TransportError::Ended
        }
    }
}

async fn within<T>(
    limit: Duration,
    doing: &'static str,
    future: impl Future<Output = T>,
) -> Result<T, TransportError> {
    tokio::time::timeout(limit, future).await.map_err(|_| TransportError::TimedOut {
        doing,
        after_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
    })
}
