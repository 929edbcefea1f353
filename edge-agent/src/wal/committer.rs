//! The committer: the one thread that writes the WAL.
//!
//! It drains the intake, waits a few milliseconds for company, stamps and writes one block, and answers everybody in
//! it. Hits that collect refused ride along as counts, and what is to be forgotten as marks; without hits they get a block of their own, at most one a second. Limits: the disk budget and a clock that went back shut the gate (503); a failed commit answers everybody with an
//! error and ends the process, for redb refuses further writes.

use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use hit::BlockHeader;
use hit::block;
use service::{SharedClock, fail};

use super::Config;
use super::stamp::Stamp;
use crate::disk::DataDir;
use crate::disk::wal_file::{self, Start, WalFile};
use crate::handoff::forgets::Forgets;
use crate::handoff::refused::{Refused, RefusedHits};
use crate::handoff::{CommitRefused, CommittedBlock, Feed, Gate, IntakeReceiver, Submission};
use crate::ledger::Ledger;
use crate::metrics::pipeline::WalMetrics;

/// How often a shut gate is looked at again.
const GATE_RETRY: Duration = Duration::from_millis(200);

/// How long an idle committer sleeps at most, so that the measured disk stays fresh and refused hits are told soon.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How often the disk is measured at most.
const MEASURE: Duration = Duration::from_millis(200);

/// What the committer works with.
pub(crate) struct Parts {
    /// Configuration.
    pub(crate) config: Config,
    /// The data directory.
    pub(crate) disk: Arc<DataDir>,
    /// Submissions.
    pub(crate) intake: IntakeReceiver,
    /// What collect refused.
    pub(crate) refused: Arc<RefusedHits>,
    /// What is to be forgotten.
    pub(crate) forgets: Arc<Forgets>,
    /// Shut when the committer cannot take hits.
    pub(crate) gate: Arc<Gate>,
    /// Where committed blocks go.
    pub(crate) feed: Feed,
    /// Accounts.
    pub(crate) ledger: Arc<Ledger>,
    /// Time.
    pub(crate) clock: SharedClock,
    /// Metrics.
    pub(crate) metrics: WalMetrics,
}

/// Submissions that will share a block.
struct Gathered {
    submissions: Vec<Submission>,
    hits: u32,
    bytes: usize,
}

impl Gathered {
    fn new(first: Submission) -> Self {
        Self { hits: first.hits, bytes: first.body.len(), submissions: vec![first] }
    }

    fn add(&mut self, next: Submission) {
        self.hits += next.hits;
        self.bytes += next.body.len();
        self.submissions.push(next);
    }
}

/// The thread's state.
pub(crate) struct Committer {
    parts: Parts,
    file: Arc<WalFile>,
    file_bytes: u64,
    /// Position at which the file begins.
    file_position: u64,
    next: Start,
    stamp: Stamp,
    /// Monotonic time of the last block, milliseconds.
    last_block_ms: u64,
    measured_at: Option<Instant>,
    over_budget: bool,
}

impl Committer {
    /// A committer that goes on where the WAL ends.
    pub(crate) fn new(parts: Parts) -> anyhow::Result<Self> {
        let next = parts.disk.wal.end();
        let file = parts.disk.wal.active()?;
        Ok(Self {
            // What earlier runs put into this file is not known exactly; what it takes on disk is at least that.
            file_bytes: file.disk_bytes(),
            file_position: file.extent(&parts.disk.owner)?.start.position,
            file,
            next,
            stamp: Stamp::new(next.received_at_ms, parts.config.clock_back_ms),
            last_block_ms: parts.clock.monotonic_ms(),
            measured_at: None,
            over_budget: false,
            parts,
        })
    }

