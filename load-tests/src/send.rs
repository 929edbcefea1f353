//! Sends requests when they are due, over connections that are kept alive, and measures.
//!
//! In: the schedule and the generator of a thread. Out: measurements, and the count of what was acknowledged. Each thread
//! has a runtime of its own. What is due waits in the thread's queue for a free connection: it is never sent later because
//! an earlier answer is late, only waits longer. Waiting requests are bounded; beyond that they are counted as not sent.

pub mod connection;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use http::HeaderValue;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::connection::Connection;
use crate::arrivals::Schedule;
use crate::generate::{Generator, Request, mix};
use crate::measure::Measured;
use crate::scenario::Scenario;
use crate::tally::Tally;

/// Requests that are queued before connections get a turn.
const BURST: usize = 64;
/// Timers tick by the millisecond: a precise thread sleeps until so long before a request is due, then looks at the clock.
const BEFORE_DUE: Duration = Duration::from_millis(2);
/// How long after the last request answers are waited for when requests are sent until they are acknowledged.
const LAST_ANSWERS: Duration = Duration::from_secs(120);

/// What all threads share.
#[derive(Debug)]
pub struct Target {
    /// Where to connect.
    pub address: SocketAddr,
    /// For the `Host` header.
    pub host: String,
    /// Send what is refused or not answered again until it is acknowledged, and count it.
    pub until_acknowledged: bool,
    /// Ends the run early; what is under way is still answered.
    pub stop: CancellationToken,
    /// Hits acknowledged so far, for a progress line.
    pub acknowledged: AtomicU64,
    /// Requests refused so far.
    pub refused: AtomicU64,
}

impl Target {
    /// The edge at a URL such as `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// When it is no such URL, or its host has no address.
    pub async fn resolve(url: &str, until_acknowledged: bool) -> anyhow::Result<Self> {
        let uri: http::Uri = url
            .parse()
            .with_context(|| format!("--collect {url:?} is not a URL such as http://127.0.0.1:8080"))?;
        if uri.scheme_str() != Some("http") {
            bail!("--collect {url:?}: only http:// can be loaded; TLS ends in front of an edge");
        }
        let authority = uri.authority().ok_or_else(|| anyhow!("--collect {url:?} has no host"))?;
        let place = (authority.host().trim_matches(['[', ']']), authority.port_u16().unwrap_or(80));
        let address = tokio::net::lookup_host(place)
            .await
            .with_context(|| format!("--collect: cannot find {}", authority.host()))?
            .next()
            .ok_or_else(|| anyhow!("--collect: {} has no address", authority.host()))?;
        Ok(Self {
            address,
            host: authority.to_string(),
            until_acknowledged,
            stop: CancellationToken::new(),
            acknowledged: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        })
    }
}

/// A request and when it was due.
struct Job {
    request: Request,
    due: Instant,
    /// How often it was sent before.
    tries: u32,
}

/// What the tasks of a thread share.
struct Thread {
    target: Arc<Target>,
    began: Instant,
    timeout: Duration,
    precise: bool,
    waiting: RefCell<VecDeque<Job>>,
    /// Told for each job, and at the end.
    ready: Notify,
    is_over: RefCell<bool>,
    measured: RefCell<Measured>,
    tally: RefCell<Tally>,
    /// The first refusal that no repeat can mend.
    failed: RefCell<Option<String>>,
    agents: Vec<HeaderValue>,
}

/// Runs all threads of a scenario to their end.
///
/// # Errors
/// When a thread cannot start, nobody answers, or a request is refused for what it is.
pub fn run(
    scenario: &Scenario,
    seed: u64,
    measurement_ids: &[String],
    target: &Arc<Target>,
) -> anyhow::Result<(Measured, Tally)> {
    let began = Instant::now();
    let results: Vec<anyhow::Result<(Measured, Tally)>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..scenario.connections.threads)
            .map(|number| {
                let ids = measurement_ids.to_vec();
                scope.spawn(move || thread(scenario, seed, number, ids, target, began))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow!("a thread panicked"))))
            .collect()
    });
    let mut all = (Measured::default(), Tally::default());
    for result in results {
        let (measured, tally) = result?;
        all.0.absorb(&measured);
        all.1.absorb(tally);
    }
    Ok(all)
}

fn thread(
    scenario: &Scenario,
    seed: u64,
    number: u32,
    measurement_ids: Vec<String>,
    target: &Arc<Target>,
    began: Instant,
) -> anyhow::Result<(Measured, Tally)> {
    let connections = &scenario.connections;
    let generator = Generator::new(scenario, seed, number, measurement_ids);
    let schedule = Schedule::new(
        &scenario.load,
        connections.hits_per_request,
        connections.threads,
        mix(seed ^ 0xa24b_aed4, number.into()),
    );
    let agents = generator.agents().texts().map(HeaderValue::from_str).collect::<Result<_, _>>()?;
    let thread = Rc::new(Thread {
        target: target.clone(),
        began,
        timeout: Duration::from_millis(connections.timeout_ms.into()),
        precise: connections.precise,
        waiting: RefCell::default(),
        ready: Notify::new(),
        is_over: RefCell::new(false),
        measured: RefCell::default(),
        tally: RefCell::default(),
        failed: RefCell::default(),
        agents,
    });
    let share =
        connections.count / connections.threads + u32::from(number < connections.count % connections.threads);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..share {
            let connection = Rc::new(Connection::new(target.clone(), connections.http == 2));
            for _ in 0..if connections.http == 2 { connections.streams } else { 1 } {
                let (thread, connection) = (thread.clone(), connection.clone());
                tasks.spawn_local(async move { thread.work(&connection).await });
            }
        }
        thread.schedule(schedule, generator, connections.max_waiting / connections.threads).await;
        let patience = if thread.target.until_acknowledged { LAST_ANSWERS } else { thread.timeout };
        // What is not answered by then is counted by those who wait for it, or stays in the queue.
        let _in_time = tokio::time::timeout(patience + thread.timeout, tasks.join_all()).await;
    });
    if let Some(reason) = thread.failed.take() {
        bail!("{reason}");
    }
    let left = thread.waiting.borrow().len() as u64;
    let mut measured = thread.measured.take();
    measured.not_sent += left;
    Ok((measured, thread.tally.take()))
}

