//! The client: sends hits with ids over several connections until every one is acknowledged, and counts them.
//!
//! Requests leave at a steady pace until the last kill is done, then the rest as fast as it goes. A request that is not
//! answered is sent again to the same edge with the same ids until it is. What it holds is in `workload`, what was answered
//! in `expected`, and what reports say about it is compared in `reports`.

mod workload;
mod expected;
mod reports;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, StatusCode};
use meridian::http_client::HttpClient;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::system::{System, now_ms};
pub(crate) use expected::Expected;
use expected::Window;
pub(crate) use reports::check_reports;
use workload::{MEAN_HITS, Request};
pub(crate) use workload::{Site, Workload, ZONES};

const CONNECTIONS: usize = 8;
/// When kills take long, so many times the hits are sent at most.
const LONGEST_RUN: u64 = 20;
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// A service that was killed is back long before.
const ANSWERED_WITHIN: Duration = Duration::from_secs(180);
/// After the last kill: the rest of the hits, and a share of a hit for the slowest machine.
const FINISHED_WITHIN: Duration = Duration::from_secs(400);
const FINISHED_PER_HIT: Duration = Duration::from_millis(1);

const HUMAN: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0";
const BOT: &str = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";

/// The running client.
pub(crate) struct Traffic {
    shared: Arc<Shared>,
    connections: Vec<JoinHandle<()>>,
}

struct Shared {
    workload: Workload,
    /// One for each edge.
    urls: Vec<String>,
    started: Instant,
    clock_ahead_s: u64,
    next_request: AtomicU64,
    hits_begun: AtomicU64,
    /// Cancelled when the last kill is done.
    unhurried: CancellationToken,
    /// Attempts without an answer, by request: to which edge, since when.
    unanswered: Mutex<BTreeMap<u64, (usize, Instant)>>,
    expected: Mutex<Expected>,
}

impl Traffic {
    /// Begins to send.
    pub(crate) fn start(system: &System, workload: Workload) -> Self {
        let urls = system.collect_urls();
        assert!(urls.len() > 1 || !workload.at_both_edges, "there is no other edge");
        let shared = Arc::new(Shared {
            urls,
            workload,
            started: Instant::now(),
            clock_ahead_s: system.clock_ahead_s(),
            next_request: AtomicU64::new(0),
            hits_begun: AtomicU64::new(0),
            unhurried: CancellationToken::new(),
            unanswered: Mutex::default(),
            expected: Mutex::default(),
        });
        let connections =
            (0..CONNECTIONS).map(|_| system.runtime().spawn(Arc::clone(&shared).run_connection())).collect();
        Self { shared, connections }
    }

    /// Requests that were sent to an edge before `moment` and have no answer.
    pub(crate) fn unanswered_since(&self, edge: usize, moment: Instant) -> usize {
        let unanswered = self.shared.unanswered.lock().unwrap();
        unanswered.values().filter(|(at, begun)| *at == edge && *begun < moment).count()
    }

    /// Whether nothing more is sent.
    pub(crate) fn is_over(&self) -> bool {
        self.shared.is_over()
    }

    /// Sends the rest as fast as it goes; gives what was acknowledged, which is everything, and the sites.
    pub(crate) fn finish(self, system: &System) -> (Expected, Vec<Site>) {
        self.shared.unhurried.cancel();
        let hits = self.shared.workload.hits;
        let within = FINISHED_WITHIN + FINISHED_PER_HIT * u32::try_from(hits).unwrap();
        system.runtime().block_on(async {
            let all = futures::future::try_join_all(self.connections);
            tokio::time::timeout(within, all).await.expect("the client did not come to its end").unwrap();
        });
        let expected = std::mem::take(&mut *self.shared.expected.lock().unwrap());
        assert!(expected.counted_hits() >= hits);
        (expected, self.shared.workload.sites.clone())
    }
}

impl Shared {
    /// One connection: a request at a time, until all hits were begun.
    async fn run_connection(self: Arc<Self>) {
        let client = HttpClient::new(Duration::from_secs(60));
        while !self.is_over() {
            let number = self.next_request.fetch_add(1, Ordering::SeqCst);
            self.wait_for_turn(number).await;
            let request = self.workload.request(number, self.urls.len());
            self.hits_begun.fetch_add(u64::try_from(request.hits.len()).unwrap(), Ordering::SeqCst);
            let body = self.workload.body(&request);
            let edges = [request.edge, (request.edge + 1) % self.urls.len()];
            let copies = if self.workload.at_both_edges { 2 } else { 1 };
            for (copy, edge) in edges.into_iter().take(copies).enumerate() {
                let window = self.send_until_answered(&client, number, edge, &request, &body).await;
                if request.is_sent_again && copy == 0 {
                    self.send_until_answered(&client, number, edge, &request, &body).await;
                }
                let utc_offset_s = self.workload.sites[request.site].utc_offset_s;
                self.expected.lock().unwrap().count(&request, edge, copy > 0, window, utc_offset_s);
            }
        }
    }

    fn is_over(&self) -> bool {
        let begun = self.hits_begun.load(Ordering::SeqCst);
        let limit = if self.unhurried.is_cancelled() { 1 } else { LONGEST_RUN };
        begun >= self.workload.hits * limit
    }

    /// The steady pace, until the last kill is done.
    async fn wait_for_turn(&self, number: u64) {
        let requests = self.workload.hits / u64::from(MEAN_HITS);
        let share = self.workload.steady_for.mul_f64(number as f64 / requests.max(1) as f64);
        tokio::select! {
            () = tokio::time::sleep_until(tokio::time::Instant::from_std(self.started + share)) => {}
            () = self.unhurried.cancelled() => {}
        }
    }

    /// Gives from when to when the edge may have stamped it.
    async fn send_until_answered(
        &self,
        client: &HttpClient,
        number: u64,
        edge: usize,
        request: &Request,
        body: &Bytes,
    ) -> Window {
        let agent = if request.is_bot { BOT } else { HUMAN };
        let headers = [("content-type", "application/json"), ("user-agent", agent)];
        let (started, from_ms) = (Instant::now(), now_ms(self.clock_ahead_s));
        loop {
            self.unanswered.lock().unwrap().insert(number, (edge, Instant::now()));
            let answer = client.send(Method::POST, &self.urls[edge], &headers, body.clone()).await;
            self.unanswered.lock().unwrap().remove(&number);
            match answer {
                Ok(answer) if answer.status == StatusCode::NO_CONTENT => break,
                Ok(answer) if answer.status != StatusCode::SERVICE_UNAVAILABLE => {
                    panic!("request {number}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
                }
                Ok(_) | Err(_) => self.expected.lock().unwrap().unanswered += 1,
            }
            assert!(
                started.elapsed() < ANSWERED_WITHIN,
                "request {number} was not answered in {ANSWERED_WITHIN:?}"
            );
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        let mut expected = self.expected.lock().unwrap();
        expected.requests += 1;
        expected.acknowledged += request.length();
        Window { from_ms, to_ms: now_ms(self.clock_ahead_s) }
    }
}
