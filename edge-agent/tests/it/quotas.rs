//! Properties with limits, at an edge in this process whose clock the test moves: what is taken, what is refused, and what is told of it.

use std::sync::{Arc, Mutex};

use configuration::salts::wanted;
use edge_agent::rehearse;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use property::{Alias, Created, NewProperty, OwnedAlias, QuotaChange};
use serde_json::{Map, Value, json};
use service::{Context, TestClock};
use tokio::sync::oneshot;

use crate::edge::{Answer, Site};
use crate::hub::Hub;
use crate::refused::refused;

/// 2026-06-01T12:00:00Z: 17:45 in Kathmandu, 22,500 s before midnight.
const NOON_MS: u64 = 1_780_315_200_000;
const TO_MIDNIGHT_MS: u64 = 22_500_000;

/// An edge in this process.
struct Running {
    collect: String,
    admin: String,
    context: Context,
    ended: tokio::task::JoinHandle<anyhow::Result<()>>,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Running {
    async fn start(config: edge_agent::Config, clock: &TestClock) -> Self {
        let (ready, fields) = oneshot::channel::<Map<String, Value>>();
        let ready = Mutex::new(Some(ready));
        let context = Context::new(clock.shared()).child(Arc::new(move |_service, fields| {
            ready.lock().unwrap().take().unwrap().send(fields).unwrap();
            Ok(())
        }));
        let ended = tokio::spawn(Box::pin(edge_agent::run(config, context.clone())));
        let Ok(fields) = fields.await else { panic!("it did not start: {:?}", ended.await) };
        let url = |name: &str| fields[name].as_str().unwrap().to_owned();
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { collect: url("collect"), admin: url("admin"), context, ended, client }
    }

    async fn send(&self, method: Method, url: String, headers: &[(&str, &str)], body: String) -> Answer {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.client.request(request.body(Full::new(body.into())).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }

    /// Sends so many page views of a property.
    async fn hits(&self, property: &Created, count: usize, headers: &[(&str, &str)]) -> Answer {
        let hits = vec![json!({"url": "https://shop.example.com/"}); count];
        let body = json!({"measurement_id": property.property.measurement_id, "hits": hits}).to_string();
        let headers = [&[("user-agent", "Mozilla/5.0 (X11; Linux) Firefox/1")], headers].concat();
        self.send(Method::POST, format!("{}/v1/collect", self.collect), &headers, body).await
    }

    async fn stop(self) {
        self.context.shutdown.cancel();
        self.ended.await.unwrap().unwrap();
    }
}

fn created(time_zone: &str, daily_hits: u64, hits_per_second: u32) -> Created {
    let quota = QuotaChange { daily_hits: Some(daily_hits), hits_per_second: Some(hits_per_second) };
    let new =
        NewProperty { name: "Shop".into(), time_zone: time_zone.into(), quota, ..NewProperty::default() };
    new.create(NOON_MS).unwrap()
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

fn assert_refused(answer: &Answer, code: &str, seconds: &str) {
    assert_eq!(answer.status.as_u16(), 429, "{answer:?}");
    assert_eq!(answer.error(), (429, code.to_owned(), "measurement_id".to_owned()));
    assert_eq!(header(answer, "retry-after"), seconds);
    assert_eq!(header(answer, "access-control-expose-headers"), "retry-after");
}

struct Bench {
    site: Site,
    clock: TestClock,
    hub: Hub,
    running: Running,
}

/// An edge with these properties; the first has an alias of Segment's.
async fn bench(properties: &[&Created]) -> Bench {
    let (site, clock) = (Site::new(), TestClock::new(NOON_MS));
    let hub = Hub::start(&site.hub_tls);
    let alias = Alias { protocol: "segment".into(), id: "KEY".into(), hostname: String::new() };
    let alias = OwnedAlias { alias, property_id: properties[0].property.property_id.clone() };
    let all: Vec<_> = properties.iter().map(|created| created.property.clone()).collect();
    site.configure_as(&all, &[alias]);
    for now_ms in [NOON_MS, NOON_MS + TO_MIDNIGHT_MS] {
        rehearse::salt_files(&site.path().join("data"), &wanted(now_ms)).unwrap();
    }
    let running = Running::start(site.config(&hub.address), &clock).await;
    Bench { site, clock, hub, running }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_takes_its_quota_and_the_next_one_takes_hits_again() {
    let (limited, free) = (created("Asia/Kathmandu", 5, 0), created("UTC", 0, 0));
    let Bench { site: _site, clock, hub, running } = bench(&[&limited, &free]).await;
    assert_eq!(running.hits(&limited, 4, &[]).await.status, 204);
    // A request is taken whole or refused whole.
    let two = running.hits(&limited, 2, &[]).await;
    assert_refused(&two, "over_quota", "22500");
    assert!(two.json()["error"]["message"].as_str().unwrap().contains("1 hits left"), "{two:?}");
    assert_eq!(running.hits(&limited, 1, &[]).await.status, 204);
    // From a page, as a pixel, by a server, in another product's protocol.
    assert_refused(&running.hits(&limited, 1, &[]).await, "over_quota", "22500");
    let id = &limited.property.measurement_id;
    let pixel = format!("{}/v1/pixel.gif?measurement_id={id}&url=https://shop.example.com/", running.collect);
    assert_refused(&running.send(Method::GET, pixel, &[], String::new()).await, "over_quota", "22500");
    let secret = [("x-meridian-secret", limited.api_secret.as_str())];
    assert_refused(&running.hits(&limited, 3, &secret).await, "over_quota", "22500");
    let batch = json!({"writeKey": "KEY", "batch": [{"type": "page", "userId": "u"}, {"type": "page", "userId": "u"}]});
    let segment = format!("{}/v1/batch", running.collect);
    let answer = running.send(Method::POST, segment.clone(), &[], batch.to_string()).await;
    assert_refused(&answer, "over_quota", "22500");
    assert_eq!(header(&answer, "x-meridian-dropped"), "1 over_quota");
    // What is wrong as well is told first, and is no hit of the quota.
    let bad = json!({"measurement_id": id, "hits": [{"age_ms": -1}]}).to_string();
    let url = format!("{}/v1/collect", running.collect);
    assert_eq!(running.send(Method::POST, url, &[], bad).await.status, 400);
    assert_eq!(running.hits(&free, 100, &[]).await.status, 204);

    clock.advance_ms(TO_MIDNIGHT_MS - 1);
    assert_refused(&running.hits(&limited, 1, &[]).await, "over_quota", "1");
    clock.advance_ms(1);
    // Of what another product sends as many are taken as there is room for.
    assert_eq!(running.hits(&limited, 4, &[]).await.status, 204);
    let answer = running.send(Method::POST, segment, &[], batch.to_string()).await;
    assert_eq!((answer.status.as_u16(), header(&answer, "x-meridian-dropped")), (200, "1 over_quota"));
    assert_refused(&running.hits(&limited, 1, &[]).await, "over_quota", "86400");

    let metrics = running.send(Method::GET, format!("{}/metrics", running.admin), &[], String::new()).await;
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    for line in [
        "edge_collect_requests_total{result=\"over_quota\"} 7",
        "edge_collect_dropped_total{protocol=\"segment\",reason=\"over_quota\"} 3",
        "edge_collect_quota_uncounted_total 0",
    ] {
        assert!(metrics.contains(line), "no {line} in {metrics}");
    }
    running.stop().await;
    // 5 of each day and 100 of the other; refused: 2 + 1 + 1 + 3 + 2 of one day, 1 at its end, 1 + 1 of the next.
    assert_eq!(hub.page_views(), (110, 110));
    let told = refused(&hub);
    assert_eq!((told.get("over_quota"), told.get("invalid_field"), told.len()), (Some(&12), Some(&1), 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_takes_its_hits_and_the_edge_says_how_many_where_nobody_does() {
    let (own, usual) = (created("UTC", 0, 2), created("UTC", 0, 0));
    let Bench { site, clock, hub, running } = bench(&[&own, &usual]).await;
    assert_eq!(running.hits(&own, 10, &[]).await.status, 204);
    assert_refused(&running.hits(&own, 1, &[]).await, "rate_limited", "1");
    assert_refused(&running.hits(&own, 10, &[]).await, "rate_limited", "5");
    assert_eq!(running.hits(&usual, 100, &[]).await.status, 204);
    clock.advance_ms(1_000);
    assert_eq!(running.hits(&own, 2, &[]).await.status, 204);
    assert_refused(&running.hits(&own, 1, &[]).await, "rate_limited", "1");
    running.stop().await;
    assert_eq!(hub.page_views(), (112, 112));
    assert_eq!(refused(&hub), [("rate_limited".to_owned(), 12)].into());

    let mut config = site.config(&hub.address);
    config.collect.hits_per_second = 4;
    let running = Running::start(config, &clock).await;
    assert_eq!(running.hits(&usual, 20, &[]).await.status, 204);
    assert_refused(&running.hits(&usual, 1, &[]).await, "rate_limited", "1");
    assert_eq!(running.hits(&own, 10, &[]).await.status, 204);
    assert_refused(&running.hits(&own, 1, &[]).await, "rate_limited", "1");
    running.stop().await;
}
