//! Answers come after the commit, stamps never decrease, and a shut gate is said to everybody.

use hit::{BlockBody, Forget, Refusals};
use prometheus_client::metrics::counter::Counter;
use service::TestClock;
use tokio::runtime::Runtime;

use super::*;
use crate::disk::state::OutboxContents;
use crate::fixture::{NOW_MS, open, page_view};
use crate::handoff::{Answers, FeedReceiver, Intake, feed, intake};

struct Bench {
    clock: TestClock,
    disk: Arc<DataDir>,
    intake: Intake,
    feed: FeedReceiver,
    ledger: Arc<Ledger>,
    refused: Arc<RefusedHits>,
    forgets: Arc<Forgets>,
    thread: std::thread::JoinHandle<anyhow::Result<()>>,
    runtime: Runtime,
}

/// What a committer works with, and the other ends.
fn parts(disk: &Arc<DataDir>, clock: &TestClock, config: Config) -> (Parts, (Intake, Answers), FeedReceiver) {
    let gate = Arc::new(Gate::default());
    let (mut ends, intake) = intake(1, 100, 1 << 20, &gate);
    let (feed, feed_receiver) = feed(100, disk.wal.end().block);
    let progress = disk.state.load_progress().unwrap();
    let parts = Parts {
        config,
        disk: disk.clone(),
        intake,
        refused: Arc::new(RefusedHits::new(10, Counter::default())),
        forgets: Arc::default(),
        gate,
        feed,
        ledger: Arc::new(Ledger::opened(&disk.wal.end(), &progress, OutboxContents::default())),
        clock: clock.shared(),
        metrics: WalMetrics::default(),
    };
    (parts, ends.remove(0), feed_receiver)
}

fn bench(root: &std::path::Path, now_ms: u64, config: Config) -> Bench {
    let (clock, disk) = (TestClock::new(now_ms), Arc::new(open(root)));
    let (parts, (intake, answers), feed) = parts(&disk, &clock, config);
    let runtime = Runtime::new().unwrap();
    runtime.spawn(answers.deliver());
    let (ledger, refused, forgets) = (parts.ledger.clone(), parts.refused.clone(), parts.forgets.clone());
    let committer = Committer::new(parts).unwrap();
    let thread = std::thread::spawn(|| committer.run());
    Bench { clock, disk, intake, feed, ledger, refused, forgets, thread, runtime }
}

impl Bench {
    fn commit(&self, n: u64) -> Result<(), CommitRefused> {
        self.runtime.block_on(self.intake.commit(page_view(n), 1))
    }

    fn end(self) -> Arc<DataDir> {
        drop(self.intake);
        self.thread.join().unwrap().unwrap();
        self.disk
    }
}

#[test]
fn an_answer_means_that_the_hit_is_in_the_wal() {
    let root = tempfile::tempdir().unwrap();
    let bench = bench(root.path(), NOW_MS, Config::default());
    for n in 0..10 {
        bench.commit(n).unwrap();
        // What a kill at this moment would leave.
        let copy = tempfile::tempdir().unwrap();
        crate::fixture::copy(root.path(), copy.path());
        let survivor = open(copy.path());
        assert_eq!(survivor.wal.end().position, n + 1);
        let (_, bytes) = survivor.wal.read(n).unwrap();
        let block = block::decode(&bytes).unwrap();
        assert_eq!(block.body.hits[0].event_time_ms, NOW_MS + n * 1_000);
        assert_eq!(bench.ledger.snapshot().acknowledged, n + 1);
    }
    let fed: Vec<u64> = bench.feed.receiver.try_iter().map(|block| block.header.block).collect();
    assert_eq!(fed, (0..10).collect::<Vec<_>>());
    bench.end();
}

#[test]
fn requests_that_wait_share_a_block() {
    let root = tempfile::tempdir().unwrap();
    let config = Config { gather_us: 200_000, block_hits: 3, ..Config::default() };
    let bench = bench(root.path(), NOW_MS, config);
    bench.runtime.block_on(async {
        let (a, b, c) = tokio::join!(
            bench.intake.commit(page_view(0), 1),
            bench.intake.commit(page_view(1), 1),
            bench.intake.commit(page_view(2), 1)
        );
        assert_eq!((a, b, c), (Ok(()), Ok(()), Ok(())));
    });
    let disk = bench.end();
    let (header, _) = disk.wal.read(0).unwrap();
    assert_eq!((header.hits, header.from), (3, 0));
}

