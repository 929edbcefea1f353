//! Differences planted by hand are found and put right, in every table.

use crate::engine::{Engine, Running, Store};
use crate::support::{Edge, Sums, many_rows, put_segment};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planted_differences_are_found_and_repaired() {
    let (engine, store) = (Engine::start(), Store::new());
    let mut edge = Edge::new("edge-1");
    let mut sums = Sums::default();
    // Two plans of one group: the repair of the second must leave the first alone.
    for number in 0..2 {
        let rows = many_rows(u64::from(number), 400);
        sums.add(&rows);
        let batch = edge.batch(&rows);
        put_segment(&store.objects, number, &[batch]).await;
        let loader = Running::start(store.config("loader-1", &engine));
        loader.wait_loaded(&[&edge]).await;
        loader.stop().await;
    }
    engine.assert_holds(&sums).await;
    let last = engine.number("(SELECT max(plan) FROM hit_rollup)").await;
    // First: once a repair has deleted a plan's rows, the engine may have forgotten the tokens they came under, and
    // running the plan again doubles them until its comparison.
    check_repair(&store, &engine, &edge, &sums, ("nothing", false)).await;
    for (what, sql) in minutes(last).into_iter().chain(hours()) {
        engine.execute(&sql).await;
        check_repair(&store, &engine, &edge, &sums, (what, true)).await;
    }
}

/// Statements that change the minute rows of the last plan.
fn minutes(last: u64) -> Vec<(&'static str, String)> {
    let delete = |table: &str, condition: &str| {
        format!("ALTER TABLE {table} DELETE WHERE plan = {last}{condition} SETTINGS mutations_sync = 2")
    };
    let double = |table: &str, limit: &str| {
        let fresh = "* REPLACE (now() + INTERVAL 1 HOUR AS not_after)";
        format!("INSERT INTO {table} SELECT {fresh} FROM {table} WHERE plan = {last}{limit}")
    };
    vec![
        ("a minute row is missing", delete("hit_rollup", " AND page_path = '/1'")),
        ("all minute rows are missing", delete("hit_rollup", "")),
        ("an insert is doubled", double("hit_rollup", "")),
        ("a session is doubled", double("session_rollup", " LIMIT 1")),
        ("a value is missing", delete("value_rollup", " AND value % 2 = 0")),
        ("items are missing", delete("item_rollup", " AND item_brand = 'maker-1'")),
        ("a refusal is missing", delete("refusal_rollup", " AND reason = 'too_old'")),
    ]
}

/// Statements that change the rows of views.
fn hours() -> Vec<(&'static str, String)> {
    let delete = |table: &str, condition: &str| {
        format!("ALTER TABLE {table} DELETE WHERE {condition} SETTINGS mutations_sync = 2")
    };
    let other = |table: &str, column: &str, which: &str| {
        format!(
            "INSERT INTO {table} SELECT * REPLACE ('other' AS {column}) FROM (SELECT * FROM {table} {which})"
        )
    };
    vec![
        ("a view row is missing", delete("hit_hourly", "page_path = '/2'")),
        ("another view's rows are missing", delete("total_hourly", "1")),
        (
            "a view row is doubled",
            "INSERT INTO session_hourly SELECT * FROM session_hourly LIMIT 1".to_owned(),
        ),
        ("a view row has another page", other("hit_hourly", "page_path", "WHERE page_path = '/3'")),
        ("a view row has another title", other("hit_hourly", "page_title", "WHERE page_path = '/4'")),
        ("values of a view have another city", other("value_hourly", "city", "LIMIT 1")),
        ("items of a view have another name", other("item_hourly", "item_name", "LIMIT 1")),
        ("refusals of a view have another reason", other("refusal_hourly", "reason", "LIMIT 1")),
    ]
}

/// A loader that looks finds whether something differs, and puts it right.
async fn check_repair(
    store: &Store,
    engine: &Engine,
    edge: &Edge,
    sums: &Sums,
    (what, differs): (&str, bool),
) {
    store.forget_last_done();
    let loader = Running::start(store.config("loader-1", engine));
    loader.wait_loaded(&[edge]).await;
    let metrics = loader.metrics();
    assert_eq!(metrics.contains("loader_repairs_total{"), differs, "{what}\n{metrics}");
    loader.stop().await;
    engine.assert_holds(sums).await;
}
