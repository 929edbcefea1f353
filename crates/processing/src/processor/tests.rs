//! The processor as its shell sees it: order of blocks, seals, restoring, totals.

use std::collections::BTreeMap;

use batch::RefusalRow;
use hit::{Block, BlockBody, BlockHeader, RawHit, Refusals, Rules};

use super::*;
use crate::handover::{DropReason, TrafficClass};

struct OneProperty;

impl RulesSource for OneProperty {
    fn rules(&self, property_id: &str, version: u32) -> Option<Arc<Rules>> {
        (property_id == "p_a" && version == 1).then(|| Arc::new(Rules::first("UTC")))
    }
}

const EPOCH: Epoch = Epoch([3; 16]);
pub(super) const START_MS: u64 = 1_780_272_000_000;

fn detection() -> Arc<Detection> {
    let yaml = "
user_agent_parsers: [{regex: '(Firefox)/(\\d+)'}]
os_parsers: [{regex: '(Linux)'}]
device_parsers: [{regex: 'Spider', device_replacement: 'Spider'}]
";
    Arc::new(Detection::new(yaml, r#"[{"pattern": "bot"}]"#).unwrap())
}

pub(super) fn edge() -> EdgeId {
    "edge-1".parse().unwrap()
}

pub(super) fn new(limits: Limits) -> Processor {
    Processor::new(edge(), EPOCH, detection(), Arc::new(OneProperty), limits)
}

pub(super) fn restore(checkpoint: Option<&[u8]>, changes: &[Vec<u8>]) -> Result<Processor, StateError> {
    restore_within(Limits::default(), checkpoint, changes)
}

fn restore_within(
    limits: Limits,
    checkpoint: Option<&[u8]>,
    changes: &[Vec<u8>],
) -> Result<Processor, StateError> {
    Processor::restore(edge(), EPOCH, detection(), Arc::new(OneProperty), limits, checkpoint, changes)
}

/// Page views of these visitors, received `number` minutes after the start.
pub(super) fn block(number: u64, from: u64, visitors: &[u64]) -> Block {
    let received_at_ms = START_MS + number * 60_000;
    let hit = |visitor: &u64| RawHit {
        property_id: "p_a".to_owned(),
        rules_version: 1,
        event_time_ms: received_at_ms,
        visitor_id: *visitor,
        event: "page_view".to_owned(),
        url: format!("https://a.example/{visitor}"),
        user_agent: "Mozilla/5.0 (X11; Linux) Firefox/140".to_owned(),
        ..RawHit::default()
    };
    let hits: Vec<RawHit> = visitors.iter().map(hit).collect();
    let header =
        BlockHeader { block: number, from, hits: u32::try_from(hits.len()).unwrap(), received_at_ms };
    Block { header, body: BlockBody { hits, ..BlockBody::default() } }
}

#[test]
fn blocks_come_without_gap_or_not_at_all() {
    let mut processor = new(Limits::default());
    processor.on_block(&BlockView::of(&block(0, 0, &[1, 2]))).unwrap();
    let mut refused = |block: &Block| processor.on_block(&BlockView::of(block)).unwrap_err().to_string();
    assert_eq!(refused(&block(2, 2, &[])), "the WAL has a gap: block 2 came where block 1 was due");
    assert_eq!(refused(&block(0, 0, &[])), "the WAL has a gap: block 0 came where block 1 was due");
    assert_eq!(refused(&block(1, 3, &[])), "the WAL has a gap: block 1 begins at position 3, expected 2");
    let mut early = block(1, 2, &[]);
    early.header.received_at_ms = START_MS - 1;
    assert!(refused(&early).contains("before the block ahead of it"));
    let mut short = block(1, 2, &[1]);
    short.body.hits.clear();
    assert_eq!(refused(&short), "block 1 says 1 hits and holds 0");
    processor.on_block(&BlockView::of(&block(1, 2, &[1]))).unwrap();
    assert_eq!((processor.next_block(), processor.next_position()), (2, 3));
}

#[test]
fn seal_covers_what_came_since_the_last() {
    let mut processor = new(Limits::default());
    let nothing = processor.seal().unwrap();
    assert_eq!((nothing.from, nothing.to, nothing.last_block, nothing.complete_until_ms), (0, 0, None, 0));
    processor.on_block(&BlockView::of(&block(0, 0, &[1, 2]))).unwrap();
    processor.on_block(&BlockView::of(&block(1, 2, &[3]))).unwrap();
    let first = processor.seal().unwrap();
    assert_eq!((first.from, first.to, first.last_block), (0, 3, Some(1)));
    assert_eq!((first.complete_until_ms, first.rows.hits.len()), (START_MS + 60_000, 3));
    processor.on_block(&BlockView::of(&block(2, 3, &[]))).unwrap();
    let tick = processor.seal().unwrap();
    assert_eq!((tick.from, tick.to, tick.last_block), (3, 3, Some(2)));
    assert!(tick.rows.is_empty());
}

#[test]
fn rows_tell_when_a_seal_is_due() {
    let mut processor = new(Limits { max_rows_per_batch: 2, ..Limits::default() });
    processor.on_block(&BlockView::of(&block(0, 0, &[1]))).unwrap();
    assert_eq!((processor.rows(), processor.should_seal()), (1, false));
    processor.on_block(&BlockView::of(&block(1, 1, &[2]))).unwrap();
    assert_eq!((processor.rows(), processor.should_seal()), (2, true));
    processor.seal().unwrap();
    assert_eq!((processor.rows(), processor.should_seal()), (0, false));
}

#[test]
fn bytes_tell_when_a_seal_is_due() {
    let mut processor = new(Limits { max_batch_bytes: 200, ..Limits::default() });
    let long = "x".repeat(100);
    for (n, expected) in [(0, false), (1, true)] {
        let mut block = block(n, n, &[n + 1]);
        block.body.hits[0].url = format!("https://example.com/{n}/{long}");
        processor.on_block(&BlockView::of(&block)).unwrap();
        assert_eq!(processor.should_seal(), expected, "{n}");
    }
    processor.seal().unwrap();
    assert!(!processor.should_seal());
}

#[test]
fn totals_account_for_every_hit() {
    let mut processor = new(Limits::default());
    let mut block = block(0, 0, &[1, 2, 3, 4, 5]);
    block.body.hits[1].user_agent = "a bot".to_owned();
    block.body.hits[2].rules_version = 2;
    block.body.hits[3].hit_id = "x".to_owned();
    block.body.hits[4].hit_id = "x".to_owned();
    processor.on_block(&BlockView::of(&block)).unwrap();
    let totals = processor.totals();
    assert_eq!((totals.hits, totals.repeated), (5, 1));
    assert_eq!(totals.by_class, BTreeMap::from([(TrafficClass::Human, 2), (TrafficClass::Bot, 1)]));
    assert_eq!(totals.dropped, BTreeMap::from([(DropReason::UnknownProperty, 1)]));
    let gauges = processor.gauges();
    assert_eq!((gauges.open_sessions, gauges.known_visitors, gauges.id_window_entries), (3, 3, 1));
    // Three pages and their host.
    assert_eq!((gauges.id_window_bytes, gauges.id_window_reach_ms, gauges.counted_pages), (48, 0, 4));
    processor.seal().unwrap();
    let restored = restore(Some(&processor.checkpoint().unwrap()), &[]).unwrap();
    assert_eq!((restored.totals(), restored.gauges()), (processor.totals(), processor.gauges()));
}

#[test]
fn state_is_restored_in_order_only() {
    let mut processor = new(Limits::default());
    let mut changes = Vec::new();
    for number in 0..3 {
        processor.on_block(&BlockView::of(&block(number, number, &[1]))).unwrap();
        let refused = processor.checkpoint().unwrap_err().to_string();
        assert_eq!(refused, "a checkpoint must follow a seal: 1 blocks were processed since");
        changes.push(processor.seal().unwrap().state_change);
    }
    let whole = processor.checkpoint().unwrap();
    assert_eq!(restore(None, &changes).unwrap().checkpoint().unwrap(), whole);
    assert_eq!(restore(Some(&whole), &[]).unwrap().checkpoint().unwrap(), whole);
    let refused = |changes: &[Vec<u8>]| restore(None, changes).err().unwrap().to_string();
    let missing = [changes[0].clone(), changes[2].clone()];
    assert!(refused(&missing).starts_with("a change of state begins at block 2, expected block 1"));
    let doubled = [changes[0].clone(), changes[0].clone()];
    assert!(refused(&doubled).starts_with("a change of state begins at block 0, expected block 1"));
    assert!(restore(Some(&changes[0]), &[]).is_err());
}

/// An hour apart, so that each block opens sessions of its own.
#[test]
fn visitors_are_known_across_a_restart_as_far_as_the_limit_reaches() {
    let mut processor = new(Limits::default());
    let hour = |processor: &mut Processor, number: u64, visitors: &[u64]| {
        let mut block = block(number, 3 * number, visitors);
        block.header.received_at_ms = START_MS + number * 3_600_000;
        block.body.hits.iter_mut().for_each(|hit| hit.event_time_ms = block.header.received_at_ms);
        processor.on_block(&BlockView::of(&block)).unwrap();
        let sealed = processor.seal().unwrap();
        let types = sealed.rows.hits.iter().map(|row| row.key.visitor_type.to_string());
        (types.collect::<Vec<_>>(), sealed.state_change)
    };
    let (types, _) = hour(&mut processor, 0, &[1, 2, 3]);
    assert_eq!(types, ["new_to_edge"; 3]);
    let whole = processor.checkpoint().unwrap();
    for (max_known_visitors, expected) in [
        (3, ["known_to_edge", "known_to_edge", "new_to_edge"]),
        // The last of the three is left; and the first pushes it out.
        (1, ["new_to_edge", "new_to_edge", "new_to_edge"]),
        (0, ["(not set)", "(not set)", "(not set)"]),
    ] {
        let limits = Limits { max_known_visitors, ..Limits::default() };
        let mut restored = restore_within(limits, Some(&whole), &[]).unwrap();
        assert_eq!(restored.gauges().known_visitors, max_known_visitors);
        // Rows come in the order of their pages, which are called like the visitors.
        let (types, change) = hour(&mut restored, 1, &[1, 3, 4]);
        assert_eq!(types, expected, "of {max_known_visitors}");
        let again = restore(Some(&whole), &[change]).unwrap();
        assert_eq!(again.gauges().known_visitors, max_known_visitors);
    }
}

#[test]
fn what_is_not_counted_is_in_rows_of_the_minute_of_its_receipt() {
    let mut processor = new(Limits::default());
    let refused = |property_id: &str, rules_version, reason: &str, count| Refusals {
        property_id: property_id.to_owned(),
        rules_version,
        reason: reason.to_owned(),
        count,
    };
    let mut first = block(0, 0, &[1]);
    // Beyond the dates that a row has.
    first.body.hits[0].event_time_ms = u64::MAX;
    first.body.refusals = vec![
        refused("p_a", 1, "too_old", 3),
        refused("p_a", 1, "of a later build", 2),
        refused("p_a", 2, "too_old", 100),
        refused("p_b", 1, "too_old", 1_000),
    ];
    let mut tick = block(1, 1, &[]);
    tick.body.refusals = vec![refused("p_a", 1, "too_old", 4), refused("p_a", 1, "other", 1)];
    for block in [first, tick] {
        processor.on_block(&BlockView::of(&block)).unwrap();
    }
    assert_eq!(processor.totals().hits, 1);
    assert_eq!(processor.totals().refused_without_rules, 1_100);
    assert_eq!(processor.rows(), 5);
    // 2026-06-01T00:00Z is day 20,605.
    let row = |minute: u32, reason: &str, hits| RefusalRow {
        property: "p_a".into(),
        local_date: 20_605,
        minute: 20_605 * 1440 + minute,
        utc_offset_s: 0,
        reason: reason.into(),
        hits,
    };
    let sealed = processor.seal().unwrap();
    let expected = [
        row(0, "impossible_time", 1),
        row(0, "other", 2),
        row(0, "too_old", 3),
        row(1, "other", 1),
        row(1, "too_old", 4),
    ];
    assert_eq!((sealed.rows.refusals, sealed.rows.hits.len()), (expected.to_vec(), 0));
    assert_eq!(processor.rows(), 0);
}

#[test]
fn every_reason_of_a_property_is_one_that_rows_know() {
    for reason in DropReason::ALL {
        assert_eq!(known_reason(reason.as_str()) == reason.as_str(), reason.is_of_a_property(), "{reason:?}");
    }
}
