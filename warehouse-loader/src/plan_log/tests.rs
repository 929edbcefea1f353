//! What the objects of a plan say about it, at every point of its life and of its deletion.

use object_store::memory::InMemory;

use super::*;

fn plan(n: u64, by: &str) -> Plan {
    Plan {
        format: FORMAT,
        shard: 0,
        n,
        created_by: by.into(),
        created_at_ms: 0,
        rows_plan: n,
        group_started_at_ms: 0,
        takes: vec![],
        skips: vec![],
        inserts: vec![],
        without: vec![],
        erase: None,
    }
}

fn log() -> PlanLog {
    PlanLog::new(Arc::new(InMemory::new()), 0, Duration::from_secs(5))
}

#[tokio::test]
async fn a_plan_is_over_from_done_until_after_its_deletion() {
    let (log, mine) = (log(), plan(1, "a"));
    assert!(matches!(log.create(&mine).await, Created::Yes));
    assert!(!log.is_over(&mine).await.unwrap());
    log.put_done(1, "a", 0).await.unwrap();
    assert!(log.is_over(&mine).await.unwrap());
    log.delete(&log.plan_key(1)).await.unwrap();
    assert!(log.is_over(&mine).await.unwrap(), "the deletion stopped in between");
    log.delete_plan(1).await.unwrap();
    assert!(log.is_over(&mine).await.unwrap());
    assert!(matches!(log.create(&plan(1, "b")).await, Created::Yes));
    assert!(log.is_over(&mine).await.unwrap(), "a void plan took its number");
}

#[tokio::test]
async fn the_mark_of_a_repair_is_seen_by_all_and_goes_with_its_plan() {
    let log = log();
    for n in [1, 2, 3] {
        assert!(matches!(log.create(&plan(n, "a")).await, Created::Yes));
        log.put_done(n, "a", 0).await.unwrap();
    }
    assert!(!log.has_repair(2).await.unwrap());
    for loader in ["a", "b"] {
        log.put_repair(2, loader, 0).await.unwrap();
    }
    // Left by a loader that slept while its plan was retired.
    log.put_repair(9, "b", 0).await.unwrap();
    assert!(log.has_repair(2).await.unwrap() && log.is_over(&plan(2, "a")).await.unwrap());
    assert_eq!(log.plans_with_repair().await.unwrap(), [plan(2, "a")]);
    assert_eq!(log.numbers_to(8).await.unwrap(), [1, 2, 3]);
    assert_eq!(log.numbers_to(9).await.unwrap(), [1, 2, 3, 9]);
    for n in [2, 9] {
        log.delete_plan(n).await.unwrap();
        assert!(!log.has_repair(n).await.unwrap());
    }
    assert_eq!(log.numbers_to(9).await.unwrap(), [1, 3]);
}
