//! Metrics of the stages behind collect: one set for each pipeline, one name for all.
//!
//! In: what the stages count. Out: the same names whether an edge serves one region or several; of several, each sample says its
//! `region`, so that a sum over it is the edge. Invariant: an edge with one pipeline shows no such label.

use std::time::Duration;

use batch::Lane;
use processing::Gauges;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::disk::state::Flush;

/// Labels of a sample.
pub(crate) type Labels = Vec<(&'static str, String)>;

/// What the stages of one pipeline count.
#[derive(Debug, Clone, Default)]
pub(crate) struct PipelineMetrics {
    /// The WAL.
    pub(crate) wal: WalMetrics,
    /// Processing.
    pub(crate) process: ProcessMetrics,
    /// Shipping.
    pub(crate) ship: ShipMetrics,
}

/// Registers the metrics of all pipelines.
pub(crate) fn register(pipelines: Vec<(Labels, PipelineMetrics)>, registry: &mut Registry) {
    registry.register_collector(Box::new(Pipelines(pipelines)));
}

/// Shows one metric of all pipelines under its one name.
pub(crate) fn show<M: EncodeMetric>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    samples: &[(Labels, M)],
) -> Result<(), std::fmt::Error> {
    let Some((_, first)) = samples.first() else { return Ok(()) };
    let mut metric = encoder.encode_descriptor(name, help, None, first.metric_type())?;
    for (labels, sample) in samples {
        if labels.is_empty() {
            // The only one: an empty family would be written with empty braces.
            return sample.encode(metric);
        }
        sample.encode(metric.encode_family(labels)?)?;
    }
    Ok(())
}

#[derive(Debug)]
struct Pipelines(Vec<(Labels, PipelineMetrics)>);

impl Pipelines {
    fn of<M: Clone>(&self, pick: impl Fn(&PipelineMetrics) -> &M) -> Vec<(Labels, M)> {
        self.0.iter().map(|(labels, metrics)| (labels.clone(), pick(metrics).clone())).collect()
    }

    fn show_wal(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let told = ("edge_wal_commit_seconds", "Time of a group commit with fsync");
        show(encoder, told, &self.of(|pipeline| &pipeline.wal.commit_seconds))?;
        let told = ("edge_wal_block_hits", "Hits that shared a commit");
        show(encoder, told, &self.of(|pipeline| &pipeline.wal.block_hits))?;
        show(encoder, ("edge_wal_bytes", "Bytes of blocks written"), &self.of(|pipeline| &pipeline.wal.bytes))
    }

    fn show_process(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let told = ("edge_process_flush_seconds", "Time from seal to durable batch");
        show(encoder, told, &self.of(|pipeline| &pipeline.process.flush_seconds))?;
        let told = ("edge_process_rollup_bytes", "Bytes of rollup batches sealed");
        show(encoder, told, &self.of(|pipeline| &pipeline.process.rollup_bytes))?;
        let told = ("edge_process_open_sessions", "Sessions that are open");
        show(encoder, told, &self.of(|pipeline| &pipeline.process.open_sessions))?;
        let told = ("edge_process_known_visitors", "Visitors that are remembered");
        show(encoder, told, &self.of(|pipeline| &pipeline.process.known_visitors))?;
        let told = ("edge_process_id_window_entries", "Hit ids that are remembered");
        show(encoder, told, &self.of(|pipeline| &pipeline.process.id_window_entries))?;
        let told = ("edge_process_id_window_reach_seconds", "Age of the oldest hit id");
        show(encoder, told, &self.of(|pipeline| &pipeline.process.id_window_reach_seconds))?;
        let told = ("edge_erasures_applied", "Erasures that processing has applied");
        show(encoder, told, &self.of(|pipeline| &pipeline.process.erasures_applied))
    }

    fn show_ship(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let told = ("edge_ship_in_flight_batches", "Batches sent and not acknowledged");
        show(encoder, told, &self.of(|pipeline| &pipeline.ship.in_flight_batches))?;
        let told = ("edge_ship_failures", "Connections that failed");
        show(encoder, told, &self.of(|pipeline| &pipeline.ship.failures))?;
        show(
            encoder,
            ("edge_ship_refused", "Refusals of hubs"),
            &self.of(|pipeline| &pipeline.ship.refused),
        )?;
        let told = ("edge_ship_batches", "Batches sent, repeats included");
        show(encoder, told, &self.of(|pipeline| &pipeline.ship.batches))?;
        let mut bytes = Vec::new();
        for (labels, metrics) in &self.0 {
            for (lane, counter) in [("rollup", &metrics.ship.rollup_bytes), ("raw", &metrics.ship.raw_bytes)]
            {
                let mut labels = labels.clone();
                labels.push(("lane", lane.to_owned()));
                bytes.push((labels, counter.clone()));
            }
        }
        show(encoder, ("edge_ship_bytes", "Payload bytes sent, repeats included"), &bytes)?;
        show(encoder, ("edge_ship_acks", "Batches acknowledged"), &self.of(|pipeline| &pipeline.ship.acks))
    }
}

impl Collector for Pipelines {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.show_wal(&mut encoder)?;
        self.show_process(&mut encoder)?;
        self.show_ship(&mut encoder)
    }
}

/// Metrics of the WAL.
#[derive(Debug, Clone)]
pub(crate) struct WalMetrics {
    commit_seconds: Histogram,
    block_hits: Histogram,
    bytes: Counter,
}

