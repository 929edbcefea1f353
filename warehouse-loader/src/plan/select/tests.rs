//! A plan takes the next consecutive batches, each once, within its limits.

use batch::{BatchId, HitRow, RowKey};
use hit::Epoch;
use proto::batch::Lane;

use super::*;

fn header(seq: u64, positions: std::ops::Range<u64>) -> BatchHeader {
    let id = BatchId { edge: "edge-1".parse().unwrap(), epoch: Epoch([1; 16]), lane: Lane::Rollup, seq };
    BatchHeader {
        id,
        from: positions.start,
        to: positions.end,
        complete_until_ms: seq,
        payload_bytes: 0,
        payload_crc32c: u32::try_from(seq).unwrap(),
    }
}

fn rows(events: u64) -> RollupRows {
    let key = RowKey {
        property: "p".into(),
        local_date: 1,
        minute: 1440,
        utc_offset_s: 0,
        traffic_class: "human".into(),
        page_path: "/".into(),
        source: "".into(),
        medium: "".into(),
        campaign: "".into(),
        country: "".into(),
        device: "".into(),
        browser: "".into(),
        operating_system: "".into(),
        ..RowKey::default()
    };
    let row = HitRow {
        key,
        event_name: "page_view".into(),
        page_views: events,
        events,
        sessions: 0,
        engagement_ms: 0,
        visitors: vec![],
        new_visitors: vec![],
        ..HitRow::default()
    };
    RollupRows { hits: vec![row], ..RollupRows::default() }
}

#[test]
fn batches_are_taken_in_order_and_equal_keys_are_merged() {
    let mut selection = Selection::new(Ledger::empty(0), Limits::default());
    assert_eq!(selection.offer(&header(2, 10..20), "s1", Ok(rows(1))), Offer::NotNext);
    assert_eq!(selection.offer(&header(1, 0..10), "s1", Ok(rows(1))), Offer::Taken);
    assert_eq!(
        selection.offer(&header(1, 0..10), "s2", Ok(rows(1))),
        Offer::NotNext,
        "the copy in another segment"
    );
    assert_eq!(selection.offer(&header(2, 10..20), "s2", Ok(rows(2))), Offer::Taken);
    let (plan, planned) = selection.finish("a", 7).unwrap();
    assert_eq!((plan.n, plan.rows_plan, plan.created_at_ms), (1, 1, 7));
    let take = &plan.takes[0];
    assert_eq!((take.seq_from, take.seq_to, take.from, take.to, take.complete_until_ms), (1, 2, 0, 20, 2));
    assert_eq!(take.segments, ["s1", "s2"]);
    let step = &plan.inserts[0];
    assert_eq!((plan.inserts.len(), step.table.as_str(), step.rows, step.hits), (1, "hit_rollup", 1, 3));
    assert_eq!(step.token, format!("{}-hit_rollup-1970-01-02-0", hash_of(&plan.takes, &[]).unwrap()));
    assert_eq!(planned.rows().hits[0].events, 3);
}

#[test]
fn a_bad_batch_is_skipped_by_name_and_the_next_one_goes_on() {
    let mut selection = Selection::new(Ledger::empty(0), Limits::default());
    assert_eq!(selection.offer(&header(1, 0..10), "s1", Err("bad".into())), Offer::Taken);
    assert_eq!(selection.offer(&header(2, 10..20), "s1", Ok(rows(2))), Offer::Taken);
    let (plan, _) = selection.finish("a", 7).unwrap();
    assert_eq!((plan.takes[0].seq_from, plan.takes[0].seq_to), (1, 2));
    let skip = &plan.skips[0];
    assert_eq!((skip.seq, skip.from, skip.to, skip.reason.as_str()), (1, 0, 10, "bad"));
    assert_eq!(plan.inserts[0].hits, 2);
}

#[test]
fn a_full_plan_takes_no_more_but_one_large_batch_goes_alone() {
    let limits = Limits { max_rows: 2, ..Limits::default() };
    let mut large = rows(1);
    large.hits.extend([large.hits[0].clone(), large.hits[0].clone()]);
    let mut selection = Selection::new(Ledger::empty(0), limits.clone());
    assert_eq!(selection.offer(&header(1, 0..10), "s", Ok(rows(1))), Offer::Taken);
    assert_eq!(selection.offer(&header(2, 10..20), "s", Ok(large.clone())), Offer::Full);
    let mut selection = Selection::new(Ledger::empty(0), limits);
    assert_eq!(selection.offer(&header(1, 0..10), "s", Ok(large)), Offer::Taken);
    assert_eq!(selection.offer(&header(2, 10..20), "s", Ok(rows(1))), Offer::Full);
    let one = Limits { max_batches: 1, ..Limits::default() };
    let mut selection = Selection::new(Ledger::empty(0), one);
    assert_eq!(selection.offer(&header(1, 0..10), "s", Ok(rows(1))), Offer::Taken);
    assert_eq!(selection.offer(&header(2, 10..20), "s", Ok(rows(1))), Offer::Full);
}
