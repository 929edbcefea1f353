//! Connections of both protocols, spread over the accept threads by the kernel.

use futures::future::join_all;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, StatusCode, Version};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::edge::Site;

const THREADS: usize = 3;
const CONNECTIONS: u64 = 40;
const STREAMS: u64 = 25;

#[tokio::test(flavor = "multi_thread")]
async fn every_connection_of_either_protocol_is_answered_on_its_thread() {
    let site = Site::new();
    let mut config = site.config("127.0.0.1:9");
    config.collect.threads = THREADS;
    let edge = site.start(&config).await;
    let request = |url: &str| {
        let body = format!(r#"{{"measurement_id":"{}","hits":[{{"url":"{url}"}}]}}"#, site.measurement_id);
        let request = Request::post(format!("{}/v1/collect", edge.collect));
        request
            .header("user-agent", "Mozilla/5.0 (X11; Linux) Firefox/1")
            .body(Full::new(Bytes::from(body)))
            .unwrap()
    };
    // 40 connections by a hash of their ports: that all go to one of three threads has a chance below 10^-18.
    let clients: Vec<Client<_, _>> =
        (0..CONNECTIONS).map(|_| Client::builder(TokioExecutor::new()).build_http()).collect();
    let first = clients.iter().map(|client| client.request(request("https://example.com/1")));
    let shared = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let second = (0..STREAMS).map(|_| shared.request(request("https://example.com/2")));
    for (answers, version) in
        [(join_all(first).await, Version::HTTP_11), (join_all(second).await, Version::HTTP_2)]
    {
        for answer in answers {
            let answer = answer.unwrap();
            assert_eq!((answer.status(), answer.version()), (StatusCode::NO_CONTENT, version));
        }
    }
    let status = edge.admin("/status").await.json();
    assert_eq!(status["positions"][0]["acknowledged"], CONNECTIONS + STREAMS);
    assert!(edge.stop().await);
}
