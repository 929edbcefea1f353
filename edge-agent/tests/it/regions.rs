//! Data regions: the hits of a property are at the hubs of its region alone, whatever fails and whoever sends them together.

use std::collections::{BTreeMap, BTreeSet};

use batch::Lane;
use configuration::fixture;
use edge_agent::Config;
use edge_agent::config::RegionConfig;
use hyper::{Method, StatusCode};
use property::{Alias, NewProperty, OwnedAlias, Property};

use crate::configure::Source;
use crate::edge::{Answer, Edge, Site};
use crate::hub::Hub;
use crate::promises::{metrics, noise_of, sample};

const UA: (&str, &str) = ("user-agent", "Mozilla/5.0 (X11; Linux) Firefox/1");

/// Nobody listens there.
const NOWHERE: &str = "127.0.0.1:9";

/// A property whose hits stay in a region, `UA-NAME` to Universal Analytics.
fn property(name: &str, data_region: &str) -> (Property, OwnedAlias) {
    let new = NewProperty { name: name.into(), data_region: data_region.into(), ..NewProperty::default() };
    let property = new.create(1_767_225_600_000).unwrap().property;
    let id = format!("UA-{}", name.to_uppercase());
    let alias = Alias { protocol: "universal_analytics".into(), id, hostname: String::new() };
    let owned = OwnedAlias { alias, property_id: property.property_id.clone() };
    (property, owned)
}

/// A property of each kind that an edge of the region us sees, and what it is told of them.
struct Properties {
    /// Names no region.
    any: Property,
    us: Property,
    eu: Property,
    /// The edge does not serve its region.
    asia: Property,
}

impl Properties {
    fn at(site: &Site) -> Self {
        let all = [("any", ""), ("us", "us"), ("eu", "eu"), ("asia", "asia")];
        let (properties, aliases): (Vec<_>, Vec<_>) =
            all.iter().map(|(name, region)| property(name, region)).unzip();
        site.configure_as(&properties, &aliases);
        let [any, us, eu, asia] = <[Property; 4]>::try_from(properties).unwrap();
        Self { any, us, eu, asia }
    }
}

/// An edge at home in us, that serves eu, too.
fn config(site: &Site, us: &str, eu: &[&str]) -> Config {
    let mut config = site.config(us);
    config.region = "us".into();
    let hubs = eu.iter().map(|&hub| hub.to_owned()).collect();
    config.regions.insert("eu".into(), RegionConfig { hubs, ..RegionConfig::default() });
    config
}

