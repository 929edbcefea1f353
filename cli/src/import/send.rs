//! Sends page requests as hits, in order of time, and marks how far the import has come.
//!
//! In: page requests in order of time. They are cut into windows; within a window each connection sends the hits of its
//! own visitors in order, but for the window's last hit. When all have been acknowledged it follows, and says that no
//! earlier hit does (`import_until`), so that sessions close as the import goes on, and are closed when it is loaded.
//! What was not answered is sent again with the same ids.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use anyhow::{anyhow, bail};
use bytes::Bytes;
use futures::future::try_join_all;
use hit::limits;
use http::{Method, StatusCode};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::{Value, json};

use super::select::PageRequest;
use crate::http_client::{Answer, HttpClient};

/// Hits between two import marks.
const WINDOW: usize = 20_000;
/// Bytes of hits in a request: below the edge's limit, with room for the envelope.
const BODY_BYTES: usize = limits::REQUEST_BYTES - 1024;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an edge that does not answer or refuses for now is asked again.
const GIVE_UP_AFTER: Duration = Duration::from_secs(300);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Where hits go.
#[derive(Debug, Clone)]
pub struct Target {
    /// `POST /v1/collect`.
    pub collect_url: String,
    /// "M-…"
    pub measurement_id: String,
    /// Lets hits carry their own time, address and user agent.
    pub api_secret: String,
    /// Host name of the site.
    pub hostname: String,
}

/// What became of the hits.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Hits answered with success.
    pub acknowledged: u64,
    /// Hits that the edge refused for good: line and reason.
    pub refused: Vec<(u64, String)>,
}

/// Sends hits over a number of connections.
#[derive(Debug)]
pub struct Sender {
    target: Target,
    /// One client each: a pool of one connection keeps a visitor's hits in order.
    clients: Vec<HttpClient>,
}

/// The part of the edge's error that says which hit is meant.
#[derive(Debug, Deserialize)]
struct ErrorBody {
    error: ErrorDetail,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorDetail {
    field: String,
    message: String,
}

impl Sender {
    /// Will send to `target` over `connections` connections.
    pub fn new(target: Target, connections: u16) -> Self {
        Self { target, clients: (0..connections).map(|_| HttpClient::new(REQUEST_TIMEOUT)).collect() }
    }

    /// Sends everything, with a progress bar on a terminal.
    ///
    /// # Errors
    /// When the edge refuses the secret or the measurement id, or did not take hits for five minutes.
    pub async fn send_all(&self, requests: Vec<PageRequest>) -> anyhow::Result<Outcome> {
        let progress = progress_bar(requests.len());
        let mut outcome = Outcome::default();
        let mut windows = requests.chunks(WINDOW).peekable();
        while let Some(window) = windows.next() {
            let Some((last, others)) = window.split_last() else { continue };
            let lanes = self.split_by_visitor(others);
            let sent =
                lanes.iter().zip(&self.clients).map(|(lane, client)| self.send_lane(client, lane, &progress));
            for lane in try_join_all(sent).await? {
                outcome.acknowledged += lane.acknowledged;
                outcome.refused.extend(lane.refused);
            }
            // Hits of the same millisecond may stand on both sides of the cut: only earlier ones are excluded.
            let until = match windows.peek().and_then(|next| next.first()) {
                Some(next) => json!(next.time_ms),
                None => json!(jiff::Timestamp::now().to_string()),
            };
            let Some(client) = self.clients.first() else { continue };
            let batch = vec![(last.line, self.target.hit(last))];
            self.send_batch(client, batch, Some(&until), &mut outcome, &progress).await?;
        }
        progress.finish_and_clear();
        outcome.refused.sort_unstable();
        Ok(outcome)
    }

