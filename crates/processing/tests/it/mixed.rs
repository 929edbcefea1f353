//! Whatever protocols a visit is sent by, the sessions are those of the visit.
//!
//! Random visits are written as clients write them, read by `protocol`'s parsers, put into WAL blocks and processed; a
//! sessionizer that knows the visits alone, and no protocol, says what must come out.

mod visits;
mod wire;
mod naive;

use std::collections::BTreeMap;
use std::sync::Arc;

use hit::{BlockHeader, BlockView, EdgeId, Epoch, HitView, Rules, block};
use processing::{Limits, Processor};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use self::naive::{Outcome, SessionRow, expected};
use self::visits::{PROPERTY, Sent, Wire, day};
use crate::world::{World, detection};

/// What processing makes of blocks of requests, each with the time it is received.
fn processed(blocks: &[(u64, Vec<Sent>)]) -> Outcome {
    let world = World { rules: [((PROPERTY.to_owned(), 1), Rules::first("UTC"))].into() };
    let edge: EdgeId = "edge-1".parse().unwrap();
    let mut processor = Processor::new(edge, Epoch([5; 16]), detection(), Arc::new(world), Limits::default());
    let mut header = BlockHeader { block: 0, from: 0, hits: 0, received_at_ms: 0 };
    for (received_at_ms, requests) in blocks {
        let hits: Vec<_> = requests.iter().flat_map(|sent| wire::received(sent, *received_at_ms)).collect();
        let mut body = Vec::new();
        hits.iter().for_each(|hit| HitView::of(hit).push_to(&mut body));
        header.received_at_ms = *received_at_ms;
        header.hits = u32::try_from(hits.len()).unwrap();
        let (read, body) = block::open(&block::encode(header, &body, 1).unwrap()).unwrap();
        processor.on_block(&BlockView::parse(read, &body).unwrap()).unwrap();
        header = BlockHeader { block: header.block + 1, from: header.to(), ..header };
    }
    let rows = processor.seal().unwrap().rows;
    let mut outcome = Outcome::default();
    for row in rows.hits {
        let event = (row.event_name.to_string(), row.page_views, row.events, row.sessions);
        outcome.hits.entry(row.key.page_path.to_string()).or_default().push(event);
    }
    for row in rows.sessions {
        outcome.sessions.entry(row.key.page_path.to_string()).or_default().push(SessionRow {
            sessions: row.sessions,
            engaged: row.engaged_sessions,
            page_views: row.page_views,
            events: row.events,
            duration_ms: row.duration_ms,
            exit_page: row.exit_page.to_string(),
            visitor_type: row.key.visitor_type.to_string(),
        });
    }
    outcome
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sessions_are_those_of_the_visits_whatever_sent_them(blocks in day()) {
        prop_assert_eq!(processed(&blocks), expected(&blocks, None));
    }
}

/// The random days are rich enough: 29 minutes instead of 30 in one protocol alone are noticed, whichever it is.
#[test]
fn a_minute_too_little_in_any_one_protocol_is_noticed() {
    let mut runner = TestRunner::deterministic();
    let days: Vec<_> = (0..256).map(|_| day().new_tree(&mut runner).unwrap().current()).collect();
    let processed: Vec<Outcome> = days.iter().map(|day| processed(day)).collect();
    let noticed: BTreeMap<Wire, usize> = Wire::ALL
        .iter()
        .map(|wire| {
            let differs = |(day, found): (&Vec<_>, &Outcome)| expected(day, Some(*wire)) != *found;
            (*wire, days.iter().zip(&processed).filter(|pair| differs(*pair)).count())
        })
        .collect();
    assert!(noticed.values().all(|days| *days > 0), "{noticed:?}");
    println!("days of 256 that notice: {noticed:?}");
}
