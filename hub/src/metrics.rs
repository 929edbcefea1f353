//! The hub's metrics, one struct per stage, and the accounting of hits.
//!
//! Invariant, on the rollup lane (each hit is in one batch of it):
//! `hub_hits_in_total = hub_hits_out_total + hub_hits_dropped_total + hub_hits_queued`.
//! A batch is in when it enters the queue, out when it is acknowledged, dropped when the hub gives it up; it is then
//! sent again by its edge, so nothing is lost by it.

use std::sync::atomic::{AtomicU64, Ordering};

use batch::sealed::lane_name;
use batch::{BatchHeader, Lane};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use transport::RefusalCode;

/// Seconds of the smallest bucket of PUT times; each further one doubles it, up to 16 s.
const PUT_SECONDS_FIRST_BUCKET: f64 = 0.002;
const PUT_SECONDS_BUCKETS: u16 = 14;

/// Everything a hub counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) receive: ReceiveMetrics,
    pub(crate) segment: SegmentMetrics,
    pub(crate) feed: FeedMetrics,
    hits: HitMetrics,
    rollup: Waiting,
    raw: Waiting,
}

/// Connections and what came over them.
#[derive(Debug, Default)]
pub(crate) struct ReceiveMetrics {
    batches: Family<ReceiveLabels, Counter>,
    pub(crate) connections: Gauge,
}

/// PUTs.
#[derive(Debug)]
pub(crate) struct SegmentMetrics {
    put_seconds: Family<LaneLabels, Histogram, fn() -> Histogram>,
    put_failures: Family<LaneLabels, Counter>,
    segments: Family<LaneLabels, Counter>,
    bytes: Family<LaneLabels, Counter>,
}

/// Callers of the feed.
#[derive(Debug, Default)]
pub(crate) struct FeedMetrics {
    pub(crate) watchers: Gauge,
    pub(crate) lost: Counter,
}

/// Hits of the rollup lane.
#[derive(Debug, Default)]
struct HitMetrics {
    entered: Counter,
    left: Counter,
    dropped: Family<DropLabels, Counter>,
    queued: Gauge,
}

