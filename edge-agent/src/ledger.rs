//! The accounts of one pipeline: every acknowledged hit is waiting, delivered or dropped, at any moment.
//!
//! In: what the stages did. Out: `edge_hits_*` on `/metrics`, and the edge's part of `/status`. All four figures are
//! read under one lock that no stage holds while it waits, so that at any scrape
//! `in = out + dropped{reason} + queued`:
//! *in* = hits acknowledged since the epoch began; *out* = hits in the rows of rollup batches that a hub acknowledged;
//! *dropped* = hits of sealed batches that are in no row, by reason (`repeated` among them); *queued* = hits behind the
//! last seal, and those in the rows of batches in the outbox.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use batch::Lane;
use processing::{DropReason, Totals, TrafficClass};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::disk::entry::Note;
use crate::disk::state::{OutboxContents, Progress};
use crate::metrics::pipeline::{Labels, show};

/// The reason under which repeats are accounted for.
pub(crate) const REPEATED: &str = "repeated";

/// The accounts; shared by all stages.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Accounts>);

/// All figures at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Accounts {
    /// Position of the next hit: hits acknowledged since the epoch began.
    pub(crate) acknowledged: u64,
    /// Number of the next block.
    pub(crate) next_block: u64,
    /// Received time of the last block.
    pub(crate) received_at_ms: u64,
    /// First position not processed yet.
    pub(crate) processed: u64,
    /// First block not processed yet.
    pub(crate) processed_blocks: u64,
    /// First position behind the last seal.
    pub(crate) sealed: u64,
    /// Received time of the oldest hit behind the last seal, as far as processing came.
    pub(crate) oldest_unsealed_ms: Option<u64>,
    /// What became of the hits that are processed.
    pub(crate) totals: Totals,
    /// Hits that are sealed and in no row.
    pub(crate) dropped: BTreeMap<String, u64>,
    /// Rollup batches in the outbox, with their bytes.
    pub(crate) rollup: BTreeMap<u64, (Note, u64)>,
    /// Raw batches in the outbox: payload bytes.
    pub(crate) raw: BTreeMap<u64, u64>,
    /// Hits in the rows of acknowledged batches.
    pub(crate) delivered: u64,
    /// What the WAL held that was not processed when this process began.
    pub(crate) replay: Replay,
    /// Bytes of all WAL files.
    pub(crate) wal_bytes: u64,
    /// Bytes of the state database.
    pub(crate) state_bytes: u64,
}

/// What a restart has to do again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Replay {
    /// Whether the state of the last flush is read back.
    pub(crate) is_restored: bool,
    /// Position at which the WAL ended.
    pub(crate) until: u64,
    /// No hit in it was received before this time; 0: not known.
    since_ms: u64,
}

impl Accounts {
    /// Hits that the WAL held at the start and that are not processed yet.
    pub(crate) fn replay_hits(&self) -> u64 {
        self.replay.until.saturating_sub(self.processed)
    }

    /// Hits that are neither delivered nor dropped.
    pub(crate) fn queued(&self) -> u64 {
        let in_outbox: u64 = self.rollup.values().map(|(note, _)| note.counted).sum();
        (self.acknowledged - self.sealed) + in_outbox
    }

    /// Received time of the oldest hit that no hub has.
    pub(crate) fn oldest_ms(&self) -> Option<u64> {
        let in_outbox = self.rollup.values().map(|(note, _)| note.oldest_ms).find(|oldest| *oldest > 0);
        // The newest block stands for the few that wait, except in a replay, where they may be hours old.
        let since_ms = match self.replay.since_ms {
            since_ms if since_ms > 0 && self.replay_hits() > 0 => since_ms,
            _ => self.received_at_ms,
        };
        let unprocessed = (self.acknowledged > self.processed).then_some(since_ms);
        in_outbox.or(self.oldest_unsealed_ms).or(unprocessed)
    }
}

impl Ledger {
    /// The accounts as the disk has them: WAL end, last flush, outbox. The state of processing is not needed for them.
    pub(crate) fn opened(
        wal_end: &crate::disk::wal_file::Start,
        progress: &Progress,
        outbox: OutboxContents,
    ) -> Self {
        Self(Mutex::new(Accounts {
            acknowledged: wal_end.position,
            next_block: wal_end.block,
            received_at_ms: wal_end.received_at_ms,
            processed: progress.next_position,
            processed_blocks: progress.next_block,
            sealed: progress.next_position,
            totals: totals(progress),
            replay: Replay { is_restored: false, until: wal_end.position, since_ms: progress.received_at_ms },
            dropped: progress.dropped.clone(),
            rollup: outbox.rollup,
            raw: outbox.raw,
            delivered: outbox.delivered,
            ..Accounts::default()
        }))
    }

    /// The committer wrote a block that ends here.
    pub(crate) fn committed(&self, next_block: u64, next_position: u64, received_at_ms: u64) {
        let mut accounts = self.lock();
        accounts.next_block = next_block;
        accounts.acknowledged = next_position;
        accounts.received_at_ms = received_at_ms;
    }

    /// The committer measured the disk.
    pub(crate) fn measured(&self, wal_bytes: u64, state_bytes: u64) {
        let mut accounts = self.lock();
        accounts.wal_bytes = wal_bytes;
        accounts.state_bytes = state_bytes;
    }

