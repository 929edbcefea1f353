//! Watermarks move only over consecutive batches.

use hit::Epoch;

use super::*;

fn take(seq: std::ops::RangeInclusive<u64>, positions: std::ops::Range<u64>) -> Take {
    Take {
        edge: "edge-1".parse().unwrap(),
        epoch: Epoch([1; 16]),
        lane: LANE.into(),
        seq_from: *seq.start(),
        seq_to: *seq.end(),
        from: positions.start,
        to: positions.end,
        complete_until_ms: positions.end,
        crc32c: 0,
        segments: vec![],
        erased_hits: 0,
    }
}

fn plan(n: u64, rows_plan: u64, takes: Vec<Take>) -> Plan {
    Plan {
        format: FORMAT,
        shard: 0,
        n,
        created_by: "a".into(),
        created_at_ms: 0,
        rows_plan,
        group_started_at_ms: 0,
        takes,
        skips: vec![],
        inserts: vec![],
        without: vec![],
        erase: None,
    }
}

#[test]
fn watermarks_follow_plans_and_survive_a_checkpoint() {
    let mut ledger = Ledger::empty(0);
    ledger.apply(&plan(1, 1, vec![take(1..=2, 0..10)])).unwrap();
    let mut second = plan(2, 2, vec![take(3..=4, 10..25)]);
    let skip = Skip {
        edge: "edge-1".parse().unwrap(),
        epoch: Epoch([1; 16]),
        lane: LANE.into(),
        seq: 4,
        from: 20,
        to: 25,
        reason: "r".into(),
    };
    second.skips.push(skip);
    ledger.apply(&second).unwrap();
    let mark = ledger.marks().values().next().unwrap();
    assert_eq!((mark.seq, mark.position, mark.complete_until_ms, mark.quarantined_hits), (4, 25, 25, 5));
    assert_eq!(Ledger::from_checkpoint(&ledger.checkpoint(99)), ledger);
}

#[test]
fn a_plan_that_does_not_follow_is_refused_and_changes_nothing() {
    let mut ledger = Ledger::empty(0);
    ledger.apply(&plan(1, 1, vec![take(1..=2, 0..10)])).unwrap();
    let before = ledger.clone();
    let wrong = [
        plan(3, 2, vec![]),
        plan(1, 2, vec![]),
        plan(2, 1, vec![]),
        plan(2, 2, vec![take(2..=3, 10..20)]),
        plan(2, 2, vec![take(4..=5, 10..20)]),
        plan(2, 2, vec![take(3..=3, 9..20)]),
        plan(2, 2, vec![take(3..=3, 11..20)]),
    ];
    for plan in wrong {
        assert!(ledger.apply(&plan).is_err(), "{plan:?}");
        assert_eq!(ledger, before);
    }
}

#[test]
fn a_group_ends_when_it_is_full_or_old() {
    let mut ledger = Ledger::empty(0);
    assert_eq!(ledger.next_rows_plan(50), (1, 50));
    let mut first = plan(1, 1, vec![]);
    first.group_started_at_ms = 50;
    ledger.apply(&first).unwrap();
    assert_eq!(ledger.next_rows_plan(60), (2, 50));
    assert_eq!(ledger.next_rows_plan(50 + GROUP_MAX_AGE_MS), (4096, 50 + GROUP_MAX_AGE_MS), "old");
    ledger.apply(&plan(2, 4095, vec![])).unwrap();
    assert_eq!(ledger.next_rows_plan(70), (4096, 70), "full");
}
