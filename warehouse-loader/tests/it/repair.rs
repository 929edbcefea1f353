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
    let now = "now() + INTERVAL 1 HOUR";
    let hits = format!("SELECT * REPLACE ({now} AS not_after) FROM hit_rollup WHERE plan = {last}");
    let sessions =
        format!("SELECT * REPLACE ({now} AS not_after) FROM session_rollup WHERE plan = {last} LIMIT 1");
    let sync = "SETTINGS mutations_sync = 2";
    let plants = [
        // First: once a repair has deleted a plan's rows, the engine may have forgotten the tokens they came under, and
        // running the plan again doubles them until its comparison.
        ("nothing", "SELECT 1".to_owned(), false),
        (
            "a minute row is missing",
            format!("ALTER TABLE hit_rollup DELETE WHERE plan = {last} AND page_path = '/1' {sync}"),
            true,
        ),
        (
            "all minute rows are missing",
            format!("ALTER TABLE hit_rollup DELETE WHERE plan = {last} {sync}"),
            true,
        ),
        ("an insert is doubled", format!("INSERT INTO hit_rollup {hits}"), true),
        ("a session is doubled", format!("INSERT INTO session_rollup {sessions}"), true),
        (
            "a view row is missing",
            format!("ALTER TABLE hit_hourly DELETE WHERE page_path = '/2' {sync}"),
            true,
        ),
        (
            "a value is missing",
            format!("ALTER TABLE value_rollup DELETE WHERE plan = {last} AND value % 2 = 0 {sync}"),
            true,
        ),
        (
            "values of a view have another city",
            "INSERT INTO value_hourly SELECT * REPLACE ('other' AS city) FROM (SELECT * FROM value_hourly LIMIT 1)"
                .to_owned(),
            true,
        ),
        (
            "items are missing",
            format!("ALTER TABLE item_rollup DELETE WHERE plan = {last} AND item_brand = 'maker-1' {sync}"),
            true,
        ),
        (
            "items of a view have another name",
            "INSERT INTO item_hourly SELECT * REPLACE ('other' AS item_name) FROM (SELECT * FROM item_hourly LIMIT 1)"
                .to_owned(),
            true,
        ),
        (
            "a refusal is missing",
            format!("ALTER TABLE refusal_rollup DELETE WHERE plan = {last} AND reason = 'too_old' {sync}"),
            true,
        ),
        (
            "refusals of a view have another reason",
            "INSERT INTO refusal_hourly SELECT * REPLACE ('kind' AS reason) FROM (SELECT * FROM refusal_hourly LIMIT 1)"
                .to_owned(),
            true,
        ),
        ("another view's rows are missing", format!("ALTER TABLE total_hourly DELETE WHERE 1 {sync}"), true),
        (
            "a view row is doubled",
            "INSERT INTO session_hourly SELECT * FROM session_hourly LIMIT 1".to_owned(),
            true,
        ),
        (
            "a view row has another page",
            "INSERT INTO hit_hourly SELECT * REPLACE ('/other' AS page_path) FROM \
             (SELECT * FROM hit_hourly WHERE page_path = '/3')"
                .to_owned(),
            true,
        ),
    ];
    for (what, sql, differs) in plants {
        engine.execute(&sql).await;
        check_repair(&store, &engine, &edge, &sums, (what, differs)).await;
    }
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
