//! The hub's metrics, one struct per stage, and the accounting of hits.
//!
//! Invariant, on the rollup lane (each hit is in one batch of it):
//! `hub_hits_in_total = hub_hits_out_total + hub_hits_dropped_total + hub_hits_queued`.
//! A batch is in when it enters the queue, out when it is acknowledged, dropped when the hub gives it up; it is then
//! sent again by its edge, so nothing is lost by it.

use std::sync::atomic::{AtomicU64, Ordering};

use batch::{BatchHeader, Lane};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use transport::RefusalCode;

/// Seconds of the smallest bucket of PUT times; 14 buckets, doubling, up to 16 s.
const PUT_SECONDS_FIRST_BUCKET: f64 = 0.002;

/// Everything a hub counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) receive: ReceiveMetrics,
    pub(crate) segment: SegmentMetrics,
    pub(crate) feed: FeedMetrics,
    rollup: Waiting,
    raw: Waiting,
}

/// Connections and what came over them.
#[derive(Debug, Default)]
pub(crate) struct ReceiveMetrics {
    pub(crate) batches: Family<ReceiveLabels, Counter>,
    pub(crate) connections: Gauge,
}

/// PUTs.
#[derive(Debug)]
pub(crate) struct SegmentMetrics {
    pub(crate) put_seconds: Family<LaneLabels, Histogram, fn() -> Histogram>,
    pub(crate) put_failures: Family<LaneLabels, Counter>,
    pub(crate) bytes: Family<LaneLabels, Counter>,
    pub(crate) segments: Family<LaneLabels, Counter>,
}

/// Callers of the feed.
#[derive(Debug, Default)]
pub(crate) struct FeedMetrics {
    pub(crate) watchers: Gauge,
    pub(crate) lost: Counter,
}

/// What was received on a lane and is not acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    batches: AtomicU64,
    bytes: AtomicU64,
    /// When the oldest came, monotonic milliseconds + 1; 0: nothing waits in a segment.
    oldest: AtomicU64,
    hits: Option<HitMetrics>,
}

#[derive(Debug, Default, Clone)]
struct HitMetrics {
    entered: Counter,
    left: Counter,
    dropped: Family<DropLabels, Counter>,
    queued: Gauge,
}

/// The label `lane`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct LaneLabels {
    pub(crate) lane: LaneLabel,
}

/// Labels of received batches.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ReceiveLabels {
    pub(crate) lane: LaneLabel,
    pub(crate) result: ReceiveResult,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabels {
    reason: DropReason,
}

/// Lanes as labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum LaneLabel {
    #[expect(non_camel_case_types, reason = "the label's value")]
    rollup,
    #[expect(non_camel_case_types, reason = "the label's value")]
    raw,
    #[expect(non_camel_case_types, reason = "the label's value")]
    unspecified,
}

/// What became of a batch or a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ReceiveResult {
    Received,
    Version,
    Identity,
    Corrupt,
    TooLarge,
    ShuttingDown,
}

impl EncodeLabelValue for ReceiveResult {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        let text = match self {
            Self::Received => "received",
            Self::Version => "version",
            Self::Identity => "identity",
            Self::Corrupt => "corrupt",
            Self::TooLarge => "too_large",
            Self::ShuttingDown => "shutting_down",
        };
        text.encode(encoder)
    }
}

/// Why a received batch is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
enum DropReason {
    #[expect(non_camel_case_types, reason = "the label's value")]
    not_stored,
}