    /// Processing took a block that ends here.
    pub(crate) fn processed(&self, next_block: u64, next_position: u64, oldest_unsealed_ms: Option<u64>) {
        let mut accounts = self.lock();
        accounts.processed_blocks = next_block;
        accounts.processed = next_position;
        accounts.oldest_unsealed_ms = oldest_unsealed_ms;
    }

    /// The state of the last flush is read back.
    pub(crate) fn restored(&self) {
        self.lock().replay.is_restored = true;
    }

    /// What became of the processed hits.
    pub(crate) fn counted(&self, totals: &Totals) {
        self.lock().totals.clone_from(totals);
    }

    /// Processing made a flush durable.
    pub(crate) fn flushed(&self, flush: &crate::disk::state::Flush) {
        let bytes = flush.rollup.batch.header().payload_bytes;
        let mut accounts = self.lock();
        accounts.sealed = flush.progress.next_position;
        accounts.oldest_unsealed_ms = None;
        accounts.dropped.clone_from(&flush.progress.dropped);
        accounts.rollup.insert(flush.rollup.batch.header().id.seq, (flush.rollup.note, bytes));
        for raw in &flush.raw {
            accounts.raw.insert(raw.header.id.seq, raw.header.payload_bytes);
        }
    }

    /// The outbox deleted acknowledged batches.
    pub(crate) fn acknowledged(&self, acks: &[(Lane, u64)]) {
        let mut accounts = self.lock();
        for (lane, seq) in acks {
            if *lane == Lane::Raw {
                accounts.raw.remove(seq);
            } else if let Some((note, _)) = accounts.rollup.remove(seq) {
                accounts.delivered += note.counted;
            }
        }
    }

    /// All figures at one moment.
    pub(crate) fn snapshot(&self) -> Accounts {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Accounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of the hits up to the last flush.
fn totals(progress: &Progress) -> Totals {
    let of = |counts: &BTreeMap<String, u64>, name: &str| counts.get(name).copied();
    let class = |class: TrafficClass| Some((class, of(&progress.by_class, class.as_str())?));
    let reason = |reason: &DropReason| Some((*reason, of(&progress.dropped, reason.as_str())?));
    Totals {
        hits: progress.next_position,
        repeated: of(&progress.dropped, REPEATED).unwrap_or(0),
        by_class: [TrafficClass::Human, TrafficClass::Bot].into_iter().filter_map(class).collect(),
        dropped: DropReason::ALL.iter().filter_map(reason).collect(),
        // Known when the state is read back.
        refused_without_rules: 0,
    }
}

/// Shows the accounts of all pipelines on `/metrics`.
#[derive(Debug)]
struct LedgerCollector(Vec<(Labels, Arc<Ledger>)>);

/// Registers `edge_hits_in`, `_out`, `_dropped{reason}`, `_queued`, and how far a replay has come.
pub(crate) fn register(ledgers: Vec<(Labels, Arc<Ledger>)>, registry: &mut Registry) {
    registry.register_collector(Box::new(LedgerCollector(ledgers)));
}

impl Collector for LedgerCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        // Once for all of a pipeline's figures: they add up at every scrape, and so do their sums over the pipelines.
        let all: Vec<(Labels, Accounts)> =
            self.0.iter().map(|(labels, ledger)| (labels.clone(), ledger.snapshot())).collect();
        let mut counter = |name: &str, help: &str, value: fn(&Accounts) -> u64| {
            let sample = |(labels, accounts): &(Labels, Accounts)| {
                (labels.clone(), ConstCounter::new(value(accounts)))
            };
            show(&mut encoder, (name, help), &all.iter().map(sample).collect::<Vec<_>>())
        };
        counter("edge_hits_in", "Hits acknowledged since the epoch began", |accounts| accounts.acknowledged)?;
        counter("edge_hits_out", "Hits in rows that a hub has acknowledged", |accounts| accounts.delivered)?;
        counter(
            "edge_process_refused_without_rules",
            "Refused hits that no report will tell, because the rules of their property are not there",
            |accounts| accounts.totals.refused_without_rules,
        )?;
        let mut dropped = Vec::new();
        for (labels, accounts) in &all {
            for reason in DropReason::ALL.iter().map(|reason| reason.as_str()).chain([REPEATED]) {
                let mut labels = labels.clone();
                labels.push(("reason", reason.to_owned()));
                dropped.push((labels, ConstCounter::new(accounts.dropped.get(reason).copied().unwrap_or(0))));
            }
        }
        show(&mut encoder, ("edge_hits_dropped", "Hits acknowledged and in no row, by reason"), &dropped)?;
        let mut gauge = |name: &str, help: &str, value: fn(&Accounts) -> u64| {
            let sample = |(labels, accounts): &(Labels, Accounts)| {
                (labels.clone(), ConstGauge::new(i64::try_from(value(accounts)).unwrap_or(i64::MAX)))
            };
            show(&mut encoder, (name, help), &all.iter().map(sample).collect::<Vec<_>>())
        };
        let help = "Hits acknowledged that are neither out nor dropped";
        gauge("edge_hits_queued", help, Accounts::queued)?;
        gauge("edge_process_restoring", "1 while the state of the last flush is read back", |accounts| {
            u64::from(!accounts.replay.is_restored)
        })?;
        let help = "Hits in the WAL at the start that are not processed yet";
        gauge("edge_process_replay_hits", help, Accounts::replay_hits)
    }
}
