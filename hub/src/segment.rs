//! Segment: batches of one lane become objects of the store, and are then acknowledged.
//!
//! In: the lane's queue. Out: one PUT per `delay_ms` or `bytes`, the acknowledgement of each batch in it, and a word
//! to the feed. A PUT that fails is repeated with the same bytes under a new key (whether the first one left an object
//! behind is then unimportant: a batch may be stored twice), as long as it takes.
//!
//! Invariant: [`transport::AckHandle::send`] is called here alone, after the PUT of that batch has succeeded.

mod collect;
mod put;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use batch::{BatchHeader, Lane, SealedBatch};
use object_store::ObjectStore;
use service::{SharedClock, fail};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;
use transport::{AckHandle, Incoming};

use crate::config::SegmentConfig;
use crate::metrics::Metrics;
use crate::stored::Stored;
use collect::Collector;
use put::Put;

/// The stage for one lane.
pub(crate) struct Segmenter {
    pub(crate) lane: Lane,
    /// Id of this hub, for the keys.
    pub(crate) hub: String,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) clock: SharedClock,
    pub(crate) config: SegmentConfig,
    pub(crate) metrics: Arc<Metrics>,
    /// Nobody listening is no error: the feed is a hint.
    pub(crate) stored: broadcast::Sender<Stored>,
}

/// A batch between its arrival and its acknowledgement; counted as given up when it is dropped without one.
struct Pending {
    header: BatchHeader,
    ack: Option<AckHandle>,
    metrics: Arc<Metrics>,
}

impl Pending {
    fn acknowledge(mut self) {
        if let Some(ack) = self.ack.take() {
            self.metrics.left(&self.header, true);
            fail::point("hub.ack.before");
            ack.send();
            fail::point("hub.ack.after");
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.ack.is_some() {
            self.metrics.left(&self.header, false);
        }
    }
}

/// The batches of the segment being filled, and those of the PUTs under way.
struct Work {
    collector: Collector<(SealedBatch, Pending)>,
    puts: JoinSet<u64>,
    /// When the oldest batch of each PUT came, by the PUT's number.
    since_ms: BTreeMap<u64, u64>,
    puts_begun: u64,
}

/// What the loop waited for.
enum Action {
    Take(Option<Incoming>),
    Flush,
    Finished(Result<u64, tokio::task::JoinError>),
}

impl Segmenter {
    /// Runs until the queue is closed and everything from it is stored and acknowledged.
    pub(crate) async fn run(self, mut queue: mpsc::Receiver<Incoming>) -> anyhow::Result<()> {
        let mut work = Work {
            collector: Collector::new(self.config.delay_ms, self.config.bytes),
            puts: JoinSet::new(),
            since_ms: BTreeMap::new(),
            puts_begun: 0,
        };
        let mut open = true;
        while open || work.collector.since_ms().is_some() || !work.puts.is_empty() {
            match self.next(&mut work, &mut queue, open).await {
                Action::Take(Some(incoming)) => self.take(&mut work, incoming),
                Action::Take(None) => open = false,
                Action::Flush => self.flush(&mut work),
                Action::Finished(put) => {
                    let put = put.context("a PUT ended without a result")?;
                    work.since_ms.remove(&put);
                }
            }
            let oldest_ms = work.since_ms.values().copied().chain(work.collector.since_ms()).min();
            self.metrics.waiting(self.lane).set_oldest_ms(oldest_ms);
        }
        Ok(())
    }

    /// Waits for the next thing to do; changes nothing itself.
    async fn next(&self, work: &mut Work, queue: &mut mpsc::Receiver<Incoming>, open: bool) -> Action {
        let may_put = work.puts.len() < self.config.puts_at_once;
        let now_ms = self.clock.monotonic_ms();
        // After the queue has closed nothing can join the segment: there is nothing to wait for.
        let wait_ms =
            work.collector.due_ms().map(|due_ms| if open { due_ms.saturating_sub(now_ms) } else { 0 });
        let due = tokio::time::sleep(Duration::from_millis(wait_ms.unwrap_or(0)));
        tokio::select! {
            biased;
            Some(ended) = work.puts.join_next() => Action::Finished(ended),
            () = due, if may_put && wait_ms.is_some() => Action::Flush,
            incoming = queue.recv(), if open && !work.collector.is_full() => Action::Take(incoming),
        }
    }

    fn take(&self, work: &mut Work, Incoming { batch, ack }: Incoming) {
        let header = batch.header().clone();
        let bytes = header.payload_bytes;
        let pending = Pending { header, ack: Some(ack), metrics: Arc::clone(&self.metrics) };
        work.collector.push((batch, pending), bytes, self.clock.monotonic_ms());
    }

    fn flush(&self, work: &mut Work) {
        let since_ms = work.collector.since_ms().unwrap_or(0);
        let (batches, pending): (Vec<SealedBatch>, Vec<Pending>) = work.collector.take().into_iter().unzip();
        let number = work.puts_begun;
        work.puts_begun += 1;
        work.since_ms.insert(number, since_ms);
        let put = Put {
            lane: self.lane,
            hub: self.hub.clone(),
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            config: self.config.clone(),
            metrics: Arc::clone(&self.metrics),
        };
        let stored = self.stored.clone();
        let lane = self.lane;
        work.puts.spawn(async move {
            let announced = put.store(batches).await;
            pending.into_iter().for_each(Pending::acknowledge);
            let _nobody_listens = stored.send(Stored { lane, announced });
            number
        });
    }
}
