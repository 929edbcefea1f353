//! Processing on a thread of its own: committed blocks in order, rollup and raw batches out.
//!
//! In: blocks from the feed, or from the WAL files when the feed dropped them or after a restart. Out: one flush every
//! few seconds, that is rollup batch, raw batches of the same range, state and progress in one transaction. Invariant: what is
//! not flushed is processed again after a crash, with the same rows.

pub(crate) mod restore;
pub(crate) mod raw;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use anyhow::Context as _;
use batch::{BatchId, Lane, SealedBatch};
use bytes::Bytes;
use hit::BlockView;
use processing::{Limits, Processor, Sealed};
use serde::{Deserialize, Serialize};
use service::{SharedClock, fail};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::raw::RawBatches;
use crate::disk::DataDir;
use crate::disk::entry::{Note, RollupEntry};
use crate::disk::state::{Flush, Progress, StateWrite};
use crate::handoff::forgets::Forgets;
use crate::handoff::{CommittedBlock, FeedReceiver};
use crate::ledger::{Ledger, REPEATED};
use crate::metrics::pipeline::ProcessMetrics;

/// Changes of state may grow to this many times the checkpoint before the next one is written.
const CHANGES_PER_CHECKPOINT: u64 = 2;

/// Below this no checkpoint is worth its write, bytes.
const SMALL_STATE_BYTES: u64 = 1 << 20;

/// How long the thread sleeps at most while nothing comes.
const LONGEST_WAIT: Duration = Duration::from_millis(250);

/// How long the thread lets blocks come together: a wake-up for each costs more than a small block.
const GATHER: Duration = Duration::from_millis(20);

/// Configuration of processing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long processed hits wait for company in a batch, milliseconds: most of the way to a report.
    pub flush_interval_ms: u64,
    /// Committed blocks that wait in memory; at the limit further ones are read from the WAL file instead.
    pub feed_blocks: usize,
    /// Bytes of a raw batch after which the next one begins. One block may go past it.
    pub raw_batch_bytes: u64,
    /// What processing holds at most.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            flush_interval_ms: 10_000,
            feed_blocks: 64,
            raw_batch_bytes: 4 << 20,
            limits: Limits::default(),
        }
    }
}

/// What the thread works with.
pub(crate) struct Parts {
    /// Configuration.
    pub(crate) config: Config,
    /// How long a stopping edge goes on with what is in the WAL, milliseconds.
    pub(crate) drain_ms: u64,
    /// The data directory.
    pub(crate) disk: Arc<DataDir>,
    /// Committed blocks.
    pub(crate) feed: FeedReceiver,
    /// Told which erasures have their mark.
    pub(crate) forgets: Arc<Forgets>,
    /// The processor as of the last flush.
    pub(crate) processor: Processor,
    /// Accounts.
    pub(crate) ledger: Arc<Ledger>,
    /// Time.
    pub(crate) clock: SharedClock,
    /// Metrics.
    pub(crate) metrics: ProcessMetrics,
    /// Told the seq of the last rollup batch after each flush.
    pub(crate) flushed: watch::Sender<u64>,
    /// The edge stops.
    pub(crate) shutdown: CancellationToken,
}

/// The thread's state.
pub(crate) struct Process {
    parts: Parts,
    progress: Progress,
    raw: RawBatches,
    /// Monotonic time when the first unsealed block came, milliseconds.
    unsealed_since_ms: Option<u64>,
    oldest_unsealed_ms: Option<u64>,
    checkpoint_bytes: u64,
    changes_bytes: u64,
    /// Monotonic time at which a stopping edge leaves the rest of the WAL to the next start, milliseconds.
    stops_at_ms: Option<u64>,
    /// The committer knows which erasures have their mark.
    told_of_marks: bool,
}