impl Default for WalMetrics {
    fn default() -> Self {
        Self {
            commit_seconds: Histogram::new(exponential_buckets(0.000_25, 2.0, 14)),
            block_hits: Histogram::new(exponential_buckets(1.0, 4.0, 8)),
            bytes: Counter::default(),
        }
    }
}

impl WalMetrics {
    /// A block was committed.
    pub(crate) fn committed(&self, hits: u32, bytes: usize, took: Duration) {
        self.commit_seconds.observe(took.as_secs_f64());
        self.block_hits.observe(f64::from(hits));
        self.bytes.inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}

/// Metrics of processing.
#[derive(Debug, Clone)]
pub(crate) struct ProcessMetrics {
    flush_seconds: Histogram,
    rollup_bytes: Counter,
    open_sessions: Gauge,
    known_visitors: Gauge,
    id_window_entries: Gauge,
    id_window_reach_seconds: Gauge,
    erasures_applied: Counter,
}

impl Default for ProcessMetrics {
    fn default() -> Self {
        Self {
            flush_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 14)),
            rollup_bytes: Counter::default(),
            open_sessions: Gauge::default(),
            known_visitors: Gauge::default(),
            id_window_entries: Gauge::default(),
            id_window_reach_seconds: Gauge::default(),
            erasures_applied: Counter::default(),
        }
    }
}

impl ProcessMetrics {
    /// Erasures that were applied since the start.
    #[cfg(test)]
    pub(crate) fn applied(&self) -> u64 {
        self.erasures_applied.get()
    }

    /// So many erasures were applied since the start.
    pub(crate) fn erased(&self, since_start: u64) {
        self.erasures_applied.inc_by(since_start.saturating_sub(self.erasures_applied.get()));
    }

    /// A flush is durable.
    pub(crate) fn flushed(&self, flush: &Flush, took_ms: u64, gauges: &Gauges) {
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.flush_seconds.observe(Duration::from_millis(took_ms).as_secs_f64());
        self.rollup_bytes.inc_by(flush.rollup.batch.header().payload_bytes);
        self.open_sessions.set(gauge(gauges.open_sessions));
        self.known_visitors.set(gauge(gauges.known_visitors));
        self.id_window_entries.set(gauge(gauges.id_window_entries));
        self.id_window_reach_seconds.set(gauge(gauges.id_window_reach_ms / 1000));
    }
}

/// Metrics of shipping.
#[derive(Debug, Clone, Default)]
pub(crate) struct ShipMetrics {
    /// Batches sent and not acknowledged.
    pub(crate) in_flight_batches: Gauge,
    /// Connections that failed.
    pub(crate) failures: Counter,
    /// Refusals of hubs.
    pub(crate) refused: Counter,
    batches: Counter,
    rollup_bytes: Counter,
    raw_bytes: Counter,
    acks: Counter,
}

impl ShipMetrics {
    /// A batch goes out.
    pub(crate) fn sent(&self, lane: Lane, bytes: u64) {
        self.in_flight_batches.inc();
        self.batches.inc();
        let of_lane = if lane == Lane::Raw { &self.raw_bytes } else { &self.rollup_bytes };
        of_lane.inc_by(bytes);
    }

    /// A batch was acknowledged.
    pub(crate) fn acknowledged(&self) {
        self.in_flight_batches.dec();
        self.acks.inc();
    }
}

#[cfg(test)]
mod tests {
    use service::metrics::SharedRegistry;

    use super::*;

    /// The samples of a name, in order.
    fn shown(pipelines: Vec<(Labels, PipelineMetrics)>, name: &str) -> Vec<String> {
        let registry = SharedRegistry::default();
        registry.register(|registry| register(pipelines, registry));
        let text = registry.encode_text().unwrap();
        assert_eq!(text.matches(&format!("# TYPE {name}")).count(), 1, "{text}");
        text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
    }

    fn sent(rollup: u64, raw: u64) -> PipelineMetrics {
        let metrics = PipelineMetrics::default();
        metrics.ship.sent(Lane::Rollup, rollup);
        metrics.ship.sent(Lane::Raw, raw);
        metrics
    }

    #[test]
    fn the_only_pipeline_has_no_label() {
        let alone = || vec![(Labels::new(), sent(7, 11))];
        assert_eq!(shown(alone(), "edge_ship_batches_total"), ["edge_ship_batches_total 2"]);
        let bytes = ["edge_ship_bytes_total{lane=\"rollup\"} 7", "edge_ship_bytes_total{lane=\"raw\"} 11"];
        assert_eq!(shown(alone(), "edge_ship_bytes_total"), bytes);
    }

    #[test]
    fn of_several_pipelines_each_sample_says_its_region() {
        let region = |name: &str| vec![("region", name.to_owned())];
        let both = || vec![(region("us"), sent(1, 2)), (region("eu"), sent(3, 4))];
        let batches =
            ["edge_ship_batches_total{region=\"us\"} 2", "edge_ship_batches_total{region=\"eu\"} 2"];
        assert_eq!(shown(both(), "edge_ship_batches_total"), batches);
        let raw = "edge_ship_bytes_total{region=\"eu\",lane=\"raw\"} 4";
        assert!(shown(both(), "edge_ship_bytes_total").contains(&raw.to_owned()));
    }
}
