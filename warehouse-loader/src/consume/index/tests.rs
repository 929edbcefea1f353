//! The index knows every copy of a batch, within its window.

use batch::BatchId;
use hit::Epoch;

use super::*;

fn stream(edge: &str) -> Stream {
    Stream { edge: edge.parse().unwrap(), epoch: Epoch([1; 16]) }
}

fn header(edge: &str, seq: u64) -> BatchHeader {
    let id = BatchId { edge: edge.parse().unwrap(), epoch: Epoch([1; 16]), lane: Lane::Rollup, seq };
    BatchHeader {
        id,
        from: seq * 10,
        to: seq * 10 + 10,
        complete_until_ms: 0,
        payload_bytes: 0,
        payload_crc32c: 0,
    }
}

fn mark(edge: &str, seq: u64) -> (Stream, Mark) {
    let mark = Mark {
        edge: edge.parse().unwrap(),
        epoch: Epoch([1; 16]),
        lane: "rollup".into(),
        seq,
        position: 0,
        complete_until_ms: 0,
        quarantined_hits: 0,
        erased_hits: 0,
    };
    (stream(edge), mark)
}

const A: &str = "segments/rollup/0000000001000-hub-1-00000000.seg";
const B: &str = "segments/rollup/0000000002000-hub-1-00000000.seg";

fn listed() -> Index {
    let mut index = Index::new(10);
    index.on_listing(vec![(A.into(), 5), (B.into(), 7)]);
    index
}

#[test]
fn a_batch_in_two_segments_waits_once_and_outlives_one_of_them() {
    let mut index = listed();
    assert_eq!(index.unread(0), [A, B]);
    assert_eq!(index.on_read(A, &[header("e", 1)]).new_hits, 10);
    assert_eq!(index.on_read(B, &[header("e", 1), header("e", 2)]).new_hits, 10);
    assert_eq!((index.batches(), index.hits(), index.size()), (2, 20, (2, 12)));
    index.on_listing(vec![(B.into(), 7)]);
    assert_eq!(index.waiting(&stream("e"), 1).unwrap().segments, [B]);
    index.on_listing(vec![]);
    assert_eq!((index.batches(), index.hits()), (0, 0));
}

#[test]
fn a_batch_with_other_bytes_is_told_and_the_first_stays() {
    let mut index = listed();
    index.on_read(A, &[header("e", 1)]);
    let mut other = header("e", 1);
    other.payload_crc32c = 9;
    assert_eq!(index.on_read(B, &[other.clone()]).conflicts, [other.clone()]);
    assert!(!index.is_waiting(&other) && index.is_waiting(&header("e", 1)));
}

#[test]
fn a_batch_with_other_bytes_than_the_one_that_is_loaded_is_told() {
    let at =
        |until_ms, crc| BatchHeader { complete_until_ms: until_ms, payload_crc32c: crc, ..header("e", 1) };
    let conflicts = |index: &mut Index, header: BatchHeader| index.on_read(B, &[header]).conflicts.len();
    // It was read before it was loaded, or afterwards: the first of its id is remembered.
    let mut index = listed();
    index.on_read(A, &[at(5, 1)]);
    index.on_loaded(&stream("e"), 1, 5);
    assert_eq!((conflicts(&mut index, at(5, 1)), conflicts(&mut index, at(5, 2))), (0, 1));
    let mut index = listed();
    index.on_loaded(&stream("e"), 3, 7);
    assert_eq!((conflicts(&mut index, at(5, 1)), conflicts(&mut index, at(5, 2))), (0, 1));
    // Nobody remembers it, and it knows of hits that came after all that is loaded: a backup that goes on.
    let mut index = listed();
    index.on_loaded(&stream("e"), LOADED_REMEMBERED * 3, 7);
    assert_eq!((conflicts(&mut index, at(8, 1)), conflicts(&mut index, at(7, 1))), (1, 0));
    let of = |seq| BatchHeader { complete_until_ms: 7, ..header("e", seq) };
    for seq in 1..=LOADED_REMEMBERED * 3 {
        index.on_read(A, &[of(seq)]);
    }
    let remembered = u64::try_from(index.streams[&stream("e")].seen.len()).unwrap();
    assert_eq!(remembered, LOADED_REMEMBERED + 1);
}

#[test]
fn loaded_batches_go_and_their_segments_retire_when_old() {
    let mut index = listed();
    index.on_read(A, &[header("e", 1), header("f", 1)]);
    index.on_read(B, &[header("e", 2)]);
    assert_eq!(index.oldest_ms(), Some(1_000));
    assert_eq!(index.on_loaded(&stream("e"), 2, 0).hits, 20);
    assert_eq!((index.streams(), index.hits()), (vec![stream("f")], 10));
    let marks = BTreeMap::from([mark("e", 2)]);
    assert_eq!(index.retired(&marks, 5_000), [B], "A still holds a batch of f");
    let marks = BTreeMap::from([mark("e", 2), mark("f", 1)]);
    assert_eq!(index.retired(&marks, 5_000), [A, B]);
    assert_eq!(index.retired(&marks, 2_000), [A], "B is not old enough");
}

#[test]
fn batches_beyond_the_window_are_read_when_loading_comes_near() {
    let mut index = listed();
    index.on_read(A, &[header("e", 1)]);
    index.on_read(B, &[header("e", 14)]);
    assert_eq!((index.batches(), index.unread(0).len()), (1, 0));
    index.on_loaded(&stream("e"), 1, 0);
    assert_eq!(index.unread(0).len(), 0);
    index.on_loaded(&stream("e"), 9, 0);
    assert_eq!(index.unread(0), [B]);
    index.on_read(B, &[header("e", 14)]);
    assert!(index.waiting(&stream("e"), 14).is_some());
}

#[test]
fn a_damaged_segment_is_read_again_after_a_minute_and_never_retired() {
    let mut index = listed();
    assert!(index.on_damaged(A, 5));
    index.on_read(B, &[]);
    assert_eq!(index.unread(60_004), Vec::<String>::new());
    assert_eq!(index.unread(60_005), [A]);
    assert_eq!(index.retired(&BTreeMap::new(), u64::MAX), [B]);
    assert!(!index.on_damaged(A, 60_005), "it is not damaged anew");
    assert_eq!(index.unread(60_006), Vec::<String>::new());
    index.on_read(A, &[header("e", 1)]);
    assert!(index.waiting(&stream("e"), 1).is_some() && index.unread(u64::MAX).is_empty(), "it has healed");
}

#[test]
fn a_stream_stalls_while_its_next_batch_is_missing_and_later_ones_wait() {
    let mut index = listed();
    index.on_read(A, &[header("e", 2), header("f", 1)]);
    assert_eq!(index.stalled(), [(stream("e"), 1)]);
    index.on_read(B, &[header("e", 1)]);
    assert_eq!(index.stalled(), []);
    index.on_loaded(&stream("e"), 2, 0);
    assert_eq!(index.stalled(), [], "nothing waits");
    index.on_read(B, &[header("e", 30)]);
    assert_eq!(index.stalled(), [(stream("e"), 3)], "what lies beyond the window waits too");
}
