//! A batch that was acknowledged is in a whole segment after a loss of power at any call.

use std::path::Path;

use batch::Lane;
use power_loss::{Case, acknowledged, step};
use store::StoreConfig;

use crate::harness::{Running, batch, copies, lane, segments};

const LANES: [(&str, Lane); 2] = [("rollup", Lane::Rollup), ("raw", Lane::Raw)];
const BATCHES: u64 = 3;

const PROBE: &str = "a probe that is lost is made again, and only whether it is there is looked at";
const APIS: &str = "apis rely on it";
const NEEDLESS: [(&str, &str); 12] = [
    ("open: lib/store/checkpoints/", "loaders rely on it"),
    ("open: lib/store/config/", APIS),
    ("open: lib/store/config/log/", APIS),
    ("open: lib/store/erased/", "loaders rely on it"),
    ("open: lib/store/erased/*/", "loaders rely on it"),
    ("open: lib/store/erasures/", APIS),
    ("open: lib/store/erasures/open/", APIS),
    ("open: lib/store/plans/", "loaders rely on it"),
    ("open: lib/store/plans/*/", "loaders rely on it"),
    ("open: lib/store/salts/", APIS),
    ("probe: lib/store/probe/", PROBE),
    ("probe: lib/store/probe/*", PROBE),
];

fn config(root: &Path) -> StoreConfig {
    StoreConfig::local(&root.join("lib/store")).unwrap()
}

/// An edge that sends the next batch of both lanes when those before are acknowledged.
#[tokio::main]
async fn work(root: &Path) {
    step("open");
    let store = store::open(&config(root)).unwrap();
    step("probe");
    let hub = Running::start(store).await;
    let connection = hub.connect("e1").await;
    let (mut rollup, mut rollup_acks) = connection.open_lane(&lane("e1", Lane::Rollup)).await.unwrap();
    let (mut raw, mut raw_acks) = connection.open_lane(&lane("e1", Lane::Raw)).await.unwrap();
    for seq in 1..=BATCHES {
        step("put");
        rollup.send(&batch("e1", Lane::Rollup, seq)).await.unwrap();
        raw.send(&batch("e1", Lane::Raw, seq)).await.unwrap();
        let wait_rollup = async {
            assert_eq!(rollup_acks.next_ack().await.unwrap().seq, seq);
            acknowledged(format!("rollup {seq}"));
        };
        let wait_raw = async {
            assert_eq!(raw_acks.next_ack().await.unwrap().seq, seq);
            acknowledged(format!("raw {seq}"));
        };
        tokio::join!(wait_rollup, wait_raw);
    }
    hub.stop().await;
}

fn check(root: &Path, acknowledged: &[String]) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = store::open(&config(root)).map_err(|error| error.to_string())?;
    runtime.block_on(store::check_create_if_absent(store.as_ref())).map_err(|error| error.to_string())?;
    for (name, lane) in LANES {
        // Each that can be listed is read whole, acknowledged or not.
        runtime.block_on(segments(store.as_ref(), lane));
        for seq in 1..=BATCHES {
            let promised = acknowledged.contains(&format!("{name} {seq}"));
            if promised && runtime.block_on(copies(store.as_ref(), "e1", lane, seq)) == 0 {
                return Err(format!("{name} batch {seq} is gone"));
            }
        }
    }
    Ok(())
}

#[test]
fn an_acknowledged_batch_outlives_a_loss_of_power_at_any_call() {
    let test = "power::an_acknowledged_batch_outlives_a_loss_of_power_at_any_call";
    Case { test, work, check, seeds: 1_000, covered: &[], needless: &NEEDLESS }.prove();
}
