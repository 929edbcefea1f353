//! Paths and methods: which request goes where, and how its outcome is answered and counted.

use std::net::IpAddr;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Method, Request};

use super::accept::Acceptor;
use super::answer::{self, Answer};
use super::refusal::{Code, Refusal};
use super::{body, parse, pixel};
use crate::metrics::CollectMetrics;

/// All paths.
#[derive(Debug)]
pub(crate) struct Routes {
    acceptor: Acceptor,
    metrics: CollectMetrics,
}

impl Routes {
    /// Routes to one acceptor.
    pub(crate) fn new(acceptor: Acceptor, metrics: CollectMetrics) -> Self {
        Self { acceptor, metrics }
    }

    /// The metrics of collect.
    pub(crate) fn metrics(&self) -> &CollectMetrics {
        &self.metrics
    }

    /// Answers one request.
    pub(crate) async fn answer(&self, peer: IpAddr, timeout: Duration, request: Request<Incoming>) -> Answer {
        let allowed = match request.uri().path() {
            "/v1/collect" => "POST, OPTIONS",
            "/v1/pixel.gif" => "GET, OPTIONS",
            path => {
                let message = "hits go to POST /v1/collect or GET /v1/pixel.gif";
                return self.refuse(&Refusal::field(Code::NotFound, "", path, message));
            }
        };
        if request.method() == Method::OPTIONS {
            return answer::preflight(allowed);
        }
        let outcome = match (request.method(), request.uri().path()) {
            (&Method::POST, "/v1/collect") => self.collect(peer, timeout, request).await,
            (&Method::GET, "/v1/pixel.gif") => self.pixel(peer, &request).await,
            (method, _) => {
                let message = format!("this path takes {allowed}");
                let refusal = Refusal::field(Code::MethodNotAllowed, "", method, message);
                self.metrics.answered(refusal.code.as_str());
                return answer::wrong_method(&refusal, allowed);
            }
        };
        match outcome {
            Ok(answer) => {
                self.metrics.ok.inc();
                answer
            }
            Err(refusal) => self.refuse(&refusal),
        }
    }

    fn refuse(&self, refusal: &Refusal) -> Answer {
        self.metrics.answered(refusal.code.as_str());
        answer::refused(refusal)
    }

    async fn collect(
        &self,
        peer: IpAddr,
        timeout: Duration,
        request: Request<Incoming>,
    ) -> Result<Answer, Refusal> {
        let prepared = {
            let (head, incoming) = request.into_parts();
            let bytes = body::read(&head.headers, incoming, timeout).await?;
            self.acceptor.prepare(peer, &head.headers, parse::collect(&bytes)?).await?
        };
        let hits = self.acceptor.commit(prepared).await?;
        self.metrics.hits.inc_by(u64::from(hits));
        Ok(answer::taken())
    }

    async fn pixel(&self, peer: IpAddr, request: &Request<Incoming>) -> Result<Answer, Refusal> {
        let parsed = pixel::collect(request.uri().query().unwrap_or_default())?;
        let prepared = self.acceptor.prepare(peer, request.headers(), parsed).await?;
        let hits = self.acceptor.commit(prepared).await?;
        self.metrics.hits.inc_by(u64::from(hits));
        Ok(answer::pixel())
    }
}
