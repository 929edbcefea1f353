//! Runs one plan: every INSERT, verification if an answer was not clean, watermarks, done.
//!
//! In: a plan that is due, whoever made it. Out: its `done`. It stops between two INSERTs when the loader shuts down, or
//! when another loader was faster; what is in doubt then is compared under a later plan, for this one is no longer open.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use service::fail;
use warehouse::WatermarkRow;

use super::{LoadError, Loader, Next};
use crate::consume;
use crate::document::{Erase, Plan};
use crate::insert::{Backoff, note_failure};
use crate::metrics::PlanResult;
use crate::plan::Event;
use crate::rows::{PlanData, PlanRows};
use crate::verify::{Differences, Repair};

/// How a part of a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// All of it is in the warehouse.
    Complete,
    /// Another loader finished the plan meanwhile.
    Overtaken,
    /// Shutdown.
    Stopped,
}

/// A plan that is compared.
#[derive(Debug)]
struct Suspect {
    plan: Plan,
    /// If they were read.
    rows: Option<Arc<PlanRows>>,
}

impl Loader {
    /// The whole plan.
    pub(super) async fn run_plan(&mut self, plan: Plan, verify: bool) -> Result<Next, LoadError> {
        self.status.update(|snapshot| {
            snapshot.work.plan = plan.n;
            snapshot.work.plan_open = true;
        });
        // Also after a step that failed: its segments may be retired by now.
        if self.log.is_over(&plan).await? {
            return self.leave_plan(plan).await;
        }
        let rows = self.rows_of(&plan).await?;
        let data = PlanData::new(plan, rows)?;
        match self.load(&data, verify).await? {
            End::Complete => {
                self.note_doubt(&data.plan).await?;
                self.on_event(Event::Done, PlanResult::run).await
            }
            End::Overtaken => self.leave_plan(data.plan).await,
            End::Stopped => Ok(Next::Go),
        }
    }

    async fn load(&mut self, data: &PlanData, verify: bool) -> Result<End, LoadError> {
        let sent = self.send_all(data).await?;
        if sent != End::Complete {
            return Ok(sent);
        }
        let n = data.plan.n;
        if let Some(erase) = &data.plan.erase {
            let erased = self.erase(&data.plan, erase).await?;
            if erased != End::Complete {
                return Ok(erased);
            }
        }
        let must_verify = verify
            || self.unclean == Some(n)
            || !self.owed.below(n).is_empty()
            || self.log.has_repair(n).await?;
        if must_verify {
            let verified = self.verify(data).await?;
            if verified != End::Complete {
                return Ok(verified);
            }
        }
        if !self.send_watermarks(&data.plan).await {
            return Ok(End::Stopped);
        }
        fail::point("loader.plan.done.before");
        self.log.put_done(n, &self.id, self.clock.now_ms()).await?;
        fail::point("loader.plan.done.after");
        self.unclean = None;
        tracing::debug!(plan = n, inserts = data.plan.inserts.len(), verified = must_verify, "plan done");
        Ok(End::Complete)
    }

    /// Another loader finished the plan: the tables are not to be touched under it any more.
    async fn leave_plan(&mut self, plan: Plan) -> Result<Next, LoadError> {
        if self.unclean == Some(plan.n) {
            self.log.put_repair(plan.n, &self.id, self.clock.now_ms()).await?;
            self.owed.add(plan.clone(), self.clock.monotonic_ms());
        }
        self.note_doubt(&plan).await?;
        self.unclean = None;
        self.on_event(Event::Done, PlanResult::followed).await
    }

    /// After `done`: if someone repairs under this plan, a statement of theirs may still act, on this plan or on others that
    /// are in doubt. A mark that is not there now comes too late: whoever leaves it sees `done` before the first statement.
    async fn note_doubt(&mut self, plan: &Plan) -> Result<(), LoadError> {
        if self.log.has_repair(plan.n).await? {
            let now_ms = self.clock.monotonic_ms();
            for plan in self.log.plans_with_repair().await? {
                self.owed.add(plan, now_ms);
            }
        }
        Ok(())
    }

