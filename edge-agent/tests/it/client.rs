//! A client of one connection: HTTP/1.1 or HTTP/2, in cleartext or within TLS that trusts one certificate.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use edge_agent::config::CollectTlsConfig;
use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::edge::{Edge, Site};

/// The name that the edge is asked for.
pub(crate) const HOST: &str = "collect.example.com";

/// A certificate for [`HOST`] that is its own CA, in PEM.
pub(crate) struct Certificate {
    pub(crate) cert: String,
    pub(crate) key: String,
}

impl Certificate {
    /// Expires when `year` begins.
    pub(crate) fn until(year: i32) -> Self {
        Self::of(&KeyPair::generate().unwrap().serialize_pem(), year)
    }

    /// The same with this key, in PEM of PKCS#8.
    pub(crate) fn of(key: &str, year: i32) -> Self {
        let pair = KeyPair::from_pem(key).unwrap();
        let mut params = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        Self { cert: params.self_signed(&pair).unwrap().pem(), key: key.to_owned() }
    }
}

/// Writes what `collect.tls` of the site's edge names.
pub(crate) fn write(site: &Site, cert: &str, key: &str) -> CollectTlsConfig {
    let put = |name: &str, content: &str| {
        let path = site.path().join(name);
        let draft = site.path().join("draft.pem");
        std::fs::write(&draft, content).unwrap();
        std::fs::rename(&draft, &path).unwrap();
        path
    };
    CollectTlsConfig { cert: put("collect.cert.pem", cert), key: put("collect.key.pem", key) }
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A request to `path` that comes from a browser.
pub(crate) fn post(path: &str, body: Body) -> Request<Body> {
    Request::post(format!("https://{HOST}{path}"))
        .header("user-agent", "Mozilla/5.0 (X11; Linux) Firefox/1")
        .body(body)
        .unwrap()
}

/// A page view of the site's property.
pub(crate) fn page_view(site: &Site) -> String {
    format!(r#"{{"measurement_id":"{}","hits":[{{"url":"https://example.com/"}}]}}"#, site.measurement_id)
}

pub(crate) fn whole(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).boxed_unsync()
}

/// A body whose parts are still to come.
pub(crate) fn in_parts() -> (mpsc::Sender<String>, Body) {
    let (parts, coming) = mpsc::channel::<String>(1);
    let frames = stream::unfold(coming, async |mut coming| {
        let part = coming.recv().await?;
        Some((Ok::<_, Infallible>(Frame::data(Bytes::from(part))), coming))
    });
    (parts, StreamBody::new(frames).boxed_unsync())
}

/// A connection without TLS.
pub(crate) async fn tcp(edge: &Edge) -> TcpStream {
    let (_scheme, address) = edge.collect.split_once("://").unwrap();
    TcpStream::connect(address).await.unwrap()
}

/// A connection within TLS to an edge that shows `cert`.
pub(crate) async fn tls(
    edge: &Edge,
    cert: &str,
    alpn: &[&[u8]],
    versions: &[&'static SupportedProtocolVersion],
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(identity::provider()).with_protocol_versions(versions);
    let mut config = config.unwrap().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    let name = ServerName::try_from(HOST).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp(edge).await).await
}

/// One that speaks HTTP/2 over the newest TLS.
pub(crate) async fn http2_over_tls(edge: &Edge, cert: &str) -> io::Result<Connection> {
    let stream = tls(edge, cert, &[b"h2"], rustls::ALL_VERSIONS).await?;
    Ok(Connection::http2(stream).await)
}

/// A connection that requests can be sent on.
pub(crate) struct Connection {
    sender: Sender,
    /// Ends with the connection.
    pub(crate) ended: JoinHandle<hyper::Result<()>>,
}

enum Sender {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

impl Connection {
    pub(crate) async fn http1(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        Self { sender: Sender::Http1(sender), ended: tokio::spawn(connection) }
    }

    /// With prior knowledge, or after ALPN.
    pub(crate) async fn http2(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let io = TokioIo::new(stream);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        Self { sender: Sender::Http2(sender), ended: tokio::spawn(connection) }
    }

    /// Sends a request; an error when the connection takes none any more.
    pub(crate) fn send(
        &mut self,
        request: Request<Body>,
    ) -> impl Future<Output = hyper::Result<Response<Incoming>>> + Send + 'static {
        match &mut self.sender {
            Sender::Http1(sender) => futures::future::Either::Left(sender.send_request(request)),
            Sender::Http2(sender) => futures::future::Either::Right(sender.send_request(request)),
        }
    }

    /// Sends a page view; the status and HTTP version of the answer.
    pub(crate) async fn page_view(&mut self, site: &Site) -> hyper::Result<(u16, hyper::Version)> {
        match &mut self.sender {
            // One request at a time.
            Sender::Http1(sender) => sender.ready().await?,
            Sender::Http2(sender) => sender.ready().await?,
        }
        let answer = self.send(post("/v1/collect", whole(page_view(site)))).await?;
        Ok((answer.status().as_u16(), answer.version()))
    }
}
