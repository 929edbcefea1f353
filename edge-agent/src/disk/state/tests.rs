//! A flush is there as a whole; acks delete and count; what is needed by a raw batch stays.

use batch::{BatchHeader, BatchId, SealedBatch};

use super::*;
use crate::fixture::{edge, open};

fn id(epoch: Epoch, lane: Lane, seq: u64) -> BatchId {
    BatchId { edge: edge(), epoch, lane, seq }
}

pub(super) fn flush(epoch: Epoch, seq: u64, state: StateWrite) -> Flush {
    let (from, to) = ((seq - 1) * 10, seq * 10);
    let payload = Bytes::from(format!("rows {seq}"));
    let batch = SealedBatch::seal(id(epoch, Lane::Rollup, seq), from..to, 5, payload).unwrap();
    let header = BatchHeader {
        id: id(epoch, Lane::Raw, seq),
        from,
        to,
        complete_until_ms: 5,
        payload_bytes: 100,
        payload_crc32c: 1,
    };
    Flush {
        rollup: RollupEntry { batch, note: Note { counted: 9, oldest_ms: seq } },
        raw: vec![RawEntry { header, first_block: seq * 2, last_block: seq * 2 + 1 }],
        state,
        progress: Progress {
            next_block: seq * 2 + 2,
            next_position: to,
            rollup_seq: seq,
            raw_seq: seq,
            dropped: BTreeMap::from([("repeated".to_owned(), seq)]),
            by_class: BTreeMap::from([("human".to_owned(), to - seq)]),
            received_at_ms: 5,
        },
    }
}

#[test]
fn flushes_are_read_back_after_a_restart() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("state.redb");
    let store = StateStore::open(&path, &edge(), 1 << 20).unwrap();
    let epoch = store.epoch();
    assert_eq!(store.load_progress().unwrap(), Progress::default());
    store.flush(&flush(epoch, 1, StateWrite::Change(b"one".to_vec()))).unwrap();
    store.flush(&flush(epoch, 2, StateWrite::Change(b"two".to_vec()))).unwrap();
    drop(store);
    let store = StateStore::open(&path, &edge(), 1 << 20).unwrap();
    assert_eq!(store.epoch(), epoch);
    assert_eq!(store.load_progress().unwrap(), flush(epoch, 2, StateWrite::Change(vec![])).progress);
    let state = store.load_state().unwrap();
    assert_eq!((state.checkpoint, state.changes), (None, vec![b"one".to_vec(), b"two".to_vec()]));
    store.flush(&flush(epoch, 3, StateWrite::Checkpoint(b"all".to_vec()))).unwrap();
    let state = store.load_state().unwrap();
    assert_eq!((state.checkpoint, state.changes), (Some(b"all".to_vec()), vec![]));
    let first = store.next_rollup(0).unwrap().unwrap();
    assert_eq!(first, flush(epoch, 1, StateWrite::Change(vec![])).rollup);
    assert_eq!(store.next_raw(2).unwrap().unwrap().header.id.seq, 3);
    assert_eq!(store.next_raw(3).unwrap(), None);
}

#[test]
fn acks_delete_in_any_order_and_are_counted_once() {
    let root = tempfile::tempdir().unwrap();
    let disk = open(root.path());
    let (store, epoch) = (&disk.state, disk.owner.epoch);
    for seq in 1..=3 {
        store.flush(&flush(epoch, seq, StateWrite::Change(vec![]))).unwrap();
    }
    assert_eq!(store.acknowledge(&[(Lane::Raw, 2), (Lane::Rollup, 3)]).unwrap(), 2);
    assert_eq!(store.acknowledge(&[(Lane::Raw, 1), (Lane::Rollup, 3)]).unwrap(), 6);
    assert_eq!(store.acknowledge(&[(Lane::Raw, 3), (Lane::Rollup, 1)]).unwrap(), 8);
    let outbox = store.load_outbox().unwrap();
    assert_eq!(outbox.delivered, 18);
    assert_eq!(outbox.rollup.keys().collect::<Vec<_>>(), [&2]);
    assert!(outbox.raw.is_empty());
}

#[test]
fn accounts_of_the_outbox_are_those_of_its_batches() {
    let root = tempfile::tempdir().unwrap();
    let disk = open(root.path());
    let (store, epoch) = (&disk.state, disk.owner.epoch);
    let check = |expected: Option<&[u64]>| {
        let notes = store.load_notes().unwrap();
        assert_eq!(
            notes.as_ref().map(|notes| notes.keys().copied().collect::<Vec<_>>()).as_deref(),
            expected
        );
        let read = store.read_notes().unwrap();
        let counted = |notes: Notes| -> Vec<Note> { notes.into_values().map(|(note, _)| note).collect() };
        let loaded = store.load_outbox().unwrap().rollup;
        assert_eq!(counted(notes.unwrap_or_else(|| loaded.clone())), counted(read));
        assert_eq!(
            loaded.len(),
            loaded.values().filter(|(note, bytes)| note.counted == 9 && *bytes > 0).count()
        );
    };
    check(Some(&[]));
    for seq in 1..=4 {
        store.flush(&flush(epoch, seq, StateWrite::Change(vec![]))).unwrap();
    }
    check(Some(&[1, 2, 3, 4]));
    store.acknowledge(&[(Lane::Rollup, 1), (Lane::Rollup, 3)]).unwrap();
    check(Some(&[2, 4]));
    // As an earlier version deletes: the batch alone.
    store
        .write("test", |transaction| {
            transaction.open_table(ROLLUP)?.remove(2)?;
            Ok(())
        })
        .unwrap();
    check(None);
    store
        .write("test", |transaction| {
            transaction.delete_table(NOTES)?;
            Ok(())
        })
        .unwrap();
    check(None);
    store.flush(&flush(epoch, 5, StateWrite::Change(vec![]))).unwrap();
    check(None);
    store.acknowledge(&[(Lane::Rollup, 4)]).unwrap();
    check(Some(&[5]));
}

#[test]
fn progress_of_earlier_versions_is_read() {
    let text = r#"{"next_block":3,"next_position":7,"rollup_seq":2,"raw_seq":1,"dropped":{"repeated":2}}"#;
    let progress: Progress = serde_json::from_str(text).unwrap();
    let expected = Progress {
        next_block: 3,
        next_position: 7,
        rollup_seq: 2,
        raw_seq: 1,
        dropped: BTreeMap::from([("repeated".to_owned(), 2)]),
        ..Progress::default()
    };
    assert_eq!(progress, expected);
}
