//! A raw batch is the same bytes whenever it is read.

use batch::{BatchHeader, BatchId};

use super::*;
use crate::fixture::{append, edge, open};

#[test]
fn a_raw_batch_that_is_not_what_was_sealed_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    let disk = open(root.path());
    append(&disk, disk.wal.end(), 3, 100);
    let entry = |crc| RawEntry {
        header: BatchHeader {
            id: BatchId { edge: edge(), epoch: disk.owner.epoch, lane: Lane::Raw, seq: 1 },
            from: 0,
            to: 3,
            complete_until_ms: 0,
            payload_bytes: 0,
            payload_crc32c: crc,
        },
        first_block: 0,
        last_block: 2,
    };
    let payload = disk.raw_payload(&entry(0)).unwrap();
    let blocks = batch::raw::decode_raw(&payload).unwrap();
    assert_eq!(blocks.len(), 3);
    assert!(SealedBatch::open(entry(1).header, payload).is_err());
}
