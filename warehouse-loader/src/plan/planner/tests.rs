//! The planner against every answer a store can give to a create.

use super::*;
use crate::document::FORMAT;

fn plan(n: u64, by: &str) -> Box<Plan> {
    Box::new(Plan {
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
    })
}

fn checkpoint(n: u64) -> Event {
    Event::Checkpoint(Some(Box::new(Checkpoint {
        format: FORMAT,
        shard: 0,
        n,
        created_at_ms: 0,
        rows_plan: n,
        group_started_at_ms: 0,
        marks: vec![],
    })))
}

fn planner() -> Planner {
    Planner::new("a".into(), 10_000, Ledger::empty(0))
}

#[test]
fn a_plan_of_ours_is_created_checked_run_and_done() {
    let mut planner = planner();
    assert_eq!(planner.action(), Action::Look { n: 1 });
    planner.on_event(Event::Absent, 0).unwrap();
    assert_eq!(planner.action(), Action::Choose { n: 1 });
    planner.on_event(Event::Created(plan(1, "a")), 0).unwrap();
    assert_eq!(planner.action(), Action::CheckVoid { n: 1 });
    planner.on_event(Event::Checkpoint(None), 0).unwrap();
    assert_eq!(planner.action(), Action::Run { plan: plan(1, "a"), verify: false });
    assert_eq!(planner.on_event(Event::Done, 0), Ok(Progress::Applied(plan(1, "a"))));
    assert_eq!(planner.action(), Action::Look { n: 2 });
}

#[test]
fn after_an_unclear_create_what_is_there_is_followed() {
    for (by, then) in
        [("a", Action::CheckVoid { n: 1 }), ("b", Action::WaitForDone { n: 1, until_ms: 10_005 })]
    {
        let mut planner = planner();
        planner.on_event(Event::Absent, 5).unwrap();
        planner.on_event(Event::CreateUnclear, 5).unwrap();
        assert_eq!(planner.action(), Action::Look { n: 1 });
        planner.on_event(Event::Found { plan: plan(1, by), done: false }, 5).unwrap();
        assert_eq!(planner.action(), then, "created by {by}");
    }
    let mut planner = planner();
    planner.on_event(Event::CreateUnclear, 5).unwrap();
    planner.on_event(Event::Absent, 5).unwrap();
    assert_eq!(planner.action(), Action::Choose { n: 1 }, "it was not created after all");
}

#[test]
fn a_foreign_plan_is_taken_over_when_late_and_then_verified() {
    let mut planner = planner();
    let found = || Event::Found { plan: plan(1, "b"), done: false };
    for now_ms in [100, 5_000, 10_099] {
        planner.on_event(found(), now_ms).unwrap();
        assert_eq!(planner.action(), Action::WaitForDone { n: 1, until_ms: 10_100 });
        planner.on_waited();
        assert_eq!(planner.action(), Action::Look { n: 1 });
    }
    planner.on_event(found(), 10_100).unwrap();
    assert_eq!(planner.action(), Action::CheckVoid { n: 1 });
    planner.on_event(checkpoint(0), 10_100).unwrap();
    assert_eq!(planner.action(), Action::Run { plan: plan(1, "b"), verify: true });
}

#[test]
fn a_foreign_plan_that_gets_done_is_followed() {
    let mut planner = planner();
    planner.on_event(Event::Found { plan: plan(1, "b"), done: false }, 0).unwrap();
    planner.on_waited();
    let done = planner.on_event(Event::Found { plan: plan(1, "b"), done: true }, 1);
    assert_eq!(done, Ok(Progress::Applied(plan(1, "b"))));
    assert_eq!(planner.action(), Action::Look { n: 2 });
}

#[test]
fn a_plan_at_or_below_a_checkpoint_is_void() {
    for n in [1, 7] {
        let mut planner = planner();
        planner.on_event(Event::Absent, 0).unwrap();
        planner.on_event(Event::Created(plan(1, "a")), 0).unwrap();
        assert_eq!(planner.on_event(checkpoint(n), 0), Ok(Progress::Jumped));
        assert_eq!(planner.action(), Action::Look { n: n + 1 });
    }
}

#[test]
fn a_planner_with_nothing_to_choose_finds_back_to_those_who_are_further() {
    for (newest, then) in
        [(0, Action::Choose { n: 1 }), (1, Action::Look { n: 2 }), (70, Action::Look { n: 71 })]
    {
        let mut planner = planner();
        planner.on_event(Event::Absent, 0).unwrap();
        planner.on_event(checkpoint(newest), 0).unwrap();
        assert_eq!(planner.action(), then, "newest checkpoint {newest}");
    }
}

#[test]
fn a_plan_that_does_not_follow_is_an_error_and_the_planner_looks_again() {
    let mut planner = planner();
    assert!(planner.on_event(Event::Found { plan: plan(2, "b"), done: true }, 0).is_err());
    assert_eq!(planner.action(), Action::Look { n: 1 });
}

#[test]
fn an_answer_to_another_question_changes_nothing() {
    let mut planner = planner();
    planner.on_event(Event::Done, 0).unwrap();
    planner.on_event(Event::Checkpoint(None), 0).unwrap();
    assert_eq!(planner.action(), Action::Look { n: 1 });
}
