//! Metrics of the loader, one struct per stage, shown on the admin port.
//!
//! Accounting: `loader_hits_in_total = loader_hits_out_total + loader_hits_dropped_total + loader_hits_queued`, counted
//! since the process began: a hit comes in when its batch is first read above the watermark, or when a plan that took it
//! is seen to be done.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// Metrics of `consume`.
#[derive(Debug, Clone, Default)]
pub struct ConsumeMetrics {
    /// `loader_segments_read_total`
    pub segments_read: Counter,
    /// `loader_segments_damaged_total`
    pub segments_damaged: Counter,
    /// `loader_batches_conflicting_total`
    pub batches_conflicting: Counter,
    /// `loader_hits_in_total`
    pub hits_in: Counter,
    /// `loader_hits_queued`
    pub hits_queued: Gauge<u64, AtomicU64>,
    /// `loader_batches_queued`
    pub batches_queued: Gauge<u64, AtomicU64>,
    /// `loader_streams_stalled`
    pub streams_stalled: Gauge<u64, AtomicU64>,
    /// `loader_lag_seconds`
    pub lag_seconds: Gauge<f64, AtomicU64>,
}

/// Label `reason` of dropped hits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DropLabels {
    /// Why.
    pub reason: DropReason,
}

/// Why hits are not loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[allow(non_camel_case_types)]
pub enum DropReason {
    /// Their batch cannot be used.
    quarantined,
    /// Their property was deleted.
    erased,
}

/// Metrics of `plan`.
#[derive(Debug, Clone, Default)]
pub struct PlanMetrics {
    /// `loader_plans_total{result}`
    pub plans: Family<PlanLabels, Counter>,
    /// `loader_plan_number`
    pub number: Gauge<u64, AtomicU64>,
    /// `loader_hits_out_total`
    pub hits_out: Counter,
    /// `loader_hits_dropped_total{reason}`
    pub hits_dropped: Family<DropLabels, Counter>,
    /// `loader_batches_quarantined_total`
    pub batches_quarantined: Counter,
}

/// Label `result` of plans.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PlanLabels {
    /// What became of it.
    pub result: PlanResult,
}

/// What became of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[allow(non_camel_case_types)]
pub enum PlanResult {
    /// Created here.
    created,
    /// Another one had its number, or nobody knows.
    refused,
    /// Run here to its end.
    run,
    /// Found done.
    followed,
    /// Below a checkpoint.
    void,
    /// Gone, for others are further: went on from their checkpoint.
    jumped,
}

/// Metrics of `insert` and `verify`.
#[derive(Debug, Clone)]
pub struct InsertMetrics {
    /// `loader_insert_seconds`
    pub seconds: Histogram,
    /// `loader_rows_inserted_total`
    pub rows: Counter,
    /// `loader_insert_failures_total{kind}`
    pub failures: Family<FailureLabels, Counter>,
    /// `loader_verifications_total`
    pub verifications: Counter,
    /// `loader_repairs_total{table}`
    pub repairs: Family<RepairLabels, Counter>,
}

/// Label `kind` of failed inserts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FailureLabels {
    /// Whether repeating can help.
    pub kind: FailureKind,
}

/// Whether repeating can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[allow(non_camel_case_types)]
pub enum FailureKind {
    /// It is repeated soon.
    retryable,
    /// Someone must act; it is repeated slowly.
    permanent,
}

/// Label `table` of repairs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RepairLabels {
    /// Name of the table.
    pub table: &'static str,
}

/// Metrics of `erase`.
#[derive(Debug, Clone, Default)]
pub struct EraseMetrics {
    /// `loader_erasures{state}`
    pub jobs: Family<JobLabels, Gauge<u64, AtomicU64>>,
    /// `loader_erasure_oldest_seconds`
    pub oldest_seconds: Gauge<f64, AtomicU64>,
    /// `loader_erasures_done_total`
    pub done: Counter,
}

/// Label `state` of erasures.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct JobLabels {
    /// Where they stand.
    pub state: JobState,
}

/// Where erasures stand that are not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, EncodeLabelValue)]
#[allow(non_camel_case_types)]
pub enum JobState {
    /// For batches, statements or segments of before.
    waiting,
    /// Rows are being removed.
    running,
    /// Someone must act.
    failed,
}

/// Metrics of `retire`.
#[derive(Debug, Clone, Default)]
pub struct RetireMetrics {
    /// `loader_checkpoints_total`
    pub checkpoints: Counter,
    /// `loader_objects_deleted_total{kind}`
    pub deleted: Family<DeletedLabels, Counter>,
}