    /// The rows: still in memory if the plan was created here, else read from its segments.
    async fn rows_of(&mut self, plan: &Plan) -> Result<Arc<PlanRows>, LoadError> {
        if let Some(prepared) = self.prepared.as_ref().filter(|prepared| prepared.n == plan.n) {
            return Ok(Arc::clone(&prepared.rows));
        }
        let rows = self.read_rows(plan).await?;
        self.prepared = Some(super::Prepared { n: plan.n, rows: Arc::clone(&rows) });
        Ok(rows)
    }

    async fn read_rows(&mut self, plan: &Plan) -> Result<Arc<PlanRows>, LoadError> {
        let batches = match self.consumer.batches_of(plan).await {
            // It may have been sent again since segments were listed last.
            Err(consume::ConsumeError::Missing { .. }) => {
                self.consumer.refresh(self.clock.monotonic_ms()).await?;
                self.consumer.batches_of(plan).await?
            }
            read => read?,
        };
        let of = plan.clone();
        let read = move || consume::rows_of(&of, &batches).map(PlanRows::new);
        Ok(Arc::new(tokio::task::spawn_blocking(read).await??))
    }

    async fn send_all(&mut self, data: &PlanData) -> Result<End, LoadError> {
        let plan = &data.plan;
        for (chunk, step) in data.steps() {
            let mut backoff = Backoff::new(&self.insert_config);
            loop {
                if self.shutdown.is_cancelled() {
                    return Ok(End::Stopped);
                }
                // First the time, then the question whether it is still wanted: a loader that sleeps here is refused.
                let not_after = self.sender.not_after();
                if self.log.is_over(plan).await? {
                    return Ok(End::Overtaken);
                }
                match self.sender.send(&data.rows, chunk, plan.rows_plan, &step.token, not_after).await {
                    Ok(()) => break,
                    Err(error) => {
                        self.unclean = Some(plan.n);
                        note_failure(&self.metrics.insert, plan.n, &step.token, &error);
                        self.pause(backoff.next(error.is_retryable())).await;
                    }
                }
            }
        }
        Ok(End::Complete)
    }

    /// Compares and repairs until the warehouse holds the plan, and those before it that are in doubt.
    async fn verify(&mut self, data: &PlanData) -> Result<End, LoadError> {
        let n = data.plan.n;
        let mut suspects = self.suspects(data).await?;
        let plans: Vec<Plan> = suspects.values().map(|data| data.plan.clone()).collect();
        let further = self.further_hours(&plans).await?;
        let mut backoff = Backoff::new(&self.insert_config);
        let mut repairs = 0_u32;
        let mut settled = true;
        while !self.shutdown.is_cancelled() {
            let since_ms = self.clock.monotonic_ms();
            let result = match self.verifier.compare_with(&plans, &further).await {
                // Once it is done, what was seen may be a later plan half loaded.
                Ok(_) if self.log.is_over(&data.plan).await? => return Ok(End::Overtaken),
                Ok(differences) if differences.is_empty() => {
                    tracing::info!(plan = n, repairs, in_doubt = plans.len() - 1, "plan verified");
                    self.owed.on_equal(n, since_ms);
                    return Ok(End::Complete);
                }
                // Two loaders that repair the same plan in step would undo each other's work for ever: the pause has jitter.
                Ok(_) if !settled => {
                    settled = true;
                    self.pause(backoff.next(true)).await;
                    continue;
                }
                Ok(differences) => {
                    repairs = repairs.saturating_add(1);
                    settled = false;
                    self.repair(data, &mut suspects, &differences).await
                }
                Err(error) => Err(error.into()),
            };
            match result {
                Ok(Repair::Made) => {}
                Ok(Repair::Overtaken) => return Ok(End::Overtaken),
                Err(error) => {
                    let retryable = error.is_retryable();
                    if retryable {
                        tracing::warn!(plan = n, %error, "verification is repeated");
                    } else {
                        tracing::error!(plan = n, %error, "verification failed; someone must act, it is repeated slowly");
                    }
                    self.pause(backoff.next(retryable)).await;
                }
            }
        }
        Ok(End::Stopped)
    }

