//! One connection of the collect port, from the TLS handshake to its end.
//!
//! In: a connection as it was accepted. Out: its requests to the routes, their answers to the client. HTTP/2 is told from
//! HTTP/1.1 by what a client sends first (RFC 9113 section 3.4), within TLS as without; ALPN lets it know that it may. Invariant:
//! what a client can make the edge keep is bounded. Of a connection that is the constants below; of the bodies of requests and answers, that HTTP/2
//! requests of all a thread's connections share as many places as the thread has connections, whatever `max_streams` allows each.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{HOST, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Config;
use super::pulse::{Act, Beats, Life, Pulse};
use super::route::Routes;
use super::tls::Terminator;

/// How often an idle connection of HTTP/2 is asked whether it is still there.
const HTTP2_PING_EVERY: Duration = Duration::from_secs(60);

/// HTTP/2: what a client may send of one request before it is read, bytes: all of the largest request to `/v1/collect`.
const HTTP2_STREAM_WINDOW: u32 = 64 << 10;

/// HTTP/2: the same of all requests on a connection.
const HTTP2_CONNECTION_WINDOW: u32 = 256 << 10;

/// HTTP/2: fields of a request with path and query, bytes (RFC 9113 section 6.5.2): a pixel's query as long as HTTP/1.1 takes it
/// (64 KiB), and 8 KiB for the rest. More is answered with 431.
const HTTP2_HEADER_LIST: u32 = 72 << 10;

/// HTTP/2: the least that a client must be allowed (RFC 9113 section 6.5.2), bytes.
const HTTP2_FRAME: u32 = 16 << 10;

/// HTTP/2: bytes of an answer that wait for the client to take them.
const HTTP2_SEND_BUFFER: usize = 64 << 10;

/// HTTP/2: requests that the client took back before the edge saw them; with more the connection is closed (rapid reset,
/// CVE-2023-44487). A request that was seen is stopped when it is taken back.
const HTTP2_PENDING_RESETS: usize = 20;

/// HTTP/2: requests that the edge itself had to reset because they broke the protocol; with more the connection is closed
/// (CVE-2025-8671).
const HTTP2_OWN_RESETS: usize = 1024;

/// Serves the connections of one accept thread.
pub(crate) struct Server {
    http: auto::Builder<TokioExecutor>,
    routes: Arc<Routes>,
    tls: Option<Terminator>,
    timeout: Duration,
    idle_beats: u32,
    http2_requests: Arc<Semaphore>,
}

impl Server {
    /// `tls`: `None` for cleartext.
    pub(crate) fn new(config: &Config, routes: Routes, tls: Option<Terminator>, pulse: &Pulse) -> Self {
        let places = config.max_connections.div_ceil(config.threads()).min(Semaphore::MAX_PERMITS);
        Self {
            http: http(config),
            routes: Arc::new(routes),
            tls,
            timeout: config.request_timeout(),
            idle_beats: pulse.idle_beats(Duration::from_millis(config.idle_timeout_ms)),
            http2_requests: Arc::new(Semaphore::new(places)),
        }
    }

    /// Serves one connection to its end.
    pub(crate) async fn serve(&self, stream: TcpStream, peer: IpAddr, beats: Beats) {
        // Answers are small and each is waited for: no delay for fuller packets.
        let _older_kernels = stream.set_nodelay(true);
        let open = &self.routes.metrics().connections;
        open.inc();
        match &self.tls {
            None => self.serve_http(stream, peer, beats).await,
            Some(tls) => {
                // On the heap, so that a connection without TLS does not take as much memory.
                let within_tls = async {
                    if let Some(stream) = tls.accept(stream, self.timeout, beats.clone()).await {
                        self.serve_http(stream, peer, beats).await;
                    }
                };
                Box::pin(within_tls).await;
            }
        }
        open.dec();
    }

    async fn serve_http<I>(&self, stream: I, peer: IpAddr, mut beats: Beats)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // Beats during the handshake were its own affair.
        beats.mark_unchanged();
        // Written by this task alone: a store is enough.
        let requests = AtomicU64::new(0);
        let service = service_fn(|request: Request<Incoming>| {
            requests.store(requests.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            self.answer(peer, request)
        });
        let mut connection = pin!(self.http.serve_connection(TokioIo::new(stream), service));
        let mut life = Life::new(self.idle_beats);
        loop {
            let closing = tokio::select! {
                biased;
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        // A client that goes away in mid-request is everyday life.
                        tracing::debug!(%error, "a connection ended early");
                    }
                    return;
                }
                beat = beats.changed() => beat.is_err() || *beats.borrow(),
            };
            match life.on_beat(requests.load(Ordering::Relaxed), closing) {
                Act::Stay => {}
                Act::Close => connection.as_mut().graceful_shutdown(),
                Act::Drop => return,
            }
        }
    }

    fn answer(
        &self,
        peer: IpAddr,
        mut request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Held>, Infallible>> + Send + use<> {
        let (routes, timeout) = (self.routes.clone(), self.timeout);
        let is_http2 = request.version() == Version::HTTP_2;
        if is_http2 {
            name_host(&mut request);
        }
        let place = is_http2.then(|| self.http2_requests.clone().try_acquire_owned()).transpose();
        async move {
            let (answer, place) = match place {
                Ok(place) => (routes.answer(peer, timeout, request).await, place),
                Err(_) => (routes.overloaded(), None),
            };
            Ok(answer.map(|body| Held { body, _place: place }))
        }
    }
}

/// A body, and the request's place among those of HTTP/2: a client that does not take its answers has no room for more requests.
struct Held {
    body: Full<Bytes>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Body for Held {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// HTTP/2 names the host in `:authority`; here it is where HTTP/1.1 has it (RFC 9113 section 8.3.1), and it is the one that counts.
fn name_host(request: &mut Request<Incoming>) {
    let authority = request.uri().authority().map(|authority| HeaderValue::from_str(authority.as_str()));
    if let Some(Ok(authority)) = authority {
        request.headers_mut().insert(HOST, authority);
    }
}

fn http(config: &Config) -> auto::Builder<TokioExecutor> {
    let timeout = config.request_timeout();
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(timeout);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(config.max_streams)
        .initial_stream_window_size(HTTP2_STREAM_WINDOW)
        .initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
        .max_header_list_size(HTTP2_HEADER_LIST)
        .max_frame_size(HTTP2_FRAME)
        .max_send_buf_size(HTTP2_SEND_BUFFER)
        .max_pending_accept_reset_streams(HTTP2_PENDING_RESETS)
        .max_local_error_reset_streams(HTTP2_OWN_RESETS)
        .keep_alive_interval(HTTP2_PING_EVERY)
        .keep_alive_timeout(timeout);
    http
}
