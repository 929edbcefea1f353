//! Repairs that come late, and plans that were finished over someone's repair or unclean answer.

use std::sync::Arc;
use std::time::Duration;

use service::{SharedClock, SystemClock, TestClock};
use warehouse::tables::{HIT_HOURLY, MinuteTable};
use warehouse_loader::consume::{ConsumeConfig, Consumer, rows_of};
use warehouse_loader::metrics::{ConsumeMetrics, InsertMetrics};
use warehouse_loader::plan_log::PlanLog;
use warehouse_loader::rows::{PlanData, PlanRows};
use warehouse_loader::send::Sender;
use warehouse_loader::status::LoaderStatus;
use warehouse_loader::verify::{Differences, HourDifference, MinuteDifference, Repair, Verifier};

use crate::engine::{Engine, Running, Store};
use crate::support::{Edge, Sums, many_rows, put_segment};

fn log_of(store: &Store) -> PlanLog {
    PlanLog::new(Arc::clone(&store.objects), 0, Duration::from_secs(5))
}

fn verifier(engine: &Engine, store: &Store, clock: SharedClock) -> Verifier {
    let metrics = InsertMetrics::default();
    let status = LoaderStatus::default();
    let sender = Sender::new(&engine.config, 100_000, 60, clock, metrics.clone(), status).unwrap();
    Verifier::new(&engine.config, log_of(store), sender, metrics).unwrap()
}

async fn data_of(store: &Store, n: u64) -> PlanData {
    let plan = log_of(store).read(n).await.unwrap().unwrap();
    let mut consumer =
        Consumer::new(Arc::clone(&store.objects), ConsumeConfig::default(), ConsumeMetrics::default());
    let batches = consumer.batches_of(&plan).await.unwrap();
    let rows = PlanRows::new(rows_of(&plan, &batches).unwrap());
    PlanData::new(plan, Arc::new(rows)).unwrap()
}

/// The next batch of an edge in a segment of its own.
async fn put_rows(store: &Store, edge: &mut Edge, sums: &mut Sums, number: u32, count: u32) {
    let rows = many_rows(u64::from(number), count);
    sums.add(&rows);
    let batch = edge.batch(&rows);
    put_segment(&store.objects, number, &[batch]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_that_is_late_or_of_a_plan_that_is_done_changes_nothing() {
    let (engine, store) = (Engine::start(), Store::new());
    let (mut edge, mut sums) = (Edge::new("edge-1"), Sums::default());
    put_rows(&store, &mut edge, &mut sums, 0, 300).await;
    let loader = Running::start(store.config("loader-1", &engine));
    loader.wait_loaded(&[&edge]).await;
    loader.stop().await;
    let data = data_of(&store, 1).await;
    let plans = [data.plan.clone()];
    // A repair that acted would take both away.
    engine.execute("INSERT INTO hit_hourly SELECT * FROM hit_hourly LIMIT 1").await;
    let minutes = "SELECT * REPLACE (now() + INTERVAL 1 HOUR AS not_after) FROM hit_rollup LIMIT 1";
    engine.execute(&format!("INSERT INTO hit_rollup {minutes}")).await;
    let step = data.plan.steps_of(MinuteTable::HitRollup);
    let dates: Vec<_> = step.map(|step| step.local_date).collect();
    let minutes = Differences {
        minutes: dates
            .iter()
            .map(|date| MinuteDifference { n: 1, table: MinuteTable::HitRollup, date: *date })
            .collect(),
        hours: vec![],
    };
    let hour = |date| HourDifference {
        group: data.plan.group(),
        group_started_at_ms: data.plan.group_started_at_ms,
        table: &HIT_HOURLY,
        date,
    };
    let hours = Differences { minutes: vec![], hours: dates.iter().map(|date| hour(*date)).collect() };
    let state = async || {
        let of = async |table: &str| {
            engine.number(&format!("(SELECT sum(cityHash64(*) % 1000003) FROM {table})")).await
        };
        (of("hit_rollup").await, engine.number("(SELECT sum(events) FROM hit_hourly)").await)
    };
    let planted = state().await;
    let now_ms = SystemClock::shared().now_ms();
    let repair = async |verifier: &Verifier, differences: &Differences| {
        verifier.repair(&data.plan, std::slice::from_ref(&data), differences, ("loader-2", now_ms)).await
    };

    let in_time = verifier(&engine, &store, SystemClock::shared());
    for differences in [&minutes, &hours] {
        assert_eq!(repair(&in_time, differences).await.unwrap(), Repair::Overtaken);
    }
    assert_eq!(state().await, planted, "the plan is done");

    store.forget_last_done();
    // It took its time, found the plan open, and slept for an hour.
    let late = verifier(&engine, &store, TestClock::new(now_ms - 3_600_000).shared());
    repair(&late, &minutes).await.unwrap_err();
    assert_eq!(repair(&late, &hours).await.unwrap(), Repair::Made);
    assert_eq!(state().await, planted, "the statements came too late");

    while let differences = in_time.compare(&plans).await.unwrap()
        && !differences.is_empty()
    {
        assert_eq!(repair(&in_time, &differences).await.unwrap(), Repair::Made);
    }
    assert_ne!(state().await, planted);
    engine.assert_holds(&sums).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_another_loader_finished_over_an_unclean_answer_is_compared_with_the_next() {
    let (mut engine, store) = (Engine::start(), Store::new());
    let (mut edge, mut sums) = (Edge::new("edge-1"), Sums::default());
    let loader = Running::start(store.config("loader-1", &engine));
    put_rows(&store, &mut edge, &mut sums, 0, 20_000).await;
    loader.wait("an insert is running", |status| status["loader"]["insert_running_since_ms"].is_u64()).await;
    engine.kill();
    let log = log_of(&store);
    log.put_done(1, "loader-2", 0).await.unwrap();
    // The loader leaves the plan without the warehouse.
    loader.wait_loaded(&[&edge]).await;
    assert!(log.has_repair(1).await.unwrap(), "another start of this loader would know of it");
    engine.restart();
    put_rows(&store, &mut edge, &mut sums, 1, 100).await;
    loader.wait_loaded(&[&edge]).await;
    let metrics = loader.metrics();
    assert!(metrics.contains("loader_repairs_total{table=\"hit_rollup\"}"), "{metrics}");
    loader.stop().await;
    engine.assert_holds(&sums).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mark_of_a_repair_makes_the_plan_and_the_next_ones_be_compared_also_after_a_start() {
    let (engine, store) = (Engine::start(), Store::new());
    let (mut edge, mut sums) = (Edge::new("edge-1"), Sums::default());
    // Another loader begins to repair plan 1 and dies.
    log_of(&store).put_repair(1, "loader-2", 0).await.unwrap();
    let mut loader = Running::start(store.config("loader-1", &engine));
    put_rows(&store, &mut edge, &mut sums, 0, 300).await;
    loader.wait_loaded(&[&edge]).await;
    assert!(loader.metrics().contains("loader_verifications_total 1"), "{}", loader.metrics());
    for number in [1, 2] {
        // Its DELETE acts after plan 1 is done.
        engine.execute("ALTER TABLE hit_rollup DELETE WHERE plan = 1 SETTINGS mutations_sync = 2").await;
        put_rows(&store, &mut edge, &mut sums, number, 100).await;
        loader.wait_loaded(&[&edge]).await;
        engine.assert_holds(&sums).await;
        loader.stop().await;
        loader = Running::start(store.config("loader-1", &engine));
    }
    loader.stop().await;
}
