//! Two planners on one store that refuses, fails and times out, and a warehouse that is a map by token.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use warehouse_loader::consume::{ConsumeConfig, Consumer, rows_of};
use warehouse_loader::metrics::ConsumeMetrics;
use warehouse_loader::plan::{Action, Event, Ledger, Limits, Planner, Progress, Selection};
use warehouse_loader::plan_log::{Created, PlanLog};
use warehouse_loader::rows::PlanRows;

use crate::support::{Edge, Sums, many_rows, put_segment};

/// A store whose puts fail before or after they took effect.
#[derive(Debug)]
struct Flaky {
    inner: InMemory,
    rng: Mutex<StdRng>,
}

impl fmt::Display for Flaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("flaky")
    }
}

fn failure() -> object_store::Error {
    object_store::Error::Generic { store: "flaky", source: "seeded failure".into() }
}

#[async_trait::async_trait]
impl ObjectStore for Flaky {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let dice = self.rng.lock().unwrap().random_range(0..10);
        if dice == 0 {
            return Err(failure());
        }
        let result = self.inner.put_opts(location, payload, opts).await;
        if dice == 1 { Err(failure()) } else { result }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if self.rng.lock().unwrap().random_range(0..20) == 0 {
            return Err(failure());
        }
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// Rows by token: what a warehouse with a perfect memory of tokens would hold.
type Warehouse = BTreeMap<String, (u64, u64)>;

struct Sim {
    id: String,
    log: PlanLog,
    consumer: Consumer,
    planner: Planner,
}

impl Sim {
    async fn start(id: &str, store: &Arc<dyn ObjectStore>) -> Self {
        let log = PlanLog::new(Arc::clone(store), 0, Duration::from_secs(5));
        let checkpoint = loop {
            if let Ok(found) = log.newest_checkpoint().await {
                break found;
            }
        };
        let ledger = checkpoint.as_ref().map_or_else(|| Ledger::empty(0), Ledger::from_checkpoint);
        let mut consumer =
            Consumer::new(Arc::clone(store), ConsumeConfig::default(), ConsumeMetrics::default());
        for (stream, mark) in ledger.marks() {
            consumer.index_mut().on_loaded(stream, mark.seq, mark.complete_until_ms);
        }
        Self { id: id.into(), log, consumer, planner: Planner::new(id.into(), 50, ledger) }
    }

    /// One action. Failures of the store leave the planner where it is.
    async fn step(
        &mut self,
        now_ms: u64,
        warehouse: &mut Warehouse,
        runs: &mut Vec<u64>,
    ) -> anyhow::Result<()> {
        let event = match self.planner.action() {
            Action::Look { n } => match self.log.read(n).await? {
                None => Event::Absent,
                Some(plan) => Event::Found { plan: Box::new(plan), done: self.log.is_done(n).await? },
            },
            Action::WaitForDone { .. } => {
                self.planner.on_waited();
                return Ok(());
            }
            Action::Choose { .. } => match self.choose(now_ms).await? {
                Some(event) => event,
                None => Event::Checkpoint(self.log.newest_checkpoint().await?.map(Box::new)),
            },
            Action::CheckVoid { .. } => Event::Checkpoint(self.log.newest_checkpoint().await?.map(Box::new)),
            Action::Run { plan, .. } => {
                let batches = self.consumer.batches_of(&plan).await?;
                let rows = PlanRows::new(rows_of(&plan, &batches)?);
                rows.chunks_as(&plan.inserts)?;
                if plan.inserts.iter().any(|step| !warehouse.contains_key(&step.token)) {
                    runs.push(plan.n);
                }
                for step in &plan.inserts {
                    warehouse.entry(step.token.clone()).or_insert((step.rows, step.hits));
                }
                self.log.put_done(plan.n, &self.id, now_ms).await?;
                Event::Done
            }
        };
        let looked_back = matches!(event, Event::Checkpoint(_));
        match self.planner.on_event(event, now_ms)? {
            // Nothing to choose, and nobody is further.
            Progress::None if matches!(self.planner.action(), Action::Choose { .. }) && looked_back => {
                self.planner.on_waited();
            }
            Progress::None => {}
            Progress::Applied(plan) => {
                for take in &plan.takes {
                    self.consumer.index_mut().on_loaded(&take.stream(), take.seq_to, take.complete_until_ms);
                }
                if plan.n.is_multiple_of(5) {
                    let checkpoint = self.planner.ledger().checkpoint(now_ms);
                    self.log.put_checkpoint(&checkpoint).await?;
                    for n in self.log.numbers_to(plan.n).await? {
                        self.log.delete_plan(n).await?;
                    }
                }
            }
            Progress::Jumped => {
                for (stream, mark) in self.planner.ledger().marks().clone() {
                    self.consumer.index_mut().on_loaded(&stream, mark.seq, mark.complete_until_ms);
                }
            }
        }
        Ok(())
    }

