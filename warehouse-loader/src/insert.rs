//! Repeats an INSERT until it is answered cleanly, and counts what was not.
//!
//! In: one chunk of a plan. Out: one attempt at a time, with the pause before the next; the caller asks between attempts
//! whether the plan is still to be done. Nothing is ever skipped: an error that no repeat can cure is repeated slowly
//! and said loudly, for someone must act.

use std::time::Duration;

use rand::RngExt;
use serde::{Deserialize, Serialize};
use warehouse::WarehouseError;

use crate::metrics::{FailureKind, FailureLabels, InsertMetrics};

/// The `[insert]` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InsertConfig {
    /// The server refuses rows that reach it later than this after they were sent, s (default 60). The clocks of loader and
    /// warehouse must agree better than that.
    pub not_after_s: u64,
    /// Pause after the first failure, ms (default 200); it doubles.
    pub retry_min_ms: u64,
    /// Longest pause, ms (default 5,000).
    pub retry_max_ms: u64,
    /// Pause after a failure that no repeat can cure, ms (default 15,000).
    pub retry_permanent_ms: u64,
}

impl Default for InsertConfig {
    fn default() -> Self {
        Self { not_after_s: 60, retry_min_ms: 200, retry_max_ms: 5_000, retry_permanent_ms: 15_000 }
    }
}

/// The pauses between attempts.
#[derive(Debug)]
pub struct Backoff {
    config: InsertConfig,
    next_ms: u64,
}

impl Backoff {
    /// Begins with the shortest pause.
    pub fn new(config: &InsertConfig) -> Self {
        Self { config: config.clone(), next_ms: config.retry_min_ms }
    }

    /// The pause before the next attempt, with jitter.
    pub fn next(&mut self, retryable: bool) -> Duration {
        if !retryable {
            return Duration::from_millis(self.config.retry_permanent_ms);
        }
        let pause_ms = rand::rng().random_range(self.next_ms / 2..=self.next_ms);
        self.next_ms = (self.next_ms * 2).min(self.config.retry_max_ms);
        Duration::from_millis(pause_ms)
    }

    /// It worked: begin with the shortest pause again.
    pub fn reset(&mut self) {
        self.next_ms = self.config.retry_min_ms;
    }
}

/// Counts and tells a failed attempt.
pub fn note_failure(metrics: &InsertMetrics, plan: u64, token: &str, error: &WarehouseError) {
    let retryable = error.is_retryable();
    let kind = if retryable { FailureKind::retryable } else { FailureKind::permanent };
    metrics.failures.get_or_create(&FailureLabels { kind }).inc();
    if error.is_stale() {
        tracing::warn!(
            plan,
            token,
            "the warehouse refused rows as too old: this loader slept, or its clock is behind the warehouse's"
        );
    } else if retryable {
        tracing::warn!(plan, token, %error, "insert not answered cleanly; repeating");
    } else {
        tracing::error!(plan, token, %error, "insert refused; someone must act, nothing is skipped");
    }
}
