//! A PEM file of the configuration: read once, then taken for certificates or for a key.
//!
//! In: a path and the name of the field it stands in. Out: what the file holds, or an error that names both. What is shown of
//! a file for debugging is never its content: it may be a key.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// It could not be read.
    #[error("cannot read {field} = {path:?}")]
    Read {
        /// The field of the configuration, such as `tls.cert`.
        field: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// It does not hold what it should.
    #[error("{field} = {path:?} holds no usable {expected} in PEM form: {reason}")]
    Content {
        /// The field of the configuration.
        field: &'static str,
        /// The file.
        path: PathBuf,
        /// `certificate` or `private key`.
        expected: &'static str,
        /// What the parser said.
        reason: String,
    },
}

/// The content of a file, and where it came from.
#[derive(Clone, PartialEq, Eq)]
pub struct PemFile {
    field: &'static str,
    path: PathBuf,
    content: Vec<u8>,
}

impl fmt::Debug for PemFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PemFile")
            .field("field", &self.field)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl PemFile {
    /// Reads the file that the configuration's `field` names. Blocks on the disk.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(field: &'static str, path: &Path) -> Result<Self, PemError> {
        match std::fs::read(path) {
            Ok(content) => Ok(Self { field, path: path.to_owned(), content }),
            Err(source) => Err(PemError::Read { field, path: path.to_owned(), source }),
        }
    }

    /// The bytes as they are.
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// All certificates, in their order; at least one.
    ///
    /// # Errors
    /// When there is none, or what is between the marks is not Base64.
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, PemError> {
        let wrong = |error: pem::Error| self.wrong("certificate", &error);
        let found: Vec<_> =
            CertificateDer::pem_slice_iter(&self.content).collect::<Result<_, _>>().map_err(wrong)?;
        if found.is_empty() {
            return Err(wrong(pem::Error::NoItemsFound));
        }
        Ok(found)
    }

    /// The first private key, as PKCS #8, PKCS #1 or SEC 1.
    ///
    /// # Errors
    /// When there is none, or what is between the marks is not Base64.
    pub fn private_key(&self) -> Result<PrivateKeyDer<'static>, PemError> {
        PrivateKeyDer::from_pem_slice(&self.content).map_err(|error| self.wrong("private key", &error))
    }

    /// When the first of its certificates to do so expires, unix seconds (`notAfter`, RFC 5280 section 4.1.2.5).
    ///
    /// # Errors
    /// When there is no certificate, or one is not X.509.
    pub fn expires_at_s(&self) -> Result<i64, PemError> {
        let mut first = i64::MAX;
        for der in self.certificates()? {
            let (_rest, certificate) =
                X509Certificate::from_der(&der).map_err(|error| self.wrong("certificate", &error))?;
            first = first.min(certificate.validity().not_after.timestamp());
        }
        Ok(first)
    }

    /// The error for content that is not `expected`.
    pub(crate) fn wrong(&self, expected: &'static str, reason: &dyn fmt::Display) -> PemError {
        let reason = reason.to_string();
        PemError::Content { field: self.field, path: self.path.clone(), expected, reason }
    }
}
