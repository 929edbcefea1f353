//! Plans, their marks and checkpoints are there after a loss of power at any call, whole and without a gap.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use erasure::{JobId, What};
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};
use power_loss::{Case, acknowledged, step};
use store::StoreConfig;
use warehouse_loader::consume::{ConsumeConfig, Consumer};
use warehouse_loader::document::{Checkpoint, Erase, FORMAT, LANE, Part, Plan, Take};
use warehouse_loader::metrics::LoaderMetrics;
use warehouse_loader::plan_log::{Created, PlanLog};
use warehouse_loader::retire::{RetireConfig, Retirer};

use crate::support::{Edge, many_rows, put_segment};

const TIMEOUT: Duration = Duration::from_secs(30);
const PLANS: u64 = 5;

const EXISTENCE: &str = "only whether it is there is looked at";
const PROBE: &str = "a probe that is lost is made again, and only whether it is there is looked at";
const APIS: &str = "apis rely on it";
const NEEDLESS: [(&str, &str); 10] = [
    ("mark a repair: lib/store/plans/*/*.json#", EXISTENCE),
    ("mark as done: lib/store/plans/*/*.json#", EXISTENCE),
    ("open: lib/store/config/", APIS),
    ("open: lib/store/config/log/", APIS),
    ("open: lib/store/erasures/", APIS),
    ("open: lib/store/erasures/open/", APIS),
    ("open: lib/store/salts/", APIS),
    ("open: lib/store/segments/", "hubs rely on it"),
    ("probe: lib/store/probe/", PROBE),
    ("probe: lib/store/probe/*", PROBE),
];

fn plan(n: u64) -> Plan {
    Plan {
        format: FORMAT,
        shard: 0,
        n,
        created_by: "loader-1".into(),
        created_at_ms: n,
        rows_plan: n,
        group_started_at_ms: 0,
        takes: vec![],
        skips: vec![],
        inserts: vec![],
        without: vec![],
        erase: None,
    }
}

/// What it removes, were it a plan of an erasure.
fn part(n: u64) -> Part {
    let what = What::Property { property_id: format!("p_{n}") };
    let erase = Erase { job: JobId::new(n, 1), requested_at_ms: n, what };
    Part { format: FORMAT, shard: 0, n, rows_plan: n, created_at_ms: n, erase, hours: vec![], held: vec![] }
}

fn open(root: &Path) -> Result<(Arc<dyn ObjectStore>, PlanLog), store::StoreError> {
    let store = store::open(&StoreConfig::local(&root.join("lib/store")).unwrap())?;
    Ok((Arc::clone(&store), PlanLog::new(store, 0, TIMEOUT)))
}

