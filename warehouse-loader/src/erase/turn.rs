//! What an erasure needs next.
//!
//! In: a request, the plans that carried it out so far, how far each stream is loaded, the time. Out: one [`Turn`]. A function of
//! its input alone, so all loaders come to the same; what they do then is decided by who creates the plan.

use std::collections::{BTreeMap, BTreeSet};

use erasure::Request;

use crate::document::{Mark, Stream};
use crate::erased::Carried;

/// A stream that brought nothing for so long before a request is not waited for, ms: its edge may never come back.
const SILENT_MS: u64 = 3_600_000;

/// How long things last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// How long what was received before is waited for.
    pub wait_received_ms: u64,
    /// After a plan is done, how long a statement of before may still act.
    pub quiet_ms: u64,
    /// How long a raw segment stays.
    pub raw_retention_ms: u64,
    /// How long a rollup segment stays at least.
    pub rollup_retention_ms: u64,
}

/// What is next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// Until these streams are loaded up to the request.
    Received(Vec<String>),
    /// A plan.
    Plan,
    /// Until no statement of before can act; this long at least.
    Quiet {
        /// Milliseconds.
        left_ms: u64,
    },
    /// Count what the last plan left.
    Count {
        /// The plan.
        n: u64,
    },
    /// Until segments are gone.
    Segments {
        /// When the newest raw one that may hold some of it goes, unix milliseconds.
        raw_until_ms: u64,
        /// Likewise the newest rollup one.
        rollup_until_ms: u64,
    },
    /// See that segments of before this time (unix ms) are gone, count once more, then it is done.
    Finish {
        /// The time.
        before_ms: u64,
        /// The last plan.
        n: u64,
    },
}

/// Streams that may still bring what was received before a request.
pub fn behind(marks: &BTreeMap<Stream, Mark>, requested_at_ms: u64) -> BTreeSet<String> {
    marks
        .values()
        .filter(|mark| mark.complete_until_ms < requested_at_ms)
        .map(|mark| format!("{}-{}", mark.edge, mark.epoch))
        .collect()
}

/// What a job needs. `counted`: the plans after which nothing was left, with the streams that were behind then. `now_ms`: wall
/// clock, and monotonic.
pub fn turn(
    request: &Request,
    plans: &[&Carried],
    counted: &BTreeMap<u64, BTreeSet<String>>,
    marks: &BTreeMap<Stream, Mark>,
    times: Times,
    (now_ms, monotonic_ms): (u64, u64),
) -> Turn {
    let requested_ms = request.requested_at_ms;
    let behind = behind(marks, requested_ms);
    let Some(last) = plans.last() else {
        let silent_before_ms = requested_ms.saturating_sub(SILENT_MS);
        let awaited: Vec<String> = marks
            .values()
            .filter(|mark| (silent_before_ms..requested_ms).contains(&mark.complete_until_ms))
            .map(|mark| format!("{}-{}", mark.edge, mark.epoch))
            .collect();
        let late = now_ms >= requested_ms.saturating_add(times.wait_received_ms);
        return if awaited.is_empty() || late { Turn::Plan } else { Turn::Received(awaited) };
    };
    let quiet_at_ms = last.done_at_ms.map_or(u64::MAX, |done_ms| done_ms.saturating_add(times.quiet_ms));
    match counted.get(&last.n) {
        None if monotonic_ms < quiet_at_ms => Turn::Quiet { left_ms: quiet_at_ms - monotonic_ms },
        // A stream that was behind has come on since: what it brought may have been to go.
        Some(then) if then.is_subset(&behind) => segments(requested_ms, last, times, now_ms),
        _ => Turn::Count { n: last.n },
    }
}

fn segments(requested_ms: u64, last: &Carried, times: Times, now_ms: u64) -> Turn {
    // What was loaded until then lies in segments made until then.
    let before_ms = requested_ms.max(last.created_at_ms);
    let raw_until_ms = before_ms.saturating_add(times.raw_retention_ms);
    let rollup_until_ms = before_ms.saturating_add(times.rollup_retention_ms);
    if now_ms < raw_until_ms.max(rollup_until_ms) {
        return Turn::Segments { raw_until_ms, rollup_until_ms };
    }
    Turn::Finish { before_ms, n: last.n }
}

#[cfg(test)]
mod tests;
