//! Erasures on the real engine: what was to go is gone from every table, everything else is as before, and nothing comes back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use batch::{HitRow, RollupRows};
use erasure::{Before, JobId, Jobs, Progress, Request, State, VisitorId, What};
use warehouse_loader::Config;
use warehouse_loader::plan_log::PlanLog;

use crate::engine::{Engine, Running, Store};
use crate::process::LoaderProcess;
use crate::support::{BASE_MINUTE, Edge, Sums, hit_row, key, many_rows, put_segment};

/// All tables, by whether rows of them carry the plan.
const MINUTES: [&str; 5] = ["hit_rollup", "session_rollup", "value_rollup", "item_rollup", "refusal_rollup"];
const HOURS: [&str; 6] =
    ["hit_hourly", "session_hourly", "total_hourly", "value_hourly", "item_hourly", "refusal_hourly"];

/// After the requests of these tests, so that nothing is waited for.
const LATER_MS: u64 = 10_000;
const REQUESTED_MS: u64 = 5_000;

fn jobs(store: &Store) -> Jobs {
    Jobs::new(Arc::clone(&store.objects), Duration::from_secs(5))
}

fn log(store: &Store) -> PlanLog {
    PlanLog::new(Arc::clone(&store.objects), 0, Duration::from_secs(5))
}

/// A loader that looks for erasures all the time, and whose segments go at once.
fn config(store: &Store, id: &str, engine: &Engine) -> Config {
    let mut config = store.config(id, engine);
    config.erase.list_interval_ms = 20;
    config.insert.not_after_s = 3;
    config.retire.checkpoint_plans = 1;
    config.retire.segment_retention_s = 0;
    config.retire.raw_retention_s = 0;
    config
}

async fn request(store: &Store, number: u32, what: What) -> JobId {
    let job = JobId::new(REQUESTED_MS, number);
    let request = Request { format: 1, job: job.clone(), requested_at_ms: REQUESTED_MS, what };
    assert!(jobs(store).create(&request).await.unwrap());
    job
}

fn property(id: &str) -> What {
    What::Property { property_id: id.into() }
}

fn visitors(id: &str, ids: &[u64]) -> What {
    What::Visitors { property_id: id.into(), visitor_ids: ids.iter().map(|id| VisitorId(*id)).collect() }
}

fn before(day: i8, ids: &[&str]) -> What {
    let date = jiff::civil::date(2015, 5, day);
    What::Retention {
        before: vec![Before { date, property_ids: ids.iter().map(|id| (*id).to_owned()).collect() }],
    }
}

async fn progress(store: &Store, job: &JobId) -> Option<Progress> {
    jobs(store).progress_of(job, 0).await.unwrap()
}

