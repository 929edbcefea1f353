//! Threads that run statements in the engine.
//!
//! In: [`Request`]s through a bounded queue; out: a [`Reply`] or the engine's error to the waiting HTTP handler. One thread boots the
//! engine and keeps a connection open for as long as the process lives (the engine stops with its last connection); each
//! worker opens a session per statement. Invariant: at most `max_connections + max_queue` requests are inside, each with a
//! permit that it holds until it has run, so the channel is never full.

use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::budget::{Budget, Share};
use crate::config::Config;
use crate::decompress;
use crate::engine::{EngineError, Library, Limits, Output, Session, Work};
use crate::metrics::ExecuteMetrics;
use crate::parse::{self, Parsed, Request};

/// Stack of a worker: the engine's parser and analyser recurse, and it refuses queries when less than a fraction is left.
const STACK_BYTES: usize = 16 * 1024 * 1024;

/// What a statement gave, ready to be sent.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The result, compressed if the client asked for it.
    pub(crate) body: Bytes,
    /// Counts for the summary; its own `body` is empty.
    pub(crate) output: Output,
    /// Time from the thread's first look at the request to the result.
    pub(crate) elapsed: Duration,
}

struct Job {
    request: Request,
    answer: oneshot::Sender<Result<Reply, EngineError>>,
    /// Given back when the job has run.
    _place: Place,
}

/// A place in the queue, taken before a body is read, with the memory of that body.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    pub(crate) body: Share,
}

/// The places, counted; does not keep the queue open.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    capacity: usize,
}

impl Places {
    /// Requests inside, and how many there may be.
    pub(crate) fn load(&self) -> (u64, u64) {
        let count = |places: usize| u64::try_from(places).unwrap_or(u64::MAX);
        (count(self.capacity.saturating_sub(self.free.available_permits())), count(self.capacity))
    }
}

/// The way to the workers. The last clone that is dropped lets them finish and end.
#[derive(Clone)]
pub(crate) struct Queue {
    jobs: SyncSender<Job>,
    places: Places,
    pub(crate) budget: Budget,
}

impl Queue {
    /// A place, or the refusal with which a full queue answers.
    pub(crate) fn enter(&self) -> Result<Place, EngineError> {
        self.places.free.clone().try_acquire_owned().map(|permit| Place { _permit: permit, body: self.budget.empty() }).map_err(|_| {
            EngineError::overloaded(&format!(
                "{} statements are running or waiting, no more are taken (max_connections + max_queue): try again later",
                self.places.capacity
            ))
        })
    }

    /// For the status.
    pub(crate) fn places(&self) -> Places {
        self.places.clone()
    }

