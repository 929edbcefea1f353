//! Erasures in the WAL: what is left of whom, that a job is once, and that a replay gives the same.

use hit::Forget;

use super::tests::{START_MS, block, edge, new, restore};
use super::*;

fn forget(job: &str, visitor_ids: &[u64]) -> Forget {
    Forget { job: job.into(), property_id: "p_a".into(), visitor_ids: visitor_ids.to_vec() }
}

/// A block of page views, the last thing in it what is to be forgotten.
fn with(mut block: hit::Block, forgets: &[Forget]) -> hit::Block {
    block.body.forgets = forgets.to_vec();
    block
}

/// Of a whole state, what is stored, as bytes.
fn stored(processor: &mut Processor) -> Vec<u8> {
    processor.seal().unwrap();
    let bytes = processor.checkpoint().unwrap();
    // Behind magic, version, kind, length and checksum: see `state`.
    zstd::bulk::decompress(&bytes[12..], 1 << 20).unwrap()
}

fn holds(stored: &[u8], id: u64) -> bool {
    stored.windows(8).any(|window| window == id.to_le_bytes())
}

const ANNA: u64 = 0x0123_4567_89ab_cdef;
const BEN: u64 = 0xfedc_ba98_7654_3210;

#[test]
fn nothing_of_a_forgotten_visitor_is_stored_and_the_session_is_booked() {
    let mut processor = new(Limits::default());
    let mut first = block(0, 0, &[ANNA, BEN]);
    first.body.hits[0].session_id = "s".into();
    processor.on_block(&BlockView::of(&first)).unwrap();
    let before = stored(&mut processor);
    assert!(holds(&before, ANNA) && holds(&before, BEN));
    processor.on_block(&BlockView::of(&with(block(1, 2, &[ANNA]), &[forget("e_1", &[ANNA])]))).unwrap();
    let sealed = processor.seal().unwrap();
    // Both of her sessions: of the client's id, and the one that the hit ahead of the mark opened.
    let booked: Vec<(u64, u64)> =
        sealed.rows.sessions.iter().map(|row| (row.sessions, row.page_views)).collect();
    assert_eq!(booked, [(1, 1), (1, 1)]);
    let after = stored(&mut processor);
    assert!(!holds(&after, ANNA) && holds(&after, BEN));
    let gauges = processor.gauges();
    assert_eq!((gauges.open_sessions, gauges.remembered_sessions, gauges.known_visitors), (1, 0, 1));
    assert_eq!((gauges.applied_jobs, processor.erasures_applied()), (1, 1));
    assert_eq!(processor.applied_jobs().collect::<Vec<_>>(), ["e_1"]);
    // She is counted when she comes again, as somebody new.
    processor.on_block(&BlockView::of(&block(2, 3, &[ANNA]))).unwrap();
    let again = processor.seal().unwrap().rows.hits;
    assert_eq!((again[0].sessions, &*again[0].key.visitor_type), (1, "new_to_edge"));
}

#[test]
fn nothing_of_an_erased_property_is_booked_or_stored() {
    let mut processor = new(Limits::default());
    let mut first = block(0, 0, &[ANNA, BEN]);
    first.body.hits[1].hit_id = "h".into();
    processor.on_block(&BlockView::of(&first)).unwrap();
    processor.seal().unwrap();
    processor.on_block(&BlockView::of(&with(block(1, 2, &[]), &[forget("e_1", &[])]))).unwrap();
    assert_eq!(processor.seal().unwrap().rows.sessions.len(), 0);
    let gauges = processor.gauges();
    assert_eq!((gauges.open_sessions, gauges.known_visitors, gauges.counted_pages), (0, 0, 0));
    assert_eq!(gauges.id_window_entries, 1, "whose an id of a hit is cannot be told");
    let after = stored(&mut processor);
    assert!(!holds(&after, ANNA) && !holds(&after, BEN));
    assert!(!after.windows(3).any(|window| window == b"p_a"));
}

#[test]
fn a_job_is_applied_once_also_after_a_restart() {
    let mut processor = new(Limits::default());
    processor.on_block(&BlockView::of(&with(block(0, 0, &[1]), &[forget("e_1", &[1])]))).unwrap();
    let change = processor.seal().unwrap().state_change;
    let mut restored = restore(None, &[change]).unwrap();
    restored.on_block(&BlockView::of(&with(block(1, 1, &[1]), &[forget("e_1", &[1])]))).unwrap();
    assert_eq!((restored.gauges().open_sessions, restored.erasures_applied()), (1, 0));
    restored.on_block(&BlockView::of(&with(block(2, 2, &[]), &[forget("e_2", &[1])]))).unwrap();
    assert_eq!((restored.gauges().open_sessions, restored.erasures_applied()), (0, 1));
    // 60 days later it would be again: nobody asks for it then.
    let mut late = with(block(3, 2, &[]), &[]);
    late.header.received_at_ms = START_MS + 61 * 86_400_000;
    restored.on_block(&BlockView::of(&late)).unwrap();
    assert_eq!(restored.gauges().applied_jobs, 0);
}

#[test]
fn a_replay_from_any_seal_gives_the_same_state() {
    let blocks: Vec<hit::Block> = (0..8)
        .map(|number| {
            let visitors = [number % 3, 7];
            let forgets = match number {
                2 => vec![forget("e_2", &[2, 1])],
                5 => vec![forget("e_5", &[])],
                6 => vec![forget("e_2", &[7])],
                _ => Vec::new(),
            };
            with(block(number, 2 * number, &visitors), &forgets)
        })
        .collect();
    let mut live = new(Limits::default());
    let mut changes = Vec::new();
    for block in &blocks {
        live.on_block(&BlockView::of(block)).unwrap();
        changes.push(live.seal().unwrap().state_change);
    }
    let whole = live.checkpoint().unwrap();
    for sealed in 0..=changes.len() {
        let mut again = restore(None, &changes[..sealed]).unwrap();
        blocks[sealed..].iter().for_each(|block| again.on_block(&BlockView::of(block)).unwrap());
        again.seal().unwrap();
        let snapshot = |bytes: &[u8]| state::decode(Kind::Checkpoint, &edge(), again.epoch, bytes).unwrap();
        assert_eq!(snapshot(&again.checkpoint().unwrap()), snapshot(&whole), "replayed from block {sealed}");
    }
}
