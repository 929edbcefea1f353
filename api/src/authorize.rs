//! Who calls, and whether the property asked for is theirs.
//!
//! In: the metadata or headers of a request. Out: a [`Caller`], then the property. A report key reads the one property
//! it was made for; whether another one exists is not told. The admin key may do everything. Invariant: a property id
//! from outside is only ever looked up, never used.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use configuration::replica::Records as _;
use configuration::stored::{self, NamedProperty};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use property::{KeyHash, Property};
use proto::config::StoredKey;

use crate::history::{History, unreadable};
use crate::refuse::{Code, Refusal};

/// The header of Google's clients.
const GOOGLE_KEY: &str = "x-goog-api-key";

/// Shortest admin key taken from a file, characters: a shorter one was not made by us and may be guessed.
const ADMIN_KEY_MIN_CHARS: usize = 16;

/// Someone whose key is good.
#[derive(Debug, Clone)]
pub enum Caller {
    /// Holds the admin key.
    Admin,
    /// Holds the report key of this property.
    Property(Arc<Property>),
}

/// Checks keys.
#[derive(Debug)]
pub struct Authorizer {
    history: History,
    admin_key: KeyHash,
}

impl Authorizer {
    /// Report keys are those of the configuration; the admin key is the one with this hash.
    pub fn new(history: History, admin_key: KeyHash) -> Self {
        Self { history, admin_key }
    }

    /// The caller that these headers, or gRPC metadata, prove.
    pub fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let Some(key) = key_in(headers) else {
            return Err(Refusal::new(
                Code::Unauthenticated,
                "no key: send the property's report key or the admin key as \"authorization: Bearer KEY\" \
                 or \"x-goog-api-key: KEY\"",
            ));
        };
        if self.admin_key.accepts(key) {
            return Ok(Caller::Admin);
        }
        match self.of_report_key(key)? {
            Some(property) => Ok(Caller::Property(Arc::new(property))),
            None => Err(Refusal::new(
                Code::Unauthenticated,
                "the key is not known: reports take a property's report_key (\"rk_…\") or the admin key (\"ak_…\")",
            )),
        }
    }

    /// The property, if it lies in the scope of the caller.
    pub fn property(&self, caller: &Caller, property_id: &str) -> Result<Arc<Property>, Refusal> {
        if property_id.is_empty() {
            return Err(Refusal::invalid("property_id", "", "but it is needed: name the property, \"p_…\""));
        }
        match caller {
            Caller::Property(property) if property.property_id == property_id => Ok(Arc::clone(property)),
            Caller::Property(_) => Err(Refusal {
                code: Code::PermissionDenied,
                ..Refusal::invalid(
                    "property_id",
                    property_id,
                    "which is not the property of this key; use that property's report key",
                )
            }),
            Caller::Admin => {
                let found = stored::property(&self.history.read()?, property_id)?;
                let NamedProperty { property, .. } = found.ok_or_else(|| no_property(property_id))?;
                Ok(Arc::new(property))
            }
        }
    }

    /// The property that a report key reads. Looked up by its hash, so the time tells nothing about other keys.
    fn of_report_key(&self, report_key: &str) -> Result<Option<Property>, Refusal> {
        if !report_key.starts_with("rk_") {
            return Ok(None);
        }
        let reader = self.history.read()?;
        let key = stored::report_key_key(&KeyHash::of(report_key));
        let Some(value) = reader.get(&key).map_err(|error| unreadable(&error))? else { return Ok(None) };
        let StoredKey { property_id } = stored::decode(&key, &value).map_err(|error| unreadable(&error))?;
        Ok(stored::property(&reader, &property_id)?.map(|named| named.property))
    }
}

/// Nobody has this id.
pub(crate) fn no_property(property_id: &str) -> Refusal {
    let problem = "which does not exist; `meridian property list` shows those that do";
    Refusal { code: Code::NotFound, ..Refusal::invalid("property_id", property_id, problem) }
}

/// Refuses everyone but the admin.
pub fn require_admin(caller: &Caller) -> Result<(), Refusal> {
    match caller {
        Caller::Admin => Ok(()),
        Caller::Property(_) => Err(Refusal::new(
            Code::PermissionDenied,
            "properties, aliases and rules are set and listed with the admin key; this is a property's report key",
        )),
    }
}

fn key_in(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    let google = || headers.get(GOOGLE_KEY).and_then(|value| value.to_str().ok()).map(str::trim);
    bearer.or_else(google).filter(|key| !key.is_empty())
}

/// Why there is no admin key.
#[derive(Debug, thiserror::Error)]
pub enum AdminKeyError {
    /// The file cannot be read or made.
    #[error("cannot read or make admin_key_file = {path:?}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file holds no key.
    #[error(
        "admin_key_file = {0:?} holds fewer than {ADMIN_KEY_MIN_CHARS} characters; delete it to get a new random key"
    )]
    TooShort(PathBuf),
}

/// The hash of the key in this file, which is made with a random key if it is missing.
pub fn admin_key(path: &Path) -> Result<KeyHash, AdminKeyError> {
    let failed = |source| AdminKeyError::File { path: path.to_owned(), source };
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_admin_key(path).map_err(failed)?;
            std::fs::read_to_string(path).map_err(failed)?
        }
        read => read.map_err(failed)?,
    };
    // Whoever made it, perhaps a run that was killed before its own sync: from now on the key is in use.
    durable::sync_name(path).map_err(failed)?;
    match text.trim() {
        short if short.len() < ADMIN_KEY_MIN_CHARS => Err(AdminKeyError::TooShort(path.to_owned())),
        key => Ok(KeyHash::of(key)),
    }
}

/// Written beside its place and linked to its name, so that a crash leaves no half a key and two starts agree on one.
fn make_admin_key(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    durable::create_dir_all(folder)?;
    let key = property::key::random_secret("ak_").map_err(io::Error::other)?;
    let suffix = property::key::random_secret(".").map_err(io::Error::other)?;
    let temporary = folder.join(suffix);
    write_private(&temporary, format!("{key}\n").as_bytes())?;
    let linked = std::fs::hard_link(&temporary, path);
    std::fs::remove_file(&temporary)?;
    match linked {
        // Another process was faster: its key holds.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// A new file for its owner only, durable with its content.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
