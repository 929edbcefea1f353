//! A killed edge takes hits again before it has processed what it left, and knows repeats all the same.

use batch::Lane;
use hyper::StatusCode;
use nix::sys::stat::Mode;
use serde_json::Value;

use crate::edge::{Edge, Site};
use crate::hub::Hub;

/// Page views with these ids, each of a visitor of its own.
fn page_views(site: &Site, ids: std::ops::Range<u64>) -> String {
    let hit = |n: u64| {
        format!(r#"{{"url":"https://example.com/{}","id":"hit-{n}","client_id":"visitor-{n}"}}"#, n % 7)
    };
    let hits: Vec<String> = ids.map(hit).collect();
    format!(r#"{{"measurement_id":"{}","hits":[{}]}}"#, site.measurement_id, hits.join(","))
}

async fn post(edge: &Edge, site: &Site, ids: std::ops::Range<u64>) {
    let answer = edge.post(page_views(site, ids)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{:?}", answer.body);
}

/// Hits in a queue, and the counters of the edge.
async fn status(edge: &Edge, queue: &str) -> (u64, Value) {
    let mut status = edge.admin("/status").await.json();
    let hits = status["services"][0]["queues"][queue]["length"].as_u64().unwrap();
    (hits, status["positions"][0]["counters"].take())
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_are_taken_before_the_replay_and_repeats_are_still_known() {
    const SEALED: u64 = 300;
    const UNPROCESSED: u64 = 500;
    let site = Site::new();
    let hub = Hub::start(&site.hub_tls);
    let mut config = site.config(&hub.address);

    // One process seals what it took: sessions and ids are in its state. The next one dies before it seals anything.
    let edge = site.start(&config).await;
    for from in (0..SEALED).step_by(100) {
        post(&edge, &site, from..from + 100).await;
    }
    hub.wait_until(|hub| hub.page_views().1 == SEALED).await;
    edge.kill().await;
    config.process.flush_interval_ms = 3_600_000;
    let edge = site.start(&config).await;
    for from in (SEALED..SEALED + UNPROCESSED).step_by(100) {
        post(&edge, &site, from..from + 100).await;
    }
    edge.kill().await;

    // The third cannot begin to restore its state, let alone to replay, before the pipe is opened.
    let pipe = site.path().join("edge.process.restore.held");
    nix::unistd::mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    config.process.flush_interval_ms = 50;
    let edge = site.start(&config).await;
    assert_eq!(edge.admin("/readyz").await.status, StatusCode::OK);
    // A new hit, and a repeat of each kind.
    let before = SEALED + UNPROCESSED;
    post(&edge, &site, before..before + 1).await;
    post(&edge, &site, 7..8).await;
    post(&edge, &site, SEALED + 7..SEALED + 8).await;
    let (replay_hits, counters) = status(&edge, "replay_hits").await;
    assert_eq!((replay_hits, &counters["acknowledged"]), (UNPROCESSED, &(before + 3).into()));
    assert_eq!((&counters["repeated"], &counters["by_class"]["human"]), (&0.into(), &SEALED.into()));
    assert_eq!(status(&edge, "unprocessed_hits").await.0, UNPROCESSED + 3);
    assert_eq!(hub.page_views().1, SEALED, "nothing was processed");

    let opened = pipe.clone();
    tokio::task::spawn_blocking(move || std::fs::File::options().write(true).open(opened))
        .await
        .unwrap()
        .unwrap();
    hub.wait_until(|hub| hub.page_views().1 == before + 3 && hub.hits().len() as u64 == before + 3).await;
    assert_eq!(hub.page_views(), (before + 1, before + 3));
    let sessions: u64 = hub
        .batches(Lane::Rollup)
        .iter()
        .flat_map(|batch| batch::decode_rollup(batch.payload()).unwrap().hits)
        .map(|row| row.sessions)
        .sum();
    assert_eq!(sessions, before + 1, "a repeat opens no session");
    let (replay_hits, counters) = status(&edge, "replay_hits").await;
    assert_eq!((replay_hits, &counters["repeated"]), (0, &2.into()));
    assert_eq!(counters["by_class"]["human"], before + 1);
    std::fs::remove_file(pipe).unwrap();
    assert!(edge.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_stops_in_mid_replay_leaves_the_rest_to_the_next() {
    const HITS: u64 = 400;
    let site = Site::new();
    let mut config = site.config("127.0.0.1:9");
    config.process.flush_interval_ms = 3_600_000;
    let edge = site.start(&config).await;
    for from in (0..HITS).step_by(100) {
        post(&edge, &site, from..from + 100).await;
    }
    edge.kill().await;
    // No time at all for what is in the WAL: it stays there.
    config.drain_ms = 0;
    let pipe = site.path().join("edge.process.restore.held");
    nix::unistd::mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let edge = site.start(&config).await;
    post(&edge, &site, HITS..HITS + 1).await;
    edge.terminate();
    // It stops when it is told so; from then on nothing is taken any more.
    while edge.admin("/readyz").await.status == StatusCode::OK {
        tokio::task::yield_now().await;
    }
    let opened = pipe.clone();
    tokio::task::spawn_blocking(move || std::fs::File::options().write(true).open(opened))
        .await
        .unwrap()
        .unwrap();
    assert!(edge.ends().await);
    std::fs::remove_file(pipe).unwrap();
    let hub = Hub::start(&site.hub_tls);
    let edge = site.start(&site.config(&hub.address)).await;
    hub.wait_until(|hub| hub.page_views().1 == HITS + 1).await;
    assert_eq!(hub.page_views(), (HITS + 1, HITS + 1));
    edge.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn state_that_cannot_be_used_stops_the_edge() {
    let site = Site::new();
    let hub = Hub::start(&site.hub_tls);
    let config = site.config(&hub.address);
    let edge = site.start(&config).await;
    post(&edge, &site, 0..50).await;
    hub.wait_until(|hub| hub.page_views().1 == 50).await;
    edge.kill().await;
    damage_state(&site.path().join("data/state.redb"));
    let edge = site.start(&config).await;
    assert!(!edge.ends().await, "it went on without its state");
}

/// Changes a byte in the stored state of processing, as a bug or a bad disk would.
fn damage_state(path: &std::path::Path) {
    let table: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("changes");
    let database = redb::Database::open(path).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut changes = transaction.open_table(table).unwrap();
        let (seq, mut bytes) = {
            use redb::ReadableTable;
            let (seq, bytes) = changes.first().unwrap().unwrap();
            (seq.value(), bytes.value().to_vec())
        };
        *bytes.last_mut().unwrap() ^= 1;
        changes.insert(seq, bytes.as_slice()).unwrap();
    }
    transaction.commit().unwrap();
}
