//! What an edge keeps of people under each of the rules of privacy, read from the bytes that it wrote.
//!
//! The bodies of WAL blocks are looked through as they lie in the raw lane, decompressed and not decoded, and every file of the edge as it
//! is: what must not be kept is in none of them, in whatever field.

use std::collections::BTreeMap;
use std::path::Path;

use batch::Lane;
use hit::{RawHit, Rules};
use hyper::{Method, StatusCode};
use property::{Property, Rulebook, RulesFile};

use crate::edge::{Edge, Site};
use crate::hub::Hub;

const UA: (&str, &str) = ("user-agent", "Mozilla/5.0 (X11; Linux) Firefox/1");

/// Two neighbours, and one of the other family.
const ADDRESSES: [&str; 3] = ["203.0.113.77", "203.0.113.78", "2001:db8:1:2:a1b2:c3d4:e5f6:1789"];

/// A property with these rules as its first.
fn with_rules(property: &Property, rules: &str) -> Property {
    let changed = property.with_rules(RulesFile::parse(rules).unwrap(), 1).unwrap().property;
    let first = Rules { version: 1, since_ms: 0, ..(**changed.current_rules()).clone() };
    Property { rules: Rulebook::try_from(vec![first]).unwrap(), ..changed }
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

/// Hits in rows of refusals, by reason.
fn refused(hub: &Hub) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for batch in hub.batches(Lane::Rollup) {
        for row in batch::decode_rollup(batch.payload()).unwrap().refusals {
            *sums.entry(row.reason.to_string()).or_default() += row.hits;
        }
    }
    sums
}

/// What clients of four protocols send under a rule, with consent, without and without a word; each says a name of its own. Gives the
/// names of the hits that were kept, with the client id of each.
async fn kept_of_names(
    rules: &str,
    hits: usize,
    refusals: u64,
) -> (BTreeMap<String, String>, Vec<u8>, String) {
    let site = Site::new();
    let property = with_rules(&site.property, rules);
    let aliases = [("ga4", "G-1", ""), ("matomo", "7", "shop.example.com"), ("segment", "KEY", "")]
        .map(|(protocol, id, hostname)| site.alias(protocol, id, hostname));
    site.configure_as(&[property], &aliases);
    let hub = Hub::start(&site.hub_tls);
    let edge = site.start(&site.config(&hub.address)).await;
    send_names(&edge, &site.measurement_id).await;
    let told = |hub: &Hub| refused(hub).values().sum::<u64>();
    hub.wait_until(|hub| {
        hub.hits().len() == hits
            && hub.page_views().1 == u64::try_from(hits).unwrap()
            && told(hub) == refusals
    })
    .await;
    assert_eq!(refused(&hub).get("no_consent").copied().unwrap_or(0), refusals, "{rules:?}");
    let kept = hub.hits().into_iter().map(|hit| {
        let name = hit.url.rsplit('/').next().unwrap().to_owned();
        let ids = [hit.client_id, hit.session_id, format!("{:?}", hit.first_visit)].join(" ");
        (name, ids)
    });
    let (kept, bodies) = (kept.collect(), bodies(&hub));
    let metrics = String::from_utf8(edge.admin("/metrics").await.body.to_vec()).unwrap();
    edge.kill().await;
    (kept, bodies, metrics)
}

