//! One stream: hello, then batches in and acknowledgements out, side by side.
//!
//! The reader takes a batch only when it has a place for its acknowledgement and its bytes; the writer ends when the
//! last [`AckHandle`] is gone. A refusal is the last frame, after the acknowledgements of everything handed on.

use std::sync::Arc;
use std::time::Duration;

use batch::sealed::{BatchError, BatchHeader};
use batch::{Lane, SealedBatch};
use bytes::{Bytes, BytesMut};
use hit::Epoch;
use identity::{Identity, IdentityError};
use proto::batch::{Ack, BatchHeader as HeaderMessage, Hello, HelloReply, Refused};
use quinn::{RecvStream, SendStream};
use tokio::sync::mpsc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{AckHandle, Incoming, LaneQueues, Shared};
use crate::VERSION;
use crate::client::LaneId;
use crate::frame::Frame;
use crate::refusal::{Refusal, RefusalCode};
use crate::stream::{FrameReader, StreamError};

/// Acknowledgements written in one go.
const ACKS_AT_ONCE: usize = 256;

/// Memory given to a payload before any of it has come.
const FIRST_PAYLOAD_BYTES: usize = 256 * 1024;

/// How a lane ended.
enum End {
    /// The edge sends nothing more.
    Finished,
    /// Stream or connection are gone.
    Lost,
    /// By us.
    Refused(Refusal),
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StreamError> for End {
    fn from(error: StreamError) -> Self {
        match error {
            // An edge that gives up in the middle of a batch ends its half there.
            StreamError::Read(_) | StreamError::Cut => Self::Lost,
            StreamError::Frame(error) => {
                Self::Refused(Refusal::new(RefusalCode::Version, format!("the edge sent {error}")))
            }
        }
    }
}

/// Serves a stream to its end.
pub(super) async fn serve(
    shared: Arc<Shared>,
    queues: LaneQueues,
    peer: Result<Identity, IdentityError>,
    mut send: SendStream,
    receive: RecvStream,
) {
    let mut frames = FrameReader::new(receive);
    let (lane, end) = match open(&shared, peer, &mut frames, &mut send).await {
        Ok(id) => (id.lane, carry(&shared, queues, &id, &mut frames, &mut send).await),
        Err(end) => (Lane::Unspecified, end),
    };
    if let End::Refused(refusal) = &end {
        if refusal.code == RefusalCode::ShuttingDown {
            tracing::info!(lane = batch::sealed::lane_name(lane), "lane ends: shutting down");
        } else {
            tracing::warn!(lane = batch::sealed::lane_name(lane), %refusal, "lane refused");
        }
        shared.observer.refused(lane, refusal);
        // An edge that is gone needs no reason.
        let _gone = send.write_all(&Frame::Refused(Refused::from(refusal)).encode()).await;
    }
    let _gone = send.finish();
    if !matches!(end, End::Lost) {
        // The last frames must be over there before the connection may close.
        let _late = tokio::time::timeout(shared.handshake_timeout(), send.stopped()).await;
    }
    frames.stop();
}

/// Takes the hello and answers it.
async fn open(
    shared: &Shared,
    peer: Result<Identity, IdentityError>,
    frames: &mut FrameReader,
    send: &mut SendStream,
) -> Result<LaneId, End> {
    let hello = tokio::select! {
        biased;
        () = shared.shutdown.cancelled() => return Err(shutting_down().into()),
        hello = tokio::time::timeout(shared.handshake_timeout(), frames.next_frame()) => hello,
    };
    let hello = match hello {
        Ok(Ok(Some(Frame::Hello(hello)))) => hello,
        Ok(Ok(None)) => return Err(End::Finished),
        Ok(Ok(Some(_))) => {
            return Err(Refusal::new(RefusalCode::Version, "the first frame is no hello").into());
        }
        Ok(Err(error)) => return Err(error.into()),
        Err(_) => return Err(Refusal::new(RefusalCode::Version, "no hello came in time").into()),
    };
    let peer = peer.map_err(|error| Refusal::new(RefusalCode::Identity, error))?;
    let id = check_hello(&peer, &hello)?;
    let reply = HelloReply { version: VERSION, hub: shared.hub.id().to_owned() };
    send.write_all(&Frame::HelloReply(reply).encode()).await.map_err(|_| End::Lost)?;
    Ok(id)
}

fn check_hello(peer: &Identity, hello: &Hello) -> Result<LaneId, Refusal> {
    if hello.version < VERSION {
        let text = format!("the edge speaks version {} at most, this hub {VERSION}", hello.version);
        return Err(Refusal::new(RefusalCode::Version, text));
    }
    let lane = hello.lane();
    if hello.edge != peer.id() {
        let text = format!("the hello names the edge {:?}, the certificate {:?}", hello.edge, peer.id());
        return Err(Refusal::new(RefusalCode::Identity, text));
    }
    let edge = hello.edge.parse().map_err(|error| Refusal::new(RefusalCode::Identity, error))?;
    let epoch = Epoch::from_bytes(&hello.epoch)
        .ok_or_else(|| Refusal::new(RefusalCode::Identity, "the hello's epoch is not 16 bytes"))?;
    if lane == Lane::Unspecified {
        let text = format!("the hello names no lane that this hub knows: {}", hello.lane);
        return Err(Refusal::new(RefusalCode::Version, text));
    }
    Ok(LaneId { edge, epoch, lane })
}

/// Reads batches and writes acknowledgements until the one has ended and the other has nothing left.
async fn carry(
    shared: &Shared,
    queues: LaneQueues,
    id: &LaneId,
    frames: &mut FrameReader,
    send: &mut SendStream,
) -> End {
    let (acks, written) = mpsc::channel(shared.config.lane_batches);
    let queue = queues.of(id.lane);
    drop(queues);
    let (end, ()) = tokio::join!(read(shared, queue, id, frames, acks), write(written, send));
    end
}

async fn write(mut acks: mpsc::Receiver<u64>, send: &mut SendStream) {
    let mut seqs = Vec::with_capacity(ACKS_AT_ONCE);
    while acks.recv_many(&mut seqs, ACKS_AT_ONCE).await > 0 {
        let mut bytes = BytesMut::new();
        for seq in seqs.drain(..) {
            bytes.extend_from_slice(&Frame::Ack(Ack { seq }).encode());
        }
        if send.write_all(&bytes).await.is_err() {
            // The reader notices too; what was not acknowledged will be sent again.
            return;
        }
    }
}

/// Takes its channels by value: when it returns, no batch and no place for an acknowledgement can follow.
async fn read(
    shared: &Shared,
    queue: mpsc::Sender<Incoming>,
    id: &LaneId,
    frames: &mut FrameReader,
    acks: mpsc::Sender<u64>,
) -> End {
    let limit = shared.config.lane_bytes;
    let lane_bytes = Arc::new(Semaphore::new(usize::try_from(limit).unwrap_or(Semaphore::MAX_PERMITS)));
    loop {
        let taken = tokio::select! {
            biased;
            () = shared.shutdown.cancelled() => return shutting_down().into(),
            taken = take_batch(shared, &lane_bytes, &queue, id, frames, &acks) => taken,
        };
        if let Err(end) = taken {
            return end;
        }
    }
}

/// Takes one batch off the stream and hands it on. Dropped in the middle, the batch is not acknowledged.
async fn take_batch(
    shared: &Shared,
    lane_bytes: &Arc<Semaphore>,
    queue: &mpsc::Sender<Incoming>,
    id: &LaneId,
    frames: &mut FrameReader,
    acks: &mpsc::Sender<u64>,
) -> Result<(), End> {
    // None: the writer has given up, for the connection is lost.
    let acks = acks.clone().reserve_owned().await.map_err(|_| End::Lost)?;
    let message = match frames.next_frame().await? {
        Some(Frame::Batch(message)) => message,
        Some(_) => return Err(Refusal::new(RefusalCode::Version, "a frame that is no batch").into()),
        None => return Err(End::Finished),
    };
    let header = check_header(id, message)?;
    let weight = u32::try_from(header.payload_bytes).unwrap_or(u32::MAX).clamp(1, shared.config.lane_bytes);
    let shares =
        vec![share(Arc::clone(lane_bytes), weight).await?, share(shared.total_bytes(id.lane), weight).await?];
    let stall = Duration::from_millis(shared.config.stall_timeout_ms);
    let payload = take_payload(frames, header.payload_bytes, stall).await?;
    let seq = header.id.seq;
    let batch =
        SealedBatch::open(header, payload).map_err(|error| Refusal::new(RefusalCode::Corrupt, error))?;
    let ack = AckHandle { seq, acks, _shares: shares };
    // No receiver: the hub is going down without a shutdown.
    let place = queue.reserve().await.map_err(|_| shutting_down())?;
    shared.observer.received(batch.header());
    place.send(Incoming { batch, ack });
    Ok(())
}

/// Waits for a share of the bytes; the semaphores are never closed.
async fn share(bytes: Arc<Semaphore>, weight: u32) -> Result<OwnedSemaphorePermit, End> {
    bytes.acquire_many_owned(weight).await.map_err(|_| End::Lost)
}

fn check_header(id: &LaneId, message: HeaderMessage) -> Result<BatchHeader, Refusal> {
    let header = BatchHeader::try_from(message).map_err(|error| {
        let code = match &error {
            BatchError::Header { field: "payload_bytes", .. } => RefusalCode::TooLarge,
            BatchError::Format(_) => RefusalCode::Version,
            _ => RefusalCode::Corrupt,
        };
        Refusal::new(code, error)
    })?;
    if (&header.id.edge, header.id.epoch, header.id.lane) != (&id.edge, id.epoch, id.lane) {
        let text = format!("batch {} on the lane of {}-{}", header.id, id.edge, id.epoch);
        return Err(Refusal::new(RefusalCode::Identity, text));
    }
    Ok(header)
}

/// The payload as a whole. Memory grows with what has come, so a header alone costs nothing.
async fn take_payload(frames: &mut FrameReader, length: u64, stall: Duration) -> Result<Bytes, End> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let mut payload = BytesMut::with_capacity(length.min(FIRST_PAYLOAD_BYTES));
    while payload.len() < length {
        let chunk = tokio::time::timeout(stall, frames.payload_chunk(length - payload.len())).await;
        let Ok(chunk) = chunk else {
            tracing::warn!(stall_ms = stall.as_millis(), "a batch brought no byte, its lane is given up");
            return Err(End::Lost);
        };
        payload.extend_from_slice(&chunk?);
    }
    Ok(payload.freeze())
}

fn shutting_down() -> Refusal {
    Refusal::new(
        RefusalCode::ShuttingDown,
        "this hub is shutting down; what it has not acknowledged goes to another",
    )
}