#[test]
fn stamps_never_decrease_and_a_clock_that_went_back_refuses() {
    let root = tempfile::tempdir().unwrap();
    let first = bench(root.path(), NOW_MS, Config::default());
    first.commit(0).unwrap();
    first.clock.set_now_ms(NOW_MS - 1_000);
    first.commit(1).unwrap();
    first.clock.set_now_ms(NOW_MS - 60_000);
    assert_eq!(first.commit(2), Err(CommitRefused::Clock));
    first.clock.set_now_ms(NOW_MS + 500);
    // The gate opens when the committer looks again.
    while first.commit(3) == Err(CommitRefused::Clock) {
        std::thread::yield_now();
    }
    let disk = first.end();
    let stamps: Vec<u64> = (0..3).map(|n| disk.wal.read(n).unwrap().0.received_at_ms).collect();
    assert_eq!(stamps, [NOW_MS, NOW_MS, NOW_MS + 500]);
    drop(disk);
    let second = bench(root.path(), NOW_MS - 60_000, Config::default());
    assert_eq!(second.commit(4), Err(CommitRefused::Clock));
    second.end();
}

#[test]
fn a_used_up_budget_refuses() {
    let root = tempfile::tempdir().unwrap();
    let bench = bench(root.path(), NOW_MS, Config { max_bytes: 1, ..Config::default() });
    assert_eq!(bench.commit(0), Err(CommitRefused::Full));
    bench.end();
}

#[test]
fn a_used_up_budget_ends_the_file_so_that_it_can_be_deleted() {
    let root = tempfile::tempdir().unwrap();
    let disk = open(root.path());
    let empty = disk.wal.disk_bytes() + disk.state.disk_bytes();
    drop(disk);
    let config = Config { max_bytes: empty + (64 << 10), ..Config::default() };
    let bench = bench(root.path(), NOW_MS, config);
    let (mut taken, mut tick) = (0, None);
    while bench.commit(taken).is_ok() {
        taken += 1;
        tick = bench.feed.receiver.try_iter().find(|block| block.header.hits == 0);
    }
    let tick =
        tick.unwrap_or_else(|| bench.feed.receiver.iter().find(|block| block.header.hits == 0).unwrap());
    assert_eq!((tick.header.block, tick.header.from), (taken, taken));
    let files = || std::fs::read_dir(root.path().join("wal")).unwrap().count();
    assert_eq!(files(), 2);
    assert_eq!(bench.disk.wal.delete_below(tick.header.block + 1).unwrap(), 1);
    while bench.commit(taken) == Err(CommitRefused::Full) {
        std::thread::yield_now();
    }
    let disk = bench.end();
    assert_eq!(files(), 1);
    let (header, _) = disk.wal.read(taken + 1).unwrap();
    assert_eq!((header.from, header.hits), (taken, 1));
}

#[test]
fn files_are_rolled_at_their_size() {
    let root = tempfile::tempdir().unwrap();
    let bench = bench(root.path(), NOW_MS, Config { file_bytes: 1, ..Config::default() });
    for n in 0..4 {
        bench.commit(n).unwrap();
    }
    let disk = bench.end();
    assert_eq!(std::fs::read_dir(root.path().join("wal")).unwrap().count(), 4);
    drop(disk);
    assert_eq!(open(root.path()).wal.end().position, 4);
}

#[test]
fn an_idle_edge_writes_ticks() {
    let root = tempfile::tempdir().unwrap();
    let bench = bench(root.path(), NOW_MS, Config { tick_ms: 100, ..Config::default() });
    bench.clock.advance_ms(100);
    let tick = bench.feed.receiver.recv().unwrap();
    assert_eq!((tick.header.block, tick.header.hits, tick.header.received_at_ms), (0, 0, NOW_MS + 100));
    bench.end();
}

/// `reason count` of what a kill at this moment would leave in the WAL from this block on, and the hits beside it.
fn refusals_from(root: &std::path::Path, block: u64) -> Vec<(u32, Vec<String>)> {
    let copy = tempfile::tempdir().unwrap();
    crate::fixture::copy(root, copy.path());
    let disk = open(copy.path());
    let bodies = (block..disk.wal.end().block).map(|number| {
        let (header, bytes) = disk.wal.read(number).unwrap();
        let BlockBody { refusals, .. } = block::decode(&bytes).unwrap().body;
        let line = |refusals: &Refusals| format!("{} {}", refusals.reason, refusals.count);
        let mut lines: Vec<String> = refusals.iter().map(line).collect();
        lines.sort();
        (header.hits, lines)
    });
    bodies.collect()
}

