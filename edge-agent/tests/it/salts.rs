//! Salts as hubs tell them: an edge refuses hits without, starts from its files, and loses none that is in force.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use configuration::salts::{SALT_BYTES, somewhere, wanted};
use configuration::{Salt, SaltMap};
use hyper::{Method, StatusCode};
use service::clock::{Clock as _, SystemClock};

use crate::configure::{LONG, Source};
use crate::edge::{Edge, Site};

const POLL: Duration = Duration::from_millis(20);
const UA: (&str, &str) = ("user-agent", "Mozilla/5.0 (X11; Linux) Firefox/1");

/// 2026-01-01T00:00:00Z.
const NEW_YEAR_MS: u64 = 1_767_225_600_000;

fn now_ms() -> u64 {
    SystemClock::new().now_ms()
}

/// One for each date that needs one; all made of this byte.
fn told(byte: u8) -> SaltMap {
    wanted(now_ms()).into_iter().map(|date| (date, Salt::new([byte; SALT_BYTES]))).collect()
}

fn folder(site: &Site) -> PathBuf {
    site.path().join("data/salts")
}

fn files(site: &Site) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder(site)).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "salt"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read(path).unwrap()))
        .collect()
}

fn files_of(salts: &SaltMap) -> BTreeMap<String, Vec<u8>> {
    salts.iter().map(|(date, salt)| (date.to_string(), salt.bytes().to_vec())).collect()
}

fn hit(site: &Site) -> String {
    format!(
        r#"{{"measurement_id":"{}","hits":[{{"url":"https://shop.example.com/"}}]}}"#,
        site.measurement_id
    )
}

/// Asks until it is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let asked = async {
        while !is_so().await {
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(LONG, asked).await.unwrap_or_else(|_| panic!("not within {LONG:?}: {what}"));
}

async fn missing(edge: &Edge) -> u64 {
    let metrics = edge.admin("/metrics").await.body;
    let text = String::from_utf8(metrics.to_vec()).unwrap();
    let line = text.lines().find(|line| line.starts_with("edge_salts_missing ")).expect("the gauge is there");
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_are_refused_until_every_date_on_earth_has_its_salt() {
    let site = Site::new();
    std::fs::remove_dir_all(folder(&site)).unwrap();
    let source = Source::start(&site).await;
    let mut config = site.config("127.0.0.1:9");
    config.config.sources = vec![source.url.clone()];
    let edge = site.start_unready(&config).await;
    let refused = edge.post(hit(&site)).await;
    assert_eq!(refused.error(), (503, "salt_missing".into(), String::new()));
    assert!(refused.headers["retry-after"].to_str().unwrap().parse::<u32>().unwrap() > 0);
    // Whatever language the client speaks.
    let pixel = format!("/v1/pixel.gif?measurement_id={}&url=https://shop.example.com/", site.measurement_id);
    assert_eq!(edge.send(Method::GET, &pixel, &[UA], "").await.status, StatusCode::SERVICE_UNAVAILABLE);
    let foreign = "/g/collect?v=2&tid=G-TEST123&cid=1.2&en=page_view";
    assert_eq!(edge.send(Method::GET, foreign, &[UA], "").await.status, StatusCode::SERVICE_UNAVAILABLE);
    let dates = somewhere(now_ms());
    let ready = edge.admin("/readyz").await;
    let said = String::from_utf8(ready.body.to_vec()).unwrap();
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(dates.iter().all(|date| said.contains(&date.to_string())), "{said}");
    assert!(missing(&edge).await > 0);
    assert_eq!(files(&site), BTreeMap::new(), "an edge makes no salts");
    // One is not enough.
    let all = told(7);
    let first = all.iter().take(1).map(|(date, salt)| (*date, *salt)).collect();
    source.salts.put(&first, now_ms());
    until("the first salt is kept", async || files(&site) == files_of(&first)).await;
    assert_eq!(edge.post(hit(&site)).await.status, StatusCode::SERVICE_UNAVAILABLE);
    source.salts.put(&all, now_ms());
    until("hits are taken", async || edge.post(hit(&site)).await.status == StatusCode::NO_CONTENT).await;
    until("it is ready", async || edge.admin("/readyz").await.status == StatusCode::OK).await;
    assert_eq!(missing(&edge).await, 0);
    until("every salt is kept", async || files(&site) == files_of(&all)).await;
    assert!(edge.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_starts_from_its_files_with_every_hub_unreachable() {
    let site = Site::new();
    let before = files(&site);
    let mut config = site.config("127.0.0.1:9");
    config.config.sources = vec!["https://127.0.0.1:9".into()];
    // What had expired while it was down goes all the same.
    std::fs::write(folder(&site).join("2026-01-01.salt"), [1; SALT_BYTES]).unwrap();
    let edge = site.start(&config).await;
    assert_eq!(edge.post(hit(&site)).await.status, StatusCode::NO_CONTENT);
    assert_eq!(files(&site), before);
    edge.kill().await;
    let edge = site.start(&config).await;
    assert_eq!(edge.post(hit(&site)).await.status, StatusCode::NO_CONTENT);
    assert!(edge.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_set_takes_nothing_away_and_another_salt_replaces_the_edges_own() {
    let site = Site::new();
    let before = files(&site);
    let source = Source::start(&site).await;
    let mut config = site.config("127.0.0.1:9");
    config.config.sources = vec![source.url.clone()];
    // The source passes on what it holds: alone one that has long expired here.
    let expired = ("2026-01-01".parse().unwrap(), Salt::new([8; SALT_BYTES]));
    source.salts.put(&[expired].into(), NEW_YEAR_MS);
    let edge = site.start(&config).await;
    // Salts come first.
    source.change(vec![]).await;
    assert_eq!(edge.post(hit(&site)).await.status, StatusCode::NO_CONTENT);
    let last = told(9).pop_last().unwrap();
    source.salts.put(&[last].into(), now_ms());
    let mut expected = before.clone();
    expected.insert(last.0.to_string(), vec![9; SALT_BYTES]);
    until("the other salt is kept", async || files(&site) == expected).await;
    assert_eq!(edge.post(hit(&site)).await.status, StatusCode::NO_CONTENT);
    assert_eq!(edge.admin("/readyz").await.status, StatusCode::OK);
    assert!(edge.stop().await);
    let edge = site.start(&config).await;
    assert_eq!(files(&site), expected);
    assert!(edge.stop().await);
}
