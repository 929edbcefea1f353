//! Chooses batches for the next plan and creates it.
//!
//! In: the index's next batches. Out: a plan in the log with its rows in memory, or a pause. A batch that cannot be used
//! is copied to `quarantine/` before a plan skips it.

use std::sync::Arc;
use std::time::Duration;

use batch::{RollupRows, SealedBatch, segment};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use service::fail;

use super::{LoadError, Loader, Next, Prepared};
use crate::consume::check::{check_range, check_rows};
use crate::consume::{Candidate, ConsumeError};
use crate::document::Plan;
use crate::metrics::PlanResult;
use crate::plan::{Event, Offer, Selection};
use crate::plan_log::Created;
use crate::rows::PlanRows;

/// How often a loader that has nothing to choose looks whether others are further, ms.
const LOOK_BACK_MS: u64 = 5_000;

impl Loader {
    /// Lists, selects, creates.
    pub(super) async fn choose(&mut self) -> Result<Next, LoadError> {
        if let Some(pause) = self.too_soon(self.created_at_ms, self.config.interval_ms) {
            self.planner.on_waited();
            return Ok(Next::Pause(pause));
        }
        if let Some(plan) = self.next_erasure().await {
            return self.create_plan(plan, PlanRows::default()).await;
        }
        let read_all = self.consumer.refresh(self.clock.monotonic_ms()).await?;
        let (selection, skipped) = self.select().await?;
        if selection.is_empty() && self.find_back().await? {
            return Ok(Next::Go);
        }
        let empty = selection.has_no_rows();
        let pause = if selection.is_empty() {
            Some(if read_all { self.list_interval } else { Duration::ZERO })
        } else if empty && skipped.is_empty() {
            self.too_soon(self.empty_at_ms, self.config.empty_interval_ms)
                .map(|left| left.min(self.list_interval))
        } else {
            None
        };
        if let Some(pause) = pause {
            self.planner.on_waited();
            return Ok(Next::Pause(pause));
        }
        for batch in &skipped {
            self.quarantine(batch).await?;
        }
        self.create(selection, empty).await
    }

    /// Whether others are further: after a long absence the next plan and its segments are retired, and what waits does not
    /// follow what was loaded here.
    async fn find_back(&mut self) -> Result<bool, LoadError> {
        if self.too_soon(self.looked_back_at_ms, LOOK_BACK_MS).is_some() {
            return Ok(false);
        }
        self.looked_back_at_ms = Some(self.clock.monotonic_ms());
        let last = self.planner.ledger().last();
        let checkpoint = self.log.newest_checkpoint().await?;
        self.on_event(Event::Checkpoint(checkpoint.map(Box::new)), PlanResult::jumped).await?;
        Ok(self.planner.ledger().last() != last)
    }

    /// What is left of an interval that began at a monotonic time.
    pub(super) fn too_soon(&self, since_ms: Option<u64>, interval_ms: u64) -> Option<Duration> {
        let passed_ms = self.clock.monotonic_ms().saturating_sub(since_ms?);
        (passed_ms < interval_ms).then(|| Duration::from_millis(interval_ms - passed_ms))
    }

    /// Takes batches of all streams in turn, until the plan is full or no stream goes on. The second: batches it skips.
    async fn select(&mut self) -> Result<(Selection, Vec<SealedBatch>), LoadError> {
        let mut selection = Selection::new(self.planner.ledger().clone(), self.config.limits.clone())
            .leaving_out(self.erased.deleted());
        let mut skipped = Vec::new();
        let mut streams = self.consumer.index().streams();
        while !streams.is_empty() && !selection.is_full() {
            let mut going_on = Vec::new();
            for stream in streams {
                let (seq, position) = selection.next_of(&stream);
                let Some(candidate) = self.consumer.candidate(&stream, seq).await? else { continue };
                let Candidate { batch, segment } = candidate;
                let header = batch.header().clone();
                let read = decode(batch.clone(), position).await?;
                if let Err(reason) = &read {
                    tracing::error!(batch = %header.id, hits = header.hits(), reason, "batch cannot be used; quarantined");
                    skipped.push(batch);
                }
                match selection.offer(&header, &segment, read) {
                    Offer::Taken => going_on.push(stream),
                    Offer::NotNext | Offer::Full => {}
                }
            }
            streams = going_on;
        }
        // A batch may have been found bad and not fit in: it is found again next time.
        skipped.retain(|batch| selection.skips().iter().any(|skip| skip.seq == batch.header().id.seq));
        Ok((selection, skipped))
    }

    /// Copies a batch to `quarantine/`, as a segment of its own, so that it can be read again.
    async fn quarantine(&self, batch: &SealedBatch) -> Result<(), LoadError> {
        let key = format!("quarantine/{}.batch", batch.header().id);
        let bytes = segment::encode(std::slice::from_ref(batch));
        self.store
            .put(&Path::from(key.as_str()), bytes.into())
            .await
            .map_err(|source| ConsumeError::Store { key, source })?;
        Ok(())
    }

    async fn create(&mut self, selection: Selection, empty: bool) -> Result<Next, LoadError> {
        let (id, now_ms) = (self.id.clone(), self.clock.now_ms());
        // Merging and sorting some hundred thousand rows keeps a core busy.
        let (plan, rows) = tokio::task::spawn_blocking(move || selection.finish(&id, now_ms)).await??;
        if empty {
            self.empty_at_ms = Some(self.clock.monotonic_ms());
        }
        self.create_plan(plan, rows).await
    }

    async fn create_plan(&mut self, plan: Plan, rows: PlanRows) -> Result<Next, LoadError> {
        self.created_at_ms = Some(self.clock.monotonic_ms());
        self.prepared = Some(Prepared { n: plan.n, rows: Arc::new(rows) });
        fail::point("loader.plan.create.before");
        let created = self.log.create(&plan).await;
        fail::point("loader.plan.create.after");
        match created {
            Created::Yes => {
                self.count_plan(PlanResult::created);
                self.on_event(Event::Created(Box::new(plan)), PlanResult::created).await
            }
            unclear => {
                if let Created::Unclear(error) = unclear {
                    tracing::warn!(plan = plan.n, %error, "nobody knows whether the plan was created; looking");
                }
                // Whose plan it is, and hence its rows, is read from the log.
                self.prepared = None;
                self.count_plan(PlanResult::refused);
                self.on_event(Event::CreateUnclear, PlanResult::refused).await
            }
        }
    }
}

/// The rows of a batch, or why it has none that can be used.
async fn decode(batch: SealedBatch, position: u64) -> Result<Result<RollupRows, String>, LoadError> {
    let work = move || {
        check_range(batch.header(), position)?;
        let rows = batch::decode_rollup(batch.payload()).map_err(|error| error.to_string())?;
        check_rows(batch.header(), &rows)?;
        Ok(rows)
    };
    Ok(tokio::task::spawn_blocking(work).await?)
}
