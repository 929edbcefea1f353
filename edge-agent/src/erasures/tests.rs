//! An erasure's mark lies in the WAL once, whatever dies when, and processing has applied it.

use std::path::Path;

use configuration::fixture::{edge_copy, next};
use configuration::stored::erasures::{Erasure, erasure_key, erasure_value};
use hit::block;
use prometheus_client::metrics::counter::Counter;
use property::NewProperty;
use proto::config::Record;
use serde_json::{Map, json};
use service::TestClock;
use tokio::sync::watch as channel;

use super::*;
use crate::disk::DataDir;
use crate::fixture::{NOW_MS, copy, open, page_view, processor};
use crate::handoff::refused::RefusedHits;
use crate::handoff::{Gate, feed, intake};
use crate::ledger::Ledger;
use crate::metrics::pipeline::{ProcessMetrics, WalMetrics};
use crate::process::{self, Process};
use crate::properties::Properties;
use crate::tail::Told;
use crate::wal::committer::{self, Committer};

/// Visitor 1 of the fixture's property.
fn forget(job: &str) -> Forget {
    Forget { job: job.into(), property_id: "p_a".into(), visitor_ids: vec![1] }
}

fn ledger(disk: &DataDir) -> Arc<Ledger> {
    let progress = disk.state.load_progress().unwrap();
    Arc::new(Ledger::opened(&disk.wal.end(), &progress, disk.state.load_outbox().unwrap()))
}

/// Processes all that the WAL holds, up to a block, as after a start.
fn process(disk: &Arc<DataDir>, forgets: &Arc<Forgets>, committed: u64) -> ProcessMetrics {
    let metrics = ProcessMetrics::default();
    let parts = process::Parts {
        config: process::Config::default(),
        disk: disk.clone(),
        // The committer has ended: everything is in the files.
        feed: feed(1, committed).1,
        forgets: forgets.clone(),
        processor: processor(disk),
        ledger: ledger(disk),
        clock: TestClock::new(NOW_MS).shared(),
        metrics: metrics.clone(),
        flushed: channel::channel(0).0,
        drain_ms: 0,
        shutdown: CancellationToken::new(),
    };
    Process::new(parts, disk.state.load_progress().unwrap(), 0, 0).unwrap().run().unwrap();
    metrics
}

/// Commits a hit, with whatever rides along; gives the number of the next block.
fn commit(disk: &Arc<DataDir>, forgets: &Arc<Forgets>, hit: u64) -> u64 {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let gate = Arc::new(Gate::default());
    let (mut ends, intake) = intake(1, 10, 1 << 20, &gate);
    let (sender, answers) = ends.remove(0);
    runtime.spawn(answers.deliver());
    let (feed, _fed) = feed(100, disk.wal.end().block);
    let ledger = ledger(disk);
    let parts = committer::Parts {
        config: crate::wal::Config::default(),
        disk: disk.clone(),
        intake,
        refused: Arc::new(RefusedHits::new(0, Counter::default())),
        forgets: forgets.clone(),
        gate,
        feed,
        ledger: ledger.clone(),
        clock: TestClock::new(NOW_MS + hit * 1_000).shared(),
        metrics: WalMetrics::default(),
    };
    let committer = Committer::new(parts).unwrap();
    let thread = std::thread::spawn(|| committer.run());
    runtime.block_on(sender.commit(page_view(hit), 1)).unwrap();
    drop(sender);
    thread.join().unwrap().unwrap();
    ledger.snapshot().next_block
}

/// The jobs that are marked in the WAL, in its order.
fn marks(root: &Path) -> Vec<String> {
    let left = tempfile::tempdir().unwrap();
    copy(root, left.path());
    let disk = open(left.path());
    let of = |number| block::decode(&disk.wal.read(number).unwrap().1).unwrap().body.forgets;
    (0..disk.wal.end().block).flat_map(of).map(|forget| forget.job).collect()
}

/// What a kill at this moment leaves, opened again.
fn killed(root: &Path) -> (tempfile::TempDir, Arc<DataDir>) {
    let left = tempfile::tempdir().unwrap();
    copy(root, left.path());
    let disk = Arc::new(open(left.path()));
    (left, disk)
}

