//! The comparison with the naive sessionizer fails when one of the two is wrong: shown by making one wrong.

use hit::{RawHit, Rules};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::generate::case;
use crate::oracle::{Booked, Bounds, Mistake, Oracle};
use crate::run::{After, Step, blocks, limits, run};
use crate::world::{PAGES, USER_AGENTS, World};

const MINUTE: u64 = 60_000;
const BOUNDS: Bounds = Bounds { ids: 100, sessions: 100, visitors: 100, pages_per_hour: 100 };

fn world() -> World {
    World { rules: [(("p_a".to_owned(), 1), Rules::first("Europe/Berlin"))].into() }
}

/// Page views of one visitor at these minutes of 2026-06-01 UTC, received at once.
fn visits(minutes: &[u64]) -> Vec<Step> {
    let step = |minute: &u64| {
        let received_at_ms = 1_780_272_000_000 + minute * MINUTE;
        let hit = RawHit {
            property_id: "p_a".to_owned(),
            rules_version: 1,
            event_time_ms: received_at_ms,
            visitor_id: 1,
            event: "page_view".to_owned(),
            url: PAGES[0].url.to_owned(),
            user_agent: USER_AGENTS[0].0.to_owned(),
            ..RawHit::default()
        };
        Step {
            received_at_ms,
            hits: vec![hit],
            marks: Vec::new(),
            refusals: Vec::new(),
            forgets: Vec::new(),
            after: After::default(),
        }
    };
    minutes.iter().map(step).collect()
}

fn booked(steps: &[Step]) -> Booked {
    let mut booked = Booked::default();
    run(&world(), &limits(BOUNDS), steps, false).sealed.iter().for_each(|sealed| booked.add(&sealed.rows));
    booked
}

fn expected(steps: &[Step], mistake: Option<Mistake>) -> Booked {
    let world = world();
    let mut oracle = Oracle::new(&world, BOUNDS, mistake);
    blocks(steps).iter().for_each(|block| oracle.read(block));
    oracle.booked
}

#[test]
fn a_gap_of_29_minutes_instead_of_30_is_noticed() {
    let steps = visits(&[0, 10, 40, 100]);
    assert_eq!(booked(&steps), expected(&steps, None));
    assert_ne!(booked(&steps), expected(&steps, Some(Mistake::TimeoutOf29InsteadOf30Minutes)));
}

#[test]
fn a_hit_left_out_is_noticed() {
    let steps = visits(&[0, 10, 40, 100]);
    let mut short = steps.clone();
    short[1].hits.clear();
    assert_ne!(booked(&steps), expected(&short, None));
}

#[test]
fn a_bot_let_through_is_noticed() {
    let steps = visits(&[0, 10, 40, 100]);
    let mut bot = steps.clone();
    bot[3].hits[0].user_agent = USER_AGENTS[2].0.to_owned();
    assert_eq!(booked(&bot), expected(&bot, None));
    assert_ne!(booked(&steps), expected(&bot, None));
}

/// The random cases are rich enough: whatever is read wrongly, some of them tell.
#[test]
fn every_mistake_is_noticed_by_random_cases() {
    let mut runner = TestRunner::deterministic();
    let cases: Vec<_> = (0..256).map(|_| case(40).new_tree(&mut runner).unwrap().current()).collect();
    let read = |mistake| {
        let booked = cases.iter().map(|case| {
            let mut oracle = Oracle::new(&case.world, case.bounds, mistake);
            blocks(&case.steps).iter().for_each(|block| oracle.read(block));
            oracle.booked
        });
        booked.collect::<Vec<Booked>>()
    };
    let right = read(None);
    let noticed = Mistake::ALL.map(|mistake| {
        let wrong = read(Some(mistake));
        (mistake, right.iter().zip(&wrong).filter(|(right, wrong)| right != wrong).count())
    });
    let missed: Vec<_> = noticed.iter().filter(|(_, cases)| *cases == 0).collect();
    assert!(missed.is_empty(), "{missed:?} of {noticed:?}");
    println!("cases of 256 that notice: {noticed:?}");
}
