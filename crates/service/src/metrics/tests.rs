//! Both text formats, against what their specifications say for each metric type.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;

use super::*;

fn sample() -> SharedRegistry {
    let registry = SharedRegistry::default();
    registry.register(|registry| {
        let hits: Counter = Counter::default();
        hits.inc_by(3);
        registry.register("edge_hits", "Hits taken", hits);
        let queued: Gauge = Gauge::default();
        queued.set(2);
        registry.register("edge_hits_queued", "Hits waiting", queued);
        let seconds = Histogram::new([0.5]);
        seconds.observe(0.25);
        registry.register("edge_commit_seconds", "Time of a commit", seconds);
        registry.register("build", "What runs", Info::new([("version", "0.1.0")]));
    });
    registry
}

#[test]
fn openmetrics_ends_with_its_mark() {
    let text = sample().encode_openmetrics().unwrap();
    assert!(text.contains("# TYPE edge_hits counter\nedge_hits_total 3\n"), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn prometheus_text_names_families_by_their_samples() {
    let text = sample().encode_text().unwrap();
    let expected = "\
# HELP edge_hits_total Hits taken.
# TYPE edge_hits_total counter
edge_hits_total 3
# HELP edge_hits_queued Hits waiting.
# TYPE edge_hits_queued gauge
edge_hits_queued 2
# HELP edge_commit_seconds Time of a commit.
# TYPE edge_commit_seconds histogram
edge_commit_seconds_sum 0.25
edge_commit_seconds_count 1
edge_commit_seconds_bucket{le=\"0.5\"} 1
edge_commit_seconds_bucket{le=\"+Inf\"} 1
# HELP build_info What runs.
# TYPE build_info gauge
build_info{version=\"0.1.0\"} 1
";
    assert_eq!(text, expected);
}
