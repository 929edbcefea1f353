//! Gathers batches into the next plan, up to its limits.
//!
//! In: batches of each stream in order of seq, with their rows or the reason why they have none that can be used. Out:
//! the plan and its rows. Invariants: each stream's seqs are consecutive from its watermark on; what is skipped is named.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use batch::{BatchHeader, RollupRows};
use serde::{Deserialize, Serialize};

use crate::document::{FORMAT, LANE, Plan, Skip, Stream, Take, hash_of};
use crate::erased::{LeftOut, leave_out};
use crate::plan::ledger::Ledger;
use crate::rows::PlanRows;

/// How much one plan takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Rows before merging (default 200,000). A plan that reaches it takes no more; one batch alone may be larger.
    pub max_rows: usize,
    /// Batches (default 1,000). A plan that reaches it takes no more.
    pub max_batches: usize,
    /// Rows of one INSERT (default 100,000, at most 100,000). More rows of a table and date are sent in several.
    pub max_insert_rows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_rows: 200_000, max_batches: 1_000, max_insert_rows: 100_000 }
    }
}

/// What became of a batch that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// It is in the plan.
    Taken,
    /// It is not the next one of its stream.
    NotNext,
    /// The plan is full.
    Full,
}

/// The next plan in the making.
#[derive(Debug)]
pub struct Selection {
    ledger: Ledger,
    limits: Limits,
    takes: BTreeMap<Stream, Take>,
    skips: Vec<Skip>,
    rows: RollupRows,
    batches: usize,
    /// Properties whose rows are left out.
    deleted: Arc<BTreeSet<String>>,
    /// Those of them that had rows.
    without: BTreeSet<String>,
}

impl Selection {
    /// Nothing is taken yet.
    pub fn new(ledger: Ledger, limits: Limits) -> Self {
        Self {
            ledger,
            limits,
            takes: BTreeMap::new(),
            skips: vec![],
            rows: RollupRows::default(),
            batches: 0,
            deleted: Arc::default(),
            without: BTreeSet::new(),
        }
    }

    /// Leaves out the rows of these properties.
    pub fn leaving_out(self, deleted: &Arc<BTreeSet<String>>) -> Self {
        Self { deleted: Arc::clone(deleted), ..self }
    }

    /// The seq and position at which a stream goes on.
    pub fn next_of(&self, stream: &Stream) -> (u64, u64) {
        let (seq, position) = match self.takes.get(stream) {
            Some(take) => (take.seq_to, take.to),
            None => self.ledger.position(stream),
        };
        (seq + 1, position)
    }

    /// Batches that are skipped so far.
    pub fn skips(&self) -> &[Skip] {
        &self.skips
    }

    /// Whether no further batch fits.
    pub fn is_full(&self) -> bool {
        self.batches >= self.limits.max_batches || self.rows.len() >= self.limits.max_rows
    }

    /// Adds a batch that lies in `segment`: its rows, or why it is skipped.
    pub fn offer(&mut self, header: &BatchHeader, segment: &str, rows: Result<RollupRows, String>) -> Offer {
        let stream = Stream { edge: header.id.edge.clone(), epoch: header.id.epoch };
        let (seq, position) = self.next_of(&stream);
        // A batch of another range is a skip whose own range begins where the stream stands: see `check_range`.
        if header.id.seq != seq {
            return Offer::NotNext;
        }
        let more = rows.as_ref().map_or(0, RollupRows::len);
        if self.is_full() || (self.batches > 0 && self.rows.len() + more > self.limits.max_rows) {
            return Offer::Full;
        }
        let to = header.to.max(position);
        let mut erased_hits = 0;
        match rows {
            Ok(mut rows) => {
                let LeftOut { hits, properties } = leave_out(&mut rows, &self.deleted);
                erased_hits = hits;
                self.without.extend(properties);
                self.rows.append(rows);
            }
            Err(reason) => self.skips.push(Skip {
                edge: stream.edge.clone(),
                epoch: stream.epoch,
                lane: LANE.to_owned(),
                seq,
                from: position,
                to,
                reason,
            }),
        }
        self.batches += 1;
        let take = self.takes.entry(stream).or_insert_with_key(|stream| Take {
            edge: stream.edge.clone(),
            epoch: stream.epoch,
            lane: LANE.to_owned(),
            seq_from: seq,
            seq_to: seq,
            from: position,
            to,
            complete_until_ms: 0,
            crc32c: 0,
            segments: vec![],
            erased_hits: 0,
        });
        take.seq_to = seq;
        take.to = to;
        take.erased_hits = take.erased_hits.saturating_add(erased_hits);
        take.complete_until_ms = take.complete_until_ms.max(header.complete_until_ms);
        take.crc32c = append_crc(take.crc32c, header);
        if take.segments.iter().all(|known| known != segment) {
            take.segments.push(segment.to_owned());
        }
        Offer::Taken
    }

    /// Whether there is no batch in it.
    pub fn is_empty(&self) -> bool {
        self.batches == 0
    }

    /// Whether the plan would insert nothing.
    pub fn has_no_rows(&self) -> bool {
        self.rows.is_empty()
    }

    /// The plan, created by `loader` now, and its rows.
    ///
    /// # Errors
    /// When the takes cannot be written as JSON.
    pub fn finish(self, loader: &str, now_ms: u64) -> Result<(Plan, PlanRows), serde_json::Error> {
        let takes: Vec<Take> = self.takes.into_values().collect();
        let rows = PlanRows::new(self.rows);
        let hash = hash_of(&takes, &self.skips)?;
        let (rows_plan, group_started_at_ms) = self.ledger.next_rows_plan(now_ms);
        let inserts =
            rows.chunks(self.limits.max_insert_rows).iter().map(|chunk| chunk.step(&hash)).collect();
        let plan = Plan {
            format: FORMAT,
            shard: self.ledger.shard(),
            n: self.ledger.next(),
            created_by: loader.to_owned(),
            created_at_ms: now_ms,
            rows_plan,
            group_started_at_ms,
            takes,
            skips: self.skips,
            inserts,
            without: self.without.into_iter().collect(),
            erase: None,
        };
        Ok((plan, rows))
    }
}

/// The checksum of a take with one more batch.
pub fn append_crc(crc: u32, header: &BatchHeader) -> u32 {
    crc32c::crc32c_append(crc, &header.payload_crc32c.to_le_bytes())
}

#[cfg(test)]
mod tests;
