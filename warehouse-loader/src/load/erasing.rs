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
/// Rounds between two listings of the segments, and between two looks at a progress that should be right.
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
    /// All that were listed last.
    open: BTreeSet<JobId>,
    /// What each job was last found to need, and when its progress was made to say so, monotonic.
    told: BTreeMap<JobId, (Turn, u64)>,
    /// The last plan made here was one of an erasure: batches come next, however many erasures are due.
    batches_are_due: bool,
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
            open: BTreeSet::new(),
            told: BTreeMap::new(),
            batches_are_due: false,
            looked_at_ms: None,
            listed_at_ms: None,
            oldest_segment_ms: None,
        }
    }

    /// The jobs that are open as far as is known.
    pub(super) fn open(&self) -> &BTreeSet<JobId> {
        &self.open
    }

    /// Whether the jobs were listed at all.
    pub(super) fn has_looked(&self) -> bool {
        self.looked_at_ms.is_some()
    }

    fn listing_interval_ms(&self) -> u64 {
        self.config.list_interval_ms.saturating_mul(ROUNDS_PER_LISTING)
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
    pub(super) async fn progress(&self, job: &JobId, shard: u16) -> Result<Progress, JobError> {
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
        if std::mem::take(&mut self.erasing.batches_are_due)
            || self.too_soon(self.erasing.looked_at_ms, self.erasing.config.list_interval_ms).is_some()
        {
            return None;
        }
        match self.look_at_erasures().await {
            Ok(Some(plan)) => {
                self.erasing.batches_are_due = true;
                Some(plan)
            }
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
        self.erasing.open = open.iter().cloned().collect();
        if open.len() > MAX_JOBS {
            tracing::warn!(open = open.len(), limit = MAX_JOBS, "many erasures are open; later ones wait");
            open.truncate(MAX_JOBS);
        }
        self.erasing.requests.retain(|job, _| self.erasing.open.contains(job));
        self.erasing.told.retain(|job, _| self.erasing.open.contains(job));
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
        let now = (self.clock.now_ms(), self.clock.monotonic_ms());
        let marks = self.planner.ledger().marks();
        let behind = behind(marks, request.requested_at_ms);
        let plans = self.erased.plans_of(job);
        let numbers: Vec<u64> = plans.iter().map(|plan| plan.n).collect();
        let next = turn(&request, &plans, &self.erasing.counted, marks, self.erasing.times, now);
        let left = match &next {
            Turn::Count { n } => self.left_after(*n).await?,
            Turn::Finish { n, before_ms } if !self.segments_before(*before_ms) => self.left_after(*n).await?,
            _ => 0,
        };
        if left > 0 {
            tracing::warn!(%job, left, "rows that were to go are there, from late batches or statements; another plan follows");
        }
        if left > 0 || next == Turn::Plan {
            return Ok((JobState::running, may_plan.then(|| self.erasure_plan(&request))));
        }
        if let Turn::Count { n } = next {
            self.erasing.counted.insert(n, behind.clone());
        }
        let (state, waits_for) = self.state_of(&next);
        let label = if state == State::Running { JobState::running } else { JobState::waiting };
        let told = self.erasing.told.get(job).filter(|(turn, _)| *turn == next).map(|(_, at_ms)| *at_ms);
        if state != State::Done && self.too_soon(told, self.erasing.listing_interval_ms()).is_some() {
            return Ok((label, None));
        }
        let there = self.erasing.progress(job, self.planner.ledger().shard()).await?;
        let holds = self.holds(&numbers, &behind, &next).await?;
        let progress = Progress { state, plans: numbers, waits_for, holds, ..there.clone() };
        if progress != there || there.updated_at_ms == 0 {
            self.erasing.jobs.put_progress(&Progress { updated_at_ms: now.0, ..progress }).await?;
        }
        self.erasing.told.insert(job.clone(), (next, now.1));
        if state == State::Done {
            self.erasing.jobs.close(job).await?;
            for carried in self.erased.plans_of(job) {
                self.erasing.counted.remove(&carried.n);
            }
            self.erasing.metrics.done.inc();
            tracing::info!(%job, "erasure done");
        }
        Ok((label, None))
    }

    /// What the progress says of a turn.
    fn state_of(&self, turn: &Turn) -> (State, Vec<String>) {
        match turn {
            Turn::Plan | Turn::Count { .. } => (State::Running, vec![]),
            Turn::Quiet { .. } => {
                (State::Running, vec!["the end of statements that were sent before".to_owned()])
            }
            Turn::Received(streams) => {
                let streams = streams.join(", ");
                let seconds = self.erasing.times.wait_received_ms / 1_000;
                let awaited = format!(
                    "what {streams} received before the request; it goes ahead {seconds} s after the request"
                );
                (State::Waiting, vec![awaited])
            }
            Turn::Segments { raw_until_ms, rollup_until_ms } => {
                (State::Waiting, Self::segments_awaited(*raw_until_ms, *rollup_until_ms))
            }
            Turn::Finish { before_ms, .. } if self.segments_before(*before_ms) => {
                let until = time(*before_ms);
                let awaited = format!("segments made until {until}, which go with the next checkpoints");
                (State::Waiting, vec![awaited])
            }
            Turn::Finish { .. } => (State::Done, vec![]),
        }
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
        let interval_ms = self.erasing.listing_interval_ms();
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