/// Polls until the progress of a job is as wanted.
async fn wait(store: &Store, job: &JobId, what: &str, wanted: impl Fn(&Progress) -> bool) -> Progress {
    let poll = async {
        loop {
            match progress(store, job).await {
                Some(progress) if wanted(&progress) => return progress,
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    let Ok(found) = tokio::time::timeout(crate::engine::PATIENCE, poll).await else {
        panic!("{what} not reached: {:?}", progress(store, job).await)
    };
    found
}

/// Waits until the plans of a job are done.
async fn wait_carried_out(store: &Store, job: &JobId) -> Progress {
    let found = wait(store, job, "carried out", |progress| {
        !progress.plans.is_empty()
            && !progress.steps.is_empty()
            && progress.steps.iter().all(|step| step.done)
    })
    .await;
    for n in &found.plans {
        while !log(store).is_done(*n).await.unwrap() && log(store).read(*n).await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    progress(store, job).await.unwrap()
}

/// Segments of two edges with rows of 40 properties; what the rows are.
async fn load(store: &Store, edges: &mut [Edge; 2], loader: &Running) -> Vec<RollupRows> {
    let mut all = Vec::new();
    for number in 0..4 {
        let rows = many_rows(u64::from(number), 400);
        let edge = &mut edges[usize::try_from(number % 2).unwrap()];
        edge.late_ms = LATER_MS;
        let batch = edge.batch(&rows);
        put_segment(&store.objects, number, &[batch]).await;
        all.push(rows);
    }
    loader.wait_loaded(&[&edges[0], &edges[1]]).await;
    all
}

/// A batch of a property that nothing is erased of.
async fn one_more(store: &Store, edge: &mut Edge) -> RollupRows {
    let mut rows = RollupRows::default();
    rows.hits.push(hit_row(key("p_0", BASE_MINUTE, 0, "/more"), 1, vec![1]));
    let batch = edge.batch(&rows);
    put_segment(&store.objects, 30, &[batch]).await;
    rows
}

fn sums(all: &[RollupRows], keep: impl Fn(&str, u16) -> bool) -> Sums {
    let mut sums = Sums::default();
    for rows in all {
        let mut rows = rows.clone();
        rows.hits.retain(|row| keep(&row.key.property, row.key.local_date));
        rows.sessions.retain(|row| keep(&row.key.property, row.key.local_date));
        rows.values.retain(|row| keep(&row.key.property, row.key.local_date));
        rows.items.retain(|row| keep(&row.key.property, row.key.local_date));
        rows.refusals.retain(|row| keep(&row.property, row.local_date));
        sums.add(&rows);
    }
    sums
}

/// The rows without visitors of a property.
fn forget(all: &[RollupRows], property: &str, gone: &[u64]) -> Vec<RollupRows> {
    let mut all = all.to_vec();
    for row in all.iter_mut().flat_map(|rows| &mut rows.hits).filter(|row| &*row.key.property == property) {
        row.visitors.retain(|id| !gone.contains(id));
        row.new_visitors.retain(|id| !gone.contains(id));
    }
    all
}

/// A hash over all that the tables hold of other properties than one, but for the plan and the time of their insertion.
async fn others(engine: &Engine, property: &str) -> Vec<u64> {
    let mut found = Vec::new();
    for table in MINUTES.into_iter().chain(HOURS) {
        let sets = match table {
            "hit_hourly" | "total_hourly" => {
                " REPLACE (finalizeAggregation(visitors) AS visitors, finalizeAggregation(new_visitors) AS new_visitors)"
            }
            _ => "",
        };
        // As if all parts were merged.
        let merged = if table.ends_with("hourly") { " FINAL" } else { "" };
        let sum = format!(
            "(SELECT sum(cityHash64(*)) FROM (SELECT *{sets} FROM {table}{merged} WHERE property != '{property}'))"
        );
        found.push(engine.number(&sum).await);
    }
    found
}

async fn count(engine: &Engine, condition: &str) -> Vec<(&'static str, u64)> {
    let mut found = Vec::new();
    for table in MINUTES.into_iter().chain(HOURS) {
        found.push((table, engine.number(&format!("(SELECT count() FROM {table} WHERE {condition})")).await));
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_property_goes_from_every_table_and_nothing_of_it_comes_in_later() {
    let (engine, store) = (Engine::start(), Store::new());
    let mut edges = [Edge::new("edge-1"), Edge::new("edge-2")];
    let loader = Running::start(config(&store, "loader-1", &engine));
    let mut all = load(&store, &mut edges, &loader).await;
    let (there, others_before) = (count(&engine, "property = 'p_12'").await, others(&engine, "p_12").await);
    assert!(there.iter().all(|(_, rows)| *rows > 0), "{there:?}");

    let job = request(&store, 1, property("p_12")).await;
    let found = wait_carried_out(&store, &job).await;
    let told: Vec<_> = found.steps.iter().map(|step| (step.store.as_str(), step.rows_before)).collect();
    assert_eq!(told.len(), there.len());
    // Hourly rows may have been merged since.
    assert_eq!(told[..MINUTES.len()], there[..MINUTES.len()], "what was counted is what was there");
    assert!(found.steps.iter().all(|step| step.rows_after == Some(0)), "{found:?}");
    assert_eq!(others(&engine, "p_12").await, others_before);

    // An edge that was cut off.
    let late = many_rows(9, 400);
    let late_hits: u64 =
        late.hits.iter().filter(|row| &*row.key.property == "p_12").map(|row| row.events).sum();
    let batch = edges[0].batch(&late);
    put_segment(&store.objects, 9, &[batch]).await;
    all.push(late);
    loader.wait_loaded(&[&edges[0], &edges[1]]).await;
    assert!(late_hits > 0);
    engine.assert_holds(&sums(&all, |id, _| id != "p_12")).await;
    assert!(count(&engine, "property = 'p_12'").await.iter().all(|(_, rows)| *rows == 0));
    let metrics = loader.metrics();
    let total: u64 = all.iter().flat_map(|rows| &rows.hits).map(|row| row.events).sum();
    for line in [
        format!("loader_hits_in_total {total}"),
        format!("loader_hits_out_total {}", total - late_hits),
        format!("loader_hits_dropped_total{{reason=\"erased\"}} {late_hits}"),
    ] {
        assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
    }
    loader.stop().await;

    // A loader that starts at a checkpoint of later knows it.
    let loader = Running::start(config(&store, "loader-2", &engine));
    let late = many_rows(10, 400);
    let batch = edges[1].batch(&late);
    put_segment(&store.objects, 10, &[batch]).await;
    all.push(late);
    loader.wait_loaded(&[&edges[0], &edges[1]]).await;
    engine.assert_holds(&sums(&all, |id, _| id != "p_12")).await;
    assert!(loader.status()["positions"][1]["counters"]["dropped"]["erased"].as_u64() > Some(0));

    // The segments are retired with the next checkpoints.
    let mut number = 20;
    while !matches!(progress(&store, &job).await, Some(Progress { state: State::Done, .. })) {
        let batch = edges[0].batch(&RollupRows::default());
        put_segment(&store.objects, number, &[batch]).await;
        loader.wait_loaded(&[&edges[0], &edges[1]]).await;
        number += 1;
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(number < 400, "{:?}", progress(&store, &job).await);
    }
    while !jobs(&store).open().await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let done = progress(&store, &job).await.unwrap();
    assert_eq!((done.waits_for.len(), done.holds.len()), (0, 0), "{done:?}");
    assert!(log(&store).part(done.plans[0]).await.unwrap().is_some(), "the deleted property stays known");
    loader.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_leaves_rows_out_is_the_same_to_whoever_reads_it_from_segments() {
    let (engine, store) = (Engine::start(), Store::new());
    let mut edges = [Edge::new("edge-1"), Edge::new("edge-2")];
    let mut config = config(&store, "loader-1", &engine);
    config.retire.checkpoint_plans = 1_000;
    config.retire.segment_retention_s = 3_600;
    let loader = Running::start(config.clone());
    let mut all = load(&store, &mut edges, &loader).await;
    let job = request(&store, 1, property("p_12")).await;
    wait_carried_out(&store, &job).await;
    let late = many_rows(9, 400);
    let batch = edges[0].batch(&late);
    put_segment(&store.objects, 9, &[batch]).await;
    all.push(late);
    loader.wait_loaded(&[&edges[0], &edges[1]]).await;
    loader.stop().await;
    let kept = sums(&all, |id, _| id != "p_12");
    assert_ne!(kept, sums(&all, |_, _| true));
    for _ in 0..2 {
        store.forget_last_done();
        let loader = Running::start(config.clone());
        loader.wait_loaded(&[&edges[0], &edges[1]]).await;
        assert!(loader.metrics().contains("loader_verifications_total 1"), "{}", loader.metrics());
        loader.stop().await;
        engine.assert_holds(&kept).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_past_their_retention_go_and_later_ones_stay() {
    let (engine, store) = (Engine::start(), Store::new());
    let mut edges = [Edge::new("edge-1"), Edge::new("edge-2")];
    let loader = Running::start(config(&store, "loader-1", &engine));
    let all = load(&store, &mut edges, &loader).await;
    let job = request(&store, 1, before(18, &["p_12", "p_2"])).await;
    wait_carried_out(&store, &job).await;
    // 2015-05-18 is day 16,573.
    let kept = sums(&all, |id, date| !["p_12", "p_2"].contains(&id) || date >= 16_573);
    engine.assert_holds(&kept).await;
    assert_ne!(kept, sums(&all, |id, _| !["p_12", "p_2"].contains(&id)), "something of them stays");
    engine.assert_hours_are_those_of_minutes().await;
    loader.stop().await;
}

/// The ids that rows of a property have in `hit_rollup`.
async fn ids_of(engine: &Engine, id: &str) -> BTreeSet<u64> {
    let sql = format!(
        "SELECT DISTINCT arrayJoin(arrayConcat(visitors, new_visitors)) FROM hit_rollup WHERE property = '{id}'"
    );
    engine.client().query_raw(&sql).fetch_all::<u64>().await.unwrap().into_iter().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn visitors_go_from_minutes_and_hours_and_all_counts_stay() {
    let (engine, store) = (Engine::start(), Store::new());
    let mut edges = [Edge::new("edge-1"), Edge::new("edge-2")];
    let loader = Running::start(config(&store, "loader-1", &engine));
    let all = load(&store, &mut edges, &loader).await;
    let ids = ids_of(&engine, "p_3").await;
    let gone: Vec<u64> = ids.iter().copied().take(5).collect();
    let others_before = others(&engine, "p_3").await;
    let hours = "(SELECT uniqCombined64Merge(14)(visitors) FROM total_hourly WHERE property = 'p_3')";
    assert_eq!(engine.number(hours).await, u64::try_from(ids.len()).unwrap());

    let job = request(&store, 1, visitors("p_3", &gone)).await;
    let found = wait_carried_out(&store, &job).await;
    assert_eq!(found.holds, [], "minutes of all hours are there");
    let left: BTreeSet<u64> = ids.iter().copied().skip(5).collect();
    assert_eq!(ids_of(&engine, "p_3").await, left);
    engine.assert_hours_are_those_of_minutes().await;
    for table in ["total_hourly", "hit_hourly"] {
        let hours = format!("(SELECT uniqCombined64Merge(14)(visitors) FROM {table} WHERE property = 'p_3')");
        assert_eq!(engine.number(&hours).await, u64::try_from(left.len()).unwrap(), "{table}");
    }
    assert_eq!(others(&engine, "p_3").await, others_before);
    engine.assert_holds(&sums(&forget(&all, "p_3", &gone), |_, _| true)).await;
    loader.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hours_whose_minutes_may_be_gone_are_left_alone_and_named() {
    let (engine, store) = (Engine::start(), Store::new());
    let mut edges = [Edge::new("edge-1"), Edge::new("edge-2")];
    let loader = Running::start(config(&store, "loader-1", &engine));
    let all = load(&store, &mut edges, &loader).await;
    engine
        .execute("ALTER TABLE hit_rollup UPDATE not_after = now() - INTERVAL 29 DAY WHERE 1 SETTINGS mutations_sync = 2")
        .await;
    let ids: Vec<u64> = ids_of(&engine, "p_3").await.into_iter().collect();
    let job = request(&store, 1, visitors("p_3", &ids)).await;
    wait_carried_out(&store, &job).await;
    let found =
        wait(&store, &job, "holds", |progress| progress.holds.iter().any(|hold| hold.dates.is_some())).await;
    let named: Vec<_> =
        found.holds.iter().map(|hold| (hold.store.as_str(), hold.until, hold.dates)).collect();
    let dates: Vec<String> = engine
        .client()
        .query_raw("SELECT toString(arrayJoin([min(local_date), max(local_date)])) FROM hit_hourly WHERE property = 'p_3'")
        .fetch_all()
        .await
        .unwrap();
    let dates = Some((dates[0].parse().unwrap(), dates[1].parse().unwrap()));
    assert_eq!(named, [("hit_hourly", None, dates), ("total_hourly", None, dates)]);
    assert_eq!(ids_of(&engine, "p_3").await, BTreeSet::new(), "minutes hold none any more");
    for table in ["total_hourly", "hit_hourly"] {
        let hours = format!("(SELECT uniqCombined64Merge(14)(visitors) FROM {table} WHERE property = 'p_3')");
        assert_eq!(engine.number(&hours).await, u64::try_from(ids.len()).unwrap(), "{table}");
    }
    assert_eq!(sums(&all, |_, _| true).events, engine.number("(SELECT sum(events) FROM hit_hourly)").await);
    loader.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn visitors_that_an_edge_brings_late_go_with_a_second_plan() {
    let (engine, store) = (Engine::start(), Store::new());
    let mut edges = [Edge::new("edge-1"), Edge::new("edge-2")];
    let mut config = config(&store, "loader-1", &engine);
    config.erase.wait_received_ms = 0;
    config.retire.segment_retention_s = 3_600;
    let loader = Running::start(config);
    // In time of the rows, so that those of the second batch lie before the request.
    let requested_at_ms = u64::from(BASE_MINUTE + 4 * 1440) * 60_000;
    let rows = many_rows(1, 400);
    edges[0].late_ms = 2 * requested_at_ms;
    let batches = [edges[0].batch(&rows), edges[1].batch(&rows)];
    put_segment(&store.objects, 1, &batches).await;
    loader.wait_loaded(&[&edges[0], &edges[1]]).await;
    let ids: Vec<u64> = ids_of(&engine, "p_3").await.into_iter().collect();
    let job = JobId::new(requested_at_ms, 1);
    let request = Request { format: 1, job: job.clone(), requested_at_ms, what: visitors("p_3", &ids) };
    assert!(jobs(&store).create(&request).await.unwrap());
    let found = wait(&store, &job, "a wait for segments", |progress| {
        progress.state == State::Waiting && !progress.holds.is_empty()
    })
    .await;
    assert_eq!(found.plans.len(), 1);
    let named: Vec<&str> = found.holds.iter().map(|hold| hold.store.as_str()).collect();
    assert_eq!(named[..2], ["segments/raw", "segments/rollup"]);
    assert!(named[2].starts_with("outbox of edge-2-") && named.len() == 3, "{named:?}");
    assert_eq!(ids_of(&engine, "p_3").await, BTreeSet::new());
    edges[1].late_ms = 2 * requested_at_ms;
    let batch = edges[1].batch(&rows);
    put_segment(&store.objects, 2, &[batch]).await;
    loader.wait_loaded(&[&edges[0], &edges[1]]).await;
    wait(&store, &job, "a second plan", |progress| progress.plans.len() == 2).await;
    wait_carried_out(&store, &job).await;
    assert_eq!(ids_of(&engine, "p_3").await, BTreeSet::new());
    engine.assert_hours_are_those_of_minutes().await;
    loader.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loader_that_dies_at_any_step_of_an_erasure_is_followed_exactly() {
    let (engine, store) = (Engine::start(), Store::new());
    let mut edges = [Edge::new("edge-1"), Edge::new("edge-2")];
    let config = config(&store, "loader-1", &engine);
    let first = Running::start(config.clone());
    let all = load(&store, &mut edges, &first).await;
    first.stop().await;
    let ids = ids_of(&engine, "p_8").await;
    let mut gone = Vec::new();
    let mut deleted = BTreeSet::new();
    let mut process = LoaderProcess::start(&config);
    let points = [
        "loader.erase.part.before",
        "loader.erase.part.after",
        "loader.erase.rows.before",
        "loader.erase.rows.after",
        "loader.erase.hours.before",
        "loader.erase.hours.deleted",
        "loader.erase.hours.after",
        "loader.plan.done.before",
        "loader.plan.done.after",
    ];
    for (number, point) in (1_u32..).zip(points) {
        process.wait_loaded(&[&edges[0], &edges[1]]).await;
        process.arm(point, "");
        let of_hours = point.contains("hours") || point.contains("done");
        let what = if of_hours {
            gone.push(*ids.iter().nth(gone.len()).unwrap());
            visitors("p_8", &gone[gone.len() - 1..])
        } else {
            let id = format!("p_{}", number + 20);
            deleted.insert(id.clone());
            property(&id)
        };
        let job = request(&store, number, what).await;
        process.wait_dead(point).await;
        process.restart(&config);
        wait_carried_out(&store, &job).await;
        engine.assert_hours_are_those_of_minutes().await;
    }
    process.wait_loaded(&[&edges[0], &edges[1]]).await;
    assert_eq!(gone.len(), 5);
    assert_eq!(ids_of(&engine, "p_8").await, ids.into_iter().skip(5).collect());
    engine.assert_holds(&sums(&forget(&all, "p_8", &gone), |id, _| !deleted.contains(id))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_loaders_that_take_over_from_each_other_erase_exactly() {
    let (engine, store) = (Engine::start(), Store::new());
    let mut edges = [Edge::new("edge-1"), Edge::new("edge-2")];
    let config = |id: &str| {
        let mut config = config(&store, id, &engine);
        // Far too early: both run the same plan at once, again and again.
        config.plan.takeover_ms = 1;
        config.plan.limits.max_batches = 1;
        config
    };
    let loaders = [Running::start(config("loader-1")), Running::start(config("loader-2"))];
    let mut all = load(&store, &mut edges, &loaders[0]).await;
    let ids = ids_of(&engine, "p_8").await;
    let gone: Vec<u64> = ids.iter().copied().take(3).collect();
    let asked = [
        request(&store, 1, property("p_4")).await,
        request(&store, 2, visitors("p_8", &gone)).await,
        request(&store, 3, before(18, &["p_5"])).await,
    ];
    // Old rows of the properties come in meanwhile, without the visitors.
    for number in 10..16 {
        let mut rows = many_rows(u64::from(number), 200);
        rows.hits.retain(|row: &HitRow| &*row.key.property != "p_8");
        rows.sessions.retain(|row| row.key.local_date >= 16_573 || &*row.key.property != "p_5");
        rows.hits.retain(|row| row.key.local_date >= 16_573 || &*row.key.property != "p_5");
        rows.values.retain(|row| row.key.local_date >= 16_573 || &*row.key.property != "p_5");
        rows.items.retain(|row| row.key.local_date >= 16_573 || &*row.key.property != "p_5");
        rows.refusals.retain(|row| row.local_date >= 16_573 || &*row.property != "p_5");
        let batch = edges[0].batch(&rows);
        put_segment(&store.objects, number, &[batch]).await;
        all.push(rows);
    }
    for job in &asked {
        wait_carried_out(&store, job).await;
    }
    for loader in &loaders {
        loader.wait_loaded(&[&edges[0], &edges[1]]).await;
    }
    for loader in loaders {
        loader.stop().await;
    }
    // What one of them sent late is compared by the next that starts.
    let loader = Running::start(self::config(&store, "loader-3", &engine));
    all.push(one_more(&store, &mut edges[1]).await);
    loader.wait_loaded(&[&edges[0], &edges[1]]).await;
    loader.stop().await;
    let kept = |id: &str, date: u16| id != "p_4" && (id != "p_5" || date >= 16_573);
    engine.assert_holds(&sums(&forget(&all, "p_8", &gone), kept)).await;
    engine.assert_hours_are_those_of_minutes().await;
    assert_eq!(ids_of(&engine, "p_8").await, ids.difference(&gone.into_iter().collect()).copied().collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_of_an_earlier_plan_brings_nothing_back() {
    let (engine, store) = (Engine::start(), Store::new());
    let mut edges = [Edge::new("edge-1"), Edge::new("edge-2")];
    let mut config = config(&store, "loader-1", &engine);
    // Plans and segments stay, for there is something to repair from them.
    config.retire.checkpoint_plans = 1_000;
    config.plan.limits.max_batches = 1;
    config.retire.segment_retention_s = 3_600;
    let loader = Running::start(config.clone());
    let mut all = load(&store, &mut edges, &loader).await;
    let ids = ids_of(&engine, "p_8").await;
    let gone: Vec<u64> = ids.iter().copied().take(3).collect();
    let asked = [
        request(&store, 1, property("p_4")).await,
        request(&store, 2, visitors("p_8", &gone)).await,
        request(&store, 3, before(18, &["p_5"])).await,
    ];
    for job in &asked {
        wait_carried_out(&store, job).await;
    }
    loader.stop().await;
    // The rows of the first plans are in doubt, and some are missing.
    for n in 1..=2 {
        log(&store).put_repair(n, "loader-9", 0).await.unwrap();
    }
    engine.execute("ALTER TABLE hit_rollup DELETE WHERE plan <= 2 SETTINGS mutations_sync = 2").await;
    engine.execute("ALTER TABLE session_rollup DELETE WHERE plan <= 2 SETTINGS mutations_sync = 2").await;
    let loader = Running::start(config);
    all.push(one_more(&store, &mut edges[0]).await);
    loader.wait_loaded(&[&edges[0], &edges[1]]).await;
    assert!(loader.metrics().contains("loader_repairs_total{table=\"hit_rollup\"}"), "{}", loader.metrics());
    loader.stop().await;
    let kept = |id: &str, date: u16| id != "p_4" && (id != "p_5" || date >= 16_573);
    engine.assert_holds(&sums(&forget(&all, "p_8", &gone), kept)).await;
    engine.assert_hours_are_those_of_minutes().await;
    assert_eq!(ids_of(&engine, "p_8").await, ids.difference(&gone.into_iter().collect()).copied().collect());
}
