//! A small HTTP/1.1 client with pooled connections: what the commands need of hyper.
//!
//! In: method, URL, headers, body. Out: status, headers, body of at most 16 MiB. Every request has a time-out.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// Bytes of an answer's body.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// A client with a connection pool; clones share it.
#[derive(Debug, Clone)]
pub struct HttpClient {
    pool: Pool<HttpConnector, Full<Bytes>>,
    timeout: Duration,
}

impl HttpClient {
    /// A client whose requests take at most `timeout` each.
    pub fn new(timeout: Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(timeout));
        Self { pool: Pool::builder(TokioExecutor::new()).build(connector), timeout }
    }

    /// Sends one request.
    ///
    /// # Errors
    /// When there is no answer: no connection, a broken one, or the time-out. The request may have been carried out.
    pub async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> anyhow::Result<Answer> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request =
            request.body(Full::new(body)).with_context(|| format!("{url} is not a URL that can be asked"))?;
        let exchange = async {
            let response = self.pool.request(request).await.map_err(|error| anyhow!(root_cause(&error)))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES)
                .collect()
                .await
                .map_err(|error| anyhow!("the answer broke off: {error}"))?;
            anyhow::Ok(Answer { status: parts.status, headers: parts.headers, body: body.to_bytes() })
        };
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(answer) => answer.with_context(|| format!("no answer from {url}")),
            Err(_) => bail!("no answer from {url} within {} s", self.timeout.as_secs()),
        }
    }

    /// Gets JSON.
    ///
    /// # Errors
    /// When there is no answer, its status is not 200, or it is not JSON of this shape.
    pub async fn get_json<T: serde::de::DeserializeOwned>(&self, url: &str) -> anyhow::Result<T> {
        let answer = self.send(Method::GET, url, &[], Bytes::new()).await?;
        if answer.status != StatusCode::OK {
            bail!("{url} answered {}", answer.status);
        }
        serde_json::from_slice(&answer.body)
            .with_context(|| format!("{url} did not answer with the expected JSON"))
    }
}

/// hyper-util says only "client error (Connect)"; the reason stands at the end of its chain.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
