//! Finds out what open erasures need, and makes the plan that one is due for.
//!
//! In: open jobs. Out: the next plan if one is to remove something, and progress for apis to show. What fails here is said and
//! tried again in the next round: no erasure holds up loading. Nothing is decided on progress, which any loader overwrites.

use std::collections::{BTreeMap, BTreeSet};

use erasure::{JobError, JobId, Jobs, Progress, Request, State, Step};

use super::{LoadError, Loader};
use crate::document::{Erase, FORMAT, Plan};
use crate::erase::turn::{Times, Turn, behind, turn};
use crate::erase::{EraseConfig, Eraser};
use crate::metrics::{EraseMetrics, JobLabels, JobState};

/// Jobs that are looked at in one round: later ones wait until earlier ones are done.
const MAX_JOBS: usize = 10_000;
/// Rounds between two listings of the segments.
const ROUNDS_PER_LISTING: u64 = 12;

/// What the task knows of open jobs.
#[derive(Debug)]
pub(super) struct Erasing {
    pub(super) config: EraseConfig,
    pub(super) times: Times,
    pub(super) jobs: Jobs,
    pub(super) eraser: Eraser,
    pub(super) metrics: EraseMetrics,
    requests: BTreeMap<JobId, Request>,
    /// Plans after which nothing was left, with the streams that were behind then.
    counted: BTreeMap<u64, BTreeSet<String>>,
    written: BTreeMap<JobId, Progress>,
    /// Monotonic.
    looked_at_ms: Option<u64>,
    listed_at_ms: Option<u64>,
    /// Creation of the oldest segment, unix milliseconds; `None`: there is none.
    oldest_segment_ms: Option<u64>,
}

impl Erasing {
    pub(super) fn new(
        config: EraseConfig,
        times: Times,
        jobs: Jobs,
        eraser: Eraser,
        metrics: EraseMetrics,
    ) -> Self {
        Self {
            config,
            times,
            jobs,
            eraser,
            metrics,
            requests: BTreeMap::new(),
            counted: BTreeMap::new(),
            written: BTreeMap::new(),
            looked_at_ms: None,
            listed_at_ms: None,
            oldest_segment_ms: None,
        }
    }

    /// The jobs that are open as far as is known.
    pub(super) fn open(&self) -> BTreeSet<JobId> {
        self.requests.keys().cloned().collect()
    }

    /// Whether the jobs were listed at all.
    pub(super) fn has_looked(&self) -> bool {
        self.looked_at_ms.is_some()
    }

    /// What a job asks for; read once.
    async fn request(&mut self, job: &JobId) -> Result<Option<Request>, JobError> {
        if !self.requests.contains_key(job)
            && let Some(request) = self.jobs.request(job).await?
        {
            self.requests.insert(job.clone(), request);
        }
        Ok(self.requests.get(job).cloned())
    }

    /// Where a job stands, as far as it was written here or by others.
    pub(super) async fn progress(&mut self, job: &JobId, shard: u16) -> Result<Progress, JobError> {
        let fresh = || Progress {
            format: erasure::FORMAT,
            job: job.clone(),
            shard,
            state: State::Waiting,
            updated_at_ms: 0,
            plans: vec![],
            steps: vec![],
            waits_for: vec![],
            holds: vec![],
        };
        Ok(self.jobs.progress_of(job, shard).await?.unwrap_or_else(fresh))
    }

    /// Writes where a job stands, unless the same was written here last.
    pub(super) async fn put(&mut self, mut progress: Progress, now_ms: u64) -> Result<(), JobError> {
        progress.updated_at_ms = 0;
        if self.written.get(&progress.job) == Some(&progress) {
            return Ok(());
        }
        let as_written = progress.clone();
        progress.updated_at_ms = now_ms;
        self.jobs.put_progress(&progress).await?;
        self.written.insert(as_written.job.clone(), as_written);
        Ok(())
    }
}

