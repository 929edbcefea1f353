//! A deduplication window that is too small for a plan: tokens are only a filter, the comparison makes it good.

use batch::RollupRows;

use crate::engine::{Engine, Running, Store};
use crate::support::{BASE_MINUTE, Edge, Sums, hit_row, key, put_segment};

const TABLES: [&str; 5] = ["hit_rollup", "session_rollup", "hit_hourly", "total_hourly", "session_hourly"];
const DATES: u32 = 8;
const WINDOW: u32 = 3;

/// Rows of eight dates, so that a plan takes eight INSERTs into one table.
fn rows_of_many_dates(number: u64) -> RollupRows {
    let mut rows = RollupRows::default();
    for date in 0..DATES {
        for minute in 0..20 {
            let key = key("p_1", BASE_MINUTE + date * 1440 + minute, 0, &format!("/{number}"));
            rows.hits.push(hit_row(key, 2, vec![number]));
        }
    }
    rows.normalize();
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_of_three_blocks_doubles_nothing() {
    let (engine, store) = (Engine::start(), Store::new());
    let (mut edge, mut sums) = (Edge::new("edge-1"), Sums::default());
    let loader = Running::start(store.config("loader-1", &engine));
    for number in 0..2 {
        let rows = rows_of_many_dates(u64::from(number));
        sums.add(&rows);
        put_segment(&store.objects, number, &[edge.batch(&rows)]).await;
        loader.wait_loaded(&[&edge]).await;
        for table in TABLES {
            let window =
                format!("ALTER TABLE {table} MODIFY SETTING non_replicated_deduplication_window = {WINDOW}");
            engine.execute(&window).await;
        }
    }
    loader.stop().await;
    engine.assert_holds(&sums).await;

    // Its INSERTs are repeated, and the first five of them are not recognised any more.
    store.forget_last_done();
    let loader = Running::start(store.config("loader-1", &engine));
    loader.wait_loaded(&[&edge]).await;
    let metrics = loader.metrics();
    assert!(
        metrics.contains("loader_repairs_total{table=\"hit_rollup\"}"),
        "nothing was doubled:\n{metrics}"
    );
    loader.stop().await;
    engine.assert_holds(&sums).await;
}
