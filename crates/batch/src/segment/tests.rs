//! Segments round trip, keep their bytes for ever, and never read when cut or changed.

use expect_test::expect;
use proptest::prelude::*;

use super::*;
use crate::sealed::BatchId;

fn batch(seq: u64, payload: &[u8]) -> SealedBatch {
    let id = BatchId { edge: "edge-1".parse().unwrap(), epoch: hit::Epoch([7; 16]), lane: Lane::Rollup, seq };
    SealedBatch::seal(id, 10 * seq..10 * seq + 10, 99, Bytes::copy_from_slice(payload)).unwrap()
}

#[test]
fn golden_bytes_of_format_1() {
    let bytes = encode(&[batch(1, b"abc")]);
    expect![[r#"
        4d534547010000002d0000000801120665646765
        2d311a1007070707070707070707070707070707
        20012801300a38144063480355b73f4b36616263
        010000002e907c09"#]]
    .assert_eq(&bytes.chunks(20).map(hex::encode).collect::<Vec<_>>().join("\n"));
}

#[test]
fn keys_sort_by_time_and_tell_it() {
    let early = key(Lane::Rollup, 999, "hub-1", 7);
    assert_eq!(early, "segments/rollup/0000000000999-hub-1-00000007.seg");
    assert!(early < key(Lane::Rollup, 1_431_857_103_000, "hub-1", 0));
    assert_eq!(created_at_ms(&early), Some(999));
    assert_eq!(created_at_ms("segments/rollup/readme.txt"), None);
}

proptest! {
    #[test]
    fn batches_round_trip(payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..5)) {
        let batches: Vec<SealedBatch> =
            payloads.iter().zip(1..).map(|(payload, seq)| batch(seq, payload)).collect();
        prop_assert_eq!(decode(&encode(&batches)).unwrap(), batches);
    }

    #[test]
    fn a_changed_or_cut_segment_is_refused(at in any::<proptest::sample::Index>(), flip in 1u8..) {
        let bytes = encode(&[batch(1, b"abc"), batch(2, b"defg")]);
        let at = at.index(bytes.len());
        let mut changed = bytes.to_vec();
        changed[at] ^= flip;
        prop_assert!(decode(&changed.into()).is_err());
        prop_assert!(decode(&bytes.slice(..at)).is_err());
    }
}
