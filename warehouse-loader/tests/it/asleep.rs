//! A loader that stands still (SIGSTOP) between any two INSERTs of a plan, for longer than the others wait, and is woken
//! when another one has finished the plan and more: at once, or when its rows have become too old.

use std::time::Duration;

use crate::engine::{Engine, Running};
use crate::process::LoaderProcess;
use crate::sent::{HIT_INSERTS, SESSION_INSERTS, Sent};

/// Before each INSERT, when it was found to be wanted; when its rows are sent and not ended; before the plan is marked.
const PLACES: [(&str, usize); 6] = [
    ("loader.insert.hits.before", HIT_INSERTS),
    ("loader.insert.hits.sent", HIT_INSERTS),
    ("loader.insert.sessions.before", SESSION_INSERTS),
    ("loader.insert.sessions.sent", SESSION_INSERTS),
    ("loader.insert.watermarks.before", 1),
    ("loader.plan.done.before", 1),
];

/// A loader that takes over at once.
fn eager(sent: &Sent, engine: &Engine) -> Running {
    let mut config = sent.store.config("loader-2", engine);
    config.plan.takeover_ms = 1;
    Running::start(config)
}

fn sleeper(sent: &Sent, engine: &Engine, not_after_s: u64) -> LoaderProcess {
    let mut config = sent.store.config("loader-1", engine);
    // It never takes over itself: what it runs it has made.
    config.plan.takeover_ms = 3_600_000;
    config.insert.not_after_s = not_after_s;
    LoaderProcess::start(&config)
}

/// Sleeps at each place in turn. `until_stale`: until the rows in its hands are too old.
async fn sleep_at_every_place(not_after_s: u64, until_stale: bool) {
    let (engine, mut sent) = (Engine::start(), Sent::new());
    let loader = sleeper(&sent, &engine, not_after_s);
    sent.put().await;
    loader.wait_loaded(&[&sent.edge]).await;
    for (place, inserts) in PLACES {
        for nth in 1..=inserts {
            loader.arm(place, service::fail::STOP);
            sent.put().await;
            loader.stop_at(place, nth).await;
            let asleep_at_s = engine.now_s().await;
            let other = eager(&sent, &engine);
            other.wait_loaded(&[&sent.edge]).await;
            // Also plans after it.
            sent.put().await;
            other.wait_loaded(&[&sent.edge]).await;
            sent.assert_held(&engine).await;
            while until_stale && engine.now_s().await <= asleep_at_s + not_after_s {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            loader.wake();
            loader.wait_loaded(&[&sent.edge]).await;
            sent.assert_held(&engine).await;
            other.stop().await;
        }
    }
    let refused = loader.metrics().contains("loader_insert_failures_total{kind=\"retryable\"}");
    assert_eq!(refused, until_stale, "{}", loader.metrics());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loader_that_slept_between_any_two_inserts_changes_nothing_when_it_is_woken() {
    sleep_at_every_place(600, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loader_that_slept_until_its_rows_were_too_old_is_refused() {
    sleep_at_every_place(1, true).await;
}

/// What the two tests above would miss if tokens did nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loader_that_slept_would_double_rows_if_its_token_were_forgotten() {
    let (engine, mut sent) = (Engine::start(), Sent::new());
    let loader = sleeper(&sent, &engine, 600);
    sent.put().await;
    loader.wait_loaded(&[&sent.edge]).await;
    engine.set_window(0).await;
    loader.arm("loader.insert.hits.before", service::fail::STOP);
    sent.put().await;
    loader.stop_at("loader.insert.hits.before", 2).await;
    let other = eager(&sent, &engine);
    other.wait_loaded(&[&sent.edge]).await;
    sent.assert_held(&engine).await;
    loader.wake();
    loader.wait_loaded(&[&sent.edge]).await;
    assert!(engine.number("(SELECT sum(events) FROM hit_rollup)").await > sent.sums.events);
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_a_loader_that_slept_during_a_repair_are_put_right_with_the_next_plan() {
    let (engine, mut sent) = (Engine::start(), Sent::new());
    let loader = sleeper(&sent, &engine, 600);
    sent.put().await;
    loader.wait_loaded(&[&sent.edge]).await;
    loader.arm("loader.insert.hits.before", service::fail::STOP);
    sent.put().await;
    loader.stop_at("loader.insert.hits.before", 2).await;
    // Of the date that it is about to insert there is a row of this plan already, under no token: the other one finds it
    // and repairs, and the rows that it puts in their place do not have the sleeper's token.
    let plan = engine.number("(SELECT max(plan) FROM hit_rollup)").await;
    let row = "SELECT * REPLACE (toDate('2015-05-31') AS local_date, now() + INTERVAL 1 HOUR AS not_after)";
    engine
        .execute(&format!("INSERT INTO hit_rollup {row} FROM hit_rollup WHERE plan = {plan} LIMIT 1"))
        .await;
    let other = eager(&sent, &engine);
    other.wait_loaded(&[&sent.edge]).await;
    assert!(other.metrics().contains("loader_repairs_total{table=\"hit_rollup\"}"), "{}", other.metrics());
    sent.assert_held(&engine).await;
    loader.wake();
    loader.wait_loaded(&[&sent.edge]).await;
    sent.put().await;
    other.wait_loaded(&[&sent.edge]).await;
    loader.wait_loaded(&[&sent.edge]).await;
    sent.assert_held(&engine).await;
    other.stop().await;
}
