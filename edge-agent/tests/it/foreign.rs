//! Requests of other products' clients: whose they are, what is counted, and what is answered.

use std::collections::BTreeMap;

use batch::Lane;
use configuration::fixture;
use hyper::{Method, StatusCode};

use crate::configure::Source;
use crate::edge::{Answer, Edge, Site};
use crate::hub::Hub;

const UA: (&str, &str) = ("user-agent", "Mozilla/5.0 (X11; Linux) Firefox/1");

/// The number of hits that were acknowledged so far.
async fn acknowledged(edge: &Edge) -> u64 {
    edge.admin("/status").await.json()["positions"][0]["acknowledged"].as_u64().unwrap()
}

fn dropped(answer: &Answer) -> &str {
    answer.headers.get("x-meridian-dropped").map_or("", |value| value.to_str().unwrap())
}

/// Aliases of the property: protocol, id, host name.
const ALIASES: [(&str, &str, &str); 7] = [
    ("ga4", "G-TEST123", ""),
    ("universal_analytics", "UA-12345-1", ""),
    ("plausible", "shop.example.com", ""),
    ("umami", "5b5e9b5a-5e0b-4c6d-9a51-0d9f2f0e6c12", ""),
    ("matomo", "7", "shop.example.com"),
    ("segment", "WRITEKEY1", ""),
    ("snowplow", "shop", "shop.example.com"),
];

const PAGE: &str = "https%3A%2F%2Fshop.example.com%2Fpricing";
const MP: &str = r#"{"client_id":"1.2","events":[{"name":"signup"},{"name":"login"}]}"#;
const UMAMI: &str = r#"{"type":"event","payload":{"website":"5b5e9b5a-5e0b-4c6d-9a51-0d9f2f0e6c12","hostname":"shop.example.com","url":"/pricing"}}"#;
const PLAUSIBLE: &str =
    r#"{"n":"pageview","u":"https://shop.example.com/pricing","d":"www.shop.example.com"}"#;
const SEGMENT: &str = r#"{"batch":[{"type":"page","userId":"u","context":{"userAgent":"Mozilla/5.0 (X11; Linux) Firefox/1"}}],"writeKey":"WRITEKEY1"}"#;
const SNOWPLOW: &str =
    r#"{"data":[{"e":"pv","aid":"shop","p":"web","url":"https://shop.example.com/pricing"}]}"#;
const BULK: &str = r#"{"requests":["?idsite=7&rec=1&url=PAGE","?idsite=8&rec=1&url=PAGE"]}"#;

/// Method, path and query, body; how many hits are taken, status, how the body begins, and what is not counted. `PAGE` stands for the page's URL.
type Case = (Method, &'static str, &'static str, u64, u16, &'static str, &'static str);