impl Thread {
    /// Queues requests as they come due, until the schedule ends or the run is stopped.
    async fn schedule(&self, schedule: Schedule, mut generator: Generator, max_waiting: u32) {
        let mut burst = 0;
        for offset in schedule {
            let due = self.began + offset;
            if due > Instant::now() {
                tokio::select! {
                    () = self.target.stop.cancelled() => break,
                    () = self.wait_until(due) => burst = 0,
                }
            } else if burst >= BURST {
                tokio::task::yield_now().await;
                burst = 0;
            }
            if self.target.stop.is_cancelled() || self.failed.borrow().is_some() {
                break;
            }
            burst += 1;
            self.enqueue(due, generator.next_request(), max_waiting);
        }
        *self.is_over.borrow_mut() = true;
        self.ready.notify_waiters();
    }

    async fn wait_until(&self, due: Instant) {
        if !self.precise {
            return tokio::time::sleep_until(due.into()).await;
        }
        if due.saturating_duration_since(Instant::now()) > BEFORE_DUE {
            tokio::time::sleep_until((due - BEFORE_DUE).into()).await;
        }
        // Between two looks the runtime sends, and reads answers.
        while Instant::now() < due {
            tokio::task::yield_now().await;
        }
    }

    fn enqueue(&self, due: Instant, request: Request, max_waiting: u32) {
        let mut measured = self.measured.borrow_mut();
        measured.due += 1;
        let _it_resizes_itself = measured.late_us.record(micros(due.elapsed()));
        if self.waiting.borrow().len() >= max_waiting as usize {
            measured.not_sent += 1;
            return;
        }
        self.waiting.borrow_mut().push_back(Job { request, due, tries: 0 });
        self.ready.notify_one();
    }

    async fn next_job(&self) -> Option<Job> {
        loop {
            let notified = self.ready.notified();
            let mut notified = std::pin::pin!(notified);
            // Registered before the queue is looked at, so that no notice is missed.
            notified.as_mut().enable();
            if let Some(job) = self.waiting.borrow_mut().pop_front() {
                return Some(job);
            }
            if *self.is_over.borrow() {
                return None;
            }
            notified.await;
        }
    }

    /// One connection's, or stream's, work: one request after the other.
    async fn work(&self, connection: &Connection) {
        while let Some(job) = self.next_job().await {
            let left_ms = unix_ms();
            let exchange = connection.exchange(&job.request, &self.agents);
            let answer = match tokio::time::timeout(self.timeout, exchange).await {
                Ok(answer) => answer,
                Err(_) => {
                    connection.close().await;
                    Err(anyhow!("no answer within {} ms", self.timeout.as_millis()))
                }
            };
            self.on_answer(job, answer, left_ms).await;
        }
    }

    async fn on_answer(&self, mut job: Job, answer: anyhow::Result<http::StatusCode>, left_ms: i64) {
        let now = Instant::now();
        {
            let mut measured = self.measured.borrow_mut();
            measured.last_answer = measured.last_answer.max(now - self.began);
            let second = measured.second(now - self.began);
            match &answer {
                Ok(status) if status.is_success() => {
                    let _it_resizes_itself = second.latency_us.record(micros(now - job.due));
                    second.hits += u64::from(job.request.hits);
                    self.target.acknowledged.fetch_add(job.request.hits.into(), Ordering::Relaxed);
                    if self.target.until_acknowledged {
                        self.tally.borrow_mut().acknowledged(&job.request, left_ms, unix_ms());
                    }
                    return;
                }
                Ok(status) if matches!(status.as_u16(), 429 | 503) => {
                    second.refused += 1;
                    self.target.refused.fetch_add(1, Ordering::Relaxed);
                }
                Ok(status) => {
                    let sent = String::from_utf8_lossy(&job.request.body);
                    let reason = format!("{} answered {status} to {sent}", self.target.host);
                    self.failed.borrow_mut().get_or_insert(reason);
                    return;
                }
                Err(_) => second.unanswered += 1,
            }
            measured.retried += u64::from(self.target.until_acknowledged);
        }
        if self.target.until_acknowledged {
            // A pause that grows with the tries, so that a system that is down is not hammered.
            tokio::time::sleep(Duration::from_millis(50 << job.tries.min(5))).await;
            job.tries += 1;
            self.waiting.borrow_mut().push_back(job);
            self.ready.notify_one();
        } else if answer.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn unix_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