impl Process {
    /// Goes on behind the last flush. `checkpoint_bytes` and `changes_bytes`: what the stored state takes.
    pub(crate) fn new(
        parts: Parts,
        progress: Progress,
        checkpoint_bytes: u64,
        changes_bytes: u64,
    ) -> anyhow::Result<Self> {
        let due = (parts.processor.next_block(), parts.processor.next_position());
        anyhow::ensure!(
            due == (progress.next_block, progress.next_position),
            "the stored state of processing ends at block {}, position {}, but the last flush at block {}, position {}",
            due.0,
            due.1,
            progress.next_block,
            progress.next_position
        );
        parts.ledger.counted(parts.processor.totals());
        parts.ledger.restored();
        let mut process = Self {
            raw: RawBatches::new(parts.config.raw_batch_bytes),
            parts,
            progress,
            unsealed_since_ms: None,
            oldest_unsealed_ms: None,
            checkpoint_bytes,
            changes_bytes,
            stops_at_ms: None,
            told_of_marks: false,
        };
        process.tell_of_marks();
        Ok(process)
    }

    /// Lets the committer mark erasures once all that the WAL held at the start is processed: some of it may be such marks.
    fn tell_of_marks(&mut self) {
        if !self.told_of_marks && self.parts.processor.next_block() >= self.parts.disk.wal.end().block {
            self.parts.forgets.are_marked(self.parts.processor.applied_jobs());
            self.told_of_marks = true;
        }
    }