/// The step of a table, made if it is missing.
pub(super) fn step_of<'a>(
    steps: &'a mut Vec<Step>,
    table: &str,
    what: &str,
    rows_before: u64,
) -> Option<&'a mut Step> {
    let is_it = |step: &Step| step.store == table && step.what == what;
    if !steps.iter().any(is_it) {
        let (store, what) = (table.to_owned(), what.to_owned());
        steps.push(Step { store, what, rows_before, rows_after: None, done: false });
    }
    let step = steps.iter_mut().find(|step| is_it(step))?;
    // What ran before and was broken off had more to count.
    step.rows_before = step.rows_before.max(rows_before);
    Some(step)
}

impl Loader {
    /// The plan of an erasure that is due, if it is time to look.
    pub(super) async fn next_erasure(&mut self) -> Option<Plan> {
        let now_ms = self.clock.monotonic_ms();
        if self.too_soon(self.erasing.looked_at_ms, self.erasing.config.list_interval_ms).is_some() {
            return None;
        }
        match self.look_at_erasures().await {
            Ok(Some(plan)) => Some(plan),
            Ok(None) => {
                self.erasing.looked_at_ms = Some(now_ms);
                None
            }
            Err(error) => {
                tracing::warn!(%error, "erasures cannot be looked at; trying again");
                self.erasing.looked_at_ms = Some(now_ms);
                None
            }
        }
    }

    async fn look_at_erasures(&mut self) -> Result<Option<Plan>, LoadError> {
        let mut open = self.erasing.jobs.open().await?;
        if open.len() > MAX_JOBS {
            tracing::warn!(open = open.len(), limit = MAX_JOBS, "many erasures are open; later ones wait");
            open.truncate(MAX_JOBS);
        }
        self.erasing.requests.retain(|job, _| open.contains(job));
        self.erasing.written.retain(|job, _| open.contains(job));
        self.list_segments(!open.is_empty()).await?;
        let mut counts =
            BTreeMap::from([(JobState::waiting, 0_u64), (JobState::running, 0), (JobState::failed, 0)]);
        let mut due = None;
        let mut oldest_ms = None;
        for job in &open {
            let state = match self.look_at(job, due.is_none()).await {
                Ok((state, plan)) => {
                    due = due.or(plan);
                    state
                }
                Err(error) if error.is_retryable() => {
                    tracing::warn!(%job, %error, "an erasure cannot be looked at; trying again");
                    JobState::waiting
                }
                Err(error) => {
                    tracing::error!(%job, %error, "an erasure cannot be carried out; someone must act");
                    JobState::failed
                }
            };
            *counts.entry(state).or_default() += 1;
            let requested_ms = self.erasing.requests.get(job).map(|request| request.requested_at_ms);
            oldest_ms = oldest_ms.into_iter().chain(requested_ms).min();
        }
        for (state, count) in counts {
            self.erasing.metrics.jobs.get_or_create(&JobLabels { state }).set(count);
        }
        let age_s = crate::status::lag_seconds(oldest_ms, self.clock.now_ms());
        self.erasing.metrics.oldest_seconds.set(age_s);
        Ok(due)
    }

