//! The admin port of `meridian dev`: answers for all services behind it.
//!
//! `GET /status` joins the reports of all services (one that does not answer is listed as unreachable), `/metrics`
//! their metrics (each name begins with its service), `/readyz` is 200 when every service is ready, `/seen` joins what the edges
//! saw of a property.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use futures::future::join_all;
use http::uri::PathAndQuery;
use http::{Method, StatusCode, Uri};
use serde_json::{Value, json};
use service::status::{ServiceReport, ServiceStatus};
use tokio::net::TcpListener;

use crate::http_client::HttpClient;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// A service behind the port.
#[derive(Debug, Clone)]
pub struct Behind {
    /// Its name.
    pub service: &'static str,
    /// Its admin address, `http://…`.
    pub admin: String,
    /// Whether its `/metrics` is asked for: services in one process share one registry.
    pub metrics: bool,
}

#[derive(Debug, Clone)]
struct Asker {
    services: Arc<[Behind]>,
    client: HttpClient,
}

/// Serves until the task is dropped; gives the bound address.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve(listen: SocketAddr, services: Vec<Behind>) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!("cannot listen on --admin {listen}; choose a free address, or port 0 for any")
    })?;
    let address = listener.local_addr()?;
    let asker = Asker { services: services.into(), client: HttpClient::new(REQUEST_TIMEOUT) };
    let routes = Router::new()
        .route("/status", get(status))
        .route("/metrics", get(metrics))
        .route("/readyz", get(ready))
        .route("/seen", get(seen))
        .route("/healthz", get(async || "ok"))
        .with_state(asker);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "admin port closed");
        }
    });
    Ok(address)
}

impl Asker {
    /// Asks every service for `path`, all at once.
    async fn ask(&self, path: &str) -> Vec<(Behind, anyhow::Result<Bytes>)> {
        join_all(self.services.iter().map(|behind| async move {
            let url = format!("{}{path}", behind.admin);
            let answer = self.client.send(Method::GET, &url, &[], Bytes::new()).await;
            let body = answer.and_then(|answer| {
                let body = String::from_utf8_lossy(&answer.body).into_owned();
                anyhow::ensure!(answer.status == StatusCode::OK, "{} {body}", answer.status);
                Ok(answer.body)
            });
            (behind.clone(), body)
        }))
        .await
    }
}

async fn status(State(asker): State<Asker>) -> Json<ServiceReport> {
    let mut whole = ServiceReport::default();
    for (behind, body) in asker.ask("/status").await {
        let report = body.and_then(|body| Ok(serde_json::from_slice::<ServiceReport>(&body)?));
        match report {
            Ok(report) => {
                whole.services.extend(report.services);
                whole.positions.extend(report.positions);
            }
            Err(error) => {
                let unreachable =
                    ServiceStatus::unreachable(behind.service, behind.admin, format!("{error:#}"));
                whole.services.push(unreachable);
            }
        }
    }
    Json(whole)
}

async fn seen(State(asker): State<Asker>, uri: Uri) -> Json<Value> {
    let path = uri.path_and_query().map_or("/seen", PathAndQuery::as_str);
    let mut all = Vec::new();
    // Services that are no edges have no such path.
    for (_, body) in asker.ask(path).await {
        let seen = body.and_then(|body| Ok(serde_json::from_slice::<Value>(&body)?));
        if let Ok(Value::Object(mut seen)) = seen
            && let Some(Value::Array(lines)) = seen.remove("seen")
        {
            all.extend(lines);
        }
    }
    Json(json!({ "seen": all }))
}

async fn metrics(State(asker): State<Asker>) -> String {
    let mut text = String::new();
    for (behind, body) in asker.ask("/metrics").await {
        if let (true, Ok(body)) = (behind.metrics, body) {
            text.push_str(&String::from_utf8_lossy(&body));
        }
    }
    text
}

async fn ready(State(asker): State<Asker>) -> (StatusCode, String) {
    let obstacles: Vec<String> = asker
        .ask("/readyz")
        .await
        .into_iter()
        .filter_map(|(behind, body)| body.err().map(|error| format!("{}: {error:#}", behind.service)))
        .collect();
    if obstacles.is_empty() {
        (StatusCode::OK, "ready".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, obstacles.join("; "))
    }
}