async fn send_names(edge: &Edge, measurement_id: &str) {
    for (name, consent) in
        [("own-yes", r#","consent":"granted""#), ("own-no", r#","consent":"denied""#), ("own-silent", "")]
    {
        let hit = format!(
            r#"{{"url":"https://shop.example.com/{name}","client_id":"id-{name}","session_id":"in-{name}","first_visit":true{consent},"params":{{"session_number":3,"plan":"plan-{name}"}}}}"#
        );
        let body = format!(r#"{{"measurement_id":"{measurement_id}","hits":[{hit}]}}"#);
        let answer = edge.send(Method::POST, "/v1/collect", &[UA], body).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{name}");
    }
    for (name, consent) in [("ga4-yes", "&gcs=G111"), ("ga4-silent", "")] {
        let path = format!(
            "/g/collect?v=2&tid=G-1&cid=id-{name}&sid=in-{name}&_fv=1&dl=https%3A%2F%2Fshop.example.com%2F{name}&en=page_view{consent}"
        );
        assert_eq!(edge.send(Method::POST, &path, &[UA], "").await.status, StatusCode::NO_CONTENT, "{name}");
    }
    for (name, consent) in [("matomo-yes", "&consent=1"), ("matomo-silent", "")] {
        let path = format!(
            "/matomo.php?idsite=7&rec=1&url=https%3A%2F%2Fshop.example.com%2F{name}&_id=id-{name}{consent}"
        );
        assert_eq!(edge.send(Method::GET, &path, &[UA], "").await.status, StatusCode::OK, "{name}");
    }
    let call = |name: &str, is_granted: bool| {
        format!(
            r#"{{"type":"page","anonymousId":"id-{name}","context":{{"userAgent":"UA","page":{{"url":"https://shop.example.com/{name}"}},"consent":{{"categoryPreferences":{{"Analytics":{is_granted}}}}}}}}}"#
        )
    };
    let batch = [call("segment-yes", true), call("segment-no", false)].join(",");
    let body = format!(r#"{{"batch":[{batch}],"writeKey":"KEY"}}"#);
    assert_eq!(edge.send(Method::POST, "/v1/batch", &[UA], body).await.status, StatusCode::OK);
}

const WITH_CONSENT: [&str; 4] = ["own-yes", "ga4-yes", "matomo-yes", "segment-yes"];
const WITHOUT: [&str; 5] = ["own-no", "own-silent", "ga4-silent", "matomo-silent", "segment-no"];

#[tokio::test(flavor = "multi_thread")]
async fn a_hit_without_consent_is_as_nameless_as_the_property_says() {
    for (rules, keeps_ids_without) in [("", true), ("[privacy]\nconsent = \"for_client_id\"", false)] {
        let (kept, bodies, _) = kept_of_names(rules, 9, 0).await;
        for name in WITH_CONSENT {
            assert!(kept[name].starts_with(&format!("id-{name} ")), "{rules:?} {name}: {}", kept[name]);
        }
        for name in WITHOUT {
            assert_eq!(kept[name] == "  None", !keeps_ids_without, "{rules:?} {name}: {}", kept[name]);
            for id in [format!("id-{name}"), format!("in-{name}")] {
                let is_sent =
                    !(id.starts_with("in-") && (name.starts_with("matomo") || name.starts_with("segment")));
                assert_eq!(has(&bodies, id.as_bytes()), keeps_ids_without && is_sent, "{rules:?} {id}");
            }
        }
        assert_eq!(kept["own-yes"], "id-own-yes in-own-yes Some(true)");
        // What says nothing of the visitor stays.
        assert!(has(&bodies, b"plan-own-no"), "{rules:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_consent_is_required_what_lacks_it_is_taken_and_told_and_not_stored() {
    let (kept, bodies, metrics) = kept_of_names("[privacy]\nconsent = \"required\"", 4, 5).await;
    assert_eq!(kept.keys().collect::<Vec<_>>(), ["ga4-yes", "matomo-yes", "own-yes", "segment-yes"]);
    for name in WITHOUT {
        assert!(!has(&bodies, name.as_bytes()), "{name}");
    }
    for (protocol, hits) in [("meridian", 2), ("ga4", 1), ("matomo", 1), ("segment", 1)] {
        let line =
            format!("edge_collect_dropped_total{{protocol=\"{protocol}\",reason=\"no_consent\"}} {hits}\n");
        assert!(metrics.contains(&line), "{line}{metrics}");
    }
}
