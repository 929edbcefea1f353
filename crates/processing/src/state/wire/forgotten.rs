//! What was forgotten before its turn, as a message of stored state: erasures, and what they took out of the middle.
//!
//! In: a snapshot. Out: a message, absent where there is nothing to say, and back. Builds before it kept no days of visitors. Fields are only
//! ever added.

use crate::forget;
use crate::recognise;
use crate::state::Snapshot;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Forgotten {
    /// Erasures that were applied, in that order.
    #[prost(message, repeated, tag = "1")]
    pub(super) jobs: Vec<Job>,
    /// Numbers of known visitors.
    #[prost(uint64, repeated, tag = "2")]
    pub(super) visitors: Vec<u64>,
    /// Days of the known visitors that are told beside, oldest first.
    #[prost(message, repeated, tag = "3")]
    pub(super) days: Vec<Day>,
    /// Numbers of hours whose pages were counted.
    #[prost(uint64, repeated, tag = "4")]
    pub(super) hours: Vec<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Job {
    #[prost(string, tag = "1")]
    job: String,
    #[prost(uint64, tag = "2")]
    applied_at_ms: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Day {
    /// Since 1970-01-01 UTC.
    #[prost(uint64, tag = "1")]
    day: u64,
    #[prost(uint64, tag = "2")]
    visitors: u64,
}

impl Forgotten {
    /// Of a snapshot; `None`: there is nothing to say.
    pub(super) fn of(snapshot: &Snapshot) -> Option<Self> {
        let job = |job: &forget::AppliedJob| Job { job: job.job.clone(), applied_at_ms: job.applied_at_ms };
        let day = |day: &recognise::Day| Day { day: day.day, visitors: day.visitors };
        let forgotten = Self {
            jobs: snapshot.jobs.iter().map(job).collect(),
            visitors: snapshot.visitors.emptied.clone(),
            days: snapshot.visitors.days.iter().map(day).collect(),
            hours: snapshot.pages.gone.clone(),
        };
        (forgotten != Self::default()).then_some(forgotten)
    }
}

impl From<Job> for forget::AppliedJob {
    fn from(from: Job) -> Self {
        Self { job: from.job, applied_at_ms: from.applied_at_ms }
    }
}

impl From<Day> for recognise::Day {
    fn from(from: Day) -> Self {
        Self { day: from.day, visitors: from.visitors }
    }
}
