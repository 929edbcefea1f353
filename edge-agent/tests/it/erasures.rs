//! Erasures at an edge: each pipeline marks each once, across `kill -9`, and what it remembered of a visitor goes.

use batch::Lane;
use configuration::stored::erasures::{Erasure, erasure_key, erasure_value};
use edge_agent::config::RegionConfig;
use hit::Forget;
use hyper::StatusCode;
use property::{NewProperty, Property};
use proto::config::Record;

use crate::configure::Source;
use crate::edge::{Edge, Site};
use crate::hub::Hub;
use crate::promises::{metrics, sample};

fn property(name: &str, data_region: &str) -> Property {
    let new = NewProperty { name: name.into(), data_region: data_region.into(), ..NewProperty::default() };
    new.create(1_767_225_600_000).unwrap().property
}

async fn visit(edge: &Edge, property: &Property, client_id: &str) {
    let id = &property.measurement_id;
    let hit = format!(r#"{{"url":"https://a.example/{client_id}","client_id":"{client_id}"}}"#);
    let answer = edge.post(format!(r#"{{"measurement_id":"{id}","hits":[{hit}]}}"#)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{answer:?}");
}

/// The marks in the raw lane, in its order.
fn marks(hub: &Hub) -> Vec<Forget> {
    let batches = hub.batches(Lane::Raw);
    let blocks = batches.iter().flat_map(|batch| batch::raw::decode_raw(batch.payload()).unwrap());
    blocks.flat_map(|block| block.body.forgets).collect()
}

/// Sessions that are over, by the page they began on.
fn over(hub: &Hub) -> Vec<String> {
    let batches = hub.batches(Lane::Rollup);
    let rows = batches.iter().flat_map(|batch| batch::decode_rollup(batch.payload()).unwrap().sessions);
    rows.map(|row| row.key.page_path.to_string()).collect()
}

fn record(erasure: &Erasure) -> Record {
    Record { key: erasure_key(&erasure.job), value: Some(erasure_value(erasure)) }
}

async fn wait_for(edge: &Edge, name: &str, value: u64) {
    while sample(&metrics(edge).await, name) != value {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_pipeline_marks_an_erasure_once_across_kills() {
    let site = Site::new();
    let (in_us, in_eu) = (property("us", "us"), property("eu", "eu"));
    site.configure_as(&[in_us.clone(), in_eu.clone()], &[]);
    let source = Source::start(&site).await;
    let (us, eu) = (Hub::start(&site.hub_tls), Hub::start(&site.hub_tls));
    let mut config = site.config(&us.address);
    config.region = "us".into();
    let hubs = vec![eu.address.clone()];
    config.regions.insert("eu".into(), RegionConfig { hubs, ..RegionConfig::default() });
    config.config.sources = vec![source.url.clone()];
    let edge = site.start(&config).await;
    for client_id in ["anna", "ben"] {
        visit(&edge, &in_us, client_id).await;
    }
    visit(&edge, &in_eu, "anna").await;
    us.wait_until(|hub| hub.hits().len() == 2).await;
    eu.wait_until(|hub| hub.hits().len() == 1).await;
    let anna = us.hits().iter().find(|hit| hit.client_id == "anna").unwrap().visitor_id;

    let erasure = Erasure {
        job: "e_1".into(),
        property_id: in_us.property_id.clone(),
        visitor_ids: vec![anna],
        requested_at_ms: 1_767_225_600_000,
        organisation_id: String::new(),
    };
    source.change(vec![record(&erasure)]).await;
    us.wait_until(|hub| !marks(hub).is_empty()).await;
    eu.wait_until(|hub| !marks(hub).is_empty()).await;
    // Her session is over at once, his goes on.
    us.wait_until(|hub| over(hub) == ["/anna"]).await;
    assert_eq!(sample(&metrics(&edge).await, "edge_erasures_applied_total"), 2);
    let status = edge.admin("/status").await.json();
    for erasures in [&status["edge"]["erasures"], &status["edge"]["regions"]["eu"]["erasures"]] {
        assert_eq!(*erasures, serde_json::json!({"waiting": 0, "marked": 1}));
    }
    edge.kill().await;

    // It is there after a start, and the next one, of a whole property, comes while the edge is away.
    let whole = Erasure {
        job: "e_2".into(),
        property_id: in_us.property_id.clone(),
        visitor_ids: Vec::new(),
        ..erasure.clone()
    };
    let delta = configuration::fixture::next(&source.replica, vec![record(&whole)]).unwrap();
    source.replica.apply(&[delta]).unwrap();
    let edge = site.start(&config).await;
    wait_for(&edge, "edge_erasures_applied_total", 2).await;
    for hub in [&us, &eu] {
        hub.wait_until(|hub| marks(hub).len() >= 2).await;
        hub.wait_until(|hub| hub.batches(Lane::Rollup).len() >= 2).await;
        let jobs: Vec<(String, Vec<u64>)> =
            marks(hub).into_iter().map(|forget| (forget.job, forget.visitor_ids)).collect();
        assert_eq!(jobs, [("e_1".to_owned(), vec![anna]), ("e_2".to_owned(), vec![])]);
    }
    wait_for(&edge, "edge_process_open_sessions{region=\"us\"}", 0).await;
    assert_eq!(sample(&metrics(&edge).await, "edge_process_open_sessions{region=\"eu\"}"), 1);
    assert!(edge.stop().await);
    assert_eq!(over(&us), ["/anna"], "sessions of an erased property are booked nowhere");
    assert_eq!((marks(&us).len(), marks(&eu).len()), (2, 2));
}
