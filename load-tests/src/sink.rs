//! A server that answers 204 to everything: what the generator is measured against.
//!
//! It reads each request to its end, on one thread, and keeps nothing. When it ends it says how much it read.

use std::cell::Cell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::Context;
use bytes::Bytes;
use clap::Args;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

/// Arguments of `sink`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Address to listen on; port 0 picks a free one, which the first line of the output names
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

/// What was read.
#[derive(Debug, Default)]
struct Counts {
    requests: Cell<u64>,
    bytes: Cell<u64>,
}

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// When the address cannot be listened on.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, serve(arguments.listen))
}

async fn serve(listen: SocketAddr) -> anyhow::Result<()> {
    let listener =
        TcpListener::bind(listen).await.with_context(|| format!("cannot listen on --listen {listen}"))?;
    println!("{}", json!({ "event": "ready", "collect": format!("http://{}", listener.local_addr()?) }));
    let counts = Rc::new(Counts::default());
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.context("cannot accept connections")?;
                tokio::task::spawn_local(connection(stream, counts.clone()));
            }
            _ = tokio::signal::ctrl_c() => break,
            _ = terminate.recv() => break,
        }
    }
    println!("{}", json!({ "requests": counts.requests.get(), "bytes": counts.bytes.get() }));
    Ok(())
}

async fn connection(stream: TcpStream, counts: Rc<Counts>) {
    let _older_kernels = stream.set_nodelay(true);
    let service = service_fn(|request| answer(request, counts.clone()));
    // Requests of a connection run on this thread, also those of HTTP/2: nothing here is sent to another.
    let server = auto::Builder::new(LocalExecutor);
    let _client_gone = server.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    request: http::Request<Incoming>,
    counts: Rc<Counts>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let mut body = request.into_body();
    while let Some(Ok(frame)) = body.frame().await {
        if let Some(data) = frame.data_ref() {
            counts.bytes.set(counts.bytes.get() + data.len() as u64);
        }
    }
    counts.requests.set(counts.requests.get() + 1);
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

/// Runs tasks on the thread's own set.
#[derive(Debug, Clone, Copy)]
struct LocalExecutor;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(task);
    }
}