    /// Runs until the committer has ended and every block is in a batch, or the time to stop has come: what is in no
    /// batch then is in the WAL.
    pub(crate) fn run(mut self) -> anyhow::Result<()> {
        loop {
            self.catch_up()?;
            match self.parts.feed.receiver.recv_timeout(LONGEST_WAIT) {
                Ok(block) => {
                    self.take_until(&block)?;
                    std::thread::sleep(GATHER);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.flush_if_due()?;
        }
        self.catch_up()?;
        if self.unsealed_since_ms.is_some() {
            self.flush()?;
        }
        Ok(())
    }

    /// Takes `block`, after those before it that the feed dropped; one that was read from its file already is skipped.
    fn take_until(&mut self, block: &CommittedBlock) -> anyhow::Result<()> {
        self.take_from_files(block.header.block)?;
        if self.parts.processor.next_block() == block.header.block {
            self.take(&block.bytes)?;
        }
        Ok(())
    }

    /// Takes the blocks before `end` from the WAL files. There may be very many after a restart: they are flushed on
    /// the way, and a stopping edge leaves the rest to the next start.
    fn take_from_files(&mut self, end: u64) -> anyhow::Result<()> {
        while self.parts.processor.next_block() < end && !self.must_stop() {
            self.take_from_file()?;
            self.flush_if_due()?;
        }
        Ok(())
    }

    fn must_stop(&mut self) -> bool {
        if !self.parts.shutdown.is_cancelled() {
            return false;
        }
        let now_ms = self.parts.clock.monotonic_ms();
        now_ms >= *self.stops_at_ms.get_or_insert(now_ms + self.parts.drain_ms)
    }

    /// Takes from the WAL files what the feed did not bring; the feed itself is emptied first when it is in order.
    fn catch_up(&mut self) -> anyhow::Result<()> {
        while let Ok(block) = self.parts.feed.receiver.try_recv() {
            self.take_until(&block)?;
            self.flush_if_due()?;
        }
        while self.parts.processor.next_block() < self.parts.feed.committed.load(Ordering::Acquire)
            && !self.must_stop()
        {
            let end = self.parts.feed.committed.load(Ordering::Acquire);
            self.take_from_files(end)?;
        }
        Ok(())
    }

    fn take_from_file(&mut self) -> anyhow::Result<()> {
        let (_, bytes) = self.parts.disk.wal.read(self.parts.processor.next_block())?;
        self.take(&bytes)
    }

    fn take(&mut self, bytes: &Bytes) -> anyhow::Result<()> {
        let (header, body) = hit::block::open(bytes)?;
        let block = BlockView::parse(header, &body)?;
        self.parts.processor.on_block(&block)?;
        self.tell_of_marks();
        self.parts.metrics.erased(self.parts.processor.erasures_applied());
        self.raw.push(&block.header, bytes);
        self.unsealed_since_ms.get_or_insert_with(|| self.parts.clock.monotonic_ms());
        if block.header.hits > 0 {
            self.oldest_unsealed_ms.get_or_insert(block.header.received_at_ms);
        }
        self.parts.ledger.processed(block.header.block + 1, block.header.to(), self.oldest_unsealed_ms);
        self.parts.ledger.counted(self.parts.processor.totals());
        Ok(())
    }

    fn flush_if_due(&mut self) -> anyhow::Result<()> {
        let Some(since_ms) = self.unsealed_since_ms else { return Ok(()) };
        let waited_ms = self.parts.clock.monotonic_ms().saturating_sub(since_ms);
        if waited_ms >= self.parts.config.flush_interval_ms || self.parts.processor.should_seal() {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let begun_ms = self.parts.clock.monotonic_ms();
        let sealed = self.parts.processor.seal().context("sealing a batch")?;
        let flush = self.assemble(sealed)?;
        fail::point("edge.flush.before");
        self.parts.disk.state.flush(&flush)?;
        fail::point("edge.flush.after");
        self.parts.ledger.flushed(&flush);
        self.parts.metrics.flushed(
            &flush,
            self.parts.clock.monotonic_ms().saturating_sub(begun_ms),
            &self.parts.processor.gauges(),
        );
        self.progress = flush.progress;
        self.unsealed_since_ms = None;
        self.oldest_unsealed_ms = None;
        self.parts.flushed.send_replace(self.progress.rollup_seq);
        Ok(())
    }

    fn assemble(&mut self, sealed: Sealed) -> anyhow::Result<Flush> {
        let id = |lane, seq| BatchId {
            edge: self.parts.disk.owner.edge.clone(),
            epoch: self.parts.disk.owner.epoch,
            lane,
            seq,
        };
        let mut progress = self.progress.clone();
        progress.next_block = sealed.last_block.map_or(0, |block| block + 1);
        progress.next_position = sealed.to;
        progress.received_at_ms = sealed.complete_until_ms;
        progress.rollup_seq += 1;
        progress.dropped = dropped(&self.parts.processor);
        progress.by_class = by_class(&self.parts.processor);
        let lost = |dropped: &std::collections::BTreeMap<String, u64>| dropped.values().sum::<u64>();
        let newly_dropped = lost(&progress.dropped).saturating_sub(lost(&self.progress.dropped));
        let payload = batch::encode_rollup(&sealed.rows).context("encoding a rollup batch")?;
        let rollup = RollupEntry {
            note: Note {
                counted: (sealed.to - sealed.from).saturating_sub(newly_dropped),
                oldest_ms: self.oldest_unsealed_ms.unwrap_or(0),
            },
            batch: SealedBatch::seal(
                id(Lane::Rollup, progress.rollup_seq),
                sealed.from..sealed.to,
                sealed.complete_until_ms,
                Bytes::from(payload),
            )?,
        };
        let raw =
            self.raw.seal(sealed.complete_until_ms, |index| id(Lane::Raw, progress.raw_seq + 1 + index));
        progress.raw_seq += u64::try_from(raw.len()).unwrap_or(0);
        let state = self.state_write(sealed.state_change)?;
        Ok(Flush { rollup, raw, state, progress })
    }

    /// A checkpoint when the changes have outgrown the last one, so that restoring stays short.
    fn state_write(&mut self, change: Vec<u8>) -> anyhow::Result<StateWrite> {
        let length = |bytes: &[u8]| u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let changes_bytes = self.changes_bytes + length(&change);
        let limit = (self.checkpoint_bytes * CHANGES_PER_CHECKPOINT).max(SMALL_STATE_BYTES);
        if changes_bytes <= limit {
            self.changes_bytes = changes_bytes;
            return Ok(StateWrite::Change(change));
        }
        let checkpoint = self.parts.processor.checkpoint().context("writing a checkpoint")?;
        self.checkpoint_bytes = length(&checkpoint);
        self.changes_bytes = 0;
        Ok(StateWrite::Checkpoint(checkpoint))
    }
}

/// Hits in no row since the epoch began, by reason; right after a seal.
fn dropped(processor: &Processor) -> std::collections::BTreeMap<String, u64> {
    let totals = processor.totals();
    let reasons = totals.dropped.iter().map(|(reason, hits)| (reason.as_str().to_owned(), *hits));
    reasons.chain([(REPEATED.to_owned(), totals.repeated)]).collect()
}

/// Hits in rows since the epoch began, by traffic class.
fn by_class(processor: &Processor) -> std::collections::BTreeMap<String, u64> {
    let totals = processor.totals();
    totals.by_class.iter().map(|(class, hits)| (class.as_str().to_owned(), *hits)).collect()
}

#[cfg(test)]
mod tests;
