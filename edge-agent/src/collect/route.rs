//! Paths and methods: which request goes where, and how its outcome is answered and counted.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hit::limits;
use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use hyper::{Method, Request};
use protocol::own;
use protocol::own::claim::{self, Claim};
use protocol::{Code, Endpoint, Outcome, Refusal, Reply, pixel, scripts};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::accept::{Acceptor, OWN_PROTOCOL, Prepared};
use super::answer::{self, Answer};
use super::body;
use super::decide::Decided;
use super::tracker::{Tracker, Wanted};
use crate::metrics::CollectMetrics;

/// All paths.
#[derive(Debug)]
pub(crate) struct Routes {
    acceptor: Acceptor,
    tracker: Tracker,
    large_bodies: Arc<Semaphore>,
    metrics: CollectMetrics,
}

impl Routes {
    /// Routes to one acceptor, and to the tracker.
    pub(crate) fn new(
        acceptor: Acceptor,
        tracker: Tracker,
        large_bodies: Arc<Semaphore>,
        metrics: CollectMetrics,
    ) -> Self {
        Self { acceptor, tracker, large_bodies, metrics }
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
                if let Some(endpoint) = Endpoint::of(path) {
                    return self.foreign(endpoint, peer, timeout, request).await;
                }
                return match Wanted::of(path) {
                    Some(wanted) => self.script(wanted, &request),
                    None => self.not_found(path),
                };
            }
        };
        if request.method() == Method::OPTIONS {
            return answer::preflight(allowed);
        }
        let outcome = match (request.method(), request.uri().path()) {
            (&Method::POST, "/v1/collect") => self.collect(peer, timeout, request).await,
            (&Method::GET, "/v1/pixel.gif") => self.pixel(peer, &request).await,
            (method, _) => return self.wrong_method(method, allowed),
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

    /// The answer to a request for which there is no place.
    pub(crate) fn overloaded(&self) -> Answer {
        let message = "more requests are under way than this edge takes at a time; send it again after the time in Retry-After";
        self.refuse(&Refusal::whole(Code::Overloaded, message))
    }

    fn not_found(&self, path: &str) -> Answer {
        let message = scripts::way_out(path).unwrap_or("hits go to POST /v1/collect or GET /v1/pixel.gif");
        self.refuse(&Refusal::field(Code::NotFound, "", path, message))
    }

    /// The tracker.
    fn script(&self, wanted: Wanted<'_>, request: &Request<Incoming>) -> Answer {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return self.wrong_method(request.method(), "GET, HEAD");
        }
        let headers = request.headers();
        let answer = match (self.tracker.answer(wanted, headers), wanted) {
            (Some(answer), _) => Some(answer),
            (None, Wanted::Named(id)) => {
                let property = self.acceptor.properties.by_measurement_id(id);
                property.and_then(|property| self.tracker.answer_for(&property, id, headers))
            }
            (None, _) => None,
        };
        answer.unwrap_or_else(|| self.not_found(request.uri().path()))
    }

    fn wrong_method(&self, method: &Method, allowed: &'static str) -> Answer {
        let message = format!("this path takes {allowed}");
        let refusal = Refusal::field(Code::MethodNotAllowed, "", method, message);
        self.metrics.answered(refusal.code.as_str());
        answer::wrong_method(&refusal, allowed)
    }

    async fn collect(
        &self,
        peer: IpAddr,
        timeout: Duration,
        request: Request<Incoming>,
    ) -> Result<Answer, Refusal> {
        let prepared = {
            self.acceptor.check_configured()?;
            let (head, incoming) = request.into_parts();
            let bytes = body::read(&head.headers, incoming, limits::REQUEST_BYTES, timeout).await?;
            let prepared = match own::collect(&bytes) {
                Ok(request) => self.acceptor.prepare(peer, &head.headers, &request),
                Err(refusal) => Err(refusal),
            };
            self.told(prepared, || claim::of_body(&bytes))?
        };
        self.commit_own(prepared).await?;
        Ok(answer::taken())
    }

    /// The same, once a refusal has been counted for the property that the request claims to be for.
    fn told(
        &self,
        prepared: Result<Prepared, Refusal>,
        claim: impl FnOnce() -> Option<Claim>,
    ) -> Result<Prepared, Refusal> {
        if let Err(refusal) = &prepared {
            self.acceptor.tell_refused(claim(), refusal);
        }
        prepared
    }

    async fn pixel(&self, peer: IpAddr, request: &Request<Incoming>) -> Result<Answer, Refusal> {
        self.acceptor.check_configured()?;
        let query = request.uri().query().unwrap_or_default();
        let prepared = match pixel::collect(query) {
            Ok(parsed) => self.acceptor.prepare(peer, request.headers(), &parsed),
            Err(refusal) => Err(refusal),
        };
        let prepared = self.told(prepared, || pixel::claim(query))?;
        self.commit_own(prepared).await?;
        Ok(answer::pixel())
    }

    /// Commits the hits of a request of our own protocol, and counts them and those that the property's rules do not let in.
    async fn commit_own(&self, prepared: Prepared) -> Result<(), Refusal> {
        let dropped: Vec<&'static str> = prepared.not_counted.iter().map(|(_, reason)| *reason).collect();
        let hits = self.acceptor.commit(prepared).await?;
        self.metrics.hits.inc_by(u64::from(hits));
        dropped.into_iter().for_each(|reason| self.metrics.dropped(OWN_PROTOCOL, reason));
        Ok(())
    }

    /// A request in another product's protocol.
    async fn foreign(
        &self,
        endpoint: Endpoint,
        peer: IpAddr,
        timeout: Duration,
        request: Request<Incoming>,
    ) -> Answer {
        let (head, incoming) = request.into_parts();
        if head.method == Method::OPTIONS {
            return answer::preflight_for(&head.headers, endpoint.allowed());
        }
        if !endpoint.takes(&head.method) {
            return self.wrong_method(&head.method, endpoint.allowed());
        }
        let read = async {
            self.acceptor.check_configured()?;
            // Held until the request is answered: what is parsed from it takes memory as well.
            let place = self.place_for_body(&head.headers, endpoint)?;
            Ok::<_, Refusal>((
                place,
                body::read(&head.headers, incoming, endpoint.body_bytes(), timeout).await?,
            ))
        };
        let (_place, bytes) = match read.await {
            Ok(read) => read,
            Err(refusal) => {
                self.metrics.answered(refusal.code.as_str());
                let reply = match refusal.code.retry_after_s() {
                    Some(_) => Reply::refused(&refusal),
                    None => endpoint.refuse(&refusal),
                };
                return answer::reply(reply, &head.headers, &[Outcome::Refused(refusal)]);
            }
        };
        let request = protocol::Request {
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
            headers: &head.headers,
            body: &bytes,
        };
        match self.take(endpoint, peer, &request).await {
            Ok(outcomes) => {
                self.metrics.ok.inc();
                answer::reply(endpoint.reply(&request, &outcomes), &head.headers, &outcomes)
            }
            Err((refusal, reply)) => {
                self.metrics.answered(refusal.code.as_str());
                answer::reply(reply, &head.headers, &[Outcome::Refused(refusal)])
            }
        }
    }

    /// A place among the large bodies, if this may be one.
    fn place_for_body(
        &self,
        headers: &HeaderMap,
        endpoint: Endpoint,
    ) -> Result<Option<OwnedSemaphorePermit>, Refusal> {
        let length =
            headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        let is_small = length.is_some_and(|length| length <= limits::REQUEST_BYTES)
            && !headers.contains_key(CONTENT_ENCODING);
        if is_small || endpoint.body_bytes() <= limits::REQUEST_BYTES {
            return Ok(None);
        }
        let place = self.large_bodies.clone().try_acquire_owned();
        place.map(Some).map_err(|_| {
            let message = "more large requests are under way than this edge takes at a time; send it again after the time in Retry-After";
            Refusal::whole(Code::Overloaded, message)
        })
    }

    async fn take(
        &self,
        endpoint: Endpoint,
        peer: IpAddr,
        request: &protocol::Request<'_>,
    ) -> Result<Vec<Outcome>, (Refusal, Reply)> {
        let sent = match endpoint.parse(request) {
            Ok(sent) => sent,
            Err(refusal) => {
                if !endpoint.counts_nothing() {
                    self.acceptor.tell_misread(request.headers, endpoint.protocol(), &refusal);
                }
                let reply = endpoint.refuse(&refusal);
                return Err((refusal, reply));
            }
        };
        if endpoint.counts_nothing() {
            return Ok(Vec::new());
        }
        let send_again = |refusal| {
            let reply = Reply::refused(&refusal);
            (refusal, reply)
        };
        let now = self.acceptor.now().map_err(send_again)?;
        let decided = self.acceptor.decide(peer, request.headers, endpoint.protocol(), sent, now);
        let turned_away = decided.turned_away().cloned();
        let Decided { prepared, outcomes } = decided;
        let hits = self.acceptor.commit(prepared).await.map_err(send_again)?;
        self.metrics.hits.inc_by(u64::from(hits));
        for outcome in &outcomes {
            match outcome {
                Outcome::Taken { .. } => {}
                Outcome::Dropped(reason) => {
                    self.metrics.dropped(endpoint.protocol().as_str(), reason.as_str());
                }
                Outcome::Refused(refusal) => {
                    self.metrics.dropped(endpoint.protocol().as_str(), refusal.code.as_str());
                }
            }
        }
        match turned_away {
            Some(refusal) => {
                let reply = Reply::refused(&refusal);
                Err((refusal, reply))
            }
            None => Ok(outcomes),
        }
    }
}
