//! Tables for the sum of several services' reports; expected values are counted by hand.

use serde_json::json;

use super::*;

fn edge(id: &str, epoch: &str, acknowledged: u64) -> ServiceReport {
    ServiceReport {
        services: vec![ServiceStatus::new("edge", id)],
        positions: vec![EdgePosition {
            edge: id.into(),
            epoch: epoch.into(),
            acknowledged: Some(acknowledged),
            counters: EdgeCounters { acknowledged, repeated: 1, ..EdgeCounters::default() },
            ..EdgePosition::default()
        }],
    }
}

fn loader(id: &str, loaded: &[(&str, &str, u64)]) -> ServiceReport {
    ServiceReport {
        services: vec![ServiceStatus::new("loader", id)],
        positions: loaded
            .iter()
            .map(|(edge, epoch, position)| EdgePosition {
                edge: (*edge).into(),
                epoch: (*epoch).into(),
                loaded: Some(*position),
                ..EdgePosition::default()
            })
            .collect(),
    }
}

/// Name, reports, and the expected (pending, loaded, acknowledged).
type Case = (&'static str, Vec<ServiceReport>, (u64, u64, u64));

#[test]
fn pending_is_acknowledged_less_loaded() {
    let cases: &[Case] = &[
        ("nothing", vec![], (0, 0, 0)),
        ("no loader", vec![edge("e1", "a", 10)], (10, 0, 10)),
        ("all loaded", vec![edge("e1", "a", 10), loader("l1", &[("e1", "a", 10)])], (0, 10, 10)),
        ("part loaded", vec![edge("e1", "a", 10), loader("l1", &[("e1", "a", 4)])], (6, 4, 10)),
        (
            "two loaders count once, the one that is ahead is right",
            vec![edge("e1", "a", 10), loader("l1", &[("e1", "a", 4)]), loader("l2", &[("e1", "a", 7)])],
            (3, 7, 10),
        ),
        (
            "two edges",
            vec![edge("e1", "a", 10), edge("e2", "b", 5), loader("l1", &[("e1", "a", 10), ("e2", "b", 1)])],
            (4, 11, 15),
        ),
        ("edge known only through the loader", vec![loader("l1", &[("e9", "z", 8)])], (0, 8, 0)),
        (
            "an old epoch does not pay for the new one",
            vec![edge("e1", "b", 3), loader("l1", &[("e1", "a", 100)])],
            (3, 100, 3),
        ),
        (
            "loader asked later than the edge",
            vec![edge("e1", "a", 10), loader("l1", &[("e1", "a", 12)])],
            (0, 12, 10),
        ),
        ("same edge reported twice", vec![edge("e1", "a", 10), edge("e1", "a", 10)], (10, 0, 10)),
    ];
    for (name, reports, (pending, loaded, acknowledged)) in cases {
        let status = merge(reports.clone());
        let found = (status.pending, status.hits.loaded, status.hits.acknowledged);
        assert_eq!(found, (*pending, *loaded, *acknowledged), "{name}");
    }
}

#[test]
fn combined_reports_may_be_combined_again_in_any_order() {
    let parts = vec![
        edge("e1", "a", 10),
        edge("e2", "b", 5),
        loader("l1", &[("e1", "a", 4)]),
        loader("l2", &[("e1", "a", 7), ("e2", "b", 5)]),
    ];
    let flat = merge(parts.clone());
    let dev = combine(parts[..3].to_vec());
    let mut nested = vec![parts[3].clone(), dev, parts[0].clone()];
    assert_eq!(merge(nested.clone()), flat);
    nested.reverse();
    assert_eq!(merge(nested), flat);
    assert_eq!(flat.services.len(), 4);
}

#[test]
fn counters_add_up_over_edges() {
    let mut first = edge("e1", "a", 10);
    first.positions[0].counters.by_class = BTreeMap::from([("human".into(), 7), ("bot".into(), 2)]);
    first.positions[0].counters.dropped = BTreeMap::from([("too_old".into(), 1)]);
    let mut second = edge("e2", "b", 5);
    second.positions[0].counters.by_class = BTreeMap::from([("human".into(), 4)]);
    let mut loads = loader("l1", &[("e1", "a", 10)]);
    loads.positions[0].counters.dropped = BTreeMap::from([("quarantined".into(), 3)]);
    let hits = merge(vec![first, second, loads]).hits;
    assert_eq!(
        serde_json::to_value(hits).unwrap(),
        json!({
            "acknowledged": 15, "repeated": 2, "by_class": {"human": 11, "bot": 2}, "loaded": 10,
            "dropped": {"too_old": 1, "quarantined": 3}
        })
    );
}

#[test]
fn service_that_answers_replaces_its_unreachable_entry() {
    let gone = ServiceReport {
        services: vec![ServiceStatus::unreachable("edge", "http://127.0.0.1:1", "connection refused")],
        ..ServiceReport::default()
    };
    let status = merge(vec![gone.clone(), loader("l1", &[])]);
    assert_eq!(status.services[0].unreachable.as_deref(), Some("connection refused"));
    let back = ServiceReport {
        services: vec![ServiceStatus::new("edge", "http://127.0.0.1:1")],
        ..ServiceReport::default()
    };
    for reports in [vec![gone.clone(), back.clone()], vec![back, gone]] {
        assert_eq!(merge(reports).services[0].unreachable, None);
    }
}

#[test]
fn status_has_the_shape_of_the_command_line() {
    let mut report = edge("e1", "a", 2);
    report.services[0].queues =
        BTreeMap::from([("outbox".into(), QueueStatus { length: 1, limit: 1000, unit: "batches".into() })]);
    report.services[0].lag_seconds = 0.5;
    report.services[0].stores = BTreeMap::from([("wal".into(), 4096)]);
    assert_eq!(
        serde_json::to_value(merge(vec![report])).unwrap(),
        json!({
            "pending": 2,
            "hits": {"acknowledged": 2, "repeated": 1, "by_class": {}, "loaded": 0, "dropped": {}},
            "services": [{
                "service": "edge", "id": "e1", "lag_seconds": 0.5, "stores": {"wal": 4096},
                "queues": {"outbox": {"length": 1, "limit": 1000, "unit": "batches"}}
            }]
        })
    );
}
