//! Makes a property: checks what was asked for, draws ids and keys, writes the file once.
//!
//! Durable before it is answered: the file is written beside its place, synced, linked to its name (which fails when
//! the name is taken, so nothing is ever overwritten), and the directory is synced. A measurement id is claimed the
//! same way first, `.measurement_ids/{measurement_id}`, so that two writers cannot give it to two properties.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hit::Rules;
use jiff::Timestamp;

use crate::key::{KeyHash, VisitorKey, random_base32, random_secret};
use crate::model::{HOSTNAMES_MAX, Property, check_currency, check_hostname, check_name};
use crate::rulebook::{Rulebook, known_zone};

/// Folder of claimed measurement ids.
const CLAIMS: &str = ".measurement_ids";

/// Draws before giving up; a second one is already as good as impossible (60 and 50 random bits).
const DRAWS: usize = 16;

/// What a new property is called.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewProperty {
    /// Display name, 1–100 characters.
    pub name: String,
    /// IANA time zone; empty: UTC.
    pub time_zone: String,
    /// ISO 4217; empty: USD.
    pub currency: String,
    /// Host names of the site; empty: any.
    pub hostnames: Vec<String>,
}

/// A new property and its secrets, which are nowhere else.
#[derive(Debug, Clone)]
pub struct Created {
    /// As stored.
    pub property: std::sync::Arc<Property>,
    /// `sk_…`: server-side hits and imports.
    pub api_secret: String,
    /// `rk_…`: reads reports.
    pub report_key: String,
}

/// Why a property was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// A field cannot be used.
    #[error("{field} is {value:?}, {problem}")]
    Invalid {
        /// The field, as in the request: `hostnames[2]`.
        field: String,
        /// Its value.
        value: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The operating system gave no random bytes.
    #[error("no random bytes for the keys of the new property: {0}")]
    Random(getrandom::Error),
    /// The file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Every id that was drawn was taken.
    #[error("no free id was found in {DRAWS} draws; the random generator of this machine repeats itself")]
    NoFreeId,
}

/// A checked request.
struct Wanted {
    name: String,
    time_zone: String,
    currency: String,
    hostnames: Vec<String>,
}

fn check(new: NewProperty) -> Result<Wanted, CreateError> {
    let invalid = |field: &str, value: &str, problem: &str| CreateError::Invalid {
        field: field.to_owned(),
        value: value.to_owned(),
        problem: problem.to_owned(),
    };
    check_name(&new.name).map_err(|problem| invalid("name", &new.name, problem))?;
    let zone = if new.time_zone.is_empty() { "UTC" } else { &new.time_zone };
    // The name as the zone database spells it, so that equal zones are equal texts.
    let time_zone =
        known_zone(zone).and_then(|found| found.iana_name().map(str::to_owned)).ok_or_else(|| {
            invalid(
                "time_zone",
                zone,
                "which is not a known time zone; use an IANA name such as Europe/Berlin",
            )
        })?;
    let currency = if new.currency.is_empty() { "USD".to_owned() } else { new.currency };
    check_currency(&currency).map_err(|problem| invalid("currency", &currency, problem))?;
    if new.hostnames.len() > HOSTNAMES_MAX {
        let problem = format!("which is more than {HOSTNAMES_MAX} host names; leave it empty to accept any");
        return Err(invalid("hostnames", &new.hostnames.len().to_string(), &problem));
    }
    let mut hostnames = Vec::with_capacity(new.hostnames.len());
    for (index, hostname) in new.hostnames.iter().enumerate() {
        let lower = hostname.to_ascii_lowercase();
        check_hostname(&lower)
            .map_err(|problem| invalid(&format!("hostnames[{index}]"), hostname, problem))?;
        hostnames.push(lower);
    }
    Ok(Wanted { name: new.name, time_zone, currency, hostnames })
}

/// Checks, draws and writes; blocks on the disk.
pub(crate) fn create(dir: &Path, new: NewProperty, now_ms: u64) -> Result<Created, CreateError> {
    let wanted = check(new)?;
    let created_at = i64::try_from(now_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let created_at = created_at.unwrap_or(Timestamp::MAX);
    let rules = Rulebook::try_from(vec![Rules::first(&wanted.time_zone)]).map_err(|problem| {
        CreateError::Invalid { field: "time_zone".into(), value: wanted.time_zone.clone(), problem }
    })?;
    let api_secret = random_secret("sk_").map_err(CreateError::Random)?;
    let report_key = random_secret("rk_").map_err(CreateError::Random)?;
    let mut property = Property {
        property_id: String::new(),
        measurement_id: claim_measurement_id(dir)?,
        name: wanted.name,
        time_zone: wanted.time_zone,
        currency: wanted.currency.clone(),
        hostnames: wanted.hostnames,
        created_at,
        api_secret_sha256: KeyHash::of(&api_secret),
        report_key_sha256: KeyHash::of(&report_key),
        visitor_key: VisitorKey::random().map_err(CreateError::Random)?,
        rules: rules.in_currency(&wanted.currency),
        tracker: None,
    };
    for _ in 0..DRAWS {
        property.property_id = format!("p_{}", random_base32(12).map_err(CreateError::Random)?);
        if write_once(dir, &property)? {
            return Ok(Created { property: std::sync::Arc::new(property), api_secret, report_key });
        }
    }
    Err(CreateError::NoFreeId)
}

fn claim_measurement_id(dir: &Path) -> Result<String, CreateError> {
    let claims = dir.join(CLAIMS);
    // Its name is synced with the property's, before the answer.
    make_folder(&claims)?;
    for _ in 0..DRAWS {
        let drawn = random_base32(10).map_err(CreateError::Random)?.to_ascii_uppercase();
        let measurement_id = format!("M-{drawn}");
        let path = claims.join(&measurement_id);
        match OpenOptions::new().write(true).create_new(true).mode(0o640).open(&path) {
            Ok(_empty) => {
                sync_dir(&claims)?;
                return Ok(measurement_id);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(CreateError::Write { path, source }),
        }
    }
    Err(CreateError::NoFreeId)
}

fn make_folder(path: &Path) -> Result<(), CreateError> {
    match DirBuilder::new().mode(0o750).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(CreateError::Write { path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

/// Makes a folder in the directory; its name is durable when this returns.
pub(crate) fn make_dir(path: &Path) -> Result<(), CreateError> {
    make_folder(path)?;
    durable::sync_name(path).map_err(|source| CreateError::Write { path: path.to_owned(), source })
}

/// True when the file is durable under its name, false when the name was taken.
fn write_once(dir: &Path, property: &Property) -> Result<bool, CreateError> {
    let path = dir.join(format!("{}.json", property.property_id));
    let temporary = dir.join(format!(".{}.new", property.property_id));
    let failed = |source| CreateError::Write { path: path.clone(), source };
    let json = serde_json::to_vec_pretty(property).map_err(|error| failed(error.into()))?;
    let written = write_synced(&temporary, &json).and_then(|()| std::fs::hard_link(&temporary, &path));
    // Whether or not it got its name; one that stays behind is never read.
    let _gone_or_harmless = std::fs::remove_file(&temporary);
    match written {
        Ok(()) => sync_dir(dir).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_dir(dir: &Path) -> Result<(), CreateError> {
    durable::sync_dir(dir).map_err(|source| CreateError::Write { path: dir.to_owned(), source })
}

#[cfg(test)]
mod tests;
