//! A server whose behaviour a test chooses; it counts for itself.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

/// What the server does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Behaviour {
    /// Status of its answers.
    pub(crate) answer: u16,
    /// Stands still this long once, after the first quarter second.
    pub(crate) pause_ms: u64,
    /// Refuses one request in so many with 503; 0: none.
    pub(crate) refuse_one_in: u64,
    /// Refuses what comes beyond so many requests within a second.
    pub(crate) most_per_second: u64,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self { answer: 204, pause_ms: 0, refuse_one_in: 0, most_per_second: u64::MAX }
    }
}

/// The running server.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    /// Requests read.
    pub(crate) requests: Arc<AtomicU64>,
    /// Hits in them.
    pub(crate) hits: Arc<AtomicU64>,
    /// Requests refused.
    pub(crate) refused: Arc<AtomicU64>,
}

/// Counts of the current second.
#[derive(Debug)]
struct Window {
    since: Instant,
    requests: u64,
}

struct State {
    behaviour: Behaviour,
    began: Instant,
    paused: AtomicBool,
    window: std::sync::Mutex<Window>,
    requests: Arc<AtomicU64>,
    hits: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
}

impl Server {
    /// Starts on a free port; ends with the test's process.
    pub(crate) fn start(behaviour: Behaviour) -> Self {
        let (requests, hits, refused) = <(Arc<AtomicU64>, Arc<AtomicU64>, Arc<AtomicU64>)>::default();
        let window = std::sync::Mutex::new(Window { since: Instant::now(), requests: 0 });
        let state = Arc::new(State {
            behaviour,
            began: Instant::now(),
            paused: AtomicBool::new(false),
            window,
            requests: requests.clone(),
            hits: hits.clone(),
            refused: refused.clone(),
        });
        let (ready, address) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                ready.send(listener.local_addr().unwrap()).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let state = state.clone();
                    tokio::spawn(async move {
                        let service = service_fn(|request| answer(state.clone(), request));
                        let server = auto::Builder::new(TokioExecutor::new());
                        let _client_gone = server.serve_connection(TokioIo::new(stream), service).await;
                    });
                }
            });
        });
        Self { address: address.recv().unwrap(), requests, hits, refused }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn answer(
    state: Arc<State>,
    request: http::Request<Incoming>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let behaviour = state.behaviour;
    if behaviour.pause_ms > 0
        && state.began.elapsed() > Duration::from_millis(250)
        && !state.paused.swap(true, Ordering::SeqCst)
    {
        // The one thread of the server stands still, with all its connections.
        std::thread::sleep(Duration::from_millis(behaviour.pause_ms));
    }
    let number = state.requests.fetch_add(1, Ordering::SeqCst) + 1;
    let too_many = {
        let mut window = state.window.lock().unwrap();
        if window.since.elapsed() > Duration::from_secs(1) {
            *window = Window { since: Instant::now(), requests: 0 };
        }
        window.requests += 1;
        window.requests > behaviour.most_per_second
    };
    let is_refused =
        too_many || (behaviour.refuse_one_in > 0 && number.is_multiple_of(behaviour.refuse_one_in));
    let status = if is_refused {
        state.refused.fetch_add(1, Ordering::SeqCst);
        503
    } else {
        let hits = body.windows(8).filter(|window| window == b"\"event\":").count();
        state.hits.fetch_add(u64::try_from(hits).unwrap(), Ordering::SeqCst);
        behaviour.answer
    };
    Ok(Response::builder().status(status).body(Empty::new()).unwrap())
}
