//! Connections end: those of an edge that stops after what is under way, and those that bring nothing.

use hyper::{StatusCode, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{
    Certificate, Connection, http2_over_tls, in_parts, page_view, post, tcp, tls, whole, write,
};
use crate::edge::{Edge, Site};
use crate::hub::Hub;

/// Has a request half sent, stops the edge, and sends the rest when the client knows that it stops.
async fn stops_after_the_request_under_way(site: &Site, edge: Edge, mut connection: Connection) {
    let body = page_view(site);
    let (begin, end) = body.split_at(body.len() / 2);
    let (parts, coming) = in_parts();
    let under_way = tokio::spawn(connection.send(post("/v1/collect", coming)));
    parts.send(begin.to_owned()).await.unwrap();
    // Frames are taken in their order: when this one is answered the edge has the other's beginning.
    assert_eq!(connection.page_view(site).await.unwrap(), (204, Version::HTTP_2));
    edge.terminate();
    // GOAWAY: the connection takes no further request. Those that come before it are answered.
    while let Ok((status, _version)) = connection.page_view(site).await {
        assert_eq!(status, 204);
    }
    parts.send(end.to_owned()).await.unwrap();
    drop(parts);
    assert_eq!(under_way.await.unwrap().unwrap().status(), StatusCode::NO_CONTENT);
    connection.ended.await.unwrap().unwrap();
    assert!(edge.ends().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_edge_answers_the_http2_request_under_way() {
    let site = Site::new();
    let hub = Hub::start(&site.hub_tls);
    let edge = site.start(&site.config(&hub.address)).await;
    let connection = Connection::http2(tcp(&edge).await).await;
    stops_after_the_request_under_way(&site, edge, connection).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_edge_answers_the_http2_request_under_way_within_tls() {
    let (site, certificate) = (Site::new(), Certificate::until(2040));
    let hub = Hub::start(&site.hub_tls);
    let mut config = site.config(&hub.address);
    config.collect.tls = Some(write(&site, &certificate.cert, &certificate.key));
    let edge = site.start(&config).await;
    let connection = http2_over_tls(&edge, &certificate.cert).await.unwrap();
    stops_after_the_request_under_way(&site, edge, connection).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_edge_waits_for_no_handshake_and_no_silent_client() {
    let (site, certificate) = (Site::new(), Certificate::until(2040));
    let hub = Hub::start(&site.hub_tls);
    let mut config = site.config(&hub.address);
    // Longer than an edge takes to give up on tasks that do not end.
    config.collect.request_timeout_ms = 600_000;
    config.collect.tls = Some(write(&site, &certificate.cert, &certificate.key));
    let edge = site.start(&config).await;
    let mut in_handshake = tcp(&edge).await;
    let mut silent = tls(&edge, &certificate.cert, &[b"h2"], rustls::ALL_VERSIONS).await.unwrap();
    let mut connection = http2_over_tls(&edge, &certificate.cert).await.unwrap();
    assert_eq!(connection.page_view(&site).await.unwrap().0, 204);
    assert!(edge.stop().await);
    let _reset_or_end = (in_handshake.read(&mut [0]).await, silent.read(&mut [0]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_bring_no_request_are_closed() {
    let site = Site::new();
    let mut config = site.config("127.0.0.1:9");
    config.drain_ms = 0;
    config.collect.request_timeout_ms = 200;
    config.collect.idle_timeout_ms = 300;
    let edge = site.start(&config).await;
    for begin in [&b""[..], b"PRI * HT", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"POST /v1/coll"] {
        let mut stream = tcp(&edge).await;
        stream.write_all(begin).await.unwrap();
        // HTTP/2: SETTINGS and GOAWAY.
        let _reset_or_end = stream.read_to_end(&mut Vec::new()).await;
    }
    let mut connection = Connection::http2(tcp(&edge).await).await;
    assert_eq!(connection.page_view(&site).await.unwrap().0, 204);
    (&mut connection.ended).await.unwrap().unwrap();
    assert!(connection.send(post("/v1/collect", whole(page_view(&site)))).await.is_err());
    assert!(edge.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_requests_beyond_the_connections_places_are_refused() {
    let site = Site::new();
    let mut config = site.config("127.0.0.1:9");
    config.drain_ms = 0;
    config.collect.threads = 1;
    config.collect.max_connections = 3;
    let edge = site.start(&config).await;
    let mut connection = Connection::http2(tcp(&edge).await).await;
    let under_way: Vec<_> = (0..3)
        .map(|_| {
            let (parts, coming) = in_parts();
            (parts, tokio::spawn(connection.send(post("/v1/collect", coming))))
        })
        .collect();
    let refused = connection.send(post("/v1/collect", whole(page_view(&site)))).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    for (parts, answer) in under_way {
        parts.send(page_view(&site)).await.unwrap();
        drop(parts);
        assert_eq!(answer.await.unwrap().unwrap().status(), StatusCode::NO_CONTENT);
    }
    assert_eq!(connection.page_view(&site).await.unwrap().0, 204);
    assert!(edge.stop().await);
}