/// What was received on a lane and is neither acknowledged nor given up.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    batches: AtomicU64,
    bytes: AtomicU64,
    /// When the oldest of them came, monotonic milliseconds; `u64::MAX`: nothing waits in a segment.
    oldest_ms: AtomicU64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LaneLabels {
    lane: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReceiveLabels {
    lane: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabels {
    reason: &'static str,
}

/// Batches whose segment could not be written before the hub stopped; their edges send them again.
const NOT_STORED: DropLabels = DropLabels { reason: "not_stored" };

impl Metrics {
    /// Registers everything.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let receive = ReceiveMetrics::default();
        registry.register("hub_receive_batches", "Batches by what became of them", receive.batches.clone());
        registry.register("hub_receive_connections", "Edges connected", receive.connections.clone());
        let segment = SegmentMetrics {
            put_seconds: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(PUT_SECONDS_FIRST_BUCKET, 2.0, PUT_SECONDS_BUCKETS))
            }),
            put_failures: Family::default(),
            segments: Family::default(),
            bytes: Family::default(),
        };
        registry.register("hub_segment_put_seconds", "Time of successful PUTs", segment.put_seconds.clone());
        registry.register("hub_segment_put_failures", "PUTs that failed", segment.put_failures.clone());
        registry.register("hub_segment_written", "Segments stored", segment.segments.clone());
        registry.register("hub_segment_bytes", "Bytes of segments stored", segment.bytes.clone());
        let feed = FeedMetrics::default();
        registry.register("hub_feed_watchers", "Callers that watch", feed.watchers.clone());
        registry.register("hub_feed_lost", "Announcements that slow callers lost", feed.lost.clone());
        let hits = HitMetrics::default();
        // From the beginning, so that sums over reasons are never of nothing.
        drop(hits.dropped.get_or_create(&NOT_STORED));
        registry.register("hub_hits_in", "Hits in received rollup batches", hits.entered.clone());
        registry.register("hub_hits_out", "Hits in acknowledged rollup batches", hits.left.clone());
        registry.register("hub_hits_dropped", "Hits in batches given up, sent again", hits.dropped.clone());
        registry.register("hub_hits_queued", "Hits received and not acknowledged", hits.queued.clone());
        let metrics =
            Self { receive, segment, feed, hits, rollup: Waiting::default(), raw: Waiting::default() };
        metrics.rollup.set_oldest_ms(None);
        metrics.raw.set_oldest_ms(None);
        metrics
    }

    /// What waits on a lane.
    pub(crate) fn waiting(&self, lane: Lane) -> &Waiting {
        if lane == Lane::Raw { &self.raw } else { &self.rollup }
    }

    /// A batch was received.
    pub(crate) fn entered(&self, header: &BatchHeader) {
        let labels = ReceiveLabels { lane: lane_name(header.id.lane), result: "received" };
        self.receive.batches.get_or_create(&labels).inc();
        let waiting = self.waiting(header.id.lane);
        waiting.batches.fetch_add(1, Ordering::Relaxed);
        waiting.bytes.fetch_add(header.payload_bytes, Ordering::Relaxed);
        if header.id.lane == Lane::Rollup {
            self.hits.entered.inc_by(header.hits());
            self.hits.queued.inc_by(gauge(header.hits()));
        }
    }

    /// It was acknowledged, or given up if not `stored`.
    pub(crate) fn left(&self, header: &BatchHeader, stored: bool) {
        let waiting = self.waiting(header.id.lane);
        waiting.batches.fetch_sub(1, Ordering::Relaxed);
        waiting.bytes.fetch_sub(header.payload_bytes, Ordering::Relaxed);
        if header.id.lane == Lane::Rollup {
            self.hits.queued.dec_by(gauge(header.hits()));
            if stored {
                self.hits.left.inc_by(header.hits());
            } else {
                let labels = NOT_STORED;
                self.hits.dropped.get_or_create(&labels).inc_by(header.hits());
            }
        }
    }

    /// A lane was refused, or a batch and its lane with it.
    pub(crate) fn refused(&self, lane: Lane, code: &RefusalCode) {
        let result = match code {
            RefusalCode::Version => "version",
            RefusalCode::Identity => "identity",
            RefusalCode::Corrupt => "corrupt",
            RefusalCode::TooLarge => "too_large",
            RefusalCode::ShuttingDown => "shutting_down",
            RefusalCode::Other(_) => "other",
        };
        self.receive.batches.get_or_create(&ReceiveLabels { lane: lane_name(lane), result }).inc();
    }
}

impl SegmentMetrics {
    /// A PUT has succeeded.
    pub(crate) fn put(&self, lane: Lane, seconds: f64, bytes: u64) {
        let labels = LaneLabels { lane: lane_name(lane) };
        self.put_seconds.get_or_create(&labels).observe(seconds);
        self.segments.get_or_create(&labels).inc();
        self.bytes.get_or_create(&labels).inc_by(bytes);
    }

    /// A PUT has failed and is tried again.
    pub(crate) fn put_failed(&self, lane: Lane) {
        self.put_failures.get_or_create(&LaneLabels { lane: lane_name(lane) }).inc();
    }
}

impl Waiting {
    /// Batches.
    pub(crate) fn batches(&self) -> u64 {
        self.batches.load(Ordering::Relaxed)
    }

    /// Bytes of their payloads.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Says when the oldest came; `None`: nothing waits in a segment.
    pub(crate) fn set_oldest_ms(&self, oldest_ms: Option<u64>) {
        self.oldest_ms.store(oldest_ms.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Age of the oldest, milliseconds; 0 when nothing waits.
    pub(crate) fn age_ms(&self, now_ms: u64) -> u64 {
        if self.batches() == 0 { 0 } else { now_ms.saturating_sub(self.oldest_ms.load(Ordering::Relaxed)) }
    }
}

/// Gauges are signed; no count comes near the difference.
fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
