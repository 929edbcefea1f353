//! A hub that keeps batches in memory, acknowledges them or not, and checks that they follow each other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use batch::{Lane, SealedBatch};
use hit::RawHit;
use identity::TlsFiles;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use transport::{AckHandle, LaneQueues, Server, ServerConfig};

#[derive(Default)]
struct Held {
    rollup: BTreeMap<u64, SealedBatch>,
    raw: BTreeMap<u64, SealedBatch>,
}

pub(crate) struct Hub {
    pub(crate) address: String,
    held: Arc<Mutex<Held>>,
    arrived: Arc<Notify>,
    acknowledges: watch::Sender<bool>,
    shutdown: CancellationToken,
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Hub {
    /// A hub that acknowledges every batch.
    pub(crate) fn start(tls: &TlsFiles) -> Self {
        Self::with_acks(tls, true)
    }

    pub(crate) fn with_acks(tls: &TlsFiles, acknowledges: bool) -> Self {
        let config = ServerConfig { listen: "127.0.0.1:0".parse().unwrap(), ..ServerConfig::default() };
        let server = Server::bind(tls, &config).unwrap();
        let address = server.local_address().unwrap().to_string();
        let (rollup, mut rollups) = mpsc::channel(16);
        let (raw, mut raws) = mpsc::channel(16);
        let shutdown = CancellationToken::new();
        tokio::spawn(server.run(LaneQueues { rollup, raw }, Arc::new(()), shutdown.clone()));
        let (acknowledges, mut changes) = watch::channel(acknowledges);
        let hub = Self { address, held: Arc::default(), arrived: Arc::default(), acknowledges, shutdown };
        let (held, arrived) = (hub.held.clone(), hub.arrived.clone());
        tokio::spawn(async move {
            let mut unacknowledged = Vec::new();
            loop {
                let incoming = tokio::select! {
                    Some(incoming) = rollups.recv() => incoming,
                    Some(incoming) = raws.recv() => incoming,
                    Ok(()) = changes.changed() => {
                        unacknowledged.drain(..).for_each(AckHandle::send);
                        continue;
                    }
                    else => return,
                };
                held.lock().unwrap().keep(incoming.batch);
                if *changes.borrow() {
                    incoming.ack.send();
                } else {
                    unacknowledged.push(incoming.ack);
                }
                arrived.notify_waiters();
            }
        });
        hub
    }

    /// Acknowledges everything, from what it holds on.
    pub(crate) fn acknowledge(&self) {
        self.acknowledges.send_replace(true);
    }

    /// Waits until what arrived satisfies `is_enough`.
    pub(crate) async fn wait_until(&self, is_enough: impl Fn(&Self) -> bool) {
        loop {
            let next = self.arrived.notified();
            if is_enough(self) {
                return;
            }
            next.await;
        }
    }

    /// Batches of a lane, by seq.
    pub(crate) fn batches(&self, lane: Lane) -> Vec<SealedBatch> {
        let held = self.held.lock().unwrap();
        let lane = if lane == Lane::Raw { &held.raw } else { &held.rollup };
        lane.values().cloned().collect()
    }

    /// All hits of the raw lane, which must be without a gap.
    pub(crate) fn hits(&self) -> Vec<RawHit> {
        let mut hits = Vec::new();
        for (batch, seq) in self.batches(Lane::Raw).iter().zip(1..) {
            let header = batch.header();
            assert_eq!((header.id.seq, header.from), (seq, hits.len() as u64));
            for block in batch::raw::decode_raw(batch.payload()).unwrap() {
                hits.extend(block.body.hits);
            }
            assert_eq!(header.to, hits.len() as u64);
        }
        hits
    }

    /// Page views in rollup batches, which must be without a gap, and the position behind them.
    pub(crate) fn page_views(&self) -> (u64, u64) {
        let (mut views, mut position) = (0, 0);
        for (batch, seq) in self.batches(Lane::Rollup).iter().zip(1..) {
            let header = batch.header();
            assert_eq!((header.id.seq, header.from), (seq, position));
            position = header.to;
            let rows = batch::decode_rollup(batch.payload()).unwrap();
            views += rows.hits.iter().map(|row| row.page_views).sum::<u64>();
        }
        (views, position)
    }
}

impl Held {
    fn keep(&mut self, batch: SealedBatch) {
        let lane = if batch.header().id.lane == Lane::Raw { &mut self.raw } else { &mut self.rollup };
        let seq = batch.header().id.seq;
        if let Some(before) = lane.insert(seq, batch) {
            assert_eq!(Some(&before), lane.get(&seq), "a batch was sent again with other bytes");
        }
    }
}
