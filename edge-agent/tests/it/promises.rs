//! What an edge owes to those whose hits it acknowledged.

use std::collections::BTreeSet;

use batch::Lane;
use hyper::StatusCode;

use crate::edge::{Answer, Edge, Site};
use crate::hub::Hub;

fn page_view(site: &Site, id: &str) -> String {
    format!(
        r#"{{"measurement_id":"{}","hits":[{{"url":"https://example.com/{id}","id":"{id}"}}]}}"#,
        site.measurement_id
    )
}

/// The value of a sample on `/metrics`, over all labels if it is named without them.
pub(crate) fn sample(metrics: &str, name: &str) -> u64 {
    let matches = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
    metrics.lines().filter(matches).map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

pub(crate) async fn metrics(edge: &Edge) -> String {
    String::from_utf8(edge.admin("/metrics").await.body.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_travel_to_the_hub_on_both_lanes() {
    let site = Site::new();
    let hub = Hub::start(&site.hub_tls);
    let edge = site.start(&site.config(&hub.address)).await;
    for n in 0..20 {
        assert_eq!(edge.post(page_view(&site, &n.to_string())).await.status, StatusCode::NO_CONTENT);
    }
    hub.wait_until(|hub| hub.page_views().1 == 20 && hub.hits().len() == 20).await;
    assert_eq!(hub.page_views(), (20, 20));
    let hit = &hub.hits()[3];
    assert_eq!((hit.hit_id.as_str(), hit.url.as_str()), ("3", "https://example.com/3"));
    assert_eq!(
        (hit.property_id.as_str(), hit.truncated_ip.as_slice()),
        (site.property_id.as_str(), &[127, 0, 0][..])
    );
    assert!(edge.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_hit_survives_kill() {
    let site = Site::new();
    // No hub: everything stays with the edge.
    let mut config = site.config("127.0.0.1:9");
    config.process.flush_interval_ms = 3_600_000;
    config.wal.file_bytes = 1 << 20;
    let mut acknowledged = BTreeSet::new();
    for round in 0..3 {
        let edge = site.start(&config).await;
        let posts = (0..40).map(|n| {
            let (edge, id) = (&edge, format!("{round}-{n}"));
            let body = page_view(&site, &id);
            async move {
                let answer = edge.try_send(hyper::Method::POST, "/v1/collect", &[], body).await;
                answer.is_some_and(|answer| answer.status == StatusCode::NO_CONTENT).then_some(id)
            }
        });
        let mut posts: Vec<_> = posts.map(Box::pin).collect();
        // Half of the requests are answered before the kill, the others are on their way.
        let late = posts.split_off(20);
        for post in posts {
            acknowledged.extend(post.await);
        }
        let late = async {
            let mut answered = Vec::new();
            for post in late {
                answered.extend(post.await);
            }
            answered
        };
        tokio::select! {
            answered = late => acknowledged.extend(answered),
            () = tokio::task::yield_now() => {}
        }
        edge.kill().await;
    }
    assert!(acknowledged.len() >= 60);
    let hub = Hub::start(&site.hub_tls);
    let edge = site.start(&site.config(&hub.address)).await;
    let count = acknowledged.len();
    hub.wait_until(|hub| hub.hits().len() >= count && hub.page_views().1 >= count as u64).await;
    // What the last process left is said, and who has it now.
    let told = edge.admin("/status").await.json()["edge"].clone();
    assert!(told["found"]["hits_in_no_batch"].as_u64().unwrap() >= count as u64, "{told}");
    assert_eq!(told["found"]["batches_not_acknowledged"], 0, "{told}");
    assert!(told["hub"].is_string(), "{told}");
    let stored: BTreeSet<String> = hub.hits().into_iter().map(|hit| hit.hit_id).collect();
    assert!(acknowledged.is_subset(&stored), "missing: {:?}", acknowledged.difference(&stored));
    let (views, position) = hub.page_views();
    assert_eq!((views, position), (hub.hits().len() as u64, hub.hits().len() as u64));
    edge.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_ids_are_counted_once_after_kill() {
    let site = Site::new();
    let hub = Hub::start(&site.hub_tls);
    let config = site.config(&hub.address);
    for round in 0..3_u64 {
        let edge = site.start(&config).await;
        for n in 0..10 {
            assert_eq!(edge.post(page_view(&site, &n.to_string())).await.status, StatusCode::NO_CONTENT);
        }
        if round == 1 {
            // Shipped or not: the next process must know the ids either way.
            hub.wait_until(|hub| hub.page_views().1 >= 10).await;
        }
        edge.kill().await;
    }
    let edge = site.start(&config).await;
    hub.wait_until(|hub| hub.page_views().1 == 30).await;
    assert_eq!(hub.page_views(), (10, 30));
    let status = edge.admin("/status").await.json();
    let counters = &status["positions"][0]["counters"];
    assert_eq!((&counters["acknowledged"], &counters["repeated"]), (&30.into(), &20.into()));
    assert_eq!(counters["by_class"]["human"], 10);
    edge.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unacknowledged_batches_are_sent_again_with_the_same_bytes() {
    let site = Site::new();
    let deaf = Hub::with_acks(&site.hub_tls, false);
    let edge = site.start(&site.config(&deaf.address)).await;
    for n in 0..5 {
        assert_eq!(edge.post(page_view(&site, &n.to_string())).await.status, StatusCode::NO_CONTENT);
    }
    deaf.wait_until(|hub| hub.page_views().1 == 5 && hub.hits().len() == 5).await;
    edge.kill().await;
    let hub = Hub::start(&site.hub_tls);
    let edge = site.start(&site.config(&hub.address)).await;
    hub.wait_until(|hub| hub.page_views().1 == 5 && hub.hits().len() == 5).await;
    for lane in [Lane::Rollup, Lane::Raw] {
        for (first, second) in deaf.batches(lane).iter().zip(hub.batches(lane)) {
            assert_eq!(*first, second);
        }
    }
    edge.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_accounts_add_up_at_every_scrape() {
    let site = Site::new();
    let hub = Hub::start(&site.hub_tls);
    let edge = site.start(&site.config(&hub.address)).await;
    let check = async |edge: &Edge| {
        let text = metrics(edge).await;
        let parts = ["edge_hits_out_total", "edge_hits_dropped_total", "edge_hits_queued"];
        let sum: u64 = parts.iter().map(|name| sample(&text, name)).sum();
        assert_eq!(sample(&text, "edge_hits_in_total"), sum, "{text}");
        parts.map(|name| sample(&text, name))
    };
    for n in 0..60 {
        // Every third is a repeat.
        let id = (n - n % 3 / 2).to_string();
        assert_eq!(edge.post(page_view(&site, &id)).await.status, StatusCode::NO_CONTENT);
        check(&edge).await;
    }
    hub.wait_until(|hub| hub.page_views().1 == 60).await;
    // The last acks are on their way back.
    while check(&edge).await[2] > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(check(&edge).await, [40, 20, 0]);
    edge.kill().await;
    let edge = site.start(&site.config(&hub.address)).await;
    assert_eq!(check(&edge).await, [40, 20, 0]);
    assert!(edge.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_ships_what_was_acknowledged() {
    let site = Site::new();
    let hub = Hub::start(&site.hub_tls);
    let mut config = site.config(&hub.address);
    config.process.flush_interval_ms = 3_600_000;
    let edge = site.start(&config).await;
    for n in 0..7 {
        assert_eq!(edge.post(page_view(&site, &n.to_string())).await.status, StatusCode::NO_CONTENT);
    }
    assert!(edge.stop().await);
    assert_eq!((hub.page_views(), hub.hits().len()), ((7, 7), 7));
}

/// A hit of 50 kB that does not compress, so that a budget is used up soon.
pub(crate) fn noise(site: &Site) -> String {
    noise_of(&site.measurement_id)
}

pub(crate) fn noise_of(measurement_id: &str) -> String {
    // xorshift64: always the same text.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut letter = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'a' + u8::try_from(state >> 59).unwrap() % 26)
    };
    let noise: String = (0..60_000).map(|_| letter()).collect();
    let params: Vec<String> = noise
        .as_bytes()
        .chunks(1000)
        .take(50)
        .enumerate()
        .map(|(n, text)| format!("\"k{n}\":\"{}\"", std::str::from_utf8(text).unwrap()))
        .collect();
    format!(
        r#"{{"measurement_id":"{measurement_id}","hits":[{{"event":"noise","params":{{{}}}}}]}}"#,
        params.join(",")
    )
}

/// Posts until it is refused; how many were taken, and the refusal.
async fn fill(edge: &Edge, body: &str) -> (usize, Answer) {
    let mut taken = 0;
    loop {
        let answer = edge.post(body.to_owned()).await;
        if answer.status != StatusCode::NO_CONTENT {
            return (taken, answer);
        }
        taken += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_a_hub_frees_it() {
    let site = Site::new();
    let mut config = site.config("127.0.0.1:9");
    config.wal.max_bytes = 12 << 20;
    config.wal.file_bytes = 1 << 20;
    let edge = site.start(&config).await;
    let body = noise(&site);
    let (taken, refused) = fill(&edge, &body).await;
    assert_eq!(refused.error(), (503, "full".into(), String::new()));
    assert!(refused.headers.contains_key("retry-after"));
    edge.kill().await;
    let hub = Hub::start(&site.hub_tls);
    config.ship.hubs = vec![hub.address.clone()];
    let edge = site.start(&config).await;
    hub.wait_until(|hub| hub.hits().len() == taken).await;
    while edge.post(body.clone()).await.status != StatusCode::NO_CONTENT {
        tokio::task::yield_now().await;
    }
    edge.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_disk_budget_drains_and_takes_hits_again() {
    let site = Site::new();
    let hub = Hub::with_acks(&site.hub_tls, false);
    let mut config = site.config(&hub.address);
    // As close to each other as they may be.
    config.wal.max_bytes = 8 << 20;
    config.wal.file_bytes = 2 << 20;
    let edge = site.start(&config).await;
    let body = noise(&site);
    let (taken, refused) = fill(&edge, &body).await;
    assert_eq!(refused.error(), (503, "full".into(), String::new()));
    hub.acknowledge();
    while edge.post(body.clone()).await.status != StatusCode::NO_CONTENT {
        tokio::task::yield_now().await;
    }
    hub.wait_until(|hub| hub.hits().len() > taken).await;
    // The file that was being written when the budget was used up goes too: what is left is what came since.
    let disk_bytes = async || {
        let status = edge.admin("/status").await.json();
        status["services"][0]["queues"]["disk"]["length"].as_u64().unwrap()
    };
    while disk_bytes().await > config.wal.max_bytes / 2 {
        tokio::task::yield_now().await;
    }
    assert!(edge.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_never_acknowledges_is_left_for_the_next() {
    let site = Site::new();
    let (deaf, hub) = (Hub::with_acks(&site.hub_tls, false), Hub::start(&site.hub_tls));
    let mut config = site.config(&deaf.address);
    config.ship.hubs.push(hub.address.clone());
    config.ship.ack_timeout_ms = 200;
    let edge = site.start(&config).await;
    for n in 0..5 {
        assert_eq!(edge.post(page_view(&site, &n.to_string())).await.status, StatusCode::NO_CONTENT);
    }
    deaf.wait_until(|hub| !hub.batches(Lane::Rollup).is_empty()).await;
    hub.wait_until(|hub| hub.page_views() == (5, 5) && hub.hits().len() == 5).await;
    assert!(edge.stop().await);
}
