//! What is loaded is exact: sums, hours, quarantine, two loaders, migrations.

use bytes::Bytes;
use clickhouse::Row;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use sha2::{Digest, Sha256};
use warehouse::{HitRollupRow, MigrateError, WarehouseConfig, load_settings, migrate};

use crate::engine::{Engine, Running, Store};
use crate::support::{BASE_MINUTE, Edge, Sums, hit_row, key, many_rows, put_segment};
use batch::{HitRow, RollupRows};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_of_two_edges_are_loaded_once_and_a_repeated_plan_changes_nothing() {
    let (engine, store) = (Engine::start(), Store::new());
    let (mut one, mut two) = (Edge::new("edge-1"), Edge::new("edge-2"));
    let mut sums = Sums::default();
    let mut batches = Vec::new();
    for seed in 0..4 {
        let rows = many_rows(seed, 500);
        sums.add(&rows);
        batches.push(if seed % 2 == 0 { one.batch(&rows) } else { two.batch(&rows) });
    }
    batches.push(one.batch(&RollupRows::default()));
    // Out of order, and the first batch in two segments.
    put_segment(&store.objects, 1, &batches[2..]).await;
    put_segment(&store.objects, 2, &batches[..2]).await;
    put_segment(&store.objects, 3, &batches[..1]).await;

    let loader = Running::start(store.config("loader-1", &engine));
    loader.wait_loaded(&[&one, &two]).await;
    engine.assert_holds(&sums).await;
    let metrics = loader.metrics();
    let hits = sums.events;
    for line in [
        format!("loader_hits_in_total {hits}"),
        format!("loader_hits_out_total {hits}"),
        "loader_hits_queued 0".to_owned(),
    ] {
        assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
    }
    assert_eq!(
        engine.number("(SELECT sum(position) FROM watermark FINAL)").await,
        one.position + two.position
    );
    loader.stop().await;

    for _ in 0..2 {
        store.forget_last_done();
        let loader = Running::start(store.config("loader-1", &engine));
        loader.wait_loaded(&[&one, &two]).await;
        assert!(loader.metrics().contains("loader_verifications_total 1"), "{}", loader.metrics());
        loader.stop().await;
        engine.assert_holds(&sums).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hours_and_dates_are_those_of_half_hour_zones() {
    let (engine, store) = (Engine::start(), Store::new());
    let mut edge = Edge::new("edge-1");
    // 2015-05-17, instants in minutes after midnight UTC; Kathmandu +05:45, Kolkata +05:30, Lord Howe +10:30, St. John's −02:30.
    let table = [
        ("kathmandu", 18 * 60 + 14, 20_700, "2015-05-17", "2015-05-17 23:00:00"),
        ("kathmandu", 18 * 60 + 15, 20_700, "2015-05-18", "2015-05-18 00:00:00"),
        ("kolkata", 18 * 60 + 29, 19_800, "2015-05-17", "2015-05-17 23:00:00"),
        ("kolkata", 18 * 60 + 30, 19_800, "2015-05-18", "2015-05-18 00:00:00"),
        ("lord_howe", 13 * 60 + 30, 37_800, "2015-05-18", "2015-05-18 00:00:00"),
        ("st_johns", 2 * 60 + 29, -9_000, "2015-05-16", "2015-05-16 23:00:00"),
        ("st_johns", 2 * 60 + 30, -9_000, "2015-05-17", "2015-05-17 00:00:00"),
    ];
    let mut rows = RollupRows::default();
    for (property, minute, offset, ..) in table {
        rows.hits.push(hit_row(key(property, BASE_MINUTE + minute, offset, "/"), 1, vec![1]));
    }
    rows.normalize();
    let batch = edge.batch(&rows);
    put_segment(&store.objects, 1, &[batch]).await;
    let loader = Running::start(store.config("loader-1", &engine));
    loader.wait_loaded(&[&edge]).await;
    for hourly in ["hit_hourly", "total_hourly"] {
        let found: Vec<(String, i64, i32, String, String)> = engine
            .client()
            .query_raw(&format!(
                "SELECT property, intDiv(toInt64(toUnixTimestamp(local_hour)) - utc_offset_s, 60) AS instant, \
                 utc_offset_s, toString(local_date), toString(local_hour) FROM {hourly} ORDER BY property, instant"
            ))
            .fetch_all()
            .await
            .unwrap();
        assert_eq!(found.len(), table.len(), "{hourly}");
        for (property, minute, offset, date, hour) in table {
            let local = found.iter().find(|row| row.0 == property && row.3 == date && row.4 == hour);
            let instant = local.unwrap_or_else(|| panic!("{hourly}: {property} {hour} in {found:?}")).1;
            let minute = i64::from(BASE_MINUTE + minute);
            assert!((instant..instant + 60).contains(&minute), "{hourly}: {property} {offset}");
        }
    }
    loader.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_cannot_be_used_is_quarantined_and_the_rest_goes_on() {
    let (engine, store) = (Engine::start(), Store::new());
    let mut edge = Edge::new("edge-1");
    let mut sums = Sums::default();
    let (first, third) = (many_rows(1, 50), many_rows(2, 50));
    sums.add(&first);
    sums.add(&third);
    let batches =
        [edge.batch(&first), edge.payload(Bytes::from_static(b"no payload at all"), 30), edge.batch(&third)];
    put_segment(&store.objects, 1, &batches).await;
    store.objects.put(&Path::from("segments/rollup/0000000000001-hub-1-0.seg"), "cut".into()).await.unwrap();
    let loader = Running::start(store.config("loader-1", &engine));
    loader.wait_loaded(&[&edge]).await;
    engine.assert_holds(&sums).await;
    let metrics = loader.metrics();
    for line in [
        "loader_batches_quarantined_total 1",
        "loader_hits_dropped_total{reason=\"quarantined\"} 30",
        "loader_segments_damaged_total 1",
        &format!("loader_hits_in_total {}", sums.events + 30),
        &format!("loader_hits_out_total {}", sums.events),
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    assert_eq!(loader.status()["positions"][0]["counters"]["dropped"]["quarantined"], 30);
    let kept = format!("quarantine/{}.batch", batches[1].header().id);
    let object = store.objects.get(&Path::from(kept.as_str())).await.unwrap().bytes().await.unwrap();
    assert_eq!(batch::segment::decode(&object).unwrap(), [batches[1].clone()]);
    loader.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_loaders_that_take_over_from_each_other_are_exact() {
    let (engine, store) = (Engine::start(), Store::new());
    let mut edges = [Edge::new("edge-1"), Edge::new("edge-2")];
    let mut sums = Sums::default();
    let config = |id: &str| {
        let mut config = store.config(id, &engine);
        // Far too early: both run the same plan at once, again and again.
        config.plan.takeover_ms = 1;
        config.plan.limits.max_batches = 3;
        config.retire.checkpoint_plans = 4;
        config.retire.keep_plans = 1;
        config
    };
    let loaders = [Running::start(config("loader-1")), Running::start(config("loader-2"))];
    for number in 0..24 {
        let rows = many_rows(u64::from(number), 300);
        sums.add(&rows);
        let edge = &mut edges[usize::try_from(number % 2).unwrap()];
        let batch = edge.batch(&rows);
        put_segment(&store.objects, number, &[batch]).await;
    }
    for loader in &loaders {
        loader.wait_loaded(&[&edges[0], &edges[1]]).await;
    }
    engine.assert_holds(&sums).await;
    for loader in loaders {
        loader.stop().await;
    }
    engine.assert_holds(&sums).await;
}

/// The tables as a build of before the migration 0006 left them, with rows in them.
async fn older_tables(engine: &Engine) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/warehouse/migrations");
    let server = warehouse::client(&WarehouseConfig { database: "default".into(), ..engine.config.clone() });
    server.unwrap().query_raw("CREATE DATABASE meridian").execute().await.unwrap();
    let record = "CREATE TABLE migrations (number UInt32, name String, sha256 String, \
                  applied_at DateTime('UTC') DEFAULT now()) ENGINE = ReplacingMergeTree(applied_at) ORDER BY number";
    engine.execute(record).await;
    for (number, name) in
        (1..).zip(["minute_tables", "hourly_tables", "hourly_views", "watermark", "hourly_codecs"])
    {
        let text = std::fs::read_to_string(folder.join(format!("{number:04}_{name}.sql"))).unwrap();
        let filled = text.replace("{engine:", "").replace("MergeTree}", "MergeTree");
        let filled = filled.replace("MergeTree(plan)}", "MergeTree(plan)").replace("{minute_ttl_days}", "7");
        for statement in filled.split(";\n").filter(|statement| !statement.trim().is_empty()) {
            engine.execute(statement).await;
        }
        let hash = hex::encode(Sha256::digest(text.as_bytes()));
        let applied = format!("({number}, '{name}', '{hash}')");
        engine.execute(&format!("INSERT INTO migrations (number, name, sha256) VALUES {applied}")).await;
    }
    engine
        .execute(
            "INSERT INTO hit_rollup (property, local_date, minute, traffic_class, page_path, event_name, page_views, \
             events, sessions, visitors, plan, not_after) \
             SELECT 'p_0', toDate('2015-05-17'), toDateTime('2015-05-17 00:10:00', 'UTC'), 'human', '/', 'page_view', \
             1, 1, 1, [number], 1, now() + 60 FROM numbers(100)",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_an_older_build_stay_and_new_ones_are_added_to_them() {
    let (engine, store) = (Engine::start(), Store::new());
    older_tables(&engine).await;
    let mut edge = Edge::new("edge-1");
    let rows = many_rows(1, 500);
    put_segment(&store.objects, 1, &[edge.batch(&rows)]).await;
    let loader = Running::start(store.config("loader-1", &engine));
    loader.wait_loaded(&[&edge]).await;
    loader.stop().await;
    let mut sums = Sums::default();
    sums.add(&rows);
    for table in ["hit_rollup", "hit_hourly", "total_hourly"] {
        let events = engine.number(&format!("(SELECT sum(events) FROM {table})")).await;
        assert_eq!(events, sums.events + 100, "{table}");
    }
    let older = "(SELECT uniqCombined64Merge(14)(visitors) FROM hit_hourly WHERE property = 'p_0' AND city = '' AND \
                 hostname = '' AND local_hour = toDateTime('2015-05-17 00:00:00', 'UTC') AND source = '')";
    assert_eq!(engine.number(older).await, 100);
    let revenue = engine.number("(SELECT sum(revenue_micros) FROM hit_hourly WHERE currency != '')").await;
    assert_eq!(revenue, sums.revenue_micros);
    let custom = engine.number("(SELECT sum(custom_metric_5_micros) FROM hit_hourly)").await;
    assert_eq!(custom, sums.custom_micros[4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrations_run_side_by_side_and_again_and_a_later_build_is_refused() {
    let engine = Engine::start();
    let (one, two) = tokio::join!(migrate(&engine.config), migrate(&engine.config));
    one.unwrap();
    two.unwrap();
    let mut config = engine.config.clone();
    config.fsync = true;
    migrate(&config).await.unwrap();
    let with_fsync = "(SELECT count() FROM system.tables WHERE database = 'meridian' AND engine_full LIKE '%fsync_after_insert = 1%')";
    assert_eq!(engine.number(with_fsync).await, 11);
    for table in warehouse::tables::HOURLY {
        let mut columns: Vec<String> = engine
            .client()
            .query_raw(&format!(
                "SELECT name FROM system.columns WHERE database = 'meridian' AND table = '{}'",
                table.name
            ))
            .fetch_all()
            .await
            .unwrap();
        let mut named: Vec<&str> = table.columns().collect();
        columns.sort();
        named.sort_unstable();
        assert_eq!(columns, named, "{}", table.name);
    }
    for table in warehouse::tables::MinuteTable::ALL {
        let sql = format!(
            "SELECT name FROM system.columns WHERE database = 'meridian' AND table = '{}' AND type = 'Array(UInt64)'",
            table.name()
        );
        let ids: Vec<String> = engine.client().query_raw(&sql).fetch_all().await.unwrap();
        assert_eq!(ids, table.visitor_columns(), "{}", table.name());
    }
    engine.execute("INSERT INTO migrations (number, name, sha256) VALUES (99, 'later', 'x')").await;
    assert!(matches!(migrate(&engine.config).await, Err(MigrateError::Newer(99))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stale_rows_are_refused_and_a_repeat_with_a_later_deadline_is_still_recognised() {
    let engine = Engine::start();
    migrate(&engine.config).await.unwrap();
    let mut client = engine.client();
    for (name, value) in load_settings(100_000) {
        client = client.with_setting(name, value);
    }
    let now = u32::try_from(engine.number("toUnixTimestamp(now())").await).unwrap();
    let insert = async |token: &str, not_after: u32| {
        let mut insert = client
            .insert::<HitRollupRow<'_>>("hit_rollup")
            .await
            .unwrap()
            .with_setting("insert_deduplication_token", token);
        insert.write(&HitRollupRow::new(&row(), 0, 1, not_after)).await.unwrap();
        insert.end().await
    };
    let refused = insert("a", now - 10).await.unwrap_err();
    assert!(warehouse::WarehouseError::from(refused).is_stale());
    insert("a", now + 60).await.unwrap();
    insert("a", now + 90).await.unwrap();
    assert_eq!(engine.number("(SELECT sum(events) FROM hit_rollup)").await, 3);
    assert_eq!(engine.number("(SELECT sum(events) FROM total_hourly)").await, 3);
    insert("b", now + 90).await.unwrap();
    assert_eq!(engine.number("(SELECT sum(events) FROM hit_hourly)").await, 6);
    assert_eq!(<HitRollupRow<'_> as Row>::COLUMN_NAMES.len(), 43);
}

fn row() -> HitRow {
    let mut row = hit_row(key("p", BASE_MINUTE, 0, "/"), 3, vec![1]);
    row.new_visitors.clear();
    row
}
