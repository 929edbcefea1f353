//! A server on a free port with certificates of its own, and clients that know it or do not.

use std::net::SocketAddr;
use std::sync::Arc;

use batch::{BatchId, Lane, SealedBatch};
use bytes::Bytes;
use hit::Epoch;
use identity::{Identity, Role, TlsFiles, ensure_development};
use proto::batch::Hello;
use tempfile::TempDir;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use transport::frame::{Frame, HEAD_BYTES, decode_body, decode_head};
use transport::{Endpoint, Incoming, LaneId, LaneQueues, RefusalCode, Server, ServerConfig, TransportConfig};

/// 2026-01-01T00:00:00Z; real clocks read later and within ten years.
const NOW_MS: u64 = 1_767_225_600_000;

pub(crate) const EDGE: &str = "e1";
const EPOCH: Epoch = Epoch([7; 16]);

pub(crate) fn lane(lane: Lane) -> LaneId {
    LaneId { edge: EDGE.parse().unwrap(), epoch: EPOCH, lane }
}

pub(crate) fn hello(lane: Lane) -> Bytes {
    Frame::Hello(Hello { version: 1, edge: EDGE.into(), epoch: EPOCH.0.to_vec(), lane: lane.into() }).encode()
}

/// A batch whose bytes differ along its length and from batch to batch.
pub(crate) fn batch(lane: Lane, seq: u64, bytes: usize) -> SealedBatch {
    let id = BatchId { edge: EDGE.parse().unwrap(), epoch: EPOCH, lane, seq };
    let payload: Vec<u8> = (seq..).flat_map(u64::to_le_bytes).take(bytes).collect();
    SealedBatch::seal(id, 10 * seq..10 * seq + 10, 99, payload.into()).unwrap()
}

pub(crate) struct Hub {
    pub(crate) address: SocketAddr,
    pub(crate) rollup: Receiver<Incoming>,
    pub(crate) raw: Receiver<Incoming>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) running: JoinHandle<()>,
    ours: TempDir,
    theirs: TempDir,
}

fn files(directory: &TempDir, role: Role, id: &str) -> TlsFiles {
    ensure_development(directory.path(), &[Identity::new(role, id).unwrap()], NOW_MS).unwrap().remove(0)
}

fn endpoint(files: &TlsFiles) -> Endpoint {
    Endpoint::new(files, SocketAddr::from(([127, 0, 0, 1], 0)), &TransportConfig::default()).unwrap()
}

impl Hub {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut config =
            ServerConfig { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..ServerConfig::default() };
        change(&mut config);
        let server = Server::bind(&files(&ours, Role::Hub, "h1"), &config).unwrap();
        let address = server.local_address().unwrap();
        let ((rollup_sender, rollup), (raw_sender, raw)) = (channel(64), channel(64));
        let shutdown = CancellationToken::new();
        let queues = LaneQueues { rollup: rollup_sender, raw: raw_sender };
        let running = tokio::spawn(server.run(queues, Arc::new(()), shutdown.clone()));
        Self { address, rollup, raw, shutdown, running, ours, theirs }
    }

    pub(crate) fn files(&self, role: Role, id: &str) -> TlsFiles {
        files(&self.ours, role, id)
    }

    pub(crate) fn edge(&self) -> Endpoint {
        self.endpoint(Role::Edge, EDGE)
    }

    pub(crate) fn endpoint(&self, role: Role, id: &str) -> Endpoint {
        endpoint(&self.files(role, id))
    }

    /// Trusts our CA but has a certificate of another.
    pub(crate) fn stranger(&self) -> Endpoint {
        let ca = self.files(Role::Edge, EDGE).ca;
        endpoint(&TlsFiles { ca, ..files(&self.theirs, Role::Edge, EDGE) })
    }

    /// The code with which the hub refuses these bytes, sent over a plain QUIC stream of the edge.
    pub(crate) async fn answer_to(&self, bytes: &[Bytes]) -> RefusalCode {
        let config =
            identity::quinn_client_config(&self.files(Role::Edge, EDGE), &[transport::ALPN]).unwrap();
        let endpoint = quinn::Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let connecting = endpoint.connect_with(config, self.address, "hub.meridian.internal").unwrap();
        let connection = connecting.await.unwrap();
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        for bytes in bytes {
            // The hub may have refused before it has read all.
            let _refused = send.write_all(bytes).await;
        }
        let mut last = None;
        let answer = receive.read_to_end(1 << 20).await.unwrap();
        let mut rest = answer.as_slice();
        while let Some((head, body)) = rest.split_first_chunk::<HEAD_BYTES>() {
            let head = decode_head(*head).unwrap();
            last = Some(decode_body(head, &body[..head.body_bytes]).unwrap());
            rest = &body[head.body_bytes..];
        }
        match last {
            Some(Frame::Refused(refused)) => RefusalCode::from(refused.code.as_str()),
            other => panic!("not refused: {other:?}"),
        }
    }
}
