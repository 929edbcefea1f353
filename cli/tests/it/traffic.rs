//! The client: sends hits with ids over several connections until every one is acknowledged, and counts them.
//!
//! What request number *n* holds is a function of the seed and *n*, so that a repeat is the same to the letter. Requests
//! leave at a steady pace until the last kill is done, then the rest as fast as it goes. A request that is not answered is
//! sent again with the same ids until it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, StatusCode};
use meridian::http_client::HttpClient;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::system::System;
use crate::system::command::Property;

const CONNECTIONS: usize = 8;
/// Hits of a request: 1 to this.
const MOST_HITS: u64 = 19;
/// Mean of that.
const MEAN_HITS: u32 = 10;
/// One request in so many is of a bot, is sent again after it was answered, or holds its first hit twice.
const BOT_ONE_IN: u64 = 25;
const SENT_AGAIN_ONE_IN: u64 = 20;
const TWICE_ONE_IN: u64 = 10;
const CLIENTS_PER_PROPERTY: u64 = 30;
/// When kills take long, so many times the hits are sent at most.
const LONGEST_RUN: u64 = 4;
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// A service that was killed is back long before.
const ANSWERED_WITHIN: Duration = Duration::from_secs(180);
const FINISHED_WITHIN: Duration = Duration::from_secs(400);

const HUMAN: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0";
const BOT: &str = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";

/// What is sent.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) seed: u64,
    /// Hits with different ids, at least: as many more as leave until the last kill is done.
    pub(crate) hits: u64,
    pub(crate) measurement_ids: Vec<String>,
    /// The hits would last this long at the steady pace.
    pub(crate) steady_for: Duration,
}

/// One request.
struct Request {
    property: usize,
    is_bot: bool,
    hits: Vec<HitOf>,
    has_first_twice: bool,
    is_sent_again: bool,
}

struct HitOf {
    id: String,
    client: String,
    is_page_view: bool,
}

/// What reports must say about one property and class.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    pub(crate) events: u64,
    pub(crate) page_views: u64,
    clients: BTreeSet<String>,
}

impl Figures {
    /// Different clients; each has one session, for the test is shorter than a session's time-out.
    pub(crate) fn visitors(&self) -> u64 {
        u64::try_from(self.clients.len()).unwrap()
    }
}

/// What was sent and answered.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    figures: BTreeMap<(usize, &'static str), Figures>,
    requests: u64,
    /// Attempts that got no answer, or were told to come again.
    unanswered: u64,
    /// Hits in answers with success, repeats included.
    acknowledged: u64,
    repeated_on_purpose: u64,
}

impl Expected {
    /// By traffic class.
    pub(crate) fn of_property(&self, index: usize) -> BTreeMap<&'static str, &Figures> {
        let mine = self.figures.iter().filter(|((property, _), _)| *property == index);
        mine.map(|((_, class), figures)| (*class, figures)).collect()
    }

    /// Hits by traffic class, as `status` says it.
    pub(crate) fn by_class(&self) -> Value {
        let mut classes: BTreeMap<&str, u64> = BTreeMap::new();
        for ((_, class), figures) in &self.figures {
            *classes.entry(class).or_default() += figures.events;
        }
        json!(classes)
    }

    /// Hits with different ids.
    pub(crate) fn unique_hits(&self) -> u64 {
        self.figures.values().map(|figures| figures.events).sum()
    }

    /// Hits in answers with success.
    pub(crate) fn acknowledged_hits(&self) -> u64 {
        self.acknowledged
    }

    /// Hits that were sent again although they had been answered.
    pub(crate) fn repeated_on_purpose(&self) -> u64 {
        self.repeated_on_purpose
    }

    /// One line for the test's output.
    pub(crate) fn summary(&self) -> String {
        format!(
            "{} hits in {} requests acknowledged; {} hits repeated on purpose, {} attempts without success sent again",
            self.unique_hits(),
            self.requests,
            self.repeated_on_purpose,
            self.unanswered
        )
    }
}

/// The running client.
pub(crate) struct Traffic {
    shared: Arc<Shared>,
    connections: Vec<JoinHandle<()>>,
}

struct Shared {
    workload: Workload,
    url: String,
    started: Instant,
    next_request: AtomicU64,
    hits_begun: AtomicU64,
    /// Cancelled when the last kill is done.
    unhurried: CancellationToken,
    /// Attempts without an answer, by request, since when.
    unanswered: Mutex<BTreeMap<u64, Instant>>,
    expected: Mutex<Expected>,
}

