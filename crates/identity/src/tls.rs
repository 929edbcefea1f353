//! From three PEM files to TLS configurations for rustls, quinn and tonic.
//!
//! In: the `[tls]` table of a service. Out: configurations that show our certificate and require one of our CA from the
//! other side, with TLS 1.3 and the ring provider (named here, so that no process-wide default is needed). A client
//! also checks the name it asked for: one service's ([`Identity::dns_name`]) or any of a role
//! ([`crate::Role::dns_name`]).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde::{Deserialize, Serialize};
use tonic::transport::{Certificate, ClientTlsConfig, ServerTlsConfig};

use crate::name::{Identity, IdentityError};
use crate::peer::peer_identity;

/// The `[tls]` table of every service: paths to PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsFiles {
    /// Certificates of the CA that all services share.
    pub ca: PathBuf,
    /// This service's certificate, with intermediate ones behind it if there are any. Its SAN says who the service is.
    pub cert: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
}

impl Default for TlsFiles {
    fn default() -> Self {
        let folder = Path::new("/etc/meridian/tls");
        Self { ca: folder.join("ca.pem"), cert: folder.join("cert.pem"), key: folder.join("key.pem") }
    }
}

/// Why the files give no TLS configuration.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read.
    #[error("cannot read tls.{field} = {path:?}")]
    Read {
        /// `ca`, `cert` or `key`.
        field: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("tls.{field} = {path:?} holds no usable {expected} in PEM form: {reason}")]
    Content {
        /// `ca`, `cert` or `key`.
        field: &'static str,
        /// The file.
        path: PathBuf,
        /// `certificate` or `private key`.
        expected: &'static str,
        /// What the parser said.
        reason: String,
    },
    /// The service's own certificate does not say who it is.
    #[error("tls.cert = {path:?} cannot be this service's certificate: {source}")]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: IdentityError,
    },
    /// Key and certificate do not fit together, or rustls refuses them otherwise.
    #[error("tls.cert and tls.key cannot be used together: {0}")]
    Rustls(#[from] rustls::Error),
    /// The CA cannot be used to check clients.
    #[error("tls.ca cannot be used to check peers: {0}")]
    Verifier(#[from] VerifierBuilderError),
    /// The provider lacks QUIC's initial cipher suite.
    #[error("TLS for QUIC: {0}")]
    Quic(#[from] quinn::crypto::rustls::NoInitialCipherSuite),
}

struct Loaded {
    roots: Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl TlsFiles {
    /// Who this service is: the identity in its own certificate.
    pub fn identity(&self) -> Result<Identity, TlsError> {
        let chain = certificates("cert", &self.cert)?;
        peer_identity(&chain).map_err(|source| TlsError::Identity { path: self.cert.clone(), source })
    }

    fn load(&self) -> Result<Loaded, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates("ca", &self.ca)? {
            roots
                .add(certificate)
                .map_err(|error| content_error("ca", &self.ca, "certificate", &error.to_string()))?;
        }
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| pem_error("key", &self.key, "private key", error))?;
        Ok(Loaded { roots: Arc::new(roots), chain: certificates("cert", &self.cert)?, key })
    }
}

/// A server that requires a client certificate of our CA. `alpn`: protocols in order of preference.
pub fn server_config(files: &TlsFiles, alpn: &[&[u8]]) -> Result<Arc<ServerConfig>, TlsError> {
    let loaded = files.load()?;
    let verifier = WebPkiClientVerifier::builder_with_provider(loaded.roots, provider()).build()?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(loaded.chain, loaded.key)?;
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Arc::new(config))
}

/// A client that shows our certificate and requires one of our CA with the name it asks for.
pub fn client_config(files: &TlsFiles, alpn: &[&[u8]]) -> Result<Arc<ClientConfig>, TlsError> {
    let loaded = files.load()?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(loaded.roots)
        .with_client_auth_cert(loaded.chain, loaded.key)?;
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Arc::new(config))
}

/// [`server_config`] for QUIC, without 0-RTT; transport parameters are the caller's.
pub fn quinn_server_config(files: &TlsFiles, alpn: &[&[u8]]) -> Result<quinn::ServerConfig, TlsError> {
    let crypto = quinn::crypto::rustls::QuicServerConfig::try_from(server_config(files, alpn)?)?;
    Ok(quinn::ServerConfig::with_crypto(Arc::new(crypto)))
}

/// [`client_config`] for QUIC, without 0-RTT; transport parameters are the caller's.
pub fn quinn_client_config(files: &TlsFiles, alpn: &[&[u8]]) -> Result<quinn::ClientConfig, TlsError> {
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(client_config(files, alpn)?)?;
    Ok(quinn::ClientConfig::new(Arc::new(crypto)))
}

/// A gRPC server that requires a client certificate of our CA. tonic picks the TLS version: the best both speak.
pub fn tonic_server_config(files: &TlsFiles) -> Result<ServerTlsConfig, TlsError> {
    let (ca, identity) = tonic_parts(files)?;
    Ok(ServerTlsConfig::new().identity(identity).client_ca_root(ca))
}

/// A gRPC client that shows our certificate and requires one of our CA for `server_name`, whatever address it dials.
pub fn tonic_client_config(files: &TlsFiles, server_name: &str) -> Result<ClientTlsConfig, TlsError> {
    let (ca, identity) = tonic_parts(files)?;
    Ok(ClientTlsConfig::new().identity(identity).ca_certificate(ca).domain_name(server_name))
}

fn tonic_parts(files: &TlsFiles) -> Result<(Certificate, tonic::transport::Identity), TlsError> {
    // tonic parses late and says little: check first.
    files.load()?;
    let identity = tonic::transport::Identity::from_pem(read("cert", &files.cert)?, read("key", &files.key)?);
    Ok((Certificate::from_pem(read("ca", &files.ca)?), identity))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn certificates(field: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |error| pem_error(field, path, "certificate", error);
    let found =
        CertificateDer::pem_file_iter(path).map_err(wrong)?.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    if found.is_empty() {
        return Err(wrong(pem::Error::NoItemsFound));
    }
    Ok(found)
}

fn read(field: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { field, path: path.to_owned(), source })
}

fn pem_error(field: &'static str, path: &Path, expected: &'static str, error: pem::Error) -> TlsError {
    match error {
        pem::Error::Io(source) => TlsError::Read { field, path: path.to_owned(), source },
        other => content_error(field, path, expected, &other.to_string()),
    }
}

fn content_error(field: &'static str, path: &Path, expected: &'static str, reason: &str) -> TlsError {
    TlsError::Content { field, path: path.to_owned(), expected, reason: reason.to_owned() }
}

#[cfg(test)]
mod tests;
