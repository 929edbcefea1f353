//! The admin port over a real socket.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::clock::TestClock;
use crate::status::ServiceStatus;

async fn fetch(address: SocketAddr, path: &str, accept: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: admin\r\naccept: {accept}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    let content_type = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default();
    (code, content_type.to_owned(), body.to_owned())
}

async fn start(context: &Context) -> AdminServer {
    let status = status_fn(|| ServiceReport {
        services: vec![ServiceStatus::new("hub", "h1")],
        ..ServiceReport::default()
    });
    let extra = Router::new().route("/own", get(async || "own"));
    AdminServer::start(context, SocketAddr::from(([127, 0, 0, 1], 0)), status, extra).await.unwrap()
}

#[tokio::test]
async fn readiness_is_503_with_a_reason_until_ready_and_after_shutdown_began() {
    let context = Context::new(TestClock::new(0).shared());
    let server = start(&context).await;
    let ready = async || {
        let (code, _, body) = fetch(server.address(), "/readyz", "*/*").await;
        (code, body)
    };
    assert_eq!(ready().await, (503, "starting".into()));
    context.readiness.set_ready();
    assert_eq!(ready().await, (200, "ready".into()));
    context.shutdown.cancel();
    assert_eq!(ready().await, (503, "shutting down".into()));
    let (code, _, body) = fetch(server.address(), "/healthz", "*/*").await;
    assert_eq!((code, body.as_str()), (200, "ok"));
}

#[tokio::test]
async fn metrics_come_in_the_format_the_client_accepts() {
    let context = Context::new(TestClock::new(0).shared());
    let server = start(&context).await;
    let (code, content_type, body) = fetch(server.address(), "/metrics", "*/*").await;
    assert_eq!((code, content_type.as_str(), body.as_str()), (200, TEXT_CONTENT_TYPE, ""));
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2";
    let (_, content_type, body) = fetch(server.address(), "/metrics", prometheus).await;
    assert_eq!((content_type.as_str(), body.as_str()), (OPENMETRICS_CONTENT_TYPE, "# EOF\n"));
}

#[tokio::test]
async fn status_and_own_routes_are_served_and_status_is_readable_in_process() {
    let context = Context::new(TestClock::new(0).shared());
    let server = start(&context).await;
    let (code, content_type, body) = fetch(server.address(), "/status", "*/*").await;
    assert_eq!((code, content_type.as_str()), (200, "application/json"));
    let report: ServiceReport = serde_json::from_str(&body).unwrap();
    assert_eq!(report.services[0].id, "h1");
    assert_eq!(context.status().unwrap(), serde_json::to_value(report).unwrap());
    assert_eq!(fetch(server.address(), "/own", "*/*").await.2, "own");
}

#[tokio::test]
async fn taken_port_is_named() {
    let context = Context::new(TestClock::new(0).shared());
    let first = start(&context).await;
    let again = AdminServer::start(&context, first.address(), Arc::new(|| Value::Null), Router::new()).await;
    let error = again.unwrap_err().to_string();
    assert!(error.contains(&format!("admin_listen = \"{}\"", first.address())), "{error}");
}
