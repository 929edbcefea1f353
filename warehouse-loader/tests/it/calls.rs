//! The engine dies at every rename of a part and at every write to a deduplication log that a plan makes: between a
//! token and its part, between a table and its views, between two dates. What is loaded in the end is exact.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use crate::engine::{Engine, Running};
use crate::sent::{PARTS, Sent};
use crate::strace::{Calls, Tracer};

/// Points of each kind that a short run tries; `MERIDIAN_TEST_LONG=1` tries all, and kills a second time after each.
const SHORT_POINTS: usize = 6;

/// Whether the long variants are asked for.
pub(crate) fn is_long() -> bool {
    std::env::var_os("MERIDIAN_TEST_LONG").is_some_and(|value| value == "1")
}

/// A generator whose seed is printed, and may be given.
pub(crate) fn seeded(what: &str) -> StdRng {
    let seed = match std::env::var("MERIDIAN_TEST_SEED") {
        Ok(text) => text.parse().expect("MERIDIAN_TEST_SEED is a number"),
        Err(_) => rand::random_range(0..1_000_000),
    };
    eprintln!("{what}: seed {seed} (MERIDIAN_TEST_SEED={seed} draws the same points again)");
    StdRng::seed_from_u64(seed)
}

/// Kills the engine after calls of one kind; gives after how many, and how many tables and dates were repaired.
async fn die_at_every(calls: Calls) -> (usize, usize) {
    let (long, mut random) = (is_long(), seeded(&format!("{calls:?}")));
    let (mut engine, mut sent) = (Engine::start(), Sent::new());
    let loader = Running::start(sent.store.config("loader-1", &engine));
    sent.put().await;
    loader.wait_loaded(&[&sent.edge]).await;
    let tracer = Tracer::new(calls);
    engine.trace(&tracer);
    engine.kill();
    engine.restart();

    sent.put().await;
    loader.wait_loaded(&[&sent.edge]).await;
    let all = tracer.seen();
    assert!(all.len() >= PARTS, "{PARTS} parts are written, these calls were seen: {all:#?}");
    let mut points: Vec<usize> = (1..=all.len()).collect();
    if !long {
        points.shuffle(&mut random);
        points.truncate(SHORT_POINTS);
    }
    eprintln!("{calls:?}: {} of {} points: {points:?}", points.len(), all.len());
    let mut deaths = points.len();
    for &point in &points {
        tracer.arm(Some(point));
        sent.put().await;
        loader.wait("the engine is dead", |_| tracer.has_killed()).await;
        engine.kill();
        // The second time in what the first left: a repetition, a comparison, a repair.
        tracer.arm(long.then(|| random.random_range(1..=all.len())));
        engine.restart();
        let edges = [&sent.edge];
        tokio::select! {
            () = loader.wait_loaded(&edges) => {}
            () = loader.wait("the engine is dead again", |_| tracer.has_killed()) => {
                deaths += 1;
                engine.kill();
                tracer.arm(None);
                engine.restart();
                loader.wait_loaded(&edges).await;
            }
        }
        sent.assert_held(&engine).await;
    }
    let metrics = loader.metrics();
    loader.stop().await;
    let repairs = metrics.lines().filter(|line| line.starts_with("loader_repairs_total{"));
    let repairs = repairs.map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()).sum();
    eprintln!("{calls:?}: {deaths} deaths, {repairs} repairs");
    (points.len(), repairs)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_killed_at_any_rename_of_a_plan_loses_and_doubles_nothing() {
    die_at_every(Calls::Renames).await;
}

/// A death right after the write leaves a token without its part: the repetition is dropped, and only a count can tell. One right before it
/// leaves neither, and the repetition is taken. Which of the two it is the kernel decides; of several, some are of the first kind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_killed_at_any_write_to_a_deduplication_log_loses_and_doubles_nothing() {
    let (points, repairs) = die_at_every(Calls::LogWrites).await;
    assert!(repairs > 0, "none of {points} deaths left a token without its part");
}