impl Traffic {
    /// Begins to send.
    pub(crate) fn start(system: &System, workload: Workload) -> Self {
        let shared = Arc::new(Shared {
            url: format!("{}/v1/collect", system.address("collect")),
            workload,
            started: Instant::now(),
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

    /// Requests that were sent before `moment` and have no answer.
    pub(crate) fn unanswered_since(&self, moment: Instant) -> usize {
        self.shared.unanswered.lock().unwrap().values().filter(|begun| **begun < moment).count()
    }

    /// Whether nothing more is sent.
    pub(crate) fn is_over(&self) -> bool {
        self.shared.is_over()
    }

    /// Sends the rest as fast as it goes, and gives what was acknowledged: everything.
    pub(crate) fn finish(self, system: &System) -> Expected {
        self.shared.unhurried.cancel();
        system.runtime().block_on(async {
            let all = futures::future::try_join_all(self.connections);
            tokio::time::timeout(FINISHED_WITHIN, all)
                .await
                .expect("the client did not come to its end")
                .unwrap();
        });
        let expected = std::mem::take(&mut *self.shared.expected.lock().unwrap());
        assert!(expected.unique_hits() >= self.shared.workload.hits);
        expected
    }
}

impl Shared {
    /// One connection: a request at a time, until all hits were begun.
    async fn run_connection(self: Arc<Self>) {
        let client = HttpClient::new(Duration::from_secs(60));
        while !self.is_over() {
            let number = self.next_request.fetch_add(1, Ordering::SeqCst);
            self.wait_for_turn(number).await;
            let request = self.workload.request(number);
            self.hits_begun.fetch_add(u64::try_from(request.hits.len()).unwrap(), Ordering::SeqCst);
            let body = self.workload.body(&request);
            self.send_until_answered(&client, number, &request, &body).await;
            if request.is_sent_again {
                self.send_until_answered(&client, number, &request, &body).await;
            }
            self.count(&request);
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

    async fn send_until_answered(&self, client: &HttpClient, number: u64, request: &Request, body: &Bytes) {
        let agent = if request.is_bot { BOT } else { HUMAN };
        let headers = [("content-type", "application/json"), ("user-agent", agent)];
        let started = Instant::now();
        loop {
            self.unanswered.lock().unwrap().insert(number, Instant::now());
            let answer = client.send(Method::POST, &self.url, &headers, body.clone()).await;
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
    }

    fn count(&self, request: &Request) {
        let mut expected = self.expected.lock().unwrap();
        let again = if request.is_sent_again { request.length() } else { 0 };
        expected.repeated_on_purpose += u64::from(request.has_first_twice) + again;
        let class = if request.is_bot { "bot" } else { "human" };
        let figures = expected.figures.entry((request.property, class)).or_default();
        for hit in &request.hits {
            figures.events += 1;
            figures.page_views += u64::from(hit.is_page_view);
            figures.clients.insert(hit.client.clone());
        }
    }
}

/// Reported = acknowledged, per property and traffic class. Since yesterday: the test may run at midnight.
pub(crate) fn check_reports(system: &System, properties: &[Property], expected: &Expected) {
    let options = "--from yesterday --dimensions traffic_class --metrics events,page_views,visitors,sessions";
    let mut wrong = Vec::new();
    for (index, property) in properties.iter().enumerate() {
        let rows = system.rows(property, options);
        let reported: BTreeMap<String, Value> =
            rows.into_iter().map(|row| (row["traffic_class"].as_str().unwrap().to_owned(), row)).collect();
        let expected: BTreeMap<String, Value> = expected
            .of_property(index)
            .into_iter()
            .map(|(class, figures)| {
                let row = json!({
                    "traffic_class": class, "events": figures.events, "page_views": figures.page_views,
                    "visitors": figures.visitors(), "sessions": figures.visitors(),
                });
                (class.to_owned(), row)
            })
            .collect();
        if reported != expected {
            wrong.push(format!("{}: sent {expected:?}, reported {reported:?}", property.property_id));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} properties are wrong:\n{}",
        wrong.len(),
        properties.len(),
        wrong.join("\n")
    );
}

impl Request {
    /// Hits as sent, the one that is there twice included.
    fn length(&self) -> u64 {
        u64::try_from(self.hits.len()).unwrap() + u64::from(self.has_first_twice)
    }
}

impl Workload {
    /// What request `number` holds: always the same.
    fn request(&self, number: u64) -> Request {
        // An odd factor: different numbers give different seeds.
        let mut random = StdRng::seed_from_u64(self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let one_in = |random: &mut StdRng, count: u64| random.random_range(0..count) == 0;
        let property = random.random_range(0..self.measurement_ids.len());
        let is_bot = one_in(&mut random, BOT_ONE_IN);
        let has_first_twice = one_in(&mut random, TWICE_ONE_IN);
        let is_sent_again = one_in(&mut random, SENT_AGAIN_ONE_IN);
        let count = random.random_range(1..=MOST_HITS);
        let hits = (0..count)
            .map(|index| HitOf {
                id: format!("{:x}-{number}-{index}", self.seed),
                client: format!("client-{}", random.random_range(0..CLIENTS_PER_PROPERTY)),
                is_page_view: random.random_range(0..3) > 0,
            })
            .collect();
        Request { property, is_bot, hits, has_first_twice, is_sent_again }
    }

    fn body(&self, request: &Request) -> Bytes {
        let twice = request.hits.first().filter(|_| request.has_first_twice);
        let hits: Vec<Value> = request
            .hits
            .iter()
            .chain(twice)
            .map(|hit| {
                let event = if hit.is_page_view { "page_view" } else { "click" };
                json!({"event": event, "url": "https://shop.example/a", "client_id": hit.client, "id": hit.id})
            })
            .collect();
        let measurement_id = &self.measurement_ids[request.property];
        Bytes::from(json!({"measurement_id": measurement_id, "hits": hits}).to_string())
    }
}
