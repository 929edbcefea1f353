//! Blocks round trip, keep their bytes for ever, and never read as something else when damaged.

use expect_test::expect;
use proptest::prelude::*;
use proto::hit::{Forget, ImportMark, RawHit, Refusals};

use super::*;

fn hit(event: &str) -> RawHit {
    RawHit {
        property_id: "p_a".into(),
        rules_version: 1,
        event_time_ms: 1_431_857_103_000,
        visitor_id: 7,
        event: event.into(),
        url: "https://example.com/".into(),
        ..RawHit::default()
    }
}

fn block_of(hits: &[RawHit]) -> (BlockHeader, Vec<u8>) {
    let mut body = Vec::new();
    for hit in hits {
        crate::HitView::of(hit).push_to(&mut body);
    }
    push_import_mark(&mut body, &ImportMark { property_id: "p_a".into(), event_time_ms: 9 });
    let hits = u32::try_from(hits.len()).unwrap();
    (BlockHeader { block: 3, from: 41, hits, received_at_ms: 1_431_857_104_000 }, body)
}

#[test]
fn golden_bytes_of_format_1() {
    let (header, body) = block_of(&[hit("page_view")]);
    let bytes = encode(header, &body, 1).unwrap();
    let head: String = bytes[..HEADER - 4].iter().map(|byte| format!("{byte:02x}")).collect();
    expect!["4d4201000300000000000000290000000000000001000000808455614d01000043000000"].assert_eq(&head);
    assert_eq!(zstd::bulk::decompress(&bytes[HEADER..], 1000).unwrap(), body);
    assert_eq!(crate::BlockView::parse(header, &body).unwrap().forgets, [], "nothing is forgotten by it");
}

#[test]
fn a_tick_holds_no_hit_and_keeps_its_time() {
    let header = BlockHeader { block: 0, from: 5, hits: 0, received_at_ms: 12 };
    let block = decode(&encode(header, &[], 1).unwrap()).unwrap();
    assert_eq!((block.header, block.body.hits.len()), (header, 0));
    assert_eq!(block.header.to(), 5);
}

#[test]
fn a_tick_may_carry_refusals() {
    let refusals =
        Refusals { property_id: "p_a".into(), rules_version: 2, reason: "too_old".into(), count: 3 };
    let header = BlockHeader { block: 0, from: 5, hits: 0, received_at_ms: 12 };
    let mut body = Vec::new();
    push_refusals(&mut body, &refusals);
    // Field 3, then 1 the property, 2 the version, 3 the reason, 4 the count.
    assert_eq!(body, b"\x1a\x12\x0a\x03p_a\x10\x02\x1a\x07too_old\x20\x03");
    let block = decode(&encode(header, &body, 1).unwrap()).unwrap();
    assert_eq!((block.header, block.body.refusals), (header, vec![refusals]));
}

#[test]
fn a_tick_may_carry_what_is_to_be_forgotten() {
    let forget = |visitor_ids| Forget { job: "e_1".into(), property_id: "p_a".into(), visitor_ids };
    let header = BlockHeader { block: 0, from: 5, hits: 0, received_at_ms: 12 };
    let mut body = Vec::new();
    push_forget(&mut body, &forget(vec![7]));
    push_forget(&mut body, &forget(Vec::new()));
    // Field 4, then 1 the job, 2 the property, 3 the visitors, packed.
    let with_visitor = b"\x22\x14\x0a\x03e_1\x12\x03p_a\x1a\x08\x07\0\0\0\0\0\0\0";
    assert_eq!(body, [&with_visitor[..], b"\x22\x0a\x0a\x03e_1\x12\x03p_a"].concat());
    let block = decode(&encode(header, &body, 1).unwrap()).unwrap();
    assert_eq!((block.header, block.body.forgets), (header, vec![forget(vec![7]), forget(vec![])]));
    let (_, raw) = open(&encode(header, &body, 1).unwrap()).unwrap();
    let view = crate::BlockView::parse(header, &raw).unwrap();
    assert_eq!(view.forgets[0].visitor_ids, [7]);
    // A writer that does not pack says each for itself: field 3 of type 1.
    let apart = b"\x22\x13\x1a\x08\x07\0\0\0\0\0\0\0\x19\x08\0\0\0\0\0\0\0";
    assert_eq!(crate::BlockView::parse(header, apart).unwrap().forgets[0].visitor_ids, [7, 8]);
    assert!(crate::BlockView::parse(header, b"\x22\x05\x1a\x03abc").is_err(), "three bytes are no number");
}

#[test]
fn a_wrong_count_is_refused() {
    let (mut header, body) = block_of(&[hit("a"), hit("b")]);
    header.hits = 1;
    let bytes = encode(header, &body, 1).unwrap();
    assert!(matches!(decode(&bytes), Err(BlockError::Count { header: 1, body: 2, .. })));
}

proptest! {
    #[test]
    fn blocks_round_trip(events in proptest::collection::vec("[a-z]{0,20}", 0..20)) {
        let hits: Vec<RawHit> = events.iter().map(|event| hit(event)).collect();
        let (header, body) = block_of(&hits);
        let block = decode(&encode(header, &body, 1).unwrap()).unwrap();
        prop_assert_eq!(block.header, header);
        prop_assert_eq!(block.body.hits, hits);
        prop_assert_eq!(block.body.import_marks.len(), 1);
    }

    #[test]
    fn any_changed_byte_is_noticed(at in any::<proptest::sample::Index>(), flip in 1u8..) {
        let (header, body) = block_of(&[hit("page_view"), hit("sign_up")]);
        let mut bytes = encode(header, &body, 1).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(decode(&bytes).is_err());
    }

    #[test]
    fn any_cut_is_noticed(at in any::<proptest::sample::Index>()) {
        let (header, body) = block_of(&[hit("page_view")]);
        let bytes = encode(header, &body, 1).unwrap();
        prop_assert!(decode(&bytes[..at.index(bytes.len())]).is_err());
    }
}