#[test]
fn refused_hits_ride_in_the_next_block_once() {
    let root = tempfile::tempdir().unwrap();
    let bench = bench(root.path(), NOW_MS, Config::default());
    bench.refused.add("p_a", 1, "too_old", 2);
    bench.refused.add("p_a", 1, "kind", 1);
    bench.commit(0).unwrap();
    bench.commit(1).unwrap();
    // An idle committer may have written them before the first hit came.
    let told = refusals_from(root.path(), 0).into_iter().flat_map(|(_, lines)| lines);
    assert_eq!(told.collect::<Vec<_>>(), ["kind 1", "too_old 2"]);
    bench.end();
}

#[test]
fn refused_hits_without_company_get_a_block_of_their_own() {
    let root = tempfile::tempdir().unwrap();
    let bench = bench(root.path(), NOW_MS, Config::default());
    bench.refused.add("p_a", 1, "too_old", 2);
    let tick = bench.feed.receiver.recv().unwrap();
    assert_eq!((tick.header.block, tick.header.hits, tick.header.from), (0, 0, 0));
    assert!(!bench.refused.are_waiting());
    bench.end();
    assert_eq!(refusals_from(root.path(), 0), [(0, vec!["too_old 2".to_owned()])]);
}

#[test]
fn what_was_refused_last_is_written_before_the_end() {
    let root = tempfile::tempdir().unwrap();
    let bench = bench(root.path(), NOW_MS, Config::default());
    bench.commit(0).unwrap();
    bench.refused.add("p_a", 1, "kind", 3);
    bench.end();
    assert_eq!(refusals_from(root.path(), 1), [(0, vec!["kind 3".to_owned()])]);
}

/// Also with the disk full: erasing makes room.
#[test]
fn what_is_to_be_forgotten_gets_a_block_without_any_hit() {
    let root = tempfile::tempdir().unwrap();
    for (job, max_bytes) in [("e_1", u64::MAX), ("e_2", 1)] {
        let bench = bench(root.path(), NOW_MS, Config { max_bytes, ..Config::default() });
        let forget = Forget { job: job.into(), property_id: "p_a".into(), visitor_ids: vec![7] };
        bench.forgets.want(vec![forget.clone()]);
        bench.forgets.are_marked(std::iter::empty());
        let written = bench.feed.receiver.iter().map(|tick| block::decode(&tick.bytes).unwrap());
        let marked = written.map(|block| block.body.forgets).find(|forgets| !forgets.is_empty());
        assert_eq!(marked, Some(vec![forget]));
        assert!(!bench.forgets.are_waiting());
        bench.end();
    }
}

#[test]
fn a_used_up_budget_keeps_refused_hits_waiting() {
    let root = tempfile::tempdir().unwrap();
    let bench = bench(root.path(), NOW_MS, Config { max_bytes: 1, tick_ms: 100, ..Config::default() });
    bench.refused.add("p_a", 1, "kind", 3);
    bench.clock.advance_ms(100);
    let tick = bench.feed.receiver.recv().unwrap();
    assert_eq!(tick.header.block, 0);
    assert!(bench.refused.are_waiting());
    let refused = bench.refused.clone();
    bench.end();
    assert!(refusals_from(root.path(), 0).iter().all(|(_, lines)| lines.is_empty()));
    assert!(refused.are_waiting());
}

#[test]
fn a_commit_that_fails_neither_loses_nor_doubles_refused_hits() {
    let root = tempfile::tempdir().unwrap();
    let disk = Arc::new(open(root.path()));
    let (parts, _ends, _feed) = parts(&disk, &TestClock::new(NOW_MS), Config::default());
    let refused = parts.refused.clone();
    let mut committer = Committer::new(parts).unwrap();
    refused.add("p_a", 1, "kind", 3);
    // Larger than a block may be.
    let too_large = vec![0; block::MAX_BODY_BYTES + 1];
    assert!(committer.write(too_large, 1, NOW_MS).is_err());
    refused.add("p_a", 1, "kind", 4);
    committer.write(Vec::new(), 0, NOW_MS).unwrap();
    committer.write(Vec::new(), 0, NOW_MS).unwrap();
    assert_eq!(refusals_from(root.path(), 0), [(0, vec!["kind 7".to_owned()]), (0, Vec::new())]);
}
