//! Processing is the same again after a crash at any moment, and loses or doubles nothing.

use std::sync::mpsc;

use service::TestClock;

use super::*;
use crate::disk::wal_file::Start;
use crate::fixture::{self, NOW_MS, append, open};
use crate::handoff::feed;

/// Processes everything in the WAL of `root` to its end, as after a restart; `flush_blocks`: a flush after each so many.
fn process_all(root: &std::path::Path, flush_blocks: Option<u64>) -> Arc<DataDir> {
    let disk = Arc::new(open(root));
    let end = disk.wal.end().block;
    let mut process = start(&disk, end);
    if let Some(every) = flush_blocks {
        while process.parts.processor.next_block() < end {
            process.take_from_file().unwrap();
            if process.parts.processor.next_block().is_multiple_of(every) {
                process.flush().unwrap();
            }
        }
    }
    process.run().unwrap();
    disk
}

fn start(disk: &Arc<DataDir>, committed: u64) -> Process {
    // The committer's end is dropped at once: everything is in the files.
    let (_, feed) = feed(1, committed);
    let progress = disk.state.load_progress().unwrap();
    let ledger = Ledger::opened(&disk.wal.end(), &progress, disk.state.load_outbox().unwrap());
    let parts = Parts {
        config: Config { raw_batch_bytes: 64 << 10, ..Config::default() },
        processor: fixture::processor(disk),
        disk: disk.clone(),
        feed,
        forgets: Arc::default(),
        ledger: Arc::new(ledger),
        clock: TestClock::new(NOW_MS).shared(),
        metrics: ProcessMetrics::default(),
        flushed: watch::channel(0).0,
        drain_ms: 0,
        shutdown: CancellationToken::new(),
    };
    Process::new(parts, progress, 0, 0).unwrap()
}

fn batches(disk: &DataDir, lane: Lane) -> Vec<SealedBatch> {
    let (mut found, mut after) = (Vec::new(), 0);
    while let Some(batch) = disk.next_batch(lane, after).unwrap() {
        after = batch.header().id.seq;
        found.push(batch);
    }
    found
}

fn beginning() -> Start {
    Start { block: 0, position: 0, received_at_ms: 0 }
}

#[test]
fn a_crash_after_any_flush_gives_the_same_batches() {
    let root = tempfile::tempdir().unwrap();
    append(&open(root.path()), beginning(), 30, 8);
    let untouched = tempfile::tempdir().unwrap();
    fixture::copy(root.path(), untouched.path());
    let expected = process_all(root.path(), Some(5));
    let (rollup, raw) = (batches(&expected, Lane::Rollup), batches(&expected, Lane::Raw));
    assert_eq!((rollup.len(), rollup.last().unwrap().header().to), (6, 30));

    for crash_at in 0..30 {
        let crashed = tempfile::tempdir().unwrap();
        fixture::copy(untouched.path(), crashed.path());
        let disk = Arc::new(open(crashed.path()));
        let mut process = start(&disk, 30);
        for block in 0..crash_at {
            process.take_from_file().unwrap();
            if (block + 1) % 5 == 0 {
                process.flush().unwrap();
            }
        }
        // As a kill leaves it: nothing is closed in order.
        let left = tempfile::tempdir().unwrap();
        fixture::copy(crashed.path(), left.path());
        let again = process_all(left.path(), Some(5));
        assert_eq!(batches(&again, Lane::Rollup), rollup, "crash at block {crash_at}");
        assert_eq!(batches(&again, Lane::Raw), raw, "crash at block {crash_at}");
    }
}

#[test]
fn counted_and_dropped_add_up_to_the_range() {
    let root = tempfile::tempdir().unwrap();
    append(&open(root.path()), beginning(), 30, 8);
    let disk = process_all(root.path(), Some(7));
    let outbox = disk.state.load_outbox().unwrap();
    let progress = disk.state.load_progress().unwrap();
    let counted: u64 = outbox.rollup.values().map(|(note, _)| note.counted).sum();
    // Every fifth hit repeats the id before it.
    assert_eq!((counted, progress.dropped[REPEATED], progress.next_position), (24, 6, 30));
    let views: u64 = batches(&disk, Lane::Rollup)
        .iter()
        .flat_map(|batch| batch::decode_rollup(batch.payload()).unwrap().hits)
        .map(|row| row.page_views)
        .sum();
    assert_eq!(views, 24);
    let accounts = Ledger::opened(&disk.wal.end(), &progress, outbox).snapshot();
    assert_eq!(accounts.acknowledged, accounts.delivered + 6 + accounts.queued());
}

#[test]
fn blocks_that_the_feed_dropped_are_read_from_their_files() {
    let root = tempfile::tempdir().unwrap();
    let disk = Arc::new(open(root.path()));
    let end = append(&disk, beginning(), 10, 4);
    let mut process = start(&disk, 0);
    let (sender, receiver) = mpsc::sync_channel(4);
    for block in [2, 3, 7] {
        let (header, bytes) = disk.wal.read(block).unwrap();
        sender.send(CommittedBlock { header, bytes }).unwrap();
    }
    process.parts.feed.committed.store(end.block, Ordering::Release);
    process.parts.feed.receiver = receiver;
    drop(sender);
    process.run().unwrap();
    let raw = batches(&disk, Lane::Raw);
    assert_eq!((raw[0].header().from, raw[raw.len() - 1].header().to), (0, 10));
}

#[test]
fn what_lies_before_the_block_that_came_is_flushed_on_the_way() {
    let root = tempfile::tempdir().unwrap();
    let disk = Arc::new(open(root.path()));
    let end = append(&disk, beginning(), 10, 4);
    let mut process = start(&disk, end.block);
    process.parts.config.flush_interval_ms = 0;
    // After a restart a new block comes in before the old ones are processed.
    let (header, bytes) = disk.wal.read(9).unwrap();
    process.take_until(&CommittedBlock { header, bytes }).unwrap();
    let flushed: Vec<u64> = batches(&disk, Lane::Rollup).iter().map(|batch| batch.header().to).collect();
    assert_eq!(flushed, (1..10).collect::<Vec<u64>>());
}

#[test]
fn acks_empty_the_outbox_and_delete_wal_files() {
    let root = tempfile::tempdir().unwrap();
    append(&open(root.path()), beginning(), 30, 8);
    let disk = process_all(root.path(), Some(10));
    let files = || std::fs::read_dir(root.path().join("wal")).unwrap().count();
    assert_eq!(files(), 4);
    let progress = disk.state.load_progress().unwrap();
    let ledger = Ledger::opened(&disk.wal.end(), &progress, disk.state.load_outbox().unwrap());
    let acknowledge = |acks: Vec<(Lane, u64)>| {
        let (sender, receiver) = tokio::sync::mpsc::channel(10);
        for ack in acks {
            sender.blocking_send(ack).unwrap();
        }
        drop(sender);
        crate::outbox::run(&disk, &ledger, receiver).unwrap();
    };
    acknowledge(vec![(Lane::Rollup, 1), (Lane::Rollup, 2), (Lane::Rollup, 3), (Lane::Raw, 2)]);
    assert_eq!(files(), 4);
    acknowledge(vec![(Lane::Raw, 1)]);
    assert_eq!(files(), 2);
    acknowledge(vec![(Lane::Raw, 3)]);
    assert_eq!(files(), 1);
    let accounts = ledger.snapshot();
    assert_eq!((accounts.delivered, accounts.queued()), (24, 0));
}
