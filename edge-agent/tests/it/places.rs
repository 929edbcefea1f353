//! Where hits come from: place and kind of network, by files that are replaced while the edge runs, and by what a proxy says.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use edge_agent::Config;
use edge_agent::config::LocationHeaders;
use hit::{RawHit, Rules};
use hyper::{Method, StatusCode};
use property::Rulebook;
use serde_json::json;

use crate::edge::{Edge, Site};
use crate::hub::Hub;

/// A file that `tests/data/make_databases.py` made.
fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// Puts a file in the place of another at once.
fn replace(from: &Path, to: &Path) {
    let beside = to.with_extension("new");
    std::fs::copy(from, &beside).unwrap();
    std::fs::rename(beside, to).unwrap();
}

/// The networks that the script makes of two systems: Hetzner's number is on its list, the other's is not.
fn hosting_ranges(site: &Site) -> PathBuf {
    let systems = site.path().join("asn.csv");
    let rows = "198.51.100.0,198.51.100.127,24940,\"Hetzner, Online\"\n198.51.100.128,198.51.100.255,64500,Example\n\
                2001:db8:f::,2001:db8:f:ffff:ffff:ffff:ffff:ffff,24940,Hetzner\n";
    std::fs::write(&systems, rows).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/hosting-ranges.py");
    let output = Command::new("python3").arg(script).arg(&systems).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let path = site.path().join("hosting.txt");
    std::fs::write(&path, output.stdout).unwrap();
    path
}

/// Makes a network the site's own, before the edge starts.
fn call_internal(site: &mut Site, network: &str) {
    let mut rules = Rules::clone(site.property.current_rules());
    rules.traffic.internal_networks = vec![network.to_owned()];
    site.property.rules = Rulebook::try_from(vec![rules]).unwrap();
    site.configure(&[]);
}

async fn send(edge: &Edge, site: &Site, headers: &[(&str, &str)]) {
    let body = format!(
        r#"{{"measurement_id":"{}","hits":[{{"url":"https://example.com/"}}]}}"#,
        site.measurement_id
    );
    let mut all = vec![("user-agent", "Mozilla/5.0 (X11; Linux) Firefox/1")];
    all.extend(headers);
    let answer = edge.send(Method::POST, "/v1/collect", &all, body).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
}

fn origin(hit: &RawHit) -> (&str, &str, &str, &str) {
    (&hit.country, &hit.region, &hit.city, &hit.network)
}

