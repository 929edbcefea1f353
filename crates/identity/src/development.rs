//! Development certificates: a CA and one certificate per service, made on first start, kept ever after.
//!
//! On disk, under the given directory:
//!
//! ```text
//! ca/{cert,key}.pem                        the CA
//! {id}.{role}/{ca,cert,key}.pem            one service: all it needs, so that the folder can be copied as it is
//! ```
//!
//! Each folder is written beside its place, synced, and renamed to it. A rename onto a folder that is not empty fails, so
//! of several processes that start at once one wins and the others use what it made. Keys are readable by the owner
//! only. Production brings its own CA and [`TlsFiles`].

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

use crate::name::Identity;
use crate::tls::TlsFiles;

/// How long a development certificate is valid: ten years.
const VALIDITY: Duration = Duration::from_secs(3_653 * DAY_S);

/// Certificates begin a day early, for machines whose clocks differ.
const BACKDATED: Duration = Duration::from_secs(DAY_S);

const DAY_S: u64 = 86_400;

/// 2200-01-01T00:00:00Z: a clock beyond it is wrong, and dates further on stop fitting into a certificate.
const LATEST_START_MS: u64 = 7_258_118_400_000;

/// The development certificates could not be made or found.
#[derive(Debug, thiserror::Error)]
pub enum DevelopmentError {
    /// A file or folder could not be read or written.
    #[error("development certificates: cannot use {}: {source}", path.display())]
    File {
        /// What could not be used.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A certificate could not be made.
    #[error("development certificates: cannot make one for {subject}: {source}")]
    Make {
        /// Whom it was for.
        subject: String,
        /// What rcgen said.
        source: rcgen::Error,
    },
    /// A service's certificate was made under a CA that is gone.
    #[error(
        "development certificates: {} belongs to another CA than {}; remove the folder {} and start again",
        folder.display(), ca.display(), folder.display()
    )]
    OtherCa {
        /// The service's folder.
        folder: PathBuf,
        /// The CA's certificate.
        ca: PathBuf,
    },
}

/// Makes what is missing under `directory` and returns the files of `identities`, in their order.
/// `now_ms` (unix ms) is where the validity of new certificates begins. Blocks on the disk.
pub fn ensure_development(
    directory: &Path,
    identities: &[Identity],
    now_ms: u64,
) -> Result<Vec<TlsFiles>, DevelopmentError> {
    durable::create_dir_all(directory)
        .and_then(|()| durable::sync_dir(directory))
        .map_err(|source| file_error(directory, source))?;
    let ca = directory.join("ca");
    if !exists(&ca)? {
        let (certificate, key) = make_ca(now_ms).map_err(|source| make_error("the CA", source))?;
        publish(&ca, &[("cert.pem", certificate.as_bytes()), ("key.pem", key.as_bytes())])?;
    }
    // Read back whatever won.
    let ca_certificate = read(&ca.join("cert.pem"))?;
    identities
        .iter()
        .map(|identity| ensure_service(directory, &ca, &ca_certificate, identity, now_ms))
        .collect()
}

fn ensure_service(
    directory: &Path,
    ca: &Path,
    ca_certificate: &str,
    identity: &Identity,
    now_ms: u64,
) -> Result<TlsFiles, DevelopmentError> {
    let folder = directory.join(format!("{}.{}", identity.id(), identity.role()));
    if !exists(&folder)? {
        let ca_key = read(&ca.join("key.pem"))?;
        let (certificate, key) = make_service(ca_certificate, &ca_key, identity, now_ms)
            .map_err(|source| make_error(&identity.to_string(), source))?;
        let files = [
            ("ca.pem", ca_certificate.as_bytes()),
            ("cert.pem", certificate.as_bytes()),
            ("key.pem", key.as_bytes()),
        ];
        publish(&folder, &files)?;
    }
    let files =
        TlsFiles { ca: folder.join("ca.pem"), cert: folder.join("cert.pem"), key: folder.join("key.pem") };
    if read(&files.ca)? != ca_certificate {
        return Err(DevelopmentError::OtherCa { folder, ca: ca.join("cert.pem") });
    }
    Ok(files)
}

fn make_ca(now_ms: u64) -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = params(Vec::new(), "Meridian development CA", now_ms)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

fn make_service(
    ca_certificate: &str,
    ca_key: &str,
    identity: &Identity,
    now_ms: u64,
) -> Result<(String, String), rcgen::Error> {
    let issuer = Issuer::from_ca_cert_pem(ca_certificate, KeyPair::from_pem(ca_key)?)?;
    let key = KeyPair::generate()?;
    // The common name is for people, and limited to 64 bytes (RFC 5280, ub-common-name); ids fit.
    let mut params = params(vec![identity.dns_name(), identity.role().dns_name()], identity.id(), now_ms)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // Every service is a server to some and a client to others.
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    Ok((params.signed_by(&key, &issuer)?.pem(), key.serialize_pem()))
}

fn params(dns_names: Vec<String>, common_name: &str, now_ms: u64) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(dns_names)?;
    let now = date_time_ymd(1970, 1, 1) + Duration::from_millis(now_ms.min(LATEST_START_MS));
    params.not_before = now - BACKDATED;
    params.not_after = now + VALIDITY;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    Ok(params)
}

/// Creates `folder` with `files` in one step. That someone else did it first is fine.
fn publish(folder: &Path, files: &[(&str, &[u8])]) -> Result<(), DevelopmentError> {
    let draft = draft_folder(folder)?;
    let written = fill(&draft, files).and_then(|()| durable::rename(&draft, folder));
    match written {
        Ok(()) => Ok(()),
        Err(source) => {
            let cleaned = fs::remove_dir_all(&draft);
            tracing::debug!(?cleaned, "draft of a certificate folder removed");
            if exists(folder)? { Ok(()) } else { Err(file_error(folder, source)) }
        }
    }
}

fn fill(draft: &Path, files: &[(&str, &[u8])]) -> io::Result<()> {
    for (name, content) in files {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft.join(name))?;
        file.write_all(content)?;
        file.sync_all()?;
    }
    durable::sync_dir(draft)
}

/// A new folder beside `folder` that nobody else uses: the first free number, claimed by creating it.
fn draft_folder(folder: &Path) -> Result<PathBuf, DevelopmentError> {
    let mut number = 0_u64;
    loop {
        let draft = folder.with_extension(format!("draft-{}-{number}", std::process::id()));
        match fs::DirBuilder::new().mode(0o700).create(&draft) {
            Ok(()) => return Ok(draft),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(source) => return Err(file_error(&draft, source)),
        }
    }
}

fn exists(path: &Path) -> Result<bool, DevelopmentError> {
    path.try_exists().map_err(|source| file_error(path, source))
}

fn read(path: &Path) -> Result<String, DevelopmentError> {
    fs::read_to_string(path).map_err(|source| file_error(path, source))
}

fn file_error(path: &Path, source: io::Error) -> DevelopmentError {
    DevelopmentError::File { path: path.to_owned(), source }
}

fn make_error(subject: &str, source: rcgen::Error) -> DevelopmentError {
    DevelopmentError::Make { subject: subject.to_owned(), source }
}

#[cfg(test)]
mod tests;
