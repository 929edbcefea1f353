//! The admin port: metrics, health, readiness and status over plain HTTP, for operators and `meridian status`.
//!
//! `GET /metrics` (OpenMetrics if the client accepts it, else the Prometheus text format), `/healthz` (200 while the
//! process answers), `/readyz` (503 with the reason until ready and again from the start of shutdown), `/status`
//! (a [`crate::status::ServiceReport`]). It answers until the very end of a drain, so it is no task of the group: it
//! lives as long as its [`AdminServer`]. It has no authentication: listen on loopback or a private network.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::context::Context;
use crate::metrics::{OPENMETRICS_CONTENT_TYPE, TEXT_CONTENT_TYPE};
use crate::status::ServiceReport;

/// Gives the JSON of `/status`; called once per request, so it reads counters and does no I/O.
pub type StatusFn = Arc<dyn Fn() -> Value + Send + Sync>;

/// A [`StatusFn`] from a function that builds a report.
pub fn status_fn(report: impl Fn() -> ServiceReport + Send + Sync + 'static) -> StatusFn {
    Arc::new(move || serde_json::to_value(report()).unwrap_or(Value::Null))
}

/// The admin port could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on admin_listen = \"{listen}\": {source}; choose a free address, or port 0 for any")]
pub struct AdminError {
    listen: SocketAddr,
    source: std::io::Error,
}

/// A running admin port; dropping it closes the port.
#[derive(Debug)]
pub struct AdminServer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl AdminServer {
    /// Listens on `listen` (port 0: any free one) and serves the admin routes and `extra`, the service's own.
    pub async fn start(
        context: &Context,
        listen: SocketAddr,
        status: StatusFn,
        extra: Router,
    ) -> Result<Self, AdminError> {
        let failed = |source| AdminError { listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        context.set_status(status);
        let app = router(context.clone()).merge(extra);
        let task = tokio::spawn(async move {
            // It retries accept errors itself and only returns when told to, which never happens.
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(%error, "admin port closed");
            }
        });
        Ok(Self { address, task })
    }

    /// The address it is bound to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://ADDRESS`, for the ready line.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for AdminServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The admin routes alone.
pub fn router(context: Context) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(ready))
        .route("/status", get(status))
        .with_state(context)
}

async fn metrics(State(context): State<Context>, headers: HeaderMap) -> Response {
    let accepts_openmetrics = headers
        .get_all(ACCEPT)
        .iter()
        .any(|value| value.to_str().is_ok_and(|value| value.contains("application/openmetrics-text")));
    let (content_type, text) = if accepts_openmetrics {
        (OPENMETRICS_CONTENT_TYPE, context.registry.encode_openmetrics())
    } else {
        (TEXT_CONTENT_TYPE, context.registry.encode_text())
    };
    match text {
        Ok(text) => ([(CONTENT_TYPE, content_type)], text).into_response(),
        Err(_) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written as text").into_response()
        }
    }
}

async fn ready(State(context): State<Context>) -> (StatusCode, String) {
    match context.readiness.check() {
        Ok(()) => (StatusCode::OK, "ready".into()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason),
    }
}

async fn status(State(context): State<Context>) -> Response {
    match context.status() {
        Some(value) => Json(value).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "starting").into_response(),
    }
}

#[cfg(test)]
mod tests;
