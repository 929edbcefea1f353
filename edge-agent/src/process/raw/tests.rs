//! Header and payload agree with what the batch crate makes of the same blocks.

use batch::{Lane, SealedBatch};
use bytes::Bytes;

use super::*;
use crate::disk::wal_file::Start;
use crate::fixture::{after, block, edge};

#[test]
fn batches_are_whole_blocks_with_the_checksum_of_their_payload() {
    let id = |index| BatchId { edge: edge(), epoch: hit::Epoch([1; 16]), lane: Lane::Raw, seq: 5 + index };
    let mut next = Start { block: 0, position: 0, received_at_ms: 0 };
    let mut blocks = Vec::new();
    let mut batches = RawBatches::new(600);
    for n in 0..9 {
        let bytes = block(next, Some(n));
        batches.push(&hit::block::decode_header(&bytes).unwrap(), &bytes);
        blocks.push(bytes);
        next = after(next, 1);
    }
    let entries = batches.seal(u64::MAX, id);
    assert!(entries.len() > 2);
    let mut due = 0;
    for (entry, seq) in entries.iter().zip(5..) {
        assert_eq!((entry.first_block, entry.header.id.seq, entry.header.from), (due, seq, due));
        let mut payload = Vec::new();
        for block in entry.first_block..=entry.last_block {
            batch::raw::push_block(&mut payload, &blocks[usize::try_from(block).unwrap()]);
        }
        assert!(payload.len() <= 600);
        SealedBatch::open(entry.header.clone(), Bytes::from(payload)).unwrap();
        due = entry.last_block + 1;
    }
    assert_eq!((due, entries.last().unwrap().header.complete_until_ms), (9, u64::MAX));
    assert!(entries[0].header.complete_until_ms < u64::MAX);
    assert!(batches.seal(78, id).is_empty());
}
