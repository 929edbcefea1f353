//! Who is over the quota of the day, as the api finds it out from the engine's tables and writes it into its log.

use std::time::Duration;

use api::quotas::QuotasConfig;
use batch::{RollupRows, RowKey};
use prost::Message as _;
use proto::config::{LogEntry, StoredOverQuota};
use serde_json::json;

use crate::rows::{insert, key, views};
use crate::running::Running;

/// 05:15 of 2026-03-10 in Kathmandu, 19:30 of the 9th in New York.
const NOW: &str = "2026-03-09T23:30:00Z";
/// Days from 1970-01-01 to 2026-03-09, by `date -d 2026-03-09 +%s` / 86,400.
const NINTH: i32 = 20_521;

async fn property(running: &Running, time_zone: &str, daily_hits: u64) -> anyhow::Result<String> {
    let body = json!({ "name": "Shop", "time_zone": time_zone, "daily_hits": daily_hits }).to_string();
    let answer = running.http("POST", "/v1/properties", &running.admin_key, &body).await?;
    anyhow::ensure!(answer.status == 200, "{answer:?}");
    Ok(answer.body["property_id"].as_str().unwrap_or_default().to_owned())
}

/// A counter of the api.
async fn counted(running: &Running, name: &str) -> anyhow::Result<u64> {
    let metrics = running.admin("/metrics").await?;
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(line.unwrap_or("0").trim().parse()?)
}

/// Waits until the api has looked twice more: the second look began after this.
async fn looked(running: &Running) -> anyhow::Result<()> {
    let before = counted(running, "api_quota_checks_total").await?;
    while counted(running, "api_quota_checks_total").await? < before + 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(counted(running, "api_quota_failures_total").await?, 0);
    Ok(())
}

/// What the log says of quotas: by whom, property, date, quota; in order.
fn told(running: &Running) -> anyhow::Result<Vec<(String, String, i32, u64)>> {
    let folder = running.dir.path().join("store/config/log");
    let mut files: Vec<_> =
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    // Entries are called by their version, twenty digits; one that is being written is not.
    files.retain(|file: &std::path::PathBuf| file.file_name().is_some_and(|name| name.len() == 20));
    files.sort();
    let mut told = Vec::new();
    for file in files {
        for change in LogEntry::decode(std::fs::read(file)?.as_slice())?.changes {
            for write in change.writes.iter().filter(|write| write.key.starts_with("quota/")) {
                let over = StoredOverQuota::decode(write.after.as_deref().unwrap_or_default())?;
                assert_eq!(write.key, format!("quota/{}", over.property_id));
                let actor = change.actor.clone().unwrap_or_default();
                told.push((actor.kind, over.property_id, over.local_date, over.daily_hits));
            }
        }
    }
    Ok(told)
}

fn hits(property: &str, at: &str, count: u64) -> anyhow::Result<RollupRows> {
    Ok(RollupRows {
        hits: vec![views(key(property, at, "/", "a.example")?, count, 1)],
        ..RollupRows::default()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn properties_over_their_quota_on_their_own_day_are_found() -> anyhow::Result<()> {
    let quotas = QuotasConfig { check_interval_ms: 20, ..QuotasConfig::default() };
    let running = Running::start_as(NOW, quotas).await?;
    let over = property(&running, "UTC", 10).await?;
    let under = property(&running, "UTC", 11).await?;
    let free = property(&running, "UTC", 0).await?;
    let nepal = property(&running, "Asia/Kathmandu", 5).await?;
    let nepal_before = property(&running, "Asia/Kathmandu", 5).await?;
    let york = property(&running, "America/New_York", 5).await?;
    let again = property(&running, "UTC", 10).await?;
    let warehouse = &running.warehouse;
    // Every class counts: six of people and four of bots make ten.
    let bots = |property: &str| {
        let key =
            RowKey { traffic_class: "bot".into(), ..key(property, "2026-03-09T01:00+00:00[UTC]", "/", "")? };
        anyhow::Ok(RollupRows { hits: vec![views(key, 4, 2)], ..RollupRows::default() })
    };
    for property in [&over, &under] {
        insert(warehouse, 0, &hits(property, "2026-03-09T23:10+00:00[UTC]", 6)?).await?;
        insert(warehouse, 0, &bots(property)?).await?;
    }
    insert(warehouse, 0, &hits(&free, "2026-03-09T23:10+00:00[UTC]", 1_000)?).await?;
    insert(warehouse, 0, &hits(&nepal, "2026-03-10T05:01+05:45[Asia/Kathmandu]", 5)?).await?;
    insert(warehouse, 0, &hits(&nepal_before, "2026-03-09T23:59+05:45[Asia/Kathmandu]", 5)?).await?;
    insert(warehouse, 0, &hits(&york, "2026-03-09T19:00-04:00[America/New_York]", 7)?).await?;
    // The same hits counted anew are no hits.
    insert(warehouse, 0, &hits(&again, "2026-03-09T23:10+00:00[UTC]", 9)?).await?;
    insert(warehouse, 1, &hits(&again, "2026-03-09T23:10+00:00[UTC]", 9)?).await?;
    looked(&running).await?;
    let expect = |property: &str, date, quota| ("api".to_owned(), property.to_owned(), date, quota);
    let mut expected = vec![expect(&over, NINTH, 10), expect(&nepal, NINTH + 1, 5), expect(&york, NINTH, 5)];
    expected.sort();
    let mut found = told(&running)?;
    found.sort();
    assert_eq!(found, expected);
    assert_eq!(counted(&running, "api_quota_over_total").await?, 3);

    // A raised quota is reached again, by hits that come later; nothing is told twice.
    let path = format!("/v1/properties/{over}");
    let body = json!({ "daily_hits": 12 }).to_string();
    let answer = running.http("PATCH", &path, &running.admin_key, &body).await?;
    assert_eq!((answer.status, &answer.body["daily_hits"]), (200, &json!(12)));
    looked(&running).await?;
    assert_eq!(told(&running)?.len(), 3);
    insert(warehouse, 0, &hits(&over, "2026-03-09T23:20+00:00[UTC]", 2)?).await?;
    looked(&running).await?;
    let found = told(&running)?;
    assert_eq!((found.len(), found.last()), (4, Some(&expect(&over, NINTH, 12))));

    // In the operator's audit it is the api's own.
    let answer = running.http("GET", "/v1/changes", &running.admin_key, "").await?;
    let newest = answer.body["changes"].as_array().and_then(|changes| changes.first()).cloned();
    let newest = newest.unwrap_or_default();
    assert_eq!(
        (&newest["method"], &newest["actor_kind"]),
        (&json!("NoteOverQuota"), &json!("api")),
        "{newest}"
    );
    assert_eq!(newest["records"][0]["record"], json!(format!("quota/{over}")), "{newest}");
    // On the next day it begins anew.
    running.clock.advance_ms(3_600_000);
    insert(warehouse, 0, &hits(&over, "2026-03-10T00:10+00:00[UTC]", 12)?).await?;
    looked(&running).await?;
    assert_eq!(told(&running)?.last(), Some(&expect(&over, NINTH + 1, 12)));
    running.stop().await
}
