//! All stages in order: the one place that names them.
//!
//! In: blocks without a gap. Out: sealed rows and changes of state. Between two seals nothing leaves, so a crash
//! loses only what the WAL still has: restore the state of the last seal, replay the blocks since, and the rows
//! are the same bytes.

use std::collections::BTreeSet;
use std::sync::Arc;

use batch::RollupRows;
use hit::{BlockView, EdgeId, Epoch, ForgetView, HitView, RulesSource, known_reason};

use crate::aggregate::Aggregator;
use crate::deduplicate::{BYTES_PER_ID, IdWindow};
use crate::enrich::Enricher;
use crate::enrich::user_agent::Detection;
use crate::fold::PageCounts;
use crate::forget::AppliedJobs;
use crate::handover::EnrichedHit;
use crate::limits::Limits;
use crate::recognise::KnownVisitors;
use crate::sessionize::Sessions;
use crate::state::{self, Cursor, Kind, Snapshot, StateError};
use crate::totals::{Gauges, Totals};

/// Why a block cannot be processed. Each stops the edge: going on would miscount.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// A block is missing, or comes twice.
    #[error("the WAL has a gap: block {found} came where block {expected} was due")]
    BlockGap {
        /// Number that was due.
        expected: u64,
        /// Number that came.
        found: u64,
    },
    /// Positions do not run on.
    #[error("the WAL has a gap: block {block} begins at position {found}, expected {expected}")]
    PositionGap {
        /// Number of the block.
        block: u64,
        /// Position that was due.
        expected: u64,
        /// Position in its header.
        found: u64,
    },
    /// Received time went back.
    #[error("block {block} was received at {found} ms, before the block ahead of it ({before} ms)")]
    TimeWentBack {
        /// Number of the block.
        block: u64,
        /// Received time of the block before.
        before: u64,
        /// Received time of the block.
        found: u64,
    },
    /// Header and body disagree.
    #[error("block {block} says {header} hits and holds {body}")]
    Count {
        /// Number of the block.
        block: u64,
        /// Hits by the header.
        header: u32,
        /// Hits in the body.
        body: usize,
    },
}

/// What leaves at a seal; to be written in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Rows of all tables, normalized.
    pub rows: RollupRows,
    /// First position the rows were made from.
    pub from: u64,
    /// First position after them.
    pub to: u64,
    /// Number of the last block processed since the epoch began; `None` when there was none yet.
    pub last_block: Option<u64>,
    /// Every hit received before this time (unix ms) is in this batch or an earlier one.
    pub complete_until_ms: u64,
    /// Change of state since the seal before; [`Processor::restore`] takes these in order.
    pub state_change: Vec<u8>,
}

/// The processing of one edge and epoch.
pub struct Processor {
    edge: EdgeId,
    epoch: Epoch,
    limits: Limits,
    cursor: Cursor,
    at_seal: Cursor,
    totals: Totals,
    ids: IdWindow,
    enricher: Enricher,
    pages: PageCounts,
    visitors: KnownVisitors,
    sessions: Sessions,
    aggregator: Aggregator,
    jobs: AppliedJobs,
    erasures_applied: u64,
}

impl Processor {
    /// Begins an epoch: the first block is number 0 at position 0.
    pub fn new(
        edge: EdgeId,
        epoch: Epoch,
        detection: Arc<Detection>,
        rules: Arc<dyn RulesSource>,
        limits: Limits,
    ) -> Self {
        Self {
            ids: IdWindow::new(epoch, limits.id_window_bytes),
            enricher: Enricher::new(detection, rules),
            pages: PageCounts::new(&limits),
            visitors: KnownVisitors::new(epoch, limits.max_known_visitors),
            sessions: Sessions::new(limits.max_open_sessions),
            aggregator: Aggregator::default(),
            jobs: AppliedJobs::default(),
            erasures_applied: 0,
            cursor: Cursor::default(),
            at_seal: Cursor::default(),
            totals: Totals::default(),
            edge,
            epoch,
            limits,
        }
    }

