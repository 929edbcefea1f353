//! One batch in several segments: the same one, or another of the same id, which a copy of an edge's data directory made.

use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::engine::{Engine, Running, Store};
use crate::support::{Edge, Sums, many_rows, put_segment};

const CONFLICTS: &str = "loader_batches_conflicting_total";

fn conflicts(metrics: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(CONFLICTS)).unwrap();
    line.trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_in_two_segments_of_one_plan_are_taken_once_also_by_who_reads_them_again() {
    let (engine, store) = (Engine::start(), Store::new());
    let (mut edge, mut sums) = (Edge::new("edge-1"), Sums::default());
    let batches: Vec<_> = (0..4)
        .map(|seed| {
            let rows = many_rows(seed, 200);
            sums.add(&rows);
            edge.batch(&rows)
        })
        .collect();
    // 1 2 3 and 2 3 4: the plan names both, and each of them holds what the other does.
    put_segment(&store.objects, 1, &batches[..3]).await;
    put_segment(&store.objects, 2, &batches[1..]).await;
    let loader = Running::start(store.config("loader-1", &engine));
    loader.wait_loaded(&[&edge]).await;
    loader.stop().await;
    engine.assert_holds(&sums).await;
    let plan = store.objects.get(&Path::from("plans/0/00000000000000000001.json")).await.unwrap();
    let plan: serde_json::Value = serde_json::from_slice(&plan.bytes().await.unwrap()).unwrap();
    assert_eq!(
        (&plan["takes"][0]["seq_to"], plan["takes"][0]["segments"].as_array().unwrap().len()),
        (&4.into(), 2)
    );

    // Without its rows in memory, into a warehouse that has none of them.
    store.forget_last_done();
    let engine = Engine::start();
    let loader = Running::start(store.config("loader-2", &engine));
    loader.wait_loaded(&[&edge]).await;
    assert_eq!(conflicts(&loader.metrics()), 0);
    loader.stop().await;
    engine.assert_holds(&sums).await;
}

/// Batches that two edges made from one state, each going on in its own way.
struct Fork {
    engine: Engine,
    store: Store,
    one: Edge,
    other: Edge,
    sums: Sums,
    segments: u32,
    kept: Vec<batch::SealedBatch>,
}

impl Fork {
    async fn new() -> Self {
        let mut fork = Self {
            engine: Engine::start(),
            store: Store::new(),
            one: Edge::new("edge-1"),
            other: Edge::new("edge-1"),
            sums: Sums::default(),
            segments: 0,
            kept: vec![],
        };
        fork.put_one(50).await;
        // Here the data directory is copied.
        fork.other = Edge { name: fork.one.name.clone(), ..fork.one };
        fork
    }

    /// A batch that counts.
    async fn put_one(&mut self, count: u32) {
        let rows = many_rows(u64::from(self.segments), count);
        self.sums.add(&rows);
        let batch = self.one.batch(&rows);
        self.put(&batch).await;
    }

    /// A batch of the copy, with the id of one that counts.
    async fn put_other(&mut self, count: u32) {
        let batch = self.other.batch(&many_rows(u64::from(self.segments), count));
        self.put(&batch).await;
        self.kept.push(batch);
    }

    async fn put(&mut self, batch: &batch::SealedBatch) {
        self.segments += 1;
        put_segment(&self.store.objects, self.segments, std::slice::from_ref(batch)).await;
    }

    fn start(&self) -> Running {
        Running::start(self.store.config("loader-1", &self.engine))
    }

    /// Nothing of the copy counts, the loader says so, and nothing of it is gone.
    async fn assert_told(&self, loader: &Running) {
        loader.wait_loaded(&[&self.one]).await;
        let told = |_: &serde_json::Value| conflicts(&loader.metrics()) >= self.kept.len() as u64;
        loader.wait("every batch of the copy is told", told).await;
        self.engine.assert_holds(&self.sums).await;
        for batch in &self.kept {
            let header = batch.header();
            let key = format!("quarantine/{}-{:08x}.batch", header.id, header.payload_crc32c);
            let object = self.store.objects.get(&Path::from(key.as_str())).await.unwrap();
            assert_eq!(
                batch::segment::decode(&object.bytes().await.unwrap()).unwrap(),
                std::slice::from_ref(batch)
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_copy_of_a_data_directory_sends_is_told_and_kept_whenever_it_comes() {
    let mut fork = Fork::new().await;
    // Both before anything is loaded.
    fork.put_one(50).await;
    fork.put_other(60).await;
    let loader = fork.start();
    fork.assert_told(&loader).await;
    // When the other of its id is loaded.
    fork.put_one(50).await;
    loader.wait_loaded(&[&fork.one]).await;
    fork.put_other(60).await;
    fork.assert_told(&loader).await;
    loader.stop().await;
    // After a start: both are still in the store.
    let loader = fork.start();
    fork.assert_told(&loader).await;
    loader.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_backup_that_was_put_back_sends_is_told_and_kept_when_nobody_remembers_its_like() {
    let mut fork = Fork::new().await;
    for _ in 0..3 {
        fork.put_one(50).await;
    }
    let loader = fork.start();
    loader.wait_loaded(&[&fork.one]).await;
    loader.stop().await;
    // An hour later the segments are gone; the backup goes on from the second batch, at a later time.
    for entry in std::fs::read_dir(fork.store.directory.path().join("segments/rollup")).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    fork.other.late_ms = 3_600_000;
    let loader = fork.start();
    for _ in 0..2 {
        fork.put_other(60).await;
        fork.assert_told(&loader).await;
    }
    loader.stop().await;
}