    /// Runs a request. If the caller goes away, a request that has not begun is left out and a running one ends unheard.
    pub(crate) async fn run(&self, place: Place, request: Request) -> Result<Reply, EngineError> {
        let (answer, answered) = oneshot::channel();
        let stopped = || EngineError::overloaded("The engine is stopping: try again later");
        self.jobs.try_send(Job { request, answer, _place: place }).map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

/// What the threads need.
pub(crate) struct Engine {
    config: Config,
    metrics: ExecuteMetrics,
    budget: Budget,
    jobs: Receiver<Job>,
}

/// The two ends of the queue.
pub(crate) fn channel(config: &Config, metrics: ExecuteMetrics) -> (Queue, Engine) {
    let capacity =
        usize::try_from(config.max_connections.saturating_add(config.max_queue)).unwrap_or(usize::MAX);
    let (sender, jobs) = mpsc::sync_channel(capacity);
    let places = Places { free: Arc::new(Semaphore::new(capacity)), capacity };
    let budget = Budget::new(config.max_buffered_bytes);
    let queue = Queue { jobs: sender, places, budget: budget.clone() };
    (queue, Engine { config: config.clone(), metrics, budget, jobs })
}

impl Engine {
    /// Boots the engine, says its version to `booted`, serves the queue until it closes, and closes the engine.
    pub(crate) fn run(self, booted: oneshot::Sender<String>) -> anyhow::Result<()> {
        let Self { config, metrics, budget, jobs } = self;
        let store = std::path::absolute(config.data_dir.join("store"))
            .with_context(|| format!("data_dir {} has no absolute path", config.data_dir.display()))?;
        std::fs::create_dir_all(&store).with_context(|| format!("cannot make {}", store.display()))?;
        let path = format!("--path={}", store.display());
        let library = Library::open(&config.library)?;
        let keeper = library
            .connect(&boot_arguments(&path, &config))
            .with_context(|| format!("the engine did not open {}", store.display()))?;
        let (ended, ends) = mpsc::channel();
        let worker = Worker {
            library,
            session: vec![path],
            limits: Limits {
                max_result_bytes: config.max_result_bytes,
                max_query_memory_bytes: config.max_query_memory_bytes,
            },
            max_body_bytes: config.max_body_bytes,
            budget,
            jobs: Arc::new(Mutex::new(jobs)),
            metrics,
        };
        for number in 0..config.max_connections {
            let (worker, ended) = (worker.clone(), ended.clone());
            std::thread::Builder::new()
                .name(format!("statement-{number}"))
                .stack_size(STACK_BYTES)
                .spawn(move || {
                    let end = EndOfThread { ended, in_order: false };
                    worker.serve();
                    end.in_order();
                })
                .context("cannot start a thread")?;
        }
        drop((worker, ended));
        // The receiver is gone if start-up was given up; the queue is closed then, and the threads end.
        let _nobody_waits = booted.send(library.version());
        for in_order in ends {
            anyhow::ensure!(in_order, "a thread that runs statements ended too early");
        }
        drop(keeper);
        Ok(())
    }
}

/// Server options, taken by the connection that boots the engine.
fn boot_arguments(path: &str, config: &Config) -> Vec<String> {
    vec![
        path.to_owned(),
        format!("--max_server_memory_usage={}", config.max_server_memory_bytes),
        format!("--mark_cache_size={}", config.mark_cache_bytes),
    ]
}

/// Reports the end of a thread, a panic included.
struct EndOfThread {
    ended: mpsc::Sender<bool>,
    in_order: bool,
}

impl EndOfThread {
    fn in_order(mut self) {
        self.in_order = true;
    }
}

impl Drop for EndOfThread {
    fn drop(&mut self) {
        // The supervisor is gone only when another thread has ended too early and the process is stopping.
        let _unheard = self.ended.send(self.in_order);
    }
}

#[derive(Clone)]
struct Worker {
    library: &'static Library,
    session: Vec<String>,
    limits: Limits,
    max_body_bytes: u64,
    budget: Budget,
    jobs: Arc<Mutex<Receiver<Job>>>,
    metrics: ExecuteMetrics,
}

impl Worker {
    /// Takes jobs until the queue is closed and empty.
    fn serve(&self) {
        loop {
            // Idle workers wait for the lock, the one that has it for a job.
            let next = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(job) = next else { return };
            if job.answer.is_closed() {
                self.metrics.abandoned();
                continue;
            }
            let answer = self.run(job.request);
            // The client went away while its statement ran: nobody to tell.
            let _unheard = job.answer.send(answer);
        }
    }

    fn run(&self, request: Request) -> Result<Reply, EngineError> {
        let started = Instant::now();
        let parsed = parse::parse(request, self.max_body_bytes);
        let insert =
            matches!(&parsed, Ok(Parsed { statement, .. }) if matches!(statement.work, Work::Insert { .. }));
        let result = parsed.and_then(|parsed| self.execute(&parsed));
        let elapsed = started.elapsed();
        self.metrics.ran(insert, result.as_ref().map(|(_, output)| output.written_rows).ok(), elapsed);
        if let Err(error) = &result {
            tracing::debug!(%error, "statement failed");
        }
        result.map(|(body, output)| Reply { body, output, elapsed })
    }

    fn execute(&self, parsed: &Parsed) -> Result<(Bytes, Output), EngineError> {
        let session = Session::open(self.library, &self.session)?;
        let mut output = session.run(&parsed.statement, &self.limits)?;
        let body = std::mem::take(&mut output.body);
        let body = if parsed.compress { decompress::encode(&body)? } else { body };
        Ok((self.budget.hold(body)?, output))
    }
}
