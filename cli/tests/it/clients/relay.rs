//! A proxy on the merchant's own machine: hands every request on under another host name, as `docs/proxying.md` lets nginx do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http_body_util::BodyExt;
use meridian::http_client::HttpClient;

use crate::system::System;

struct Target {
    client: HttpClient,
    url: String,
    host: String,
}

/// Starts the proxy before the system's collect port; gives its URL. It ends with the system.
pub(crate) fn start(system: &System, host: &str) -> String {
    let target = Target {
        client: HttpClient::new(Duration::from_secs(30)),
        url: system.address("collect").to_owned(),
        host: host.to_owned(),
    };
    let routes = Router::new().fallback(hand_on).with_state(Arc::new(target));
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = system.runtime().block_on(tokio::net::TcpListener::bind(any)).unwrap();
    let address = listener.local_addr().unwrap();
    system.runtime().spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}")
}

async fn hand_on(State(target): State<Arc<Target>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let of_this_hop = [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING];
    let mut headers: Vec<(&str, &str)> = head
        .headers
        .iter()
        .filter(|(name, _)| !of_this_hop.contains(name))
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    headers.push(("host", &target.host));
    let url = format!("{}{}", target.url, head.uri);
    let answer = target.client.send(head.method, &url, &headers, body).await.unwrap();
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}
