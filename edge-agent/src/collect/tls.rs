//! TLS on the collect port: TLS 1.2 and 1.3 by rustls, with ALPN for HTTP/2 and HTTP/1.1.
//!
//! In: the two PEM files of `collect.tls`, and connections. Out: connections within TLS; a handshake that fails is counted by
//! its reason and not logged, because anybody can cause it. Invariant: a connection is shown a certificate and its own key, those
//! that were last found good (`reload`). There is no early data (RFC 8446 section 8): it could be replayed.

pub(crate) mod reload;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use identity::{PemError, PemFile};
use rustls::ServerConfig;
use rustls::crypto::ring::Ticketer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use self::reload::Reload;
use super::pulse::Beats;
use crate::metrics::TlsMetrics;

/// ALPN protocols (RFC 7301), the preferred one first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The table `collect.tls`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Certificate of the collect port's host names, PEM, with intermediate ones behind it. It and the key are looked at every
    /// two seconds: what has changed is used for new connections; where it cannot be, the pair in use stays.
    pub cert: PathBuf,
    /// The certificate's private key, PEM: RSA, ECDSA or Ed25519.
    pub key: PathBuf,
}

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] PemError),
    /// The key is of a kind that is not supported, or of another certificate.
    #[error("collect.tls.cert = {:?} and collect.tls.key = {:?} cannot be used together: {reason}", files.cert, files.key)]
    Together {
        /// The files.
        files: Config,
        /// What rustls said.
        reason: rustls::Error,
    },
    /// The library refuses its own settings, or has no random numbers.
    #[error("collect.tls: {0}")]
    Library(#[from] rustls::Error),
}

/// The content of both files.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pair {
    cert: PemFile,
    key: PemFile,
}

/// A certificate with its key, ready for use.
#[derive(Debug)]
struct Certificate {
    key: Arc<CertifiedKey>,
    /// When the first of the chain expires, unix seconds.
    expires_at_s: i64,
}

impl Pair {
    fn read(files: &Config) -> Result<Self, TlsError> {
        let cert = PemFile::read("collect.tls.cert", &files.cert)?;
        Ok(Self { cert, key: PemFile::read("collect.tls.key", &files.key)? })
    }

    fn certificate(&self, files: &Config) -> Result<Certificate, TlsError> {
        let (expires_at_s, chain) = (self.cert.expires_at_s()?, self.cert.certificates()?);
        let key = CertifiedKey::from_der(chain, self.key.private_key()?, &identity::provider());
        match key {
            Ok(key) => Ok(Certificate { key: Arc::new(key), expires_at_s }),
            Err(reason) => Err(TlsError::Together { files: files.clone(), reason }),
        }
    }
}

/// The certificate that new connections are shown.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl Shown {
    fn replace(&self, key: Arc<CertifiedKey>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = key;
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// What was found at start.
pub(crate) struct Tls {
    files: Config,
    pair: Pair,
    expires_at_s: i64,
    shown: Arc<Shown>,
    server: Arc<ServerConfig>,
}

impl Tls {
    /// Reads the files. Blocks on the disk.
    pub(crate) fn open(files: &Config) -> Result<Self, TlsError> {
        let pair = Pair::read(files)?;
        let Certificate { key, expires_at_s } = pair.certificate(files)?;
        let shown = Arc::new(Shown(RwLock::new(key)));
        let mut server = ServerConfig::builder_with_provider(identity::provider())
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(shown.clone());
        server.alpn_protocols = ALPN.iter().map(|protocol| protocol.to_vec()).collect();
        // Clients keep what it takes to resume a session (RFC 5077): here it would be memory for each.
        server.ticketer = Ticketer::new()?;
        Ok(Self { files: files.clone(), pair, expires_at_s, shown, server: Arc::new(server) })
    }

    /// What the accept threads use, and what keeps the certificate up to date.
    pub(crate) fn split(self, metrics: TlsMetrics) -> (Terminator, Reload) {
        metrics.expires_at_s.set(self.expires_at_s);
        let acceptor = TlsAcceptor::from(self.server);
        let reload = Reload::new(self.files, self.pair, self.shown, metrics.clone());
        (Terminator { acceptor, metrics }, reload)
    }
}

/// Does the handshakes.
#[derive(Clone)]
pub(crate) struct Terminator {
    acceptor: TlsAcceptor,
    metrics: TlsMetrics,
}

impl Terminator {
    /// The connection within TLS; `None` when the handshake failed, took longer than `timeout`, or the thread closes meanwhile.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
        timeout: Duration,
        mut beats: Beats,
    ) -> Option<TlsStream<TcpStream>> {
        let handshake = tokio::time::timeout(timeout, self.acceptor.accept(stream));
        let ended = tokio::select! {
            biased;
            ended = handshake => ended,
            // Nothing was asked for yet.
            _is_closing = async { beats.wait_for(|closing| *closing).await.is_ok() } => return None,
        };
        match ended {
            Ok(Ok(stream)) => {
                self.metrics.ok.inc();
                return Some(stream);
            }
            Err(_elapsed) => self.metrics.failed("timeout"),
            // rustls's errors come as this kind.
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => self.metrics.failed("refused"),
            Ok(Err(_io)) => self.metrics.failed("closed"),
        }
        None
    }
}

#[cfg(test)]
mod tests;
