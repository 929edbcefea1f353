//! The stream is a function of the seed, holds what it says it counts, and is popular as asked.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;

fn generator(text: &str, properties: usize) -> Generator {
    let scenario = Scenario::parse(text).unwrap();
    Generator::new(&scenario, 42, 0, (0..properties).map(|number| format!("M-{number}")).collect())
}

#[test]
fn equal_seeds_give_equal_requests_and_others_do_not() {
    let series = |seed, thread| {
        let scenario = Scenario::default();
        let mut generator = Generator::new(&scenario, seed, thread, vec!["M-1".into(), "M-2".into()]);
        (0..500)
            .map(|_| generator.next_request())
            .map(|request| (request.body, request.agent))
            .collect::<Vec<_>>()
    };
    assert_eq!(series(1, 0), series(1, 0));
    assert_ne!(series(1, 0), series(2, 0));
    assert_ne!(series(1, 0), series(1, 1));
}

#[test]
fn what_is_counted_is_what_the_bodies_hold() {
    let text = "[connections]\nhits_per_request = 7\n[traffic]\nrepeated_requests = 0.1\nrepeated_hits = 0.2\nlate = 0.3\n\
                bots = 0.2";
    let mut generator = generator(text, 3);
    let mut events: BTreeMap<String, i64> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    let (mut hits, mut late) = (0, 0);
    for _ in 0..2_000 {
        let request = generator.next_request();
        assert!(request.body.len() <= 64 << 10);
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body["measurement_id"], format!("M-{}", request.property));
        for hit in body["hits"].as_array().unwrap() {
            hits += 1;
            if ids.insert(hit["id"].as_str().unwrap().to_owned()) {
                *events.entry(hit["event"].as_str().unwrap().to_owned()).or_default() += 1;
                late += i64::from(hit.get("age_ms").is_some());
            }
        }
        hits -= i64::from(request.hits);
        for counted in request.counted {
            *events.get_mut(event_name(counted.event)).unwrap() -= 1;
            late -= i64::from(counted.age_ms > 0);
        }
    }
    assert_eq!((hits, late), (0, 0));
    assert!(events.values().all(|difference| *difference == 0), "{events:?}");
    assert!(events.len() == EVENTS.len() && ids.len() > 10_000, "{events:?}, {} ids", ids.len());
}

#[test]
fn popularity_follows_zipf() {
    let mut generator = generator("[traffic]\nproperties = 1000", 1_000);
    let mut counts = vec![0_u32; 1_000];
    for _ in 0..100_000 {
        counts[generator.next_request().property as usize] += 1;
    }
    // With exponent 1 the first of a thousand has 1 / H(1000) = 13.36 % (H: harmonic number), the tenth a tenth of that.
    assert!((12_900..13_900).contains(&counts[0]), "{}", counts[0]);
    assert!((1_180..1_490).contains(&counts[9]), "{}", counts[9]);
}

#[test]
fn a_seldom_visited_property_has_one_visitor_at_a_time() {
    let mut generator = generator("[traffic]\nproperties = 1\nreturning = 0\nrepeated_requests = 0", 1);
    let clients: Vec<String> = (0..100)
        .map(|_| serde_json::from_slice::<Value>(&generator.next_request().body).unwrap())
        .map(|body| body["hits"][0]["client_id"].as_str().unwrap().to_owned())
        .collect();
    let visitors = |hits: std::ops::Range<usize>| clients[hits].iter().collect::<BTreeSet<_>>().len();
    // Five hits to a visit: the first five are one visitor's, the last twenty those of up to 16 who are under way.
    assert_eq!(visitors(0..5), 1);
    assert!(visitors(80..100) > 8, "{}", visitors(80..100));
}

#[test]
fn agents_are_all_different() {
    let agents = Agents::new(5_000);
    let texts: BTreeSet<&str> = agents.texts().collect();
    assert_eq!(texts.len(), 5_000 + CRAWLERS);
}

/// Crawlers behind the browsers.
const CRAWLERS: usize = 5;
