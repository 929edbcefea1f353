//! From three PEM files to TLS configurations for rustls, quinn and tonic.
//!
//! In: the `[tls]` table of a service. Out: configurations that show our certificate and require one of our CA from the
//! other side, with TLS 1.3 and the ring provider (named here, so that no process-wide default is needed). A client
//! also checks the name it asked for: one service's ([`Identity::dns_name`]) or any of a role
//! ([`crate::Role::dns_name`]).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde::{Deserialize, Serialize};
use tonic::transport::{Certificate, ClientTlsConfig, ServerTlsConfig};

use crate::name::{Identity, IdentityError};
use crate::peer::peer_identity;
use crate::pem::{PemError, PemFile};

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
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] PemError),
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
        let chain = self.cert()?.certificates()?;
        peer_identity(&chain).map_err(|source| TlsError::Identity { path: self.cert.clone(), source })
    }

    fn ca(&self) -> Result<PemFile, PemError> {
        PemFile::read("tls.ca", &self.ca)
    }

    fn cert(&self) -> Result<PemFile, PemError> {
        PemFile::read("tls.cert", &self.cert)
    }

    fn key(&self) -> Result<PemFile, PemError> {
        PemFile::read("tls.key", &self.key)
    }

    fn load(&self) -> Result<Loaded, TlsError> {
        let (mut roots, ca) = (RootCertStore::empty(), self.ca()?);
        for certificate in ca.certificates()? {
            roots.add(certificate).map_err(|error| ca.wrong("certificate", &error))?;
        }
        let key = self.key()?.private_key()?;
        Ok(Loaded { roots: Arc::new(roots), chain: self.cert()?.certificates()?, key })
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
    let identity = tonic::transport::Identity::from_pem(files.cert()?.content(), files.key()?.content());
    Ok((Certificate::from_pem(files.ca()?.content()), identity))
}

/// The one provider of cryptography.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

#[cfg(test)]
mod tests;
