//! Raw payloads keep blocks in order and notice what is missing.

use super::*;

fn tick(block: u64, from: u64) -> Vec<u8> {
    block::encode(BlockHeader { block, from, hits: 0, received_at_ms: 1 }, &[], 1).unwrap()
}

fn payload(blocks: &[Vec<u8>]) -> Bytes {
    let mut payload = Vec::new();
    for block in blocks {
        push_block(&mut payload, block);
    }
    payload.into()
}

#[test]
fn blocks_come_back_in_order() {
    let blocks = decode_raw(&payload(&[tick(4, 9), tick(5, 9)])).unwrap();
    assert_eq!(blocks.iter().map(|block| block.header.block).collect::<Vec<_>>(), [4, 5]);
    assert!(decode_raw(&Bytes::new()).unwrap().is_empty());
}

#[test]
fn gaps_and_cuts_are_noticed() {
    assert!(matches!(
        decode_raw(&payload(&[tick(4, 9), tick(6, 9)])),
        Err(RawError::Gap { before: 4, found: 6 })
    ));
    assert!(matches!(decode_raw(&payload(&[tick(4, 9), tick(5, 10)])), Err(RawError::Gap { .. })));
    let whole = payload(&[tick(4, 9)]);
    for end in 1..whole.len() {
        assert!(matches!(decode_raw(&whole.slice(..end)), Err(RawError::Cut(_))), "cut at {end}");
    }
}