    /// Runs until collect has dropped its end and everything submitted is answered.
    pub(crate) fn run(mut self) -> anyhow::Result<()> {
        loop {
            self.measure();
            match self.parts.intake.next(self.patience()) {
                Ok(first) => {
                    let submissions = self.gather(first);
                    self.commit(submissions)?;
                }
                Err(RecvTimeoutError::Timeout) => self.idle()?,
                Err(RecvTimeoutError::Disconnected) => return self.end(),
            }
        }
    }

    fn patience(&self) -> Duration {
        if self.parts.gate.check().is_err() {
            return GATE_RETRY;
        }
        let since = self.parts.clock.monotonic_ms().saturating_sub(self.last_block_ms);
        Duration::from_millis(self.parts.config.tick_ms.saturating_sub(since).max(1)).min(LONGEST_WAIT)
    }

    /// Takes what comes within the gathering time, up to the limits of a block.
    ///
    /// Sleeps through that time: a thread that waits at the intake costs every submission a wake-up.
    fn gather(&self, first: Submission) -> Vec<Submission> {
        let mut block = Gathered::new(first);
        self.take_waiting(&mut block);
        if !self.is_full(&block) {
            std::thread::sleep(Duration::from_micros(self.parts.config.gather_us));
            self.take_waiting(&mut block);
        }
        block.submissions
    }

    fn is_full(&self, block: &Gathered) -> bool {
        block.hits >= self.parts.config.block_hits || block.bytes >= self.parts.config.block_bytes
    }

    /// Takes what is in the intake, up to the limits of a block.
    fn take_waiting(&self, block: &mut Gathered) {
        while !self.is_full(block) {
            let Ok(next) = self.parts.intake.next(Duration::ZERO) else { return };
            block.add(next);
        }
    }

    fn commit(&mut self, submissions: Vec<Submission>) -> anyhow::Result<()> {
        let stamp = match self.admit() {
            Ok(stamp) => stamp,
            Err(refused) => {
                self.parts.intake.answer(submissions, Err(refused));
                return Ok(());
            }
        };
        let bytes = submissions.iter().map(|submission| submission.body.len()).sum();
        let mut body = Vec::with_capacity(bytes);
        let mut hits = 0;
        for submission in &submissions {
            body.extend_from_slice(&submission.body);
            hits += submission.hits;
        }
        match self.write(body, hits, stamp) {
            Ok(block) => {
                self.parts.intake.answer(submissions, Ok(()));
                self.parts.feed.announce(block);
                Ok(())
            }
            Err(error) => {
                self.parts.gate.set(Err(CommitRefused::Unavailable));
                self.parts.intake.answer(submissions, Err(CommitRefused::Unavailable));
                Err(error)
            }
        }
    }

    /// Without hits: another look at the gate, and a tick when one is due. Ticks pass a used-up budget: they are tiny,
    /// and without them sessions would not end.
    ///
    /// With the budget used up, the file with hits is ended too, for the last file is never deleted. The next one begins
    /// with a tick at once: its acknowledgement comes after that of all hits, and deletes the file.
    fn idle(&mut self) -> anyhow::Result<()> {
        let stamp = self.stamp();
        self.set_gate(if self.over_budget { Err(CommitRefused::Full) } else { stamp.map(|_| ()) });
        let Ok(stamp) = stamp else { return Ok(()) };
        let ends_file = self.over_budget && self.next.position > self.file_position;
        if ends_file {
            self.roll()?;
        }
        let since = self.parts.clock.monotonic_ms().saturating_sub(self.last_block_ms);
        if ends_file || since >= self.parts.config.tick_ms || self.has_company() {
            self.tick(stamp)?;
        }
        Ok(())
    }

    /// The last block: what rides along and came since the one before.
    fn end(mut self) -> anyhow::Result<()> {
        match self.stamp() {
            Ok(stamp) if self.has_company() => self.tick(stamp),
            _ => Ok(()),
        }
    }

    fn tick(&mut self, stamp: u64) -> anyhow::Result<()> {
        let block = self.write(Vec::new(), 0, stamp)?;
        self.parts.feed.announce(block);
        Ok(())
    }

