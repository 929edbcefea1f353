//! A plan number that is made again when the plan of that number and its successors are done and deleted: whoever makes
//! it sees by the checkpoint that it is void, and so does everybody else.

use std::path::PathBuf;
use std::time::Duration;

use crate::engine::{Engine, PATIENCE, Running};
use crate::process::LoaderProcess;
use crate::sent::Sent;

/// The plan that the sleeper is about to make.
const NUMBER: u64 = 2;
/// Plans between two checkpoints.
const CHECKPOINT_PLANS: u64 = 3;

fn config(sent: &Sent, engine: &Engine, id: &str) -> warehouse_loader::Config {
    let mut config = sent.store.config(id, engine);
    config.plan.takeover_ms = 1;
    config.retire.checkpoint_plans = CHECKPOINT_PLANS;
    config.retire.keep_plans = 0;
    config.retire.keep_checkpoints = 1;
    config
}

fn plan_file(sent: &Sent) -> PathBuf {
    sent.store.directory.path().join(format!("plans/0/{NUMBER:020}.json"))
}

async fn wait_for_plan(sent: &Sent, is_there: bool) {
    let poll = async {
        while plan_file(sent).exists() != is_there {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, poll).await.is_ok(), "plan {NUMBER} is there: {}", !is_there);
}

/// A loader that is about to make plan 2, while another one has gone on until it is deleted.
async fn left_behind(engine: &Engine, sent: &mut Sent) -> (LoaderProcess, Running) {
    let behind = LoaderProcess::start(&config(sent, engine, "loader-1"));
    sent.put().await;
    behind.wait_loaded(&[&sent.edge]).await;
    behind.arm("loader.plan.create.before", service::fail::STOP);
    sent.put().await;
    behind.wait_stopped("loader.plan.create.before").await;
    let ahead = Running::start(config(sent, engine, "loader-2"));
    ahead.wait_loaded(&[&sent.edge]).await;
    assert!(plan_file(sent).exists());
    for _ in NUMBER..=CHECKPOINT_PLANS {
        sent.put().await;
        ahead.wait_loaded(&[&sent.edge]).await;
    }
    wait_for_plan(sent, false).await;
    sent.assert_held(engine).await;
    (behind, ahead)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_made_again_below_the_checkpoint_is_void_for_its_maker() {
    let (engine, mut sent) = (Engine::start(), Sent::new());
    let (behind, ahead) = left_behind(&engine, &mut sent).await;
    behind.wake();
    wait_for_plan(&sent, true).await;
    behind.wait_loaded(&[&sent.edge]).await;
    assert!(behind.metrics().contains("loader_plans_total{result=\"void\"} 1"), "{}", behind.metrics());
    sent.assert_held(&engine).await;
    // Both go on, and the next checkpoint takes the void plan away.
    for _ in 0..CHECKPOINT_PLANS {
        sent.put().await;
        behind.wait_loaded(&[&sent.edge]).await;
        ahead.wait_loaded(&[&sent.edge]).await;
    }
    wait_for_plan(&sent, false).await;
    sent.assert_held(&engine).await;
    ahead.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_void_plan_whose_maker_died_is_run_by_nobody() {
    let (engine, mut sent) = (Engine::start(), Sent::new());
    let (mut behind, ahead) = left_behind(&engine, &mut sent).await;
    behind.arm("loader.plan.create.after", "");
    behind.wake();
    behind.wait_dead("loader.plan.create.after").await;
    assert!(plan_file(&sent).exists());
    behind.restart(&config(&sent, &engine, "loader-1"));
    let third = Running::start(config(&sent, &engine, "loader-3"));
    sent.put().await;
    behind.wait_loaded(&[&sent.edge]).await;
    ahead.wait_loaded(&[&sent.edge]).await;
    third.wait_loaded(&[&sent.edge]).await;
    sent.assert_held(&engine).await;
    third.stop().await;
    ahead.stop().await;
}