    async fn choose(&mut self, now_ms: u64) -> anyhow::Result<Option<Event>> {
        self.consumer.refresh(now_ms).await?;
        let limits = Limits { max_batches: 2, ..Limits::default() };
        let mut selection = Selection::new(self.planner.ledger().clone(), limits);
        for stream in self.consumer.index().streams() {
            let (seq, _) = selection.next_of(&stream);
            if let Some(found) = self.consumer.candidate(&stream, seq).await? {
                let rows = batch::decode_rollup(found.batch.payload()).map_err(|error| error.to_string());
                selection.offer(found.batch.header(), &found.segment, rows);
            }
        }
        if selection.is_empty() {
            return Ok(None);
        }
        let (plan, _) = selection.finish(&self.id, now_ms)?;
        Ok(Some(match self.log.create(&plan).await {
            Created::Yes => Event::Created(Box::new(plan)),
            Created::Refused | Created::Unclear(_) => Event::CreateUnclear,
        }))
    }

    fn loaded(&self, edge: &Edge) -> bool {
        self.planner
            .ledger()
            .marks()
            .values()
            .any(|mark| mark.edge.as_str() == edge.name && mark.seq == edge.seq)
    }
}

/// One seeded run: two planners step in random order, die at random and start again.
async fn race(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let flaky = Flaky { inner: InMemory::new(), rng: Mutex::new(StdRng::seed_from_u64(seed + 1)) };
    let flaky = Arc::new(flaky);
    let store: Arc<dyn ObjectStore> = Arc::clone(&flaky) as Arc<dyn ObjectStore>;
    let mut edges = [Edge::new("edge-1"), Edge::new("edge-2")];
    let mut sums = Sums::default();
    let reliable: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    for number in 0..30 {
        let rows = many_rows(u64::from(number), 5);
        sums.add(&rows);
        let batch = edges[rng.random_range(0..2)].batch(&rows);
        let copies = if rng.random_range(0..4) == 0 { 2 } else { 1 };
        for copy in 0..copies {
            // Segments come in another order than the batches in them, and some batches twice.
            let key = put_segment(
                &reliable,
                rng.random_range(0..1_000) * 100 + number + copy * 50,
                std::slice::from_ref(&batch),
            )
            .await;
            let bytes =
                object_store::ObjectStoreExt::get(&reliable, &Path::from(key.as_str())).await.unwrap();
            let bytes = bytes.bytes().await.unwrap();
            object_store::ObjectStoreExt::put(&flaky.inner, &Path::from(key.as_str()), bytes.into())
                .await
                .unwrap();
        }
    }
    let mut sims = [Sim::start("a", &store).await, Sim::start("b", &store).await];
    let mut warehouse = Warehouse::new();
    let mut runs = Vec::new();
    for now_ms in 0..20_000 {
        let at = rng.random_range(0..2);
        // A failed step is repeated: the planner gives the same action again.
        let _repeated = sims[at].step(now_ms, &mut warehouse, &mut runs).await;
        if rng.random_range(0..60) == 0 {
            let id = sims[at].id.clone();
            sims[at] = Sim::start(&id, &store).await;
        }
        if sims.iter().all(|sim| edges.iter().all(|edge| sim.loaded(edge))) {
            break;
        }
    }
    assert!(
        sims.iter().all(|sim| edges.iter().all(|edge| sim.loaded(edge))),
        "seed {seed} did not come to an end"
    );
    let hits: u64 =
        warehouse.iter().filter(|(token, _)| token.contains("hit_rollup")).map(|(_, (_, hits))| hits).sum();
    assert_eq!(hits, sums.events, "seed {seed}");
    let sessions: u64 = warehouse
        .iter()
        .filter(|(token, _)| token.contains("session_rollup"))
        .map(|(_, (_, hits))| hits)
        .sum();
    assert_eq!(sessions, sums.closed, "seed {seed}");
    assert!(runs.windows(2).all(|pair| pair[0] < pair[1]), "seed {seed}: plans load in order, {runs:?}");
}

#[tokio::test]
async fn racing_planners_on_a_failing_store_load_each_batch_once() {
    for seed in 0..200 {
        race(seed).await;
    }
}

#[tokio::test]
async fn a_loader_that_was_away_until_plans_and_segments_were_retired_finds_back() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let mut edge = Edge::new("edge-1");
    let mut warehouse = Warehouse::new();
    let mut runs = Vec::new();
    let mut away = Sim::start("a", &store).await;
    let mut present = Sim::start("b", &store).await;
    let mut keys = Vec::new();
    for number in 0..10 {
        let batch = edge.batch(&many_rows(u64::from(number), 5));
        keys.push(put_segment(&store, number, &[batch]).await);
        while !present.loaded(&edge) {
            present.step(0, &mut warehouse, &mut runs).await.unwrap();
        }
    }
    for key in keys {
        object_store::ObjectStoreExt::delete(&store, &Path::from(key.as_str())).await.unwrap();
    }
    // What waits does not follow what `away` has loaded.
    put_segment(&store, 10, &[edge.batch(&many_rows(10, 5))]).await;
    for now_ms in 0..20 {
        away.step(now_ms, &mut warehouse, &mut runs).await.unwrap();
    }
    assert!(away.loaded(&edge));
    assert_eq!(runs, Vec::from_iter(1..=11));
}