/// Label `kind` of deleted objects.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DeletedLabels {
    /// What it was.
    pub kind: DeletedKind,
}

/// What was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[allow(non_camel_case_types)]
pub enum DeletedKind {
    /// A plan and its marks.
    plan,
    /// An old checkpoint.
    checkpoint,
    /// A rollup segment.
    rollup_segment,
    /// A raw segment.
    raw_segment,
    /// What an erasure removed, that no plan has any more.
    erased_part,
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub struct LoaderMetrics {
    /// `consume`
    pub consume: ConsumeMetrics,
    /// `plan`
    pub plan: PlanMetrics,
    /// `insert` and `verify`
    pub insert: InsertMetrics,
    /// `erase`
    pub erase: EraseMetrics,
    /// `retire`
    pub retire: RetireMetrics,
}

impl Default for InsertMetrics {
    fn default() -> Self {
        Self {
            // 5 ms to 80 s.
            seconds: Histogram::new(exponential_buckets(0.005, 2.0, 15)),
            rows: Counter::default(),
            failures: Family::default(),
            verifications: Counter::default(),
            repairs: Family::default(),
        }
    }
}

impl LoaderMetrics {
    /// Registers all under their names.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        metrics.consume.register(registry);
        metrics.plan.register(registry);
        metrics.insert.register(registry);
        metrics.erase.register(registry);
        metrics.retire.register(registry);
        metrics
    }
}

impl ConsumeMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register("loader_segments_read", "Segments read", self.segments_read.clone());
        registry.register(
            "loader_segments_damaged",
            "Segments that cannot be read and are left alone",
            self.segments_damaged.clone(),
        );
        registry.register(
            "loader_batches_conflicting",
            "Batches found with the id of another and different bytes",
            self.batches_conflicting.clone(),
        );
        registry.register("loader_hits_in", "Hits in batches that were read", self.hits_in.clone());
        registry.register("loader_hits_queued", "Hits in batches that wait", self.hits_queued.clone());
        registry.register("loader_batches_queued", "Batches that wait", self.batches_queued.clone());
        registry.register(
            "loader_streams_stalled",
            "Edges and epochs whose next batch is in no segment while later ones wait",
            self.streams_stalled.clone(),
        );
        registry.register(
            "loader_lag_seconds",
            "Age of the oldest segment with a batch that waits",
            self.lag_seconds.clone(),
        );
    }
}

impl PlanMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register("loader_plans", "Plans by what became of them", self.plans.clone());
        registry.register("loader_plan_number", "Last plan that is done", self.number.clone());
        registry.register("loader_hits_out", "Hits in plans that are done", self.hits_out.clone());
        // From the beginning, so that sums over reasons are never of nothing.
        for reason in [DropReason::quarantined, DropReason::erased] {
            drop(self.hits_dropped.get_or_create(&DropLabels { reason }));
        }
        registry.register(
            "loader_hits_dropped",
            "Hits that are not loaded, by reason",
            self.hits_dropped.clone(),
        );
        registry.register(
            "loader_batches_quarantined",
            "Batches that cannot be used; copies lie under quarantine/",
            self.batches_quarantined.clone(),
        );
    }
}

impl InsertMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register("loader_insert_seconds", "Time of one INSERT", self.seconds.clone());
        registry.register("loader_rows_inserted", "Minute rows inserted", self.rows.clone());
        registry.register(
            "loader_insert_failures",
            "INSERTs whose answer was not clean",
            self.failures.clone(),
        );
        registry.register(
            "loader_verifications",
            "Comparisons of a plan with its tables",
            self.verifications.clone(),
        );
        registry.register("loader_repairs", "Repairs by table", self.repairs.clone());
    }
}

impl EraseMetrics {
    fn register(&self, registry: &mut Registry) {
        for state in [JobState::waiting, JobState::running, JobState::failed] {
            drop(self.jobs.get_or_create(&JobLabels { state }));
        }
        registry.register("loader_erasures", "Erasures that are not done, by state", self.jobs.clone());
        registry.register(
            "loader_erasure_oldest_seconds",
            "Age of the oldest erasure that is not done",
            self.oldest_seconds.clone(),
        );
        registry.register("loader_erasures_done", "Erasures that this loader closed", self.done.clone());
    }
}

impl RetireMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register("loader_checkpoints", "Checkpoints written", self.checkpoints.clone());
        registry.register("loader_objects_deleted", "Objects deleted by kind", self.deleted.clone());
    }
}