    /// The open plan and those before it that are in doubt, as they must be in the warehouse now. The rows of the latter are read
    /// where an erasure may have changed them since, and otherwise when they are needed.
    async fn suspects(&mut self, open: &PlanData) -> Result<BTreeMap<u64, Suspect>, LoadError> {
        let n = open.plan.n;
        let mut suspects = BTreeMap::new();
        for plan in self.owed.below(n) {
            let number = plan.n;
            if self.erased.between(number, n).is_empty() {
                suspects.insert(number, Suspect { plan, rows: None });
                continue;
            }
            match self.data_of(&plan, n).await {
                Ok(data) => {
                    suspects.insert(number, Suspect { plan: data.plan, rows: Some(data.rows) });
                }
                // Nothing could be repaired; what was erased is counted after each erasure.
                Err(LoadError::Consume(consume::ConsumeError::Missing { .. })) => {
                    tracing::error!(
                        plan = number,
                        "a plan in doubt is compared no more: its segments are retired"
                    );
                    self.owed.forget(number);
                }
                Err(error) => return Err(error),
            }
        }
        suspects.insert(n, Suspect { plan: open.plan.clone(), rows: Some(Arc::clone(&open.rows)) });
        Ok(suspects)
    }

    /// The rows of a plan before plan `open`, from its segments and without what was erased since.
    async fn data_of(&mut self, plan: &Plan, open: u64) -> Result<PlanData, LoadError> {
        let rows = self.read_rows(plan).await?;
        let erases: Vec<Erase> = self.erased.between(plan.n, open).into_iter().cloned().collect();
        if erases.is_empty() {
            return Ok(PlanData::new(plan.clone(), rows)?);
        }
        let (plan, max_rows) = (plan.clone(), self.config.limits.max_insert_rows);
        // It must be the plan's rows before anything is taken from them.
        let as_made = PlanData::new(plan.clone(), Arc::clone(&rows))?;
        let work = move || as_made.without(&erases.iter().collect::<Vec<_>>(), max_rows);
        Ok(tokio::task::spawn_blocking(work).await?)
    }

    /// Reads the rows of plans before the open one from their segments, unless they were.
    async fn repair(
        &mut self,
        open: &PlanData,
        suspects: &mut BTreeMap<u64, Suspect>,
        differences: &Differences,
    ) -> Result<Repair, LoadError> {
        let mut data = Vec::new();
        let differing: BTreeSet<u64> = differences.minutes.iter().map(|found| found.n).collect();
        for suspect in differing.iter().filter_map(|n| suspects.get(n)) {
            data.push(match &suspect.rows {
                Some(rows) => PlanData::new(suspect.plan.clone(), Arc::clone(rows))?,
                None => self.data_of(&suspect.plan, open.plan.n).await?,
            });
        }
        self.unclean = Some(open.plan.n);
        let signature = (self.id.as_str(), self.clock.now_ms());
        Ok(self.verifier.repair(&open.plan, &data, differences, signature).await?)
    }

    /// Moves `watermark`. `false`: shutdown came first.
    async fn send_watermarks(&self, plan: &Plan) -> bool {
        let rows: Vec<WatermarkRow> = plan
            .takes
            .iter()
            .map(|take| WatermarkRow {
                edge: take.edge.to_string(),
                epoch: take.epoch.to_string(),
                lane: take.lane.clone(),
                shard: plan.shard,
                plan: plan.n,
                seq: take.seq_to,
                position: take.to,
                complete_until: i64::try_from(take.complete_until_ms).unwrap_or(i64::MAX),
            })
            .collect();
        let mut backoff = Backoff::new(&self.insert_config);
        while !self.shutdown.is_cancelled() {
            match self.sender.send_watermarks(&rows).await {
                Ok(()) => return true,
                Err(error) => {
                    note_failure(&self.metrics.insert, plan.n, "watermark", &error);
                    self.pause(backoff.next(error.is_retryable())).await;
                }
            }
        }
        false
    }

    pub(super) async fn pause(&self, pause: std::time::Duration) {
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