    /// Moves one job as far as it goes without a plan. The plan, if one is due and `may_plan`.
    async fn look_at(&mut self, job: &JobId, may_plan: bool) -> Result<(JobState, Option<Plan>), LoadError> {
        // Closed meanwhile by another loader.
        let Some(request) = self.erasing.request(job).await? else { return Ok((JobState::waiting, None)) };
        let now_ms = self.clock.now_ms();
        let now = (now_ms, self.clock.monotonic_ms());
        let marks = self.planner.ledger().marks();
        let behind = behind(marks, request.requested_at_ms);
        let plans = self.erased.plans_of(job);
        let numbers: Vec<u64> = plans.iter().map(|plan| plan.n).collect();
        let next = turn(&request, &plans, &self.erasing.counted, marks, self.erasing.times, now);
        let left = match &next {
            Turn::Count { n } | Turn::Finish { n, .. } => self.left_after(*n).await?,
            _ => 0,
        };
        if left > 0 {
            tracing::warn!(%job, left, "rows that were to go are there, from late batches or statements; another plan follows");
            return Ok((JobState::running, may_plan.then(|| self.erasure_plan(&request))));
        }
        let mut waits_for = Vec::new();
        let mut state = State::Waiting;
        match next {
            Turn::Plan => return Ok((JobState::running, may_plan.then(|| self.erasure_plan(&request)))),
            Turn::Received(streams) => waits_for.push(format!(
                "what was received before the request, of {}; it goes ahead {} s after the request",
                streams.join(", "),
                self.erasing.times.wait_received_ms / 1_000
            )),
            Turn::Quiet { .. } => {
                state = State::Running;
                waits_for.push("the end of statements that were sent before".to_owned());
            }
            Turn::Count { n } => {
                self.erasing.counted.insert(n, behind.clone());
                state = State::Running;
            }
            Turn::Segments { raw_until_ms, rollup_until_ms } => {
                waits_for.extend(Self::segments_awaited(raw_until_ms, rollup_until_ms));
            }
            Turn::Finish { before_ms, .. } if self.segments_before(before_ms) => waits_for
                .push(format!("segments made until {}, which go with the next checkpoint", time(before_ms))),
            Turn::Finish { .. } => state = State::Done,
        }
        let mut progress = self.erasing.progress(job, self.planner.ledger().shard()).await?;
        progress.state = state;
        progress.plans = numbers;
        progress.waits_for = waits_for;
        progress.holds = self.holds(&progress.plans, &behind).await?;
        self.erasing.put(progress, now_ms).await?;
        if state != State::Done {
            let label = if state == State::Running { JobState::running } else { JobState::waiting };
            return Ok((label, None));
        }
        self.erasing.jobs.close(job).await?;
        self.erasing.metrics.done.inc();
        tracing::info!(%job, "erasure done");
        Ok((JobState::waiting, None))
    }

    /// Minute rows that plan `n` was to remove and that are there.
    async fn left_after(&self, n: u64) -> Result<u64, LoadError> {
        match self.log.part(n).await? {
            Some(part) => Ok(self.erasing.eraser.left(&part.erase, part.rows_plan).await?),
            None => Ok(0),
        }
    }

    fn erasure_plan(&self, request: &Request) -> Plan {
        let (ledger, now_ms) = (self.planner.ledger(), self.clock.now_ms());
        let (rows_plan, group_started_at_ms) = ledger.next_rows_plan(now_ms);
        let Request { job, requested_at_ms, what, .. } = request.clone();
        Plan {
            format: FORMAT,
            shard: ledger.shard(),
            n: ledger.next(),
            created_by: self.id.clone(),
            created_at_ms: now_ms,
            rows_plan,
            group_started_at_ms,
            takes: vec![],
            skips: vec![],
            inserts: vec![],
            without: vec![],
            erase: Some(Erase { job, requested_at_ms, what }),
        }
    }

    /// Notes the oldest segment, now and then.
    async fn list_segments(&mut self, wanted: bool) -> Result<(), LoadError> {
        let interval_ms = self.erasing.config.list_interval_ms.saturating_mul(ROUNDS_PER_LISTING);
        if !wanted || self.too_soon(self.erasing.listed_at_ms, interval_ms).is_some() {
            return Ok(());
        }
        self.erasing.oldest_segment_ms = self.retirer.oldest_segment_ms().await?;
        self.erasing.listed_at_ms = Some(self.clock.monotonic_ms());
        Ok(())
    }

    /// Whether a segment of before a time (unix ms) was there at the last look.
    fn segments_before(&self, before_ms: u64) -> bool {
        self.erasing.listed_at_ms.is_none()
            || self.erasing.oldest_segment_ms.is_some_and(|oldest_ms| oldest_ms <= before_ms)
    }
}

/// A time as people and programs read it.
pub(super) fn time(at_ms: u64) -> jiff::Timestamp {
    let at_ms = i64::try_from(at_ms).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(at_ms).unwrap_or(jiff::Timestamp::MAX)
}
