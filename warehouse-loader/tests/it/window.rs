//! A deduplication window that is too small for a plan: tokens are only a filter, the comparison makes it good.

use batch::{RollupRows, SessionRow};
use rand::RngExt;

use crate::calls::{is_long, seeded};
use crate::engine::{Engine, Running, Store};
use crate::strace::{Calls, Tracer};
use crate::support::{BASE_MINUTE, Edge, Sums, hit_row, key, put_segment};

const DATES: u32 = 5;
const WINDOW: u32 = 3;

/// Hits and sessions of five dates, so that a plan takes five INSERTs into each of two tables.
fn rows_of_many_dates(number: u64) -> RollupRows {
    let mut rows = RollupRows::default();
    for date in 0..DATES {
        for minute in 0..20 {
            let key = key("p_1", BASE_MINUTE + date * 1440 + minute, 0, &format!("/{number}"));
            rows.hits.push(hit_row(key.clone(), 2, vec![number]));
            rows.sessions.push(SessionRow {
                key,
                exit_page: "/out".into(),
                sessions: 1,
                engaged_sessions: 1,
                page_views: 2,
                events: 2,
                duration_ms: 1_000,
            });
        }
    }
    rows.normalize();
    rows
}

/// The next batch of the edge, in a segment.
async fn put(store: &Store, edge: &mut Edge, sums: &mut Sums) {
    let number = edge.seq;
    let rows = rows_of_many_dates(number);
    sums.add(&rows);
    put_segment(&store.objects, u32::try_from(number).unwrap(), &[edge.batch(&rows)]).await;
}

fn assert_repaired(metrics: &str, table: &str) {
    let repairs = format!("loader_repairs_total{{table=\"{table}\"}}");
    assert!(metrics.contains(&repairs), "nothing in {table} was doubled:\n{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_of_three_blocks_doubles_nothing() {
    let (engine, store) = (Engine::start(), Store::new());
    let (mut edge, mut sums) = (Edge::new("edge-1"), Sums::default());
    let loader = Running::start(store.config("loader-1", &engine));
    for _ in 0..2 {
        put(&store, &mut edge, &mut sums).await;
        loader.wait_loaded(&[&edge]).await;
        engine.set_window(WINDOW).await;
    }
    loader.stop().await;
    engine.assert_holds(&sums).await;

    // Its INSERTs are repeated, and the first ones of each table are not recognised any more.
    store.forget_last_done();
    let loader = Running::start(store.config("loader-1", &engine));
    loader.wait_loaded(&[&edge]).await;
    assert_repaired(&loader.metrics(), "hit_rollup");
    assert_repaired(&loader.metrics(), "session_rollup");
    loader.stop().await;
    engine.assert_holds(&sums).await;
}

/// The loader dies too, or it would repeat only what was not answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_and_a_loader_that_die_in_a_plan_with_a_window_of_three_blocks_double_nothing() {
    // Parts of hits and of their two views come first, then those of sessions and of their view.
    const FIRST: usize = DATES as usize * 3 + 1;
    const LAST: usize = DATES as usize * 5;
    let (mut engine, store) = (Engine::start(), Store::new());
    let (mut edge, mut sums) = (Edge::new("edge-1"), Sums::default());
    let mut loader = Running::start(store.config("loader-1", &engine));
    put(&store, &mut edge, &mut sums).await;
    loader.wait_loaded(&[&edge]).await;
    engine.set_window(WINDOW).await;
    let tracer = Tracer::new(Calls::Renames);
    engine.trace(&tracer);
    engine.kill();
    engine.restart();
    let mut points: Vec<usize> = (FIRST..=LAST).collect();
    if !is_long() {
        points = vec![seeded("a window of three blocks").random_range(FIRST..=LAST)];
    }
    eprintln!("{} of {} points: {points:?}", points.len(), LAST + 1 - FIRST);
    for point in points {
        tracer.arm(Some(point));
        put(&store, &mut edge, &mut sums).await;
        loader.wait("the engine is dead", |_| tracer.has_killed()).await;
        loader.stop().await;
        engine.kill();
        tracer.arm(None);
        engine.restart();
        loader = Running::start(store.config("loader-1", &engine));
        loader.wait_loaded(&[&edge]).await;
        assert_repaired(&loader.metrics(), "hit_rollup");
        engine.assert_holds(&sums).await;
        engine.assert_hours_are_those_of_minutes().await;
    }
    loader.stop().await;
}
