//! What is loaded: the watermark of every stream after the last plan that is done.
//!
//! In: checkpoints, and plans that are done. Out: the next number, and where each stream goes on. Invariant: a stream's
//! seqs and positions follow each other without gap or overlap, or the plan is refused.

use std::collections::BTreeMap;

use warehouse::tables::PLANS_PER_GROUP;

use crate::document::{Checkpoint, FORMAT, LANE, Mark, Plan, Skip, Stream, Take};

/// A group older than this is closed, so that its minute rows outlive any repair (they stay 14 days at least).
pub const GROUP_MAX_AGE_MS: u64 = 7 * 24 * 3_600_000;

/// Why a plan cannot follow what is loaded: the log is damaged or was made by a build with other rules.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Another number is due.
    #[error("plan {found} follows plan {last}")]
    Number {
        /// Last plan applied.
        last: u64,
        /// The plan's own number.
        found: u64,
    },
    /// A take does not follow the stream's last one.
    #[error(
        "plan {n} takes batches {seq_from}… from position {from} of edge {edge}, but {seq} and position {position} were the last"
    )]
    Take {
        /// The plan.
        n: u64,
        /// Edge and epoch.
        edge: String,
        /// First seq of the take.
        seq_from: u64,
        /// First position of the take.
        from: u64,
        /// Last seq loaded.
        seq: u64,
        /// First position not loaded.
        position: u64,
    },
}

/// The state between two plans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    shard: u16,
    last: u64,
    rows_plan: u64,
    group_started_at_ms: u64,
    marks: BTreeMap<Stream, Mark>,
}

impl Ledger {
    /// Nothing is loaded.
    pub fn empty(shard: u16) -> Self {
        Self { shard, last: 0, rows_plan: 0, group_started_at_ms: 0, marks: BTreeMap::new() }
    }

    /// The state that a checkpoint holds.
    pub fn from_checkpoint(checkpoint: &Checkpoint) -> Self {
        let stream = |mark: &Mark| Stream { edge: mark.edge.clone(), epoch: mark.epoch };
        Self {
            shard: checkpoint.shard,
            last: checkpoint.n,
            rows_plan: checkpoint.rows_plan,
            group_started_at_ms: checkpoint.group_started_at_ms,
            marks: checkpoint.marks.iter().map(|mark| (stream(mark), mark.clone())).collect(),
        }
    }

    /// The state as a checkpoint.
    pub fn checkpoint(&self, now_ms: u64) -> Checkpoint {
        Checkpoint {
            format: FORMAT,
            shard: self.shard,
            n: self.last,
            created_at_ms: now_ms,
            rows_plan: self.rows_plan,
            group_started_at_ms: self.group_started_at_ms,
            marks: self.marks.values().cloned().collect(),
        }
    }

    /// Shard of the log.
    pub fn shard(&self) -> u16 {
        self.shard
    }

    /// Number of the last plan that is done; 0: none.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Number of the next plan.
    pub fn next(&self) -> u64 {
        self.last + 1
    }

    /// `rows_plan` and `group_started_at_ms` of a plan that is created now.
    pub fn next_rows_plan(&self, now_ms: u64) -> (u64, u64) {
        let next = self.rows_plan + 1;
        let old = now_ms.saturating_sub(self.group_started_at_ms) >= GROUP_MAX_AGE_MS;
        if self.last == 0 || next.is_multiple_of(PLANS_PER_GROUP) {
            (next, now_ms)
        } else if old {
            (next.next_multiple_of(PLANS_PER_GROUP), now_ms)
        } else {
            (next, self.group_started_at_ms)
        }
    }

    /// How far each stream has come.
    pub fn marks(&self) -> &BTreeMap<Stream, Mark> {
        &self.marks
    }

    /// Last seq and first open position of a stream.
    pub fn position(&self, stream: &Stream) -> (u64, u64) {
        self.marks.get(stream).map_or((0, 0), |mark| (mark.seq, mark.position))
    }

    /// Moves the watermarks over a plan that is done.
    ///
    /// # Errors
    /// When the plan does not follow; nothing is changed then.
    pub fn apply(&mut self, plan: &Plan) -> Result<(), LedgerError> {
        self.check(plan)?;
        for take in &plan.takes {
            let stream = take.stream();
            let skipped: u64 = plan.skips.iter().filter(|skip| skip.stream() == stream).map(Skip::hits).sum();
            let mark = self.marks.entry(stream).or_insert_with(|| empty_mark(take));
            mark.seq = take.seq_to;
            mark.position = take.to;
            mark.complete_until_ms = mark.complete_until_ms.max(take.complete_until_ms);
            mark.quarantined_hits += skipped;
            mark.erased_hits = mark.erased_hits.saturating_add(take.erased_hits);
        }
        self.last = plan.n;
        self.rows_plan = plan.rows_plan;
        self.group_started_at_ms = plan.group_started_at_ms;
        Ok(())
    }

    /// Whether a plan can be the next one.
    ///
    /// # Errors
    /// When its number or one of its takes does not follow.
    pub fn check(&self, plan: &Plan) -> Result<(), LedgerError> {
        if plan.n != self.next() || plan.rows_plan <= self.rows_plan {
            return Err(LedgerError::Number { last: self.last, found: plan.n });
        }
        for take in &plan.takes {
            let (seq, position) = self.position(&take.stream());
            if take.seq_from != seq + 1
                || take.seq_to < take.seq_from
                || take.from != position
                || take.to < take.from
            {
                return Err(LedgerError::Take {
                    n: plan.n,
                    edge: format!("{}-{}", take.edge, take.epoch),
                    seq_from: take.seq_from,
                    from: take.from,
                    seq,
                    position,
                });
            }
        }
        Ok(())
    }
}

fn empty_mark(take: &Take) -> Mark {
    Mark {
        edge: take.edge.clone(),
        epoch: take.epoch,
        lane: LANE.to_owned(),
        seq: 0,
        position: 0,
        complete_until_ms: 0,
        quarantined_hits: 0,
        erased_hits: 0,
    }
}

#[cfg(test)]
mod tests;
