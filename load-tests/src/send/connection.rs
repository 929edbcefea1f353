//! One connection to the edge, HTTP/1.1 or HTTP/2, made when it is needed and again after it broke.

use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::Target;
use crate::generate::Request;

type Body = Full<Bytes>;

/// A way to send on an open connection.
enum Sender {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

/// The connection; streams of HTTP/2 share one.
pub(super) struct Connection {
    target: Arc<Target>,
    is_http2: bool,
    sender: Rc<Mutex<Option<Sender>>>,
}

impl Connection {
    pub(super) fn new(target: Arc<Target>, is_http2: bool) -> Self {
        Self { target, is_http2, sender: Rc::default() }
    }

    /// Sends a request and reads its answer to the end.
    pub(super) async fn exchange(
        &self,
        request: &Request,
        agents: &[HeaderValue],
    ) -> anyhow::Result<StatusCode> {
        let request = self.to_http(request, agents)?;
        let mut sender = self.sender.lock().await;
        if sender.is_none() {
            *sender = Some(self.connect().await?);
        }
        let answer = match sender.as_mut().ok_or_else(|| anyhow!("not connected"))? {
            Sender::Http1(sender) => sender.send_request(request).await,
            Sender::Http2(shared) => {
                let mut own = shared.clone();
                drop(sender);
                let answer = own.send_request(request).await;
                sender = self.sender.lock().await;
                answer
            }
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                *sender = None;
                return Err(error).context("the connection broke");
            }
        };
        drop(sender);
        let status = answer.status();
        let mut body = answer.into_body();
        while let Some(frame) = body.frame().await {
            frame.context("the answer broke off")?;
        }
        Ok(status)
    }

    /// Forgets a connection that is of no use any more.
    pub(super) async fn close(&self) {
        *self.sender.lock().await = None;
    }

    fn to_http(&self, request: &Request, agents: &[HeaderValue]) -> anyhow::Result<http::Request<Body>> {
        let [a, b, c, d] = request.address;
        let agent = agents.get(request.agent as usize).ok_or_else(|| anyhow!("no such user agent"))?;
        let builder = http::Request::builder().method(Method::POST);
        let builder = if self.is_http2 {
            builder.uri(format!("http://{}/v1/collect", self.target.host))
        } else {
            builder.uri("/v1/collect").header(HOST, &self.target.host)
        };
        builder
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(USER_AGENT, agent.clone())
            .header("x-forwarded-for", format!("{a}.{b}.{c}.{d}"))
            .body(Full::new(request.body.clone()))
            .context("a request could not be built")
    }

    async fn connect(&self) -> anyhow::Result<Sender> {
        let stream = TcpStream::connect(self.target.address)
            .await
            .with_context(|| format!("nobody answers at {}", self.target.address))?;
        stream.set_nodelay(true)?;
        let io = TokioIo::new(stream);
        if self.is_http2 {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
            tokio::task::spawn_local(connection);
            Ok(Sender::Http2(sender))
        } else {
            let (sender, connection) = http1::handshake(io).await?;
            tokio::task::spawn_local(connection);
            Ok(Sender::Http1(sender))
        }
    }
}