fn page_views(property: &Property, ids: &[&str]) -> String {
    let hits: Vec<String> =
        ids.iter().map(|id| format!(r#"{{"url":"https://a.example/{id}","id":"{id}"}}"#)).collect();
    format!(r#"{{"measurement_id":"{}","hits":[{}]}}"#, property.measurement_id, hits.join(","))
}

async fn post(edge: &Edge, property: &Property, ids: &[&str]) {
    let answer = edge.post(page_views(property, ids)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{answer:?}");
}

/// One request with a page view of each of these properties.
async fn post_together(edge: &Edge, names: &[&str], page: &str) -> Answer {
    let line =
        |name: &&str| format!("v=1&t=pageview&tid=UA-{name}&cid=1.2&dl=https%3A%2F%2Fa.example%2F{page}");
    let body: Vec<String> = names.iter().map(line).collect();
    edge.send(Method::POST, "/batch", &[UA], body.join("\n")).await
}

/// Ids of all properties that are named anywhere in what a hub holds, both lanes.
fn named(hub: &Hub) -> BTreeSet<String> {
    let mut text = String::new();
    for batch in hub.batches(Lane::Raw) {
        for block in batch::raw::decode_raw(batch.payload()).unwrap() {
            text += &format!("{:?}", block.body);
        }
    }
    for batch in hub.batches(Lane::Rollup) {
        text += &format!("{:?}", batch::decode_rollup(batch.payload()).unwrap());
    }
    text.match_indices("p_")
        .filter_map(|(at, _)| text.get(at..at + 14))
        .filter(|id| property::is_property_id(id))
        .map(str::to_owned)
        .collect()
}

fn ids(properties: &[&Property]) -> BTreeSet<String> {
    properties.iter().map(|property| property.property_id.clone()).collect()
}

/// Pages by how often they were viewed, in the raw lane.
fn pages(hub: &Hub) -> BTreeMap<String, u64> {
    let mut pages = BTreeMap::new();
    for hit in hub.hits() {
        *pages.entry(hit.url.trim_start_matches("https://a.example/").to_owned()).or_default() += 1;
    }
    pages
}

fn once(names: &[&str]) -> BTreeMap<String, u64> {
    names.iter().map(|&name| (name.to_owned(), 1)).collect()
}

/// Checks that `in = out + dropped + queued`, in each region and over both; gives the sums of out, dropped and queued.
async fn accounts(edge: &Edge) -> [u64; 3] {
    let text = metrics(edge).await;
    let parts = ["edge_hits_out_total", "edge_hits_dropped_total", "edge_hits_queued"];
    let of_region = |name: &str, region: &str| -> u64 {
        let label = format!("region=\"{region}\"");
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(&label));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    };
    for region in ["us", "eu"] {
        let sum: u64 = parts.iter().map(|name| of_region(name, region)).sum();
        assert_eq!(of_region("edge_hits_in_total", region), sum, "{region}: {text}");
    }
    let sums = parts.map(|name| sample(&text, name));
    assert_eq!(sample(&text, "edge_hits_in_total"), sums.iter().sum::<u64>(), "{text}");
    sums
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_reach_hubs_of_their_region_alone_through_failures_and_kills() {
    let site = Site::new();
    let all = Properties::at(&site);
    let us = Hub::start(&site.hub_tls);
    // Nobody answers in eu.
    let edge = site.start(&config(&site, &us.address, &[NOWHERE])).await;
    post(&edge, &all.eu, &["eu-1", "eu-2"]).await;
    post(&edge, &all.us, &["us-1"]).await;
    post(&edge, &all.any, &["any-1", "any-1"]).await;
    assert_eq!(post_together(&edge, &["EU", "US", "ANY"], "mixed-1").await.status, StatusCode::OK);
    us.wait_until(|hub| hub.page_views().1 == 5 && hub.hits().len() == 5).await;
    while sample(&metrics(&edge).await, "edge_ship_failures_total{region=\"eu\"}") == 0 {
        accounts(&edge).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(accounts(&edge).await[2], 3, "what is eu's waits");
    edge.kill().await;

    // Another process, and a hub that fails over to another of its region.
    let (deaf, eu) = (Hub::with_acks(&site.hub_tls, false), Hub::start(&site.hub_tls));
    let mut config = config(&site, &us.address, &[NOWHERE, &deaf.address, &eu.address]);
    config.ship.ack_timeout_ms = 300;
    let edge = site.start(&config).await;
    post(&edge, &all.eu, &["eu-3", "eu-1"]).await;
    post(&edge, &all.us, &["us-2"]).await;
    assert_eq!(post_together(&edge, &["US", "EU"], "mixed-2").await.status, StatusCode::OK);
    us.wait_until(|hub| hub.page_views().1 == 7 && hub.hits().len() == 7).await;
    eu.wait_until(|hub| hub.page_views().1 == 6 && hub.hits().len() == 6).await;
    while accounts(&edge).await[2] > 0 {
        tokio::task::yield_now().await;
    }
    // One repeat in each region.
    assert_eq!(accounts(&edge).await, [11, 2, 0]);

    let status = edge.admin("/status").await.json();
    assert_eq!(status["positions"].as_array().unwrap().len(), 2);
    assert_ne!(status["positions"][0]["epoch"], status["positions"][1]["epoch"]);
    assert_eq!(status["positions"][0]["acknowledged"], 7);
    assert_eq!(status["positions"][1]["acknowledged"], 6);
    let queues = &status["services"][0]["queues"];
    assert_eq!(
        (&queues["queued_hits"]["length"], &queues["eu.queued_hits"]["length"]),
        (&0.into(), &0.into())
    );
    assert_eq!(status["edge"]["regions"]["eu"]["hub"], "hub-1");
    assert!(edge.stop().await);

    assert_eq!(named(&us), ids(&[&all.us, &all.any]));
    assert_eq!(named(&eu), ids(&[&all.eu]));
    assert_eq!(named(&deaf), ids(&[&all.eu]));
    let mut expected = once(&["us-1", "us-2", "mixed-2"]);
    expected.extend([("any-1".to_owned(), 2), ("mixed-1".to_owned(), 2)]);
    assert_eq!(pages(&us), expected);
    let mut expected = once(&["eu-2", "eu-3", "mixed-1", "mixed-2"]);
    expected.insert("eu-1".to_owned(), 2);
    assert_eq!(pages(&eu), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_edge_ships_every_region() {
    let site = Site::new();
    let all = Properties::at(&site);
    let (us, eu) = (Hub::start(&site.hub_tls), Hub::start(&site.hub_tls));
    let mut config = config(&site, &us.address, &[&eu.address]);
    config.process.flush_interval_ms = 3_600_000;
    let edge = site.start(&config).await;
    post(&edge, &all.eu, &["eu-1"]).await;
    post(&edge, &all.us, &["us-1"]).await;
    assert!(edge.stop().await);
    assert_eq!((pages(&us), pages(&eu)), (once(&["us-1"]), once(&["eu-1"])));
    assert_eq!((us.page_views(), eu.page_views()), ((1, 1), (1, 1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_is_full_refuses_its_own_hits_and_requests_that_bring_some() {
    let site = Site::new();
    let all = Properties::at(&site);
    let us = Hub::start(&site.hub_tls);
    let mut config = config(&site, &us.address, &[NOWHERE]);
    config.wal.file_bytes = 1 << 20;
    config.regions.get_mut("eu").unwrap().max_bytes = Some(8 << 20);
    let edge = site.start(&config).await;
    let body = noise_of(&all.eu.measurement_id);
    let refused = loop {
        let answer = edge.post(body.clone()).await;
        if answer.status != StatusCode::NO_CONTENT {
            break answer;
        }
    };
    assert_eq!(refused.error(), (503, "full".into(), String::new()));
    post(&edge, &all.us, &["us-1"]).await;
    let together = post_together(&edge, &["US", "EU"], "mixed").await;
    assert_eq!(together.error(), (503, "full".into(), String::new()));
    post(&edge, &all.us, &["us-2"]).await;
    assert!(edge.stop().await);
    assert_eq!(pages(&us), once(&["us-1", "us-2"]), "nothing of a request that was refused is taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_of_a_region_that_is_not_served_are_refused_and_nothing_is_kept() {
    let site = Site::new();
    let all = Properties::at(&site);
    let (us, eu) = (Hub::start(&site.hub_tls), Hub::start(&site.hub_tls));
    let (edge, log) = site.start_logged(&config(&site, &us.address, &[&eu.address])).await;
    for _ in 0..3 {
        let answer = edge.post(page_views(&all.asia, &["a", "b"])).await;
        assert_eq!(answer.error(), (421, "wrong_region".into(), "measurement_id".into()));
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("\"asia\"") && message.contains("us, eu"), "{message}");
    }
    // What is not understood is not counted for the property either.
    let wrong = format!(r#"{{"measurement_id":"{}","hits":[{{}}]}}"#, all.asia.measurement_id);
    assert_eq!(edge.post(wrong).await.status, StatusCode::BAD_REQUEST);
    let pixel = format!("/v1/pixel.gif?measurement_id={}&url=https://a.example/", all.asia.measurement_id);
    assert_eq!(edge.send(Method::GET, &pixel, &[UA], "").await.status.as_u16(), 421);
    // Another product's request is for another edge when nothing of it can be taken here.
    assert_eq!(post_together(&edge, &["ASIA"], "x").await.error().1, "wrong_region");
    let mixed = post_together(&edge, &["ASIA", "EU", "US", "ASIA"], "mixed").await;
    assert_eq!(
        (mixed.status, &mixed.headers["x-meridian-dropped"]),
        (StatusCode::OK, &"2 wrong_region".parse().unwrap())
    );
    // Refused hits of a property whose region is served go there.
    let wrong = format!(r#"{{"measurement_id":"{}","hits":[{{}}]}}"#, all.eu.measurement_id);
    assert_eq!(edge.post(wrong).await.status, StatusCode::BAD_REQUEST);

    let text = metrics(&edge).await;
    assert_eq!(sample(&text, "edge_collect_wrong_region_total"), 3 * 2 + 1 + 1 + 1 + 2, "{text}");
    assert_eq!(sample(&text, "edge_collect_requests_total{result=\"wrong_region\"}"), 3 + 1 + 1, "{text}");
    assert!(edge.stop().await);
    assert_eq!((named(&us), named(&eu)), (ids(&[&all.us]), ids(&[&all.eu])));
    let refused: Vec<_> = eu
        .batches(Lane::Rollup)
        .iter()
        .flat_map(|batch| batch::decode_rollup(batch.payload()).unwrap().refusals)
        .map(|row| (row.property.to_string(), row.reason.to_string(), row.hits))
        .collect();
    assert_eq!(refused, [(all.eu.property_id.clone(), "missing_field".to_owned(), 1)]);
    let told = std::fs::read_to_string(log).unwrap();
    let lines: Vec<_> = told.lines().filter(|line| line.contains("no such data region")).collect();
    assert!(lines.len() == 1 && lines[0].contains("ERROR") && lines[0].contains("asia"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_property_that_moves_is_in_its_new_region_from_then_on() {
    let site = Site::new();
    let all = Properties::at(&site);
    let source = Source::start(&site).await;
    let (us, eu) = (Hub::start(&site.hub_tls), Hub::start(&site.hub_tls));
    let mut config = config(&site, &us.address, &[&eu.address]);
    config.config.sources = vec![source.url.clone()];
    let edge = site.start(&config).await;
    post(&edge, &all.any, &["before"]).await;
    let moved = Property { data_region: "eu".into(), ..all.any.clone() };
    source.change(vec![fixture::property(&moved)]).await;
    post(&edge, &moved, &["after"]).await;
    assert!(edge.stop().await);
    assert_eq!((pages(&us), pages(&eu)), (once(&["before"]), once(&["after"])));
}

#[tokio::test(flavor = "multi_thread")]
async fn data_of_a_region_goes_to_no_other_by_a_changed_configuration() {
    let site = Site::new();
    let all = Properties::at(&site);
    let served = config(&site, NOWHERE, &[NOWHERE]);
    let edge = site.start(&served).await;
    post(&edge, &all.eu, &["eu-1"]).await;
    edge.kill().await;
    let renamed = Config { region: "asia".into(), ..served.clone() };
    let said = site.refused(&renamed).await;
    assert!(said.contains("taken for the region \"us\""), "{said}");
    let forgotten = Config { regions: BTreeMap::new(), ..served };
    let said = site.refused(&forgotten).await;
    assert!(said.contains("regions/eu"), "{said}");
}
