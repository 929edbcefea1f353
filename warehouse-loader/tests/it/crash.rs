//! The engine is killed while an INSERT runs; what is loaded in the end is exact.

use crate::engine::{Engine, Running, Store};
use crate::support::{Edge, Sums, many_rows, put_segment};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_killed_in_the_middle_of_inserts_loses_and_doubles_nothing() {
    const KILLS: u32 = 4;
    let (mut engine, store) = (Engine::start(), Store::new());
    let mut edge = Edge::new("edge-1");
    let mut sums = Sums::default();
    let mut config = store.config("loader-1", &engine);
    config.plan.limits.max_batches = 1;
    let loader = Running::start(config);
    for number in 0..KILLS {
        let rows = many_rows(u64::from(number), 20_000);
        sums.add(&rows);
        let batch = edge.batch(&rows);
        put_segment(&store.objects, number, &[batch]).await;
        loader
            .wait("an insert is running", |status| status["loader"]["insert_running_since_ms"].is_u64())
            .await;
        engine.kill();
        engine.restart();
        loader.wait_loaded(&[&edge]).await;
    }
    engine.assert_holds(&sums).await;
    let metrics = loader.metrics();
    assert!(metrics.contains("loader_insert_failures_total{kind=\"retryable\"}"), "{metrics}");
    loader.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loader_broken_off_in_the_middle_of_a_plan_is_followed_exactly_by_the_next() {
    let (engine, store) = (Engine::start(), Store::new());
    let mut edge = Edge::new("edge-1");
    let mut sums = Sums::default();
    for number in 0..6 {
        let rows = many_rows(u64::from(number), 3_000);
        sums.add(&rows);
        let batch = edge.batch(&rows);
        put_segment(&store.objects, number, &[batch]).await;
    }
    let config = || {
        let mut config = store.config("loader-1", &engine);
        config.plan.limits.max_batches = 1;
        config.plan.limits.max_insert_rows = 500;
        config
    };
    for _ in 0..5 {
        let loader = Running::start(config());
        loader.wait("a plan is open", |status| status["loader"]["insert_running_since_ms"].is_u64()).await;
        loader.stop().await;
    }
    let loader = Running::start(config());
    loader.wait_loaded(&[&edge]).await;
    loader.stop().await;
    engine.assert_holds(&sums).await;
}
