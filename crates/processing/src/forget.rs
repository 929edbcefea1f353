//! Which erasures were applied: each is once, however often the WAL names it.
//!
//! In: jobs of forget marks, with received time. Out: whether a job is new. A job is kept for 60 days of received time: the configuration
//! names it for 30, and the WAL may be processed late. Bounded: at the limit the job applied first is forgotten first, and would be applied
//! again, which changes nothing but what came since.

use std::collections::VecDeque;

/// How long a job is kept, milliseconds of received time.
pub const KEPT_MS: u64 = 60 * 86_400_000;

/// Jobs kept at most; some 50 bytes each.
pub const MAX_JOBS: usize = 20_000;

/// An erasure that was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedJob {
    /// The erasure ("e_…").
    pub job: String,
    /// Received time of the block that named it, unix milliseconds.
    pub applied_at_ms: u64,
}

/// The jobs that were applied, in that order.
#[derive(Debug, Default)]
pub struct AppliedJobs {
    jobs: VecDeque<AppliedJob>,
    /// Those at the end that came since the last seal.
    fresh: usize,
}

impl AppliedJobs {
    /// Forgets the jobs of 60 days before this received time; to be called before the hits of a block.
    pub fn begin_block(&mut self, received_at_ms: u64) {
        while let Some(first) = self.jobs.front()
            && received_at_ms.saturating_sub(first.applied_at_ms) >= KEPT_MS
        {
            self.forget_oldest();
        }
    }

    /// Takes a job for applied; `false`: it was before.
    pub fn apply(&mut self, job: &str, received_at_ms: u64) -> bool {
        if self.jobs.iter().any(|applied| applied.job == job) {
            return false;
        }
        self.insert(AppliedJob { job: job.to_owned(), applied_at_ms: received_at_ms });
        self.fresh += 1;
        true
    }

    /// The jobs that are kept.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.jobs.iter().map(|applied| applied.job.as_str())
    }

    /// How many those are.
    pub fn len(&self) -> u64 {
        u64::try_from(self.jobs.len()).unwrap_or(u64::MAX)
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// The jobs applied since the last call.
    pub fn take_change(&mut self) -> Vec<AppliedJob> {
        let fresh = std::mem::take(&mut self.fresh);
        self.jobs.iter().skip(self.jobs.len().saturating_sub(fresh)).cloned().collect()
    }

    /// All of them.
    pub fn whole(&self) -> Vec<AppliedJob> {
        self.jobs.iter().cloned().collect()
    }

    /// Puts in a change (or all jobs) that was taken at this received time, after the state here.
    pub fn restore(&mut self, change: Vec<AppliedJob>, received_at_ms: u64) {
        change.into_iter().for_each(|applied| self.insert(applied));
        self.begin_block(received_at_ms);
    }

    fn insert(&mut self, applied: AppliedJob) {
        while self.jobs.len() >= MAX_JOBS {
            self.forget_oldest();
        }
        self.jobs.push_back(applied);
    }

    fn forget_oldest(&mut self) {
        self.jobs.pop_front();
        self.fresh = self.fresh.min(self.jobs.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 86_400_000;

    #[test]
    fn a_job_is_applied_once_in_60_days() {
        let mut jobs = AppliedJobs::default();
        assert!(jobs.apply("e_1", DAY_MS));
        jobs.begin_block(61 * DAY_MS - 1);
        assert!(!jobs.apply("e_1", 61 * DAY_MS - 1));
        jobs.begin_block(61 * DAY_MS);
        assert_eq!((jobs.len(), jobs.is_empty()), (0, true));
        assert!(jobs.apply("e_1", 61 * DAY_MS));
    }

    #[test]
    fn jobs_are_bounded_and_restored_from_changes() {
        let (mut jobs, mut restored) = (AppliedJobs::default(), AppliedJobs::default());
        for n in 0..MAX_JOBS + 7 {
            // Two days apart: some are forgotten between two changes.
            let received_at_ms = u64::try_from(n).unwrap() / 1_000 * 2 * DAY_MS;
            jobs.begin_block(received_at_ms);
            assert!(jobs.apply(&format!("e_{n}"), received_at_ms));
            if n % 5_003 == 0 {
                restored.restore(jobs.take_change(), received_at_ms);
                assert_eq!(restored.whole(), jobs.whole());
            }
        }
        let mut full = AppliedJobs::default();
        (0..=MAX_JOBS).for_each(|n| assert!(full.apply(&n.to_string(), 0)));
        assert_eq!((full.len(), full.iter().next()), (20_000, Some("1")));
    }
}