    /// Requests by connection: those of one visitor on one, in order.
    fn split_by_visitor<'a>(&self, window: &'a [PageRequest]) -> Vec<Vec<&'a PageRequest>> {
        let mut lanes = vec![Vec::new(); self.clients.len()];
        for request in window {
            let mut hasher = DefaultHasher::new();
            (request.address, &request.user_agent).hash(&mut hasher);
            let lane = usize::try_from(hasher.finish() % lanes.len() as u64).unwrap_or(0);
            lanes[lane].push(request);
        }
        lanes
    }

    async fn send_lane(
        &self,
        client: &HttpClient,
        requests: &[&PageRequest],
        progress: &ProgressBar,
    ) -> anyhow::Result<Outcome> {
        let mut outcome = Outcome::default();
        let mut batch: Vec<(u64, Value)> = Vec::new();
        let mut bytes = 0;
        for request in requests {
            let hit = self.target.hit(request);
            let length = hit.to_string().len() + 1;
            if batch.len() == limits::HITS_PER_REQUEST || bytes + length > BODY_BYTES {
                self.send_batch(client, std::mem::take(&mut batch), None, &mut outcome, progress).await?;
                bytes = 0;
            }
            bytes += length;
            batch.push((request.line, hit));
        }
        self.send_batch(client, batch, None, &mut outcome, progress).await?;
        Ok(outcome)
    }

    /// Sends a batch until it is acknowledged; a hit that the edge refuses is taken out and the rest sent again.
    async fn send_batch(
        &self,
        client: &HttpClient,
        mut batch: Vec<(u64, Value)>,
        import_until: Option<&Value>,
        outcome: &mut Outcome,
        progress: &ProgressBar,
    ) -> anyhow::Result<()> {
        while !batch.is_empty() || import_until.is_some() {
            let hits: Vec<&Value> = batch.iter().map(|(_, hit)| hit).collect();
            let mut body = json!({ "measurement_id": self.target.measurement_id, "hits": hits });
            if let Some(until) = import_until {
                body["import_until"] = until.clone();
            }
            let answer = self.post(client, &self.target.collect_url, &body).await?;
            if answer.status.is_success() {
                let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
                outcome.acknowledged += count;
                progress.inc(count);
                return Ok(());
            }
            let error = error_of(&answer);
            match hit_index(&error.field).filter(|at| *at < batch.len()) {
                Some(at) => {
                    let (line, _) = batch.remove(at);
                    outcome.refused.push((line, error.message));
                    progress.inc(1);
                }
                None => bail!("the edge refused the import with {}: {}", answer.status, error.message),
            }
        }
        Ok(())
    }

    /// Posts until there is an answer that is not "later".
    async fn post(&self, client: &HttpClient, url: &str, body: &Value) -> anyhow::Result<Answer> {
        let body = Bytes::from(body.to_string());
        let headers =
            [("content-type", "application/json"), ("x-meridian-secret", self.target.api_secret.as_str())];
        let started = std::time::Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let answer = client.send(Method::POST, url, &headers, body.clone()).await;
            let (wait, reason) = match answer {
                Ok(answer) if !is_for_now(&answer) => return Ok(answer),
                Ok(answer) => {
                    (retry_after(&answer).unwrap_or(pause), anyhow!("{}", error_of(&answer).message))
                }
                Err(error) => (pause, error),
            };
            if started.elapsed() > GIVE_UP_AFTER {
                return Err(reason.context(format!(
                    "gave up after {} s; run the same import again, nothing is counted twice within 24 hours",
                    GIVE_UP_AFTER.as_secs()
                )));
            }
            tokio::time::sleep(wait.min(LONGEST_PAUSE)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

impl Target {
    fn hit(&self, request: &PageRequest) -> Value {
        let mut user_agent = request.user_agent.as_str();
        if user_agent.len() > limits::USER_AGENT_BYTES {
            let end = (0..=limits::USER_AGENT_BYTES).rev().find(|end| user_agent.is_char_boundary(*end));
            user_agent = &user_agent[..end.unwrap_or(0)];
        }
        json!({
            "event": hit::PAGE_VIEW,
            "url": format!("http://{}{}", self.hostname, request.target),
            "referrer": request.referrer,
            "timestamp": request.time_ms,
            "ip": request.address.to_string(),
            "user_agent": user_agent,
            "id": hit_id(request),
        })
    }
}

/// The same for the same line of the same log, whatever stands around it: 32 hexadecimal digits.
fn hit_id(request: &PageRequest) -> String {
    use siphasher::sip128::{Hasher128, SipHasher24};
    let mut hasher = SipHasher24::new();
    (request.time_ms, request.address, &request.user_agent, &request.target, &request.referrer)
        .hash(&mut hasher);
    request.occurrence.hash(&mut hasher);
    format!("{:032x}", hasher.finish128().as_u128())
}

/// Whether it may be otherwise soon: a rate is, a quota at midnight.
fn is_for_now(answer: &Answer) -> bool {
    let is_soon = || retry_after(answer).is_none_or(|after| after <= GIVE_UP_AFTER);
    answer.status.is_server_error() || (answer.status == StatusCode::TOO_MANY_REQUESTS && is_soon())
}

fn retry_after(answer: &Answer) -> Option<Duration> {
    let seconds = answer.headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn error_of(answer: &Answer) -> ErrorDetail {
    serde_json::from_slice::<ErrorBody>(&answer.body).map(|body| body.error).unwrap_or_else(|_| ErrorDetail {
        message: String::from_utf8_lossy(&answer.body).into_owned(),
        ..ErrorDetail::default()
    })
}

/// `3` of `hits[3].url`.
fn hit_index(field: &str) -> Option<usize> {
    field.strip_prefix("hits[")?.split(']').next()?.parse().ok()
}

fn progress_bar(hits: usize) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(hits).unwrap_or(u64::MAX));
    if let Ok(style) =
        ProgressStyle::with_template("sending {wide_bar} {pos} of {len} hits, {per_sec}, {eta} left")
    {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests;