/// Waits until the metrics have this line.
async fn wait_for(edge: &Edge, line: &str) {
    loop {
        let metrics = edge.admin("/metrics").await.body;
        if String::from_utf8_lossy(&metrics).lines().any(|found| found == line) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_say_where_they_come_from_by_files_and_by_a_cdn() {
    let mut site = Site::new();
    let hub = Hub::start(&site.hub_tls);
    let mut config = site.config(&hub.address);
    config.geo_database = vec![data("flat-ipv4.mmdb"), data("flat-ipv6.mmdb")];
    config.hosting_ranges = Some(hosting_ranges(&site));
    config.collect.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    config.collect.client_address_header = "CF-Connecting-IP".into();
    config.collect.location_headers.country = "CF-IPCountry".into();
    config.collect.location_headers.city = "CF-IPCity".into();
    call_internal(&mut site, "2001:db8:1::/64");
    let edge = site.start(&config).await;
    let requests = [
        (vec![("x-forwarded-for", "81.2.69.142")], ("GB", "England", "London", "")),
        (vec![("forwarded", "for=\"[2001:db8:1:5::9]:443\"")], ("DE", "Land Berlin", "Berlin", "")),
        (vec![("forwarded", "for=\"[2001:db8:1::9]\"")], ("DE", "Land Berlin", "Berlin", "internal")),
        (vec![("x-forwarded-for", "198.51.100.9")], ("", "", "", "hosting")),
        (vec![("x-forwarded-for", "198.51.100.200")], ("", "", "", "")),
        (vec![("x-forwarded-for", "2001:db8:f::9")], ("", "", "", "hosting")),
        (
            vec![
                ("cf-connecting-ip", "177.37.1.1"),
                ("x-forwarded-for", "81.2.69.142"),
                ("cf-ipcountry", "BR"),
                ("cf-ipcity", "S%C3%A3o%20Paulo"),
            ],
            ("BR", "", "São Paulo", ""),
        ),
        (vec![("cf-connecting-ip", "81.2.69.142"), ("cf-ipcountry", "T1")], ("", "", "", "")),
        (vec![("cf-connecting-ip", "177.37.1.1")], ("BR", "Tocantins", "Araguaina", "")),
    ];
    for (headers, _) in &requests {
        send(&edge, &site, headers).await;
    }
    // What the API secret says of an address goes before what a proxy says.
    let given = format!(
        r#"{{"measurement_id":"{}","hits":[{{"url":"https://example.com/","ip":"81.2.69.142","user_agent":"Mozilla/5.0 (X11; Linux) Firefox/1"}}]}}"#,
        site.measurement_id
    );
    let headers = [("x-meridian-secret", site.api_secret.as_str()), ("cf-ipcountry", "BR")];
    let answer = edge.send(Method::POST, "/v1/collect", &headers, given).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);

    hub.wait_until(|hub| hub.hits().len() == requests.len() + 1).await;
    let hits = hub.hits();
    for ((headers, expected), hit) in requests.iter().zip(&hits) {
        assert_eq!(origin(hit), *expected, "{headers:?}");
    }
    assert_eq!(hits.last().map(origin), Some(("GB", "England", "London", "")));
    assert!(edge.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_location_database_is_replaced_while_the_edge_runs() {
    let site = Site::new();
    let hub = Hub::start(&site.hub_tls);
    let mut config = site.config(&hub.address);
    config.collect.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let path = site.path().join("city.mmdb");
    replace(&data("flat-ipv4.mmdb"), &path);
    config.geo_database = vec![path.clone()];
    let edge = site.start(&config).await;
    let from = [("x-forwarded-for", "81.2.69.142")];
    let built = "edge_collect_geo_database_build_timestamp_seconds";

    send(&edge, &site, &from).await;
    let told = edge.admin("/status").await.json()["edge"]["geo_databases"].clone();
    assert_eq!(told, json!([{ "database_type": "city ipv4", "built_at": "2026-06-05T00:00:00Z" }]));
    wait_for(&edge, &format!("{built}{{database_type=\"city ipv4\"}} 1780617600")).await;

    replace(&data("flat-ipv4-newer.mmdb"), &path);
    wait_for(&edge, &format!("{built}{{database_type=\"city ipv4\"}} 1783209600")).await;
    send(&edge, &site, &from).await;

    std::fs::write(&path, "nothing").unwrap();
    wait_for(&edge, "edge_collect_reread_failures_total{setting=\"geo_database\"} 1").await;
    send(&edge, &site, &from).await;

    replace(&data("nested.mmdb"), &path);
    wait_for(&edge, &format!("{built}{{database_type=\"GeoLite2-City\"}} 1780617600")).await;
    send(&edge, &site, &from).await;
    let told = edge.admin("/status").await.json()["edge"]["geo_databases"].clone();
    assert_eq!(told, json!([{ "database_type": "GeoLite2-City", "built_at": "2026-06-05T00:00:00Z" }]));

    hub.wait_until(|hub| hub.hits().len() == 4).await;
    let hits = hub.hits();
    let cities: Vec<&str> = hits.iter().map(|hit| hit.city.as_str()).collect();
    assert_eq!(cities, ["London", "Islington", "Islington", "London"]);
    assert!(edge.stop().await);
}

/// The blocks of configuration in docs/proxying.md, each as the edge reads it.
fn documented() -> Vec<Config> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/proxying.md");
    let page = std::fs::read_to_string(page).unwrap();
    let blocks = page.split("```toml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0);
    blocks.map(|block| toml::from_str(block).unwrap_or_else(|error| panic!("{block}: {error}"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_a_cdn_count_as_documented() {
    let cloudflare = documented()
        .into_iter()
        .find(|config| !config.collect.location_headers.country.is_empty())
        .map(|config| (config.collect.client_address_header, config.collect.location_headers))
        .unwrap();
    let cloudfront = LocationHeaders {
        country: "CloudFront-Viewer-Country".into(),
        region: "CloudFront-Viewer-Country-Region-Name".into(),
        city: "CloudFront-Viewer-City".into(),
    };
    for ((address_header, location_headers), [address, country, region, city]) in [
        (cloudflare, ["cf-connecting-ip", "cf-ipcountry", "cf-region", "cf-ipcity"]),
        (
            ("True-Client-IP".into(), cloudfront),
            [
                "true-client-ip",
                "cloudfront-viewer-country",
                "cloudfront-viewer-country-region-name",
                "cloudfront-viewer-city",
            ],
        ),
    ] {
        let site = Site::new();
        let hub = Hub::start(&site.hub_tls);
        let mut config = site.config(&hub.address);
        config.collect.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        config.collect.client_address_header = address_header;
        config.collect.location_headers = location_headers;
        let edge = site.start(&config).await;
        let told = [(address, "81.2.69.142"), (country, "US"), (region, "Texas"), (city, "Austin")];
        // What the visitor wrote, and the CDN handed on.
        let claimed = [("x-forwarded-for", "203.0.113.7"), ("forwarded", "for=203.0.113.8")];
        send(&edge, &site, &[&told[..], &claimed[..]].concat()).await;
        hub.wait_until(|hub| hub.hits().len() == 1).await;
        let hits = hub.hits();
        assert_eq!(origin(&hits[0]), ("US", "Texas", "Austin", ""), "{address}");
        assert_eq!(hits[0].truncated_ip, [81, 2, 69], "{address}");
        assert!(edge.stop().await);
    }
}
