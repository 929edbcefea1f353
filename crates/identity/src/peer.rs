//! Who is at the other end of a connection: the identity in the peer's certificate.
//!
//! In: a chain that TLS has already checked against our CA, end entity first. Out: the one [`Identity`] among its DNS
//! names. Nothing else in the certificate counts, the common name least of all.

use quinn::Connection;
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::name::{Identity, IdentityError};

/// The identity in the first of `certificates`.
pub fn peer_identity(certificates: &[CertificateDer<'_>]) -> Result<Identity, IdentityError> {
    let unreadable = |error: &dyn std::fmt::Display| IdentityError::Unreadable(error.to_string());
    let end_entity = certificates.first().ok_or(IdentityError::NoCertificate)?;
    let (_rest, certificate) = X509Certificate::from_der(end_entity).map_err(|error| unreadable(&error))?;
    let names = certificate.subject_alternative_name().map_err(|error| unreadable(&error))?;
    let names = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    let mut found: Option<Identity> = None;
    for name in names {
        let GeneralName::DNSName(name) = name else { continue };
        // Other names may be there beside it, such as that of the role.
        let Ok(identity) = name.parse::<Identity>() else { continue };
        match &found {
            Some(first) if *first != identity => {
                return Err(IdentityError::Ambiguous(first.clone(), identity));
            }
            _ => found = Some(identity),
        }
    }
    found.ok_or(IdentityError::NoIdentity)
}

/// The identity at the other end of a QUIC connection.
pub fn quinn_peer_identity(connection: &Connection) -> Result<Identity, IdentityError> {
    let identity = connection.peer_identity().ok_or(IdentityError::NoCertificate)?;
    // quinn's rustls session gives exactly this type.
    let certificates =
        identity.downcast::<Vec<CertificateDer<'static>>>().map_err(|_| IdentityError::NoCertificate)?;
    peer_identity(&certificates)
}

/// The identity of a gRPC client. Works on requests that came through tonic's own server over TCP.
pub fn tonic_peer_identity<T>(request: &tonic::Request<T>) -> Result<Identity, IdentityError> {
    let certificates = request.peer_certs().ok_or(IdentityError::NoCertificate)?;
    peer_identity(&certificates)
}

#[cfg(test)]
mod tests;