const CASES: [Case; 19] = [
    (Method::GET, "/g/collect?v=2&tid=G-TEST123&cid=1.2&en=page_view&dl=PAGE", "", 1, 204, "", ""),
    (Method::POST, "/g/collect?v=2&tid=G-TEST123&cid=1.2", "en=page_view\nen=scroll\n", 2, 204, "", ""),
    (Method::POST, "/g/collect?v=2&tid=G-OTHER&cid=1.2&en=page_view", "", 0, 204, "", "1 unknown_site"),
    (Method::POST, "/mp/collect?measurement_id=G-TEST123&api_secret=x", MP, 2, 204, "", ""),
    (
        Method::POST,
        "/debug/mp/collect?measurement_id=G-TEST123",
        MP,
        0,
        200,
        r#"{"validationMessages":[]}"#,
        "",
    ),
    (Method::POST, "/mp/collect?measurement_id=G-TEST123", "nonsense", 0, 204, "", "1 invalid_json"),
    (Method::POST, "/collect", "v=1&tid=UA-12345-1&cid=1&t=pageview&dp=%2F", 1, 200, "GIF89a", ""),
    (Method::GET, "/collect?v=1&tid=UA-12345-1&cid=1&t=timing", "", 0, 200, "GIF89a", "1 kind"),
    (
        Method::POST,
        "/batch",
        "v=1&tid=UA-12345-1&cid=1&t=pageview\ntid=UA-9&cid=1&t=pageview",
        1,
        200,
        "GIF89a",
        "1 unknown_site",
    ),
    (Method::POST, "/api/event", PLAUSIBLE, 1, 202, "ok", ""),
    (
        Method::POST,
        "/api/event",
        "{}",
        0,
        400,
        r#"{"errors":{"name":["can't be blank"]}}"#,
        "1 missing_field",
    ),
    (Method::POST, "/api/send", UMAMI, 1, 200, r#"{"cache":"#, ""),
    (Method::GET, "/matomo.php?idsite=7&rec=1&url=PAGE", "", 1, 200, "GIF89a", ""),
    (Method::GET, "/piwik.php?idsite=7&rec=1&url=PAGE&send_image=0", "", 1, 204, "", ""),
    (
        Method::GET,
        "/matomo.php?idsite=7&rec=1&url=https%3A%2F%2Felse.example%2F",
        "",
        0,
        400,
        "GIF89a",
        "1 unknown_site",
    ),
    (
        Method::POST,
        "/matomo.php",
        BULK,
        1,
        200,
        r#"{"invalid":1,"invalid_indices":[1],"status":"success","tracked":1}"#,
        "1 unknown_site",
    ),
    (Method::POST, "/v1/batch", SEGMENT, 1, 200, r#"{"success":true}"#, ""),
    (Method::POST, "/com.snowplowanalytics.snowplow/tp2", SNOWPLOW, 1, 200, "ok", ""),
    (Method::GET, "/i?e=pv&aid=shop&p=web&url=PAGE", "", 1, 200, "GIF89a", ""),
];

#[tokio::test(flavor = "multi_thread")]
async fn ids_of_every_protocol_are_known_by_alias() {
    let site = Site::new();
    site.configure(&ALIASES);
    let edge = site.start(&site.config("127.0.0.1:9")).await;
    for (method, path, body, hits, status, said, not_counted) in CASES {
        let (path, body) = (path.replace("PAGE", PAGE), body.replace("PAGE", PAGE));
        let before = acknowledged(&edge).await;
        let answer = edge.send(method, &path, &[UA], body).await;
        let text = String::from_utf8_lossy(&answer.body);
        assert_eq!((answer.status.as_u16(), dropped(&answer)), (status, not_counted), "{path}: {text}");
        assert!(text.starts_with(said) && text.is_empty() == said.is_empty(), "{path}: {text}");
        assert_eq!(acknowledged(&edge).await - before, hits, "{path}");
    }
    assert!(edge.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_measurement_id_or_the_own_host_name_means_the_property_in_any_protocol() {
    let site = Site::new();
    let mut config = site.config("127.0.0.1:9");
    config.collect.host_suffix = Some("collect.example.com".into());
    let edge = site.start(&config).await;
    let id = &site.measurement_id;
    let plausible = |domain: &str| format!(r#"{{"n":"pageview","u":"https://a.example/","d":"{domain}"}}"#);
    let own_host = format!("{}.collect.example.com:8080", id.to_ascii_lowercase());
    for (host, path, body, hits) in [
        ("localhost", format!("/g/collect?v=2&tid={id}&en=page_view&cid=1"), String::new(), 1),
        ("localhost", "/matomo.php?idsite=1&rec=1".to_owned(), String::new(), 0),
        (&own_host, "/matomo.php?idsite=1&rec=1".to_owned(), String::new(), 1),
        (&own_host, "/api/event".to_owned(), plausible("anything.example"), 1),
        ("m-aaaaaaaaaa.collect.example.com", "/api/event".to_owned(), plausible("anything.example"), 0),
    ] {
        let before = acknowledged(&edge).await;
        edge.send(Method::POST, &path, &[UA, ("host", host)], body).await;
        assert_eq!(acknowledged(&edge).await - before, hits, "{host} {path}");
    }
    assert!(edge.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_of_umami_is_told_and_counted_all_the_same() {
    let site = Site::new();
    let hub = Hub::start(&site.hub_tls);
    site.configure(&[("umami", "5b5e9b5a-5e0b-4c6d-9a51-0d9f2f0e6c12", "")]);
    let edge = site.start(&site.config(&hub.address)).await;
    let bot = ("user-agent", "Mozilla/5.0 (compatible; examplebot/1.0)");
    let said = async |agent, path: &str, body: String| -> String {
        let answer = edge.send(Method::POST, path, &[agent], body).await;
        assert_eq!((answer.status, dropped(&answer)), (StatusCode::OK, ""));
        String::from_utf8(answer.body.to_vec()).unwrap()
    };
    let (boop, mut tries) = (r#"{"beep":"boop"}"#, 1);
    // The rules of user agents are read after the port was opened.
    while said(bot, "/api/send", UMAMI.into()).await != boop {
        tries += 1;
    }
    assert!(said(UA, "/api/send", UMAMI.into()).await.starts_with(r#"{"cache":"#));
    // Umami asks the user agent that a payload names.
    let named = UMAMI.replace(r#""url":"#, &format!(r#""userAgent":"{}","url":"#, bot.1));
    assert_eq!(said(UA, "/api/send", named).await, boop);
    let batch: serde_json::Value =
        serde_json::from_str(&said(bot, "/api/batch", format!("[{UMAMI},{UMAMI}]")).await).unwrap();
    assert_eq!((&batch["processed"], &batch["errors"], &batch["cache"]), (&2.into(), &0.into(), &"".into()));
    assert_eq!(acknowledged(&edge).await, tries + 4);
    hub.wait_until(|hub| hub.page_views().0 == tries + 4).await;
    let mut by_class = BTreeMap::new();
    for batch in hub.batches(Lane::Rollup) {
        for row in batch::decode_rollup(batch.payload()).unwrap().hits {
            *by_class.entry(row.key.traffic_class.to_string()).or_insert(0) += row.page_views;
        }
    }
    assert_eq!(by_class, BTreeMap::from([("bot".to_owned(), tries + 3), ("human".to_owned(), 1)]));
    assert!(edge.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn trackers_may_send_with_cookies_from_any_page() {
    let site = Site::new();
    let edge = site.start(&site.config("127.0.0.1:9")).await;
    let origin = ("origin", "https://shop.example.com");
    let wanted = ("access-control-request-headers", "content-type, authorization");
    let preflight =
        edge.send(Method::OPTIONS, "/com.snowplowanalytics.snowplow/tp2", &[origin, wanted], "").await;
    assert_eq!(preflight.status, StatusCode::NO_CONTENT);
    let header = |answer: &Answer, name: &str| answer.headers[name].to_str().unwrap().to_owned();
    for answer in [&preflight, &edge.send(Method::POST, "/api/event", &[origin], "{}").await] {
        assert_eq!(header(answer, "access-control-allow-origin"), "https://shop.example.com");
        assert_eq!(header(answer, "access-control-allow-credentials"), "true");
    }
    assert_eq!(header(&preflight, "access-control-allow-headers"), wanted.1);
    assert_eq!(header(&preflight, "access-control-allow-methods"), "POST, OPTIONS");
    let wrong = edge.send(Method::GET, "/api/event", &[origin], "").await;
    assert_eq!(wrong.error(), (405, "method_not_allowed".into(), String::new()));
    let large = edge.send(Method::POST, "/collect", &[], "x".repeat(8193)).await;
    assert_eq!((large.status, dropped(&large)), (StatusCode::OK, "1 too_large"));
    let large = edge.send(Method::POST, "/v1/batch", &[], "x".repeat(512_001)).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(edge.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_is_known_and_forgotten_while_the_edge_runs() {
    let site = Site::new();
    let source = Source::start(&site).await;
    let mut config = site.config("127.0.0.1:9");
    config.config.sources = vec![source.url.clone()];
    let edge = site.start(&config).await;
    let path = "/g/collect?v=2&tid=G-TEST123&cid=1.2&en=page_view";
    assert_eq!(dropped(&edge.send(Method::GET, path, &[UA], "").await), "1 unknown_site");
    let alias = site.alias("ga4", "G-TEST123", "");
    source.change(vec![fixture::alias(&alias, true)]).await;
    assert_eq!(dropped(&edge.send(Method::GET, path, &[UA], "").await), "");
    source.change(vec![fixture::alias(&alias, false)]).await;
    assert_eq!(dropped(&edge.send(Method::GET, path, &[UA], "").await), "1 unknown_site");
    assert!(edge.stop().await);
}
