//! One lane of a connection: sends batches in order of seq and takes acks in any order.
//!
//! Begins at the oldest batch of the outbox. What is loaded is handed to QUIC before the next is loaded, so memory holds
//! the window and no more. Ends when the oldest batch on its way waits too long for its ack: another hub may do better.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use batch::{Lane, SealedBatch};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use transport::{LaneReceiver, LaneSender, TransportError};

use super::Parts;
use crate::disk::DataDir;
use crate::metrics::pipeline::ShipMetrics;

/// Why a lane ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaneError {
    /// The connection, or the hub's refusal.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The outbox does not read: the edge stops.
    #[error("{0:#}")]
    Outbox(anyhow::Error),
}

/// A lane that is open.
pub(crate) struct LaneShip {
    lane: Lane,
    sender: LaneSender,
    receiver: LaneReceiver,
    disk: Arc<DataDir>,
    flushed: watch::Receiver<u64>,
    acks: mpsc::Sender<(Lane, u64)>,
    metrics: ShipMetrics,
    window_bytes: u64,
    ack_timeout: Duration,
    in_flight: BTreeMap<u64, u64>,
    in_flight_bytes: u64,
    /// When the oldest batch in flight became the oldest; counted from there, for those before it took the line.
    oldest_since: Instant,
    last_seq: u64,
    /// The outbox held nothing behind `last_seq` when it was looked at last.
    exhausted: bool,
    /// Processing has ended: nothing will follow.
    final_look: bool,
}

impl LaneShip {
    /// A lane from the beginning of the outbox.
    pub(crate) fn new(parts: &Parts, lane: Lane, sender: LaneSender, receiver: LaneReceiver) -> Self {
        Self {
            lane,
            sender,
            receiver,
            disk: parts.disk.clone(),
            flushed: parts.flushed.clone(),
            acks: parts.acks.clone(),
            metrics: parts.metrics.clone(),
            window_bytes: parts.config.window_bytes,
            ack_timeout: Duration::from_millis(parts.config.ack_timeout_ms),
            in_flight: BTreeMap::new(),
            in_flight_bytes: 0,
            oldest_since: Instant::now(),
            last_seq: 0,
            exhausted: false,
            final_look: false,
        }
    }

    /// Ships until nothing will follow and all is acknowledged.
    pub(crate) async fn run(&mut self) -> Result<(), LaneError> {
        loop {
            let has_room = self.in_flight.is_empty() || self.in_flight_bytes < self.window_bytes;
            if has_room && !self.exhausted && self.sender.is_flushed() {
                self.load().await?;
            }
            if self.exhausted && self.final_look && self.in_flight.is_empty() {
                return Ok(());
            }
            let is_flushed = self.sender.is_flushed();
            let overdue = self.oldest_since + self.ack_timeout;
            tokio::select! {
                flushed = self.sender.flush(), if !is_flushed => flushed?,
                ack = self.receiver.next_ack() => {
                    let seq = ack?.seq;
                    self.acknowledge(seq).await?;
                }
                () = tokio::time::sleep_until(overdue), if !self.in_flight.is_empty() => {
                    return Err(self.not_acknowledged());
                }
                changed = self.flushed.changed(), if self.exhausted && !self.final_look => {
                    self.exhausted = false;
                    self.final_look = changed.is_err();
                }
            }
        }
    }

    async fn load(&mut self) -> Result<(), LaneError> {
        let (disk, lane, after) = (self.disk.clone(), self.lane, self.last_seq);
        let loaded = tokio::task::spawn_blocking(move || disk.next_batch(lane, after)).await;
        let loaded = loaded.map_err(|error| LaneError::Outbox(error.into()))?;
        match loaded.map_err(|error| LaneError::Outbox(error.into()))? {
            Some(batch) => self.enqueue(&batch),
            None => self.exhausted = true,
        }
        Ok(())
    }

    fn enqueue(&mut self, batch: &SealedBatch) {
        let header = batch.header();
        self.sender.enqueue(batch);
        if self.in_flight.is_empty() {
            self.oldest_since = Instant::now();
        }
        self.last_seq = header.id.seq;
        self.in_flight.insert(header.id.seq, header.payload_bytes);
        self.in_flight_bytes += header.payload_bytes;
        self.metrics.sent(self.lane, header.payload_bytes);
    }

    fn not_acknowledged(&self) -> LaneError {
        let after_ms = u64::try_from(self.ack_timeout.as_millis()).unwrap_or(u64::MAX);
        TransportError::TimedOut { doing: "storing a batch", after_ms }.into()
    }

    async fn acknowledge(&mut self, seq: u64) -> Result<(), LaneError> {
        if self.in_flight.first_key_value().is_some_and(|(oldest, _)| *oldest == seq) {
            self.oldest_since = Instant::now();
        }
        let Some(bytes) = self.in_flight.remove(&seq) else {
            return Err(TransportError::Unexpected("an ack of a batch that is not on its way").into());
        };
        self.in_flight_bytes -= bytes;
        self.metrics.acknowledged();
        let closed = |_| LaneError::Outbox(anyhow::anyhow!("the outbox has ended"));
        self.acks.send((self.lane, seq)).await.map_err(closed)
    }
}
