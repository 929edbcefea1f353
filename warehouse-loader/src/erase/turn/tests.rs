//! A job from its request to its end, as a table of moments.

use erasure::{JobId, What};
use hit::Epoch;

use super::*;
use crate::document::{Erase, LANE};

const TIMES: Times = Times {
    wait_received_ms: 600_000,
    quiet_ms: 120_000,
    raw_retention_ms: 7_000_000,
    rollup_retention_ms: 3_600_000,
};
const REQUESTED: u64 = 1_000_000_000;

fn request() -> Request {
    let what = What::Property { property_id: "p".into() };
    Request { format: 1, job: JobId::new(REQUESTED, 1), requested_at_ms: REQUESTED, what }
}

fn carried(n: u64, created_at_ms: u64, done_at_ms: Option<u64>) -> Carried {
    let Request { job, requested_at_ms, what, .. } = request();
    Carried { n, created_at_ms, erase: Erase { job, requested_at_ms, what }, done_at_ms }
}

fn marks(streams: &[(&str, u64)]) -> BTreeMap<Stream, Mark> {
    let mark = |&(edge, complete_until_ms): &(&str, u64)| {
        let stream = Stream { edge: edge.parse().unwrap(), epoch: Epoch([0; 16]) };
        let (edge, epoch) = (stream.edge.clone(), stream.epoch);
        let mark = Mark {
            edge,
            epoch,
            lane: LANE.into(),
            seq: 1,
            position: 1,
            complete_until_ms,
            quarantined_hits: 0,
            erased_hits: 0,
        };
        (stream, mark)
    };
    streams.iter().map(mark).collect()
}

fn name(edge: &str) -> String {
    format!("{edge}-{}", "0".repeat(32))
}

#[test]
fn what_edges_received_before_the_request_is_loaded_first() {
    let at = |streams: &[(&str, u64)], after_ms| {
        turn(&request(), &[], &BTreeMap::new(), &marks(streams), TIMES, (REQUESTED + after_ms, 0))
    };
    assert_eq!(at(&[], 0), Turn::Plan);
    assert_eq!(at(&[("a", REQUESTED)], 0), Turn::Plan);
    assert_eq!(at(&[("a", REQUESTED), ("b", REQUESTED - 1)], 599_999), Turn::Received(vec![name("b")]));
    assert_eq!(at(&[("b", REQUESTED - 1)], 600_000), Turn::Plan, "it goes ahead");
    assert_eq!(at(&[("b", REQUESTED - SILENT_MS - 1)], 0), Turn::Plan, "an edge that is gone");
}

#[test]
fn a_plan_is_followed_by_counting_and_by_the_end_of_segments() {
    let created = REQUESTED + 5;
    let plan = carried(7, created, Some(50));
    let at = |counted: &[(u64, &[String])], streams: &[(&str, u64)], now_ms, monotonic_ms| {
        let counted = counted.iter().map(|(n, names)| (*n, names.iter().cloned().collect())).collect();
        turn(&request(), &[&plan], &counted, &marks(streams), TIMES, (now_ms, monotonic_ms))
    };
    assert_eq!(at(&[], &[], created, 120_049), Turn::Quiet { left_ms: 1 });
    assert_eq!(at(&[], &[], created, 120_050), Turn::Count { n: 7 });
    let segments = Turn::Segments { raw_until_ms: created + 7_000_000, rollup_until_ms: created + 3_600_000 };
    assert_eq!(at(&[(7, &[])], &[], created + 6_999_999, 120_050), segments);
    assert_eq!(at(&[(7, &[])], &[], created + 7_000_000, 0), Turn::Finish { before_ms: created, n: 7 });
    let late: &[String] = &[name("b")];
    assert_eq!(at(&[(7, late)], &[("b", 9)], created, 0), segments, "it is still behind");
    assert_eq!(at(&[(7, late)], &[("b", REQUESTED)], created, 0), Turn::Count { n: 7 }, "it came on");
    let open = carried(7, created, None);
    let found = turn(&request(), &[&open], &BTreeMap::new(), &marks(&[]), TIMES, (created, 5));
    assert!(matches!(found, Turn::Quiet { .. }), "it is not done: {found:?}");
}
