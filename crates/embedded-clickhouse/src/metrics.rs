//! Metrics of the process: statements by kind and result, their time, rows written, refusals.

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Kind {
    Insert,
    Query,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Outcome {
    Done,
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatementLabels {
    kind: Kind,
    result: Outcome,
}

/// Why a request never reached the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Refusal {
    /// The queue was full.
    QueueFull,
    /// Bodies and results took all the memory they may.
    MemoryFull,
    /// The body was longer than allowed.
    TooLarge,
    /// The body did not arrive whole.
    Incomplete,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    reason: Refusal,
}

/// What the workers count.
#[derive(Debug, Clone)]
pub(crate) struct ExecuteMetrics {
    statements: Family<StatementLabels, Counter>,
    seconds: Histogram,
    rows_written: Counter,
    abandoned: Counter,
}

impl ExecuteMetrics {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            statements: Family::default(),
            // 1 ms to about 4 minutes.
            seconds: Histogram::new(exponential_buckets(0.001, 4.0, 10)),
            rows_written: Counter::default(),
            abandoned: Counter::default(),
        };
        registry.register(
            "warehouse_execute_statements",
            "Statements by kind and result",
            metrics.statements.clone(),
        );
        registry.register(
            "warehouse_execute_seconds",
            "Time of a statement, waiting excluded",
            metrics.seconds.clone(),
        );
        registry.register(
            "warehouse_execute_rows_written",
            "Rows written, those of materialized views included",
            metrics.rows_written.clone(),
        );
        registry.register(
            "warehouse_execute_abandoned",
            "Statements left out because their client went away before they began",
            metrics.abandoned.clone(),
        );
        metrics
    }

    /// A statement ended; `written_rows` is `None` if it failed.
    pub(crate) fn ran(&self, insert: bool, written_rows: Option<u64>, elapsed: Duration) {
        let kind = if insert { Kind::Insert } else { Kind::Query };
        let result = if written_rows.is_some() { Outcome::Done } else { Outcome::Failed };
        self.statements.get_or_create(&StatementLabels { kind, result }).inc();
        self.rows_written.inc_by(written_rows.unwrap_or(0));
        self.seconds.observe(elapsed.as_secs_f64());
    }

    pub(crate) fn abandoned(&self) {
        self.abandoned.inc();
    }
}

/// What the HTTP layer counts.
#[derive(Debug, Clone)]
pub(crate) struct ServeMetrics {
    refused: Family<RefusalLabels, Counter>,
}

impl ServeMetrics {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self { refused: Family::default() };
        registry.register(
            "warehouse_serve_refused",
            "Requests that never reached the engine, by reason",
            metrics.refused.clone(),
        );
        metrics
    }

    pub(crate) fn refused(&self, reason: Refusal) {
        self.refused.get_or_create(&RefusalLabels { reason }).inc();
    }
}