    /// Whether anything waits that rides along with hits and needs none. Refused hits do not beyond the budget: whoever sends what is
    /// refused must not fill the disk. Erasures do, as ticks: they make room.
    fn has_company(&self) -> bool {
        (!self.over_budget && self.parts.refused.are_waiting()) || self.parts.forgets.are_waiting()
    }

    /// The stamp of a block with hits, unless the budget is used up or the clock is not to be trusted.
    fn admit(&mut self) -> Result<u64, CommitRefused> {
        let stamp = if self.over_budget { Err(CommitRefused::Full) } else { self.stamp() };
        self.set_gate(stamp.map(|_| ()));
        stamp
    }

    fn stamp(&mut self) -> Result<u64, CommitRefused> {
        let clock = &self.parts.clock;
        self.stamp.next(clock.now_ms(), clock.monotonic_ms()).map_err(|back| {
            tracing::debug!(by_ms = back.by_ms, "the wall clock went back");
            CommitRefused::Clock
        })
    }

    fn set_gate(&self, state: Result<(), CommitRefused>) {
        if self.parts.gate.check() != state {
            match state {
                Ok(()) => tracing::info!("takes hits again"),
                Err(reason) => tracing::error!(%reason, "takes no hits"),
            }
        }
        self.parts.gate.set(state);
    }

    /// Writes a block with what was refused and what is to be forgotten; if that fails both wait on.
    fn write(&mut self, mut body: Vec<u8>, hits: u32, received_at_ms: u64) -> anyhow::Result<CommittedBlock> {
        let refused = if self.over_budget { Refused::default() } else { self.parts.refused.take() };
        refused.push_to(&mut body);
        let forgets = self.parts.forgets.take();
        forgets.push_to(&mut body);
        let written = self.append(&body, hits, received_at_ms);
        if written.is_err() {
            self.parts.refused.put_back(refused);
            self.parts.forgets.put_back(forgets);
        }
        written
    }

    fn append(&mut self, body: &[u8], hits: u32, received_at_ms: u64) -> anyhow::Result<CommittedBlock> {
        let begun = Instant::now();
        let header = BlockHeader { block: self.next.block, from: self.next.position, hits, received_at_ms };
        let bytes = block::encode(header, body, self.parts.config.zstd_level).context("encoding a block")?;
        // An empty file is never rolled: its successor would have the same name.
        let is_empty = wal_file::first_block(self.file.path()) == Some(header.block);
        if self.file_bytes >= self.parts.config.file_bytes && !is_empty {
            self.roll()?;
        }
        fail::point("edge.wal.append.before");
        self.file.append(header.block, &bytes)?;
        fail::point("edge.wal.append.after");
        self.file_bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.next = Start { block: header.block + 1, position: header.to(), received_at_ms };
        self.last_block_ms = self.parts.clock.monotonic_ms();
        self.parts.ledger.committed(self.next.block, self.next.position, received_at_ms);
        self.parts.metrics.committed(hits, bytes.len(), begun.elapsed());
        Ok(CommittedBlock { header, bytes: Bytes::from(bytes) })
    }

    fn roll(&mut self) -> anyhow::Result<()> {
        self.file = self.parts.disk.wal.roll(self.next)?;
        self.file_bytes = 0;
        self.file_position = self.next.position;
        Ok(())
    }

    fn measure(&mut self) {
        if self.measured_at.is_some_and(|at| at.elapsed() < MEASURE) {
            return;
        }
        self.measured_at = Some(Instant::now());
        let wal_bytes = self.parts.disk.wal.disk_bytes();
        let state_bytes = self.parts.disk.state.disk_bytes();
        self.parts.ledger.measured(wal_bytes, state_bytes);
        self.over_budget = wal_bytes + state_bytes >= self.parts.config.max_bytes;
    }
}

#[cfg(test)]
mod tests;
