//! What an edge keeps of people under each of the rules of privacy, read from the bytes that it wrote.
//!
//! The bodies of WAL blocks are looked through as they lie in the raw lane, decompressed and not decoded, and every file of the edge as it
//! is: what must not be kept is in none of them, in whatever field.

use std::path::Path;

use batch::Lane;
use hit::RawHit;
use hyper::{Method, StatusCode};
use property::{Property, RulesFile};

use crate::edge::{Edge, Site};
use crate::hub::Hub;

const UA: (&str, &str) = ("user-agent", "Mozilla/5.0 (X11; Linux) Firefox/1");

/// Two neighbours, and one of the other family.
const ADDRESSES: [&str; 3] = ["203.0.113.77", "203.0.113.78", "2001:db8:1:2:a1b2:c3d4:e5f6:1789"];

/// A property with these rules.
fn with_rules(property: &Property, rules: &str) -> Property {
    property.with_rules(RulesFile::parse(rules).unwrap(), 1).unwrap().property
}

/// The bodies of all WAL blocks, decompressed.
fn bodies(hub: &Hub) -> Vec<u8> {
    let mut bodies = Vec::new();
    for batch in hub.batches(Lane::Raw) {
        let mut rest = &batch.payload()[..];
        while let Some((length, after)) = rest.split_first_chunk() {
            let (block, next) = after.split_at(usize::try_from(u32::from_le_bytes(*length)).unwrap());
            bodies.extend(hit::block::open(block).unwrap().1);
            rest = next;
        }
    }
    bodies
}

/// Everything that lies below a directory, file by file.
fn files(directory: &Path) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(std::fs::read(path).unwrap()) }
    }
    found
}

fn has(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// The forms in which an address may be kept: as text, and its first bytes.
fn forms(address: &str) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let cut = |full: &[u8], network: usize| (address.into(), full.to_vec(), full[..network].to_vec());
    match address.parse().unwrap() {
        std::net::IpAddr::V4(v4) => cut(&v4.octets(), 3),
        std::net::IpAddr::V6(v6) => cut(&v6.octets(), 6),
    }
}

/// One page view from each address, and what the edge keeps of them.
async fn kept_of_addresses(rules: &str) -> (Vec<RawHit>, Vec<u8>, Vec<Vec<u8>>) {
    let site = Site::new();
    site.configure_as(&[with_rules(&site.property, rules)], &[]);
    let hub = Hub::start(&site.hub_tls);
    let mut config = site.config(&hub.address);
    config.collect.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let edge = site.start(&config).await;
    for address in ADDRESSES {
        let body = format!(
            r#"{{"measurement_id":"{}","hits":[{{"url":"https://example.com/"}}]}}"#,
            site.measurement_id
        );
        let answer = edge.send(Method::POST, "/v1/collect", &[UA, ("x-forwarded-for", address)], body).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
    }
    hub.wait_until(|hub| hub.hits().len() == ADDRESSES.len() && hub.page_views().1 == 3).await;
    let kept = (hub.hits(), bodies(&hub), files(&config.data_dir));
    edge.kill().await;
    kept
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_kept_as_the_property_says_and_tells_visitors_apart_all_the_same() {
    for (rules, keeps_network, keeps_all) in [
        ("", true, false),
        ("[privacy]\naddress = \"truncated\"", true, false),
        ("[privacy]\naddress = \"none\"", false, false),
        ("[privacy]\naddress = \"full\"", true, true),
    ] {
        let (hits, bodies, files) = kept_of_addresses(rules).await;
        assert!(has(&bodies, b"https://example.com/"), "the bodies can be looked through");
        for (hit, address) in hits.iter().zip(ADDRESSES) {
            let (text, full, network) = forms(address);
            assert!(
                !has(&bodies, &text) && files.iter().all(|file| !has(file, &text)),
                "{rules:?} {address}"
            );
            assert_eq!(has(&bodies, &full), keeps_all, "{rules:?} {address}");
            assert_eq!(has(&bodies, &network), keeps_network, "{rules:?} {address}");
            if !keeps_all {
                assert!(files.iter().all(|file| !has(file, &full)), "{rules:?} {address}");
            }
            let expected = if keeps_all {
                full
            } else if keeps_network {
                network
            } else {
                Vec::new()
            };
            assert_eq!(hit.truncated_ip, expected, "{rules:?} {address}");
        }
        // Those of neighbours differ only in what most properties do not keep.
        assert_ne!(hits[0].visitor_id, hits[1].visitor_id, "{rules:?}");
    }
}
