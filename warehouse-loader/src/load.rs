//! The loading task: asks the planner what to do next, does it, tells the planner what came of it.
//!
//! In: the stages. Out: plans that are done. Every action may fail and is then repeated after a pause, so nothing is
//! decided here that a kill could tear apart. This is the one place where the stages meet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use service::SharedClock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use erasure::Jobs;

use crate::config::{Config, PlanConfig};
use crate::consume::{ConsumeError, Consumer};
use crate::document::Plan;
use crate::erase::Eraser;
use crate::erase::turn::Times;
use crate::erased::Erased;
use crate::insert::{Backoff, InsertConfig};
use crate::metrics::{DropLabels, DropReason, LoaderMetrics, PlanLabels, PlanResult};
use crate::plan::{Action, Event, LedgerError, Planner, Progress};
use crate::plan_log::{LogError, PlanLog};
use crate::retire::Retirer;
use crate::rows::{MismatchError, PlanRows};
use crate::send::Sender;
use crate::status::{LoaderStatus, lag_seconds, positions};
use crate::verify::{Verifier, VerifyError};

mod choose;
mod erasing;
mod holds;
mod owed;
mod run_erase;
mod run_plan;

use erasing::Erasing;
use owed::Owed;

/// Why a step did not succeed. It is repeated.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Segments.
    #[error(transparent)]
    Consume(#[from] ConsumeError),
    /// Plans and checkpoints.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A plan that cannot follow.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A plan of other rules.
    #[error(transparent)]
    Mismatch(#[from] MismatchError),
    /// Comparison and repair.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// Jobs of erasures.
    #[error(transparent)]
    Jobs(#[from] erasure::JobError),
    /// Counting and removing.
    #[error(transparent)]
    Warehouse(#[from] warehouse::WarehouseError),
    /// A statement that removes did not.
    #[error("{rows} rows of {table} that were to go are still there")]
    Left {
        /// The table.
        table: &'static str,
        /// How many.
        rows: u64,
    },
    /// A document cannot be written.
    #[error("a plan cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A thread of this process died.
    #[error("decoding was broken off: {0}")]
    Thread(#[from] tokio::task::JoinError),
}

impl LoadError {
    /// Whether waiting may help; otherwise someone must act.
    fn is_retryable(&self) -> bool {
        match self {
            Self::Consume(ConsumeError::Store { .. } | ConsumeError::Timeout(_)) => true,
            Self::Log(LogError::Store { .. } | LogError::Timeout { .. }) => true,
            Self::Verify(VerifyError::Warehouse(error)) => error.is_retryable(),
            Self::Verify(VerifyError::Log(LogError::Store { .. } | LogError::Timeout { .. })) => true,
            Self::Verify(VerifyError::Busy(_)) | Self::Left { .. } => true,
            Self::Jobs(error) => error.is_retryable(),
            Self::Warehouse(error) => error.is_retryable(),
            _ => false,
        }
    }
}

/// What to do after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The next step.
    Go,
    /// Wait so long, or until a hub announces a segment.
    Pause(Duration),
}

/// A plan with the rows it inserts.
#[derive(Debug)]
struct Prepared {
    n: u64,
    rows: Arc<PlanRows>,
}

/// The task.
#[derive(Debug)]
pub struct Loader {
    id: String,
    clock: SharedClock,
    shutdown: CancellationToken,
    wake: Arc<Notify>,
    list_interval: Duration,
    config: PlanConfig,
    insert_config: InsertConfig,
    log: PlanLog,
    store: Arc<dyn object_store::ObjectStore>,
    consumer: Consumer,
    planner: Planner,
    sender: Sender,
    verifier: Verifier,
    retirer: Retirer,
    erasing: Erasing,
    erased: Erased,
    /// `erased` is that of before a jump.
    erased_is_old: bool,
    metrics: LoaderMetrics,
    status: LoaderStatus,
    prepared: Option<Prepared>,
    /// The plan of which a statement was sent here whose end nobody knows.
    unclean: Option<u64>,
    owed: Owed,
    /// Monotonic, of the last look for a checkpoint while there was nothing to choose.
    looked_back_at_ms: Option<u64>,
    /// Monotonic, of the last plan created here, and of the last that inserted nothing.
    created_at_ms: Option<u64>,
    empty_at_ms: Option<u64>,
}

/// What the task is made of.
#[derive(Debug)]
pub struct Parts {
    /// Where time comes from.
    pub clock: SharedClock,
    /// Ends the task.
    pub shutdown: CancellationToken,
    /// Ends a pause.
    pub wake: Arc<Notify>,
    /// Segments, plans, checkpoints, quarantine.
    pub store: Arc<dyn object_store::ObjectStore>,
    /// The plan log in it.
    pub log: PlanLog,
    /// Finds batches.
    pub consumer: Consumer,
    /// Decides.
    pub planner: Planner,
    /// Sends rows.
    pub sender: Sender,
    /// Compares and repairs.
    pub verifier: Verifier,
    /// Plans in the log that someone repaired.
    pub in_doubt: Vec<Plan>,
    /// Writes checkpoints and deletes.
    pub retirer: Retirer,
    /// Open erasures.
    pub jobs: Jobs,
    /// Removes from the warehouse.
    pub eraser: Eraser,
    /// What was removed.
    pub erased: Erased,
    /// All metrics.
    pub metrics: LoaderMetrics,
    /// What `/status` says.
    pub status: LoaderStatus,
}

impl Loader {
    /// The task of this configuration.
    pub fn new(config: &Config, parts: Parts) -> Self {
        let mut loader = Self {
            id: config.id.clone(),
            clock: parts.clock,
            shutdown: parts.shutdown,
            wake: parts.wake,
            list_interval: Duration::from_millis(config.consume.list_interval_ms),
            config: config.plan.clone(),
            insert_config: config.insert.clone(),
            log: parts.log,
            store: parts.store,
            consumer: parts.consumer,
            planner: parts.planner,
            sender: parts.sender,
            verifier: parts.verifier,
            retirer: parts.retirer,
            erasing: Erasing::new(
                config.erase.clone(),
                times(config),
                parts.jobs,
                parts.eraser,
                parts.metrics.erase.clone(),
            ),
            erased: parts.erased,
            erased_is_old: false,
            metrics: parts.metrics,
            status: parts.status,
            prepared: None,
            unclean: None,
            // Not after the time named in them, by clocks that may differ by as much.
            owed: Owed::new(config.insert.not_after_s.saturating_mul(2_000)),
            looked_back_at_ms: None,
            created_at_ms: None,
            empty_at_ms: None,
        };
        loader.status.update(|snapshot| {
            snapshot.batches_limit = config.consume.window_batches;
            snapshot.cached_limit = config.consume.cache_bytes;
        });
        for plan in parts.in_doubt {
            loader.owed.add(plan, loader.clock.monotonic_ms());
        }
        loader.sync_with_ledger();
        loader
    }

    /// Loads until shutdown. A running INSERT is finished, then the task ends; a plan that is open then is verified by
    /// whoever runs it next.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let mut backoff = Backoff::new(&self.insert_config);
        while !self.shutdown.is_cancelled() {
            let pause = match self.step().await {
                Ok(Next::Go) => {
                    backoff.reset();
                    continue;
                }
                Ok(Next::Pause(pause)) => {
                    backoff.reset();
                    pause
                }
                Err(error) => {
                    let retryable = error.is_retryable();
                    if retryable {
                        tracing::warn!(%error, "a step failed; it is repeated");
                    } else {
                        tracing::error!(%error, "a step failed; someone must act, it is repeated slowly");
                    }
                    backoff.next(retryable)
                }
            };
            self.note_queue();
            tokio::select! {
                () = self.shutdown.cancelled() => {}
                () = self.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        Ok(())
    }

    /// One action of the planner.
    async fn step(&mut self) -> Result<Next, LoadError> {
        if self.erased_is_old {
            let (last, now_ms) = (self.planner.ledger().last(), self.clock.monotonic_ms());
            self.erased = Erased::from_parts(self.log.parts().await?, last, now_ms);
            self.erased_is_old = false;
        }
        match self.planner.action() {
            Action::Look { n } => {
                let event = match self.log.read(n).await? {
                    None => Event::Absent,
                    Some(plan) => Event::Found { plan: Box::new(plan), done: self.log.is_done(n).await? },
                };
                self.on_event(event, PlanResult::followed).await
            }
            Action::WaitForDone { until_ms, .. } => {
                /// How often another loader's `done` is looked for, ms.
                const POLL_MS: u64 = 250;
                let left_ms = until_ms.saturating_sub(self.clock.monotonic_ms());
                self.planner.on_waited();
                Ok(Next::Pause(Duration::from_millis(left_ms.min(POLL_MS))))
            }
            Action::Choose { .. } => self.choose().await,
            Action::CheckVoid { .. } => {
                let checkpoint = self.log.newest_checkpoint().await?;
                self.on_event(Event::Checkpoint(checkpoint.map(Box::new)), PlanResult::void).await
            }
            Action::Run { plan, verify } => self.run_plan(*plan, verify).await,
        }
    }

    /// Tells the planner, and books what is done by it.
    async fn on_event(&mut self, event: Event, result: PlanResult) -> Result<Next, LoadError> {
        match self.planner.on_event(event, self.clock.monotonic_ms())? {
            Progress::None => {}
            Progress::Applied(plan) => {
                self.count_plan(result);
                self.erased.on_done(&plan, self.clock.monotonic_ms());
                self.book(&plan);
                if self.retirer.is_due(plan.n) {
                    self.retire().await?;
                }
            }
            Progress::Jumped => {
                self.count_plan(result);
                self.prepared = None;
                self.erased_is_old = true;
                self.sync_with_ledger();
            }
        }
        Ok(Next::Go)
    }

    /// Books a plan that is done: its hits are out, its batches no longer wait.
    fn book(&mut self, plan: &Plan) {
        self.prepared = None;
        for take in &plan.takes {
            let stream = take.stream();
            let skips = plan.skips.iter().filter(|skip| skip.stream() == stream);
            let dropped: u64 = skips.map(crate::document::Skip::hits).sum();
            let loaded = self.consumer.index_mut().on_loaded(&stream, take.seq_to, take.complete_until_ms);
            let known = loaded.hits;
            self.metrics.consume.hits_in.inc_by(take.hits().saturating_sub(known));
            let erased = take.erased_hits;
            self.metrics.plan.hits_out.inc_by(take.hits().saturating_sub(dropped).saturating_sub(erased));
            for (reason, hits) in [(DropReason::quarantined, dropped), (DropReason::erased, erased)] {
                self.metrics.plan.hits_dropped.get_or_create(&DropLabels { reason }).inc_by(hits);
            }
        }
        self.metrics.plan.batches_quarantined.inc_by(u64::try_from(plan.skips.len()).unwrap_or(u64::MAX));
        self.consumer.forget_loaded();
        self.note_ledger();
    }

    /// Makes the index forget what the ledger says is loaded, after a jump to a checkpoint.
    fn sync_with_ledger(&mut self) {
        for (stream, mark) in self.planner.ledger().marks().clone() {
            let removed = self.consumer.index_mut().on_loaded(&stream, mark.seq, mark.complete_until_ms);
            self.metrics.plan.hits_out.inc_by(removed.hits);
        }
        self.consumer.forget_loaded();
        self.note_ledger();
    }

    fn note_ledger(&mut self) {
        let ledger = self.planner.ledger();
        self.metrics.plan.number.set(ledger.last());
        let positions = positions(ledger.marks().values());
        let plan = ledger.last();
        self.status.update(|snapshot| {
            snapshot.positions = positions;
            snapshot.work.plan = plan;
            snapshot.work.plan_open = false;
        });
        self.note_queue();
    }

    fn note_queue(&self) {
        let index = self.consumer.index();
        let (batches, hits, oldest_ms) = (index.batches(), index.hits(), index.oldest_ms());
        let (_, segment_bytes) = index.size();
        self.metrics.consume.hits_queued.set(hits);
        self.metrics.consume.batches_queued.set(batches);
        self.metrics.consume.lag_seconds.set(lag_seconds(oldest_ms, self.clock.now_ms()));
        let cached_bytes = self.consumer.cached_bytes();
        self.status.update(|snapshot| {
            snapshot.batches = batches;
            snapshot.hits = hits;
            snapshot.oldest_ms = oldest_ms;
            snapshot.cached_bytes = cached_bytes;
            snapshot.stores.insert("rollup_segments".to_owned(), segment_bytes);
        });
    }

    fn count_plan(&self, result: PlanResult) {
        self.metrics.plan.plans.get_or_create(&PlanLabels { result }).inc();
    }

    /// A checkpoint, and deletion of what lies below it. What fails here is done with the next checkpoint.
    async fn retire(&mut self) -> Result<(), LoadError> {
        let now_ms = self.clock.now_ms();
        let checkpoint = self.planner.ledger().checkpoint(now_ms);
        let marks: BTreeMap<_, _> = self.planner.ledger().marks().clone();
        let retired = self.consumer.index().retired(&marks, self.retirer.segments_before_ms(now_ms));
        let work = async {
            self.retirer.checkpoint(&checkpoint).await?;
            self.retirer.delete_segments(&retired).await?;
            // Whether a job is open is not known before the first look.
            if self.erasing.has_looked() {
                let parts = self.erased.retired(self.retirer.plans_before(checkpoint.n), self.erasing.open());
                self.retirer.delete_parts(&parts).await?;
                parts.iter().for_each(|n| self.erased.forget(*n));
            }
            self.retirer.delete_raw(now_ms).await
        };
        match work.await {
            Ok(raw) => {
                self.status.update(|snapshot| {
                    snapshot.stores.insert("raw_segments".to_owned(), raw.bytes);
                });
                for key in &retired {
                    self.consumer.index_mut().forget(key);
                }
            }
            Err(error) => tracing::warn!(%error, "retiring failed; the next checkpoint tries again"),
        }
        Ok(())
    }
}

/// How long things last for erasures.
fn times(config: &Config) -> Times {
    Times {
        wait_received_ms: config.erase.wait_received_ms,
        // As for plans in doubt.
        quiet_ms: config.insert.not_after_s.saturating_mul(2_000),
        raw_retention_ms: config.retire.raw_retention_s.saturating_mul(1_000),
        rollup_retention_ms: config.retire.segment_retention_s.saturating_mul(1_000),
    }
}