#[test]
fn mark_is_written_once_whether_or_not_it_was_processed_before_a_kill() {
    let root = tempfile::tempdir().unwrap();
    let disk = Arc::new(open(root.path()));
    let forgets = Arc::<Forgets>::default();
    forgets.want(vec![forget("e_1")]);
    assert!(!forgets.are_waiting(), "nobody knows yet what the WAL holds");
    process(&disk, &forgets, 0);
    commit(&disk, &forgets, 1);
    assert_eq!(marks(root.path()), ["e_1"]);

    // Killed before anything was processed.
    let (root, disk) = killed(root.path());
    let forgets = Arc::<Forgets>::default();
    forgets.want(vec![forget("e_1"), forget("e_2")]);
    let applied = process(&disk, &forgets, disk.wal.end().block);
    assert_eq!(applied.applied(), 1);
    assert!(forgets.are_waiting(), "e_2 has no mark");
    // Flushed, and killed before the next mark.
    let (root, disk) = killed(root.path());
    let forgets = Arc::<Forgets>::default();
    forgets.want(vec![forget("e_1"), forget("e_2")]);
    assert_eq!(process(&disk, &forgets, disk.wal.end().block).applied(), 0, "it was applied before");
    let end = commit(&disk, &forgets, 8);
    assert_eq!(marks(root.path()), ["e_1", "e_2"]);
    assert!(!forgets.are_waiting());
    process(&disk, &forgets, end);
    let state = processor(&disk);
    assert_eq!(state.applied_jobs().collect::<Vec<_>>(), ["e_1", "e_2"]);

    // Flushed: the state alone tells, whoever is asked first.
    let (root, disk) = killed(root.path());
    let forgets = Arc::<Forgets>::default();
    process(&disk, &forgets, disk.wal.end().block);
    forgets.want(vec![forget("e_1"), forget("e_2")]);
    assert!(!forgets.are_waiting());
    commit(&disk, &forgets, 15);
    assert_eq!(marks(root.path()), ["e_1", "e_2"]);
}

#[tokio::test]
async fn every_pipeline_and_the_tail_are_told_of_each_version() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("config.redb");
    let property = NewProperty { name: "Shop".into(), ..NewProperty::default() };
    let property = property.create(NOW_MS).unwrap().property;
    edge_copy(&path, std::iter::once(property.clone()), &[]).unwrap();
    let replica = Replica::open(&path, 1 << 20, Arc::new(Properties::default())).unwrap();
    let pipelines = vec![Arc::<Forgets>::default(), Arc::default()];
    pipelines.iter().for_each(|pipeline| pipeline.are_marked(std::iter::empty()));
    let tail = Arc::new(Tail::new("edge-1"));
    tail.look(&property.property_id, 0);
    tail.tell(
        Told { property_id: property.property_id.clone(), line: Map::from_iter([("n".into(), json!(1))]) },
        0,
    );
    let shutdown = CancellationToken::new();
    let watched = tokio::spawn(watch(replica.clone(), pipelines.clone(), tail.clone(), shutdown.clone()));

    let erasure = Erasure {
        job: "e_1".into(),
        property_id: property.property_id.clone(),
        visitor_ids: vec![u64::MAX, 3],
        requested_at_ms: NOW_MS,
        organisation_id: String::new(),
    };
    let record = |value| Record { key: erasure_key("e_1"), value };
    replica.apply(&[next(&replica, vec![record(Some(erasure_value(&erasure)))]).unwrap()]).unwrap();
    while !pipelines.iter().all(|pipeline| pipeline.are_waiting()) {
        tokio::task::yield_now().await;
    }
    assert_eq!(tail.look(&property.property_id, 0), Some(vec![]));
    for pipeline in &pipelines {
        let mut body = Vec::new();
        pipeline.take().push_to(&mut body);
        let header = hit::BlockHeader { block: 0, from: 0, hits: 0, received_at_ms: 0 };
        let forgets = hit::BlockView::parse(header, &body).unwrap().forgets;
        assert_eq!((forgets.len(), forgets[0].job), (1, "e_1"));
        assert_eq!(forgets[0].property_id, property.property_id);
        assert_eq!(forgets[0].visitor_ids, [u64::MAX, 3]);
    }
    // One that cannot be read is refused with its version.
    let broken = Record { key: erasure_key("e_2"), value: Some(erasure_value(&erasure)) };
    let refused = replica.apply(&[next(&replica, vec![broken]).unwrap()]).unwrap_err().to_string();
    assert!(refused.contains("erasure/e_2"), "{refused}");
    shutdown.cancel();
    watched.await.unwrap().unwrap();
}