    /// The processor as it was at the last seal: a checkpoint (none: the epoch's beginning) and the changes of the
    /// seals after it, in order.
    ///
    /// # Errors
    /// When bytes are damaged, of another edge or epoch, or do not follow each other.
    pub fn restore(
        edge: EdgeId,
        epoch: Epoch,
        detection: Arc<Detection>,
        rules: Arc<dyn RulesSource>,
        limits: Limits,
        checkpoint: Option<&[u8]>,
        changes: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Self, StateError> {
        let mut processor = Self::new(edge, epoch, detection, rules, limits);
        if let Some(bytes) = checkpoint {
            processor.apply(Kind::Checkpoint, bytes)?;
        }
        for bytes in changes {
            processor.apply(Kind::Change, bytes.as_ref())?;
        }
        // Limits may have been lowered since.
        processor.ids.shrink();
        processor.pages.shrink();
        processor.visitors.shrink();
        Ok(processor)
    }

    /// Takes the next block.
    ///
    /// # Errors
    /// When the block does not follow the one before; the processor is unchanged then.
    pub fn on_block(&mut self, block: &BlockView<'_>) -> Result<(), ProcessError> {
        self.check(block)?;
        let received_at_ms = block.header.received_at_ms;
        self.ids.begin_block(received_at_ms);
        self.pages.begin_block(received_at_ms);
        self.visitors.begin_block(received_at_ms);
        self.sessions.begin_block(received_at_ms);
        self.jobs.begin_block(received_at_ms);
        for hit in &block.hits {
            self.on_hit(hit, received_at_ms);
        }
        for mark in &block.import_marks {
            self.sessions.on_import_mark(mark.property_id, mark.event_time_ms, received_at_ms);
        }
        for forget in &block.forgets {
            self.on_forget(forget, received_at_ms);
        }
        for refusals in &block.refusals {
            let of = (refusals.property_id, refusals.rules_version);
            if !self.on_refusal(of, known_reason(refusals.reason), refusals.count, received_at_ms) {
                let without = self.totals.refused_without_rules.saturating_add(refusals.count);
                self.totals.refused_without_rules = without;
            }
        }
        self.sessions.on_time(received_at_ms);
        for session in self.sessions.take_closed() {
            self.aggregator.add_session(session);
        }
        self.cursor =
            Cursor { next_block: block.header.block + 1, next_position: block.header.to(), received_at_ms };
        Ok(())
    }

    /// Rows that a seal would give, all tables together.
    pub fn rows(&self) -> u64 {
        self.aggregator.rows()
    }

    /// Whether `max_rows_per_batch` or `max_batch_bytes` is reached.
    pub fn should_seal(&self) -> bool {
        self.rows() >= self.limits.max_rows_per_batch
            || self.aggregator.bytes() >= self.limits.max_batch_bytes
    }

    /// Takes the rows since the last seal, with the change of state that belongs to them.
    ///
    /// # Errors
    /// When the state cannot be encoded; the processor is not to be used any further then.
    pub fn seal(&mut self) -> Result<Sealed, StateError> {
        let change = Snapshot {
            from_block: self.at_seal.next_block,
            cursor: self.cursor,
            totals: self.totals.clone(),
            ids: self.ids.take_change(),
            pages: self.pages.take_change(),
            visitors: self.visitors.take_change(),
            sessions: self.sessions.take_change(),
            jobs: self.jobs.take_change(),
        };
        let sealed = Sealed {
            rows: self.aggregator.take(),
            from: self.at_seal.next_position,
            to: self.cursor.next_position,
            last_block: self.cursor.next_block.checked_sub(1),
            complete_until_ms: self.cursor.received_at_ms,
            state_change: state::encode(Kind::Change, &self.edge, self.epoch, &change)?,
        };
        self.at_seal = self.cursor;
        Ok(sealed)
    }

    /// The whole state, to be called right after [`Processor::seal`] and stored with it.
    ///
    /// # Errors
    /// [`StateError::NotSealed`] when blocks were processed since the last seal; or when encoding fails.
    pub fn checkpoint(&self) -> Result<Vec<u8>, StateError> {
        if self.cursor != self.at_seal {
            return Err(StateError::NotSealed(self.cursor.next_block - self.at_seal.next_block));
        }
        let whole = Snapshot {
            from_block: 0,
            cursor: self.cursor,
            totals: self.totals.clone(),
            ids: self.ids.whole(),
            pages: self.pages.whole(),
            visitors: self.visitors.whole(),
            sessions: self.sessions.whole(),
            jobs: self.jobs.whole(),
        };
        state::encode(Kind::Checkpoint, &self.edge, self.epoch, &whole)
    }

    /// Number of the block that is due next: where to read on in the WAL.
    pub fn next_block(&self) -> u64 {
        self.cursor.next_block
    }

    /// Position of the hit that is due next.
    pub fn next_position(&self) -> u64 {
        self.cursor.next_position
    }

    /// What became of all hits since the epoch began, as of the last block processed.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Erasures that were applied and are kept, in that order.
    pub fn applied_jobs(&self) -> impl Iterator<Item = &str> {
        self.jobs.iter()
    }

    /// Erasures that were applied since this was made or restored.
    pub fn erasures_applied(&self) -> u64 {
        self.erasures_applied
    }

    /// How full the state is, as of the last block processed.
    pub fn gauges(&self) -> Gauges {
        let reach = |oldest| self.cursor.received_at_ms.saturating_sub(oldest);
        Gauges {
            open_sessions: self.sessions.open_count(),
            remembered_sessions: self.sessions.remembered_count(),
            known_visitors: self.visitors.len(),
            id_window_entries: self.ids.entries(),
            id_window_bytes: self.ids.entries() * BYTES_PER_ID,
            id_window_reach_ms: self.ids.oldest_received_at_ms().map_or(0, reach),
            counted_pages: self.pages.pages(),
            applied_jobs: self.jobs.len(),
        }
    }

    /// The way of one hit through the stages; it ends in a row, or is counted as repeated or dropped.
    fn on_hit(&mut self, hit: &HitView<'_>, received_at_ms: u64) {
        self.totals.hits += 1;
        if self.ids.is_repeat(hit.property_id, hit.hit_id, received_at_ms) {
            self.totals.repeated += 1;
            return;
        }
        let (mut enriched, arrival) = match self.enricher.enrich(hit, received_at_ms) {
            Ok(enriched) => enriched,
            Err(reason) => {
                *self.totals.dropped.entry(reason).or_default() += 1;
                if reason.is_of_a_property() {
                    let of = (hit.property_id, hit.rules_version);
                    self.on_refusal(of, known_reason(reason.as_str()), 1, received_at_ms);
                }
                return;
            }
        };
        *self.totals.by_class.entry(enriched.dimensions.traffic.class()).or_default() += 1;
        let EnrichedHit { dimensions, page_title, custom, items, .. } = &mut enriched;
        self.pages.fold(dimensions, page_title, custom, items, received_at_ms);
        let Self { visitors, sessions, .. } = self;
        let placement = sessions.place(&enriched, || arrival.acquisition(visitors.visitor_type(&enriched)));
        visitors.remember(&enriched, placement.opens_session);
        self.aggregator.add_hit(enriched, placement);
    }

    /// Counts hits of a property and version of its rules that are not counted otherwise; `false`: there is no such zone.
    fn on_refusal(
        &mut self,
        (property_id, rules_version): (&str, u32),
        reason: &'static str,
        hits: u64,
        received_at_ms: u64,
    ) -> bool {
        let Ok(receipt) = self.enricher.receipt(property_id, rules_version, received_at_ms) else {
            return false;
        };
        self.aggregator.add_refusals(receipt, reason, hits);
        true
    }

    /// Forgets what an erasure names: visitors of a property, or all that can be told to be the property's. Ids of hits cannot: they go by
    /// themselves within 24 h. Rows that wait for the seal stay: erasing rows is the warehouse's part.
    fn on_forget(&mut self, forget: &ForgetView<'_>, received_at_ms: u64) {
        let property = forget.property_id;
        if !self.jobs.apply(forget.job, received_at_ms) {
            return;
        }
        self.erasures_applied += 1;
        if forget.visitor_ids.is_empty() {
            let visitors = self.sessions.forget_property(property);
            self.visitors.forget(property, visitors);
            self.pages.forget_property(property);
        } else {
            let visitor_ids: BTreeSet<u64> = forget.visitor_ids.iter().copied().collect();
            self.sessions.forget_visitors(property, &visitor_ids);
            self.visitors.forget(property, visitor_ids);
        }
    }

    fn check(&self, block: &BlockView<'_>) -> Result<(), ProcessError> {
        let header = &block.header;
        let Cursor { next_block, next_position, received_at_ms } = self.cursor;
        if header.block != next_block {
            return Err(ProcessError::BlockGap { expected: next_block, found: header.block });
        }
        if header.from != next_position {
            let (block, found) = (header.block, header.from);
            return Err(ProcessError::PositionGap { block, expected: next_position, found });
        }
        if header.received_at_ms < received_at_ms {
            let (block, found) = (header.block, header.received_at_ms);
            return Err(ProcessError::TimeWentBack { block, before: received_at_ms, found });
        }
        let hits = block.hits.len();
        if u32::try_from(hits) != Ok(header.hits) {
            return Err(ProcessError::Count { block: header.block, header: header.hits, body: hits });
        }
        Ok(())
    }

    fn apply(&mut self, kind: Kind, bytes: &[u8]) -> Result<(), StateError> {
        let snapshot = state::decode(kind, &self.edge, self.epoch, bytes)?;
        let expected = self.cursor.next_block;
        if snapshot.from_block != expected {
            return Err(StateError::Gap { expected, found: snapshot.from_block });
        }
        if !self.ids.apply(&snapshot.ids) {
            return Err(StateError::Damaged("its ids do not follow those before".to_owned()));
        }
        let received_at_ms = snapshot.cursor.received_at_ms;
        if !self.visitors.apply(&snapshot.visitors, received_at_ms) {
            return Err(StateError::Damaged("its visitors do not follow those before".to_owned()));
        }
        self.pages.apply(&snapshot.pages);
        self.sessions.apply(snapshot.sessions);
        self.jobs.restore(snapshot.jobs, received_at_ms);
        self.totals = snapshot.totals;
        self.cursor = snapshot.cursor;
        self.at_seal = self.cursor;
        Ok(())
    }
}

#[cfg(test)]
mod forget_tests;
#[cfg(test)]
mod tests;
