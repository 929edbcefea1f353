//! What an edge does not take: in the rows of its property, by reason, once.

use std::collections::BTreeMap;

use batch::Lane;
use hyper::Method;

use crate::edge::{Edge, Site};
use crate::hub::Hub;

const UA: (&str, &str) = ("user-agent", "Mozilla/5.0 (X11; Linux) Firefox/1");

/// Hits in rows of refusals, by reason.
pub(crate) fn refused(hub: &Hub) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for batch in hub.batches(Lane::Rollup) {
        for row in batch::decode_rollup(batch.payload()).unwrap().refusals {
            *sums.entry(row.reason.to_string()).or_default() += row.hits;
        }
    }
    sums
}

fn total(hub: &Hub) -> u64 {
    refused(hub).values().sum()
}

/// Sends what is refused with this status.
async fn post(edge: &Edge, headers: &[(&str, &str)], body: String, status: u16) {
    let answer = edge.send(Method::POST, "/v1/collect", headers, body).await;
    assert_eq!(answer.status.as_u16(), status, "{:?}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_is_told_by_reason() {
    let site = Site::new();
    let hub = Hub::start(&site.hub_tls);
    let id = &site.measurement_id;
    site.configure(&[("segment", "KEY", "")]);
    let mut config = site.config(&hub.address);
    config.collect.host_suffix = Some("collect.test".into());
    let edge = site.start(&config).await;

    // Our own protocol: a request counts its hits, or 1.
    let hits = |hits: &str| format!(r#"{{"measurement_id":"{id}","hits":[{hits}]}}"#);
    let page = r#"{"url":"https://shop.example.com/"}"#;
    post(&edge, &[UA], hits(&format!(r#"{page},{{"age_ms":-1}},{page}"#)), 400).await;
    post(&edge, &[UA], hits("{}"), 400).await;
    post(&edge, &[UA], hits(r#"{"Url":""},{}"#), 400).await;
    post(&edge, &[UA], hits(&vec![page; 101].join(",")), 400).await;
    post(&edge, &[UA], hits(page)[..60].to_owned(), 400).await;
    post(&edge, &[UA], hits(r#"{"url":"https://shop.example.com/","ip":"192.0.2.1"}"#), 401).await;
    post(&edge, &[UA, ("x-meridian-secret", "sk_wrong")], hits(&format!("{page},{page}")), 401).await;
    let pixel = format!("/v1/pixel.gif?measurement_id={id}&event=page_view");
    assert_eq!(edge.send(Method::GET, &pixel, &[UA], "").await.status.as_u16(), 400);
    // Nobody's: no property, no body, no such path.
    post(&edge, &[UA], hits(page).replace(id.as_str(), "M-AAAAAAAAAA"), 404).await;
    post(&edge, &[UA], "x".repeat(70_000), 413).await;
    assert_eq!(edge.send(Method::GET, "/nowhere", &[UA], "").await.status.as_u16(), 404);

    // Others': each entry, once the hits beside it are durable.
    let old = r#"{"type":"page","userId":"u","timestamp":"2015-05-17T00:00:00Z"}"#;
    let batch = format!(
        r#"{{"batch":[{old},{{"type":"identify","userId":"u"}},{{"type":"page","userId":"u"}},{old}],"writeKey":"KEY"}}"#
    );
    assert_eq!(edge.send(Method::POST, "/v1/batch", &[UA], batch.clone()).await.status.as_u16(), 200);
    let unknown = batch.replace("KEY", "ANOTHER");
    assert_eq!(edge.send(Method::POST, "/v1/batch", &[UA], unknown).await.status.as_u16(), 401);
    // Whose it is, the host says.
    let host = format!("{}.collect.test", id.to_lowercase());
    let answer = edge.send(Method::POST, "/api/event", &[UA, ("host", &host)], "{}").await;
    assert_eq!(answer.status.as_u16(), 400);

    let expected = BTreeMap::from(
        [
            ("invalid_field", 3),
            ("missing_field", 1 + 1 + 1),
            ("unknown_field", 2),
            ("too_many_hits", 101),
            ("invalid_json", 1),
            ("secret_required", 1),
            ("invalid_secret", 2),
            ("too_old", 2),
            ("kind", 1),
        ]
        .map(|(reason, hits)| (reason.to_owned(), hits)),
    );
    let told = expected.values().sum::<u64>();
    hub.wait_until(|hub| total(hub) >= told && hub.page_views().1 == 1).await;
    let metrics = edge.admin("/metrics").await;
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    assert!(metrics.contains("edge_collect_refused_left_out_total 0"), "{metrics}");
    // What waited for a block is in the last one.
    post(&edge, &[UA], hits("{}"), 400).await;
    assert!(edge.stop().await);
    let mut expected = expected;
    *expected.get_mut("missing_field").unwrap() += 1;
    assert_eq!(refused(&hub), expected);
    let rows: Vec<_> = hub
        .batches(Lane::Rollup)
        .iter()
        .flat_map(|batch| batch::decode_rollup(batch.payload()).unwrap().refusals)
        .collect();
    assert!(rows.iter().all(|row| *row.property == *site.property_id), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_is_told_once_through_kills() {
    const ROUNDS: u64 = 4;
    let site = Site::new();
    let hub = Hub::with_acks(&site.hub_tls, false);
    let mut config = site.config(&hub.address);
    let body = format!(r#"{{"measurement_id":"{}","hits":[{{"age_ms":-1}},{{}}]}}"#, site.measurement_id);
    for round in 1..=ROUNDS {
        // In every other round nothing is sealed before the kill: the next process replays the block.
        config.process.flush_interval_ms = if round % 2 == 0 { 50 } else { 3_600_000 };
        let edge = site.start(&config).await;
        post(&edge, &[UA], body.clone(), 400).await;
        // A hit that is answered lies in the same block, or behind it.
        let page = body.replace(r#"{"age_ms":-1},{}"#, r#"{"url":"https://shop.example.com/"}"#);
        post(&edge, &[UA], page, 204).await;
        if round % 2 == 0 {
            hub.wait_until(|hub| total(hub) == 2 * round).await;
        }
        edge.kill().await;
    }
    hub.acknowledge();
    let edge = site.start(&config).await;
    hub.wait_until(|hub| hub.page_views() == (ROUNDS, ROUNDS)).await;
    assert!(edge.stop().await);
    assert_eq!(refused(&hub), BTreeMap::from([("invalid_field".to_owned(), 2 * ROUNDS)]));
}