/// A loader that goes on behind the newest checkpoint, and makes a checkpoint after every second plan.
#[tokio::main]
async fn work(root: &Path) {
    step("open");
    let (store, log) = open(root).unwrap();
    step("probe");
    store::check_create_if_absent(store.as_ref()).await.unwrap();
    let metrics = service::metrics::SharedRegistry::default().register(LoaderMetrics::new).retire;
    let config =
        RetireConfig { checkpoint_plans: 2, keep_plans: 1, keep_checkpoints: 1, ..Default::default() };
    let retirer = Retirer::new(store, log.clone(), config, TIMEOUT, metrics);
    let first = log.newest_checkpoint().await.unwrap().map_or(1, |checkpoint| checkpoint.n + 1);
    for n in first..first + PLANS {
        step("create a plan");
        match log.create(&plan(n)).await {
            Created::Yes | Created::Refused => {}
            Created::Unclear(error) => panic!("{error}"),
        }
        assert_eq!(log.read(n).await.unwrap(), Some(plan(n)));
        // From now on its rows may be in the warehouse.
        acknowledged(format!("plan {n}"));
        if n.is_multiple_of(2) {
            step("keep what it removes");
            log.put_part(&part(n)).await.unwrap();
            acknowledged(format!("part {n}"));
        }
        if n.is_multiple_of(3) {
            step("mark a repair");
            log.put_repair(n, "loader-1", n).await.unwrap();
            acknowledged(format!("repair {n}"));
        }
        step("mark as done");
        log.put_done(n, "loader-1", n).await.unwrap();
        acknowledged(format!("done {n}"));
        if retirer.is_due(n) {
            step("retire");
            let checkpoint = Checkpoint {
                format: FORMAT,
                shard: 0,
                n,
                created_at_ms: n,
                rows_plan: n,
                group_started_at_ms: 0,
                marks: vec![],
            };
            retirer.checkpoint(&checkpoint).await.unwrap();
            acknowledged(format!("checkpoint {n}"));
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn check(root: &Path, acknowledged: &[String]) -> Result<(), String> {
    let (store, log) = open(root).map_err(|error| error.to_string())?;
    store::check_create_if_absent(store.as_ref()).await.map_err(|error| error.to_string())?;
    let checkpoint =
        log.newest_checkpoint().await.map_err(|error| error.to_string())?.map_or(0, |found| found.n);
    // Whatever can be listed is read whole, acknowledged or not.
    let mut plans = Vec::new();
    for n in log.numbers_to(u64::MAX).await.map_err(|error| error.to_string())? {
        match log.read(n).await.map_err(|error| error.to_string())? {
            Some(found) if found != plan(n) => return Err(format!("plan {n} is another one")),
            Some(_) => plans.push(n),
            None => {}
        }
    }
    let last = plans.last().copied().unwrap_or(0);
    if let Some(gap) = (checkpoint + 1..=last).find(|n| !plans.contains(n)) {
        return Err(format!("plan {gap} is missing below plan {last}"));
    }
    let parts = log.parts().await.map_err(|error| error.to_string())?;
    if let Some(found) = parts.iter().find(|found| **found != part(found.n)) {
        return Err(format!("part {} is another one", found.n));
    }
    for promised in acknowledged {
        let (kind, n) = promised.split_once(' ').unwrap();
        let n: u64 = n.parse().unwrap();
        let is_there = match kind {
            // It outlives its plan.
            "part" => parts.iter().any(|found| found.n == n),
            _ if n <= checkpoint => true,
            "plan" => plans.contains(&n),
            "done" => log.is_done(n).await.map_err(|error| error.to_string())?,
            "repair" => log.has_repair(n).await.map_err(|error| error.to_string())?,
            _ => false,
        };
        if !is_there {
            return Err(format!("{promised} is gone"));
        }
    }
    Ok(())
}

#[test]
fn plans_and_checkpoints_outlive_a_loss_of_power_at_any_call() {
    let test = "power::plans_and_checkpoints_outlive_a_loss_of_power_at_any_call";
    Case { test, work, check, seeds: 1_000, covered: &[], needless: &NEEDLESS }.prove();
}

/// A loader may have listed and planned it before its PUT had ended, which then never did.
#[tokio::test]
async fn batches_of_a_lost_segment_are_read_from_where_they_were_sent_again() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let batch = Edge::new("e1").batch(&many_rows(1, 10));
    let (header, lost) = (batch.header(), put_segment(&store, 1, std::slice::from_ref(&batch)).await);
    let mut plan = plan(1);
    plan.takes.push(Take {
        edge: header.id.edge.clone(),
        epoch: header.id.epoch,
        lane: LANE.into(),
        seq_from: 1,
        seq_to: 1,
        from: header.from,
        to: header.to,
        complete_until_ms: header.complete_until_ms,
        crc32c: crc32c::crc32c(&header.payload_crc32c.to_le_bytes()),
        segments: vec![lost.clone()],
        erased_hits: 0,
    });
    store.delete(&Key::from(lost)).await.unwrap();
    let metrics = service::metrics::SharedRegistry::default().register(LoaderMetrics::new).consume;
    let mut consumer = Consumer::new(Arc::clone(&store), ConsumeConfig::default(), metrics);
    assert!(consumer.batches_of(&plan).await.is_err());
    put_segment(&store, 2, std::slice::from_ref(&batch)).await;
    consumer.refresh(0).await.unwrap();
    assert_eq!(consumer.batches_of(&plan).await.unwrap(), [batch]);
}
