//! Salts of calendar dates: 16 random bytes each, which make cookieless visitor ids of different days unlinkable.
//!
//! `DATA/salts/{date}.salt`, mode 0600, made for every date that it is somewhere on earth and the next two, durable before
//! the first use (a crash must not change a visitor in mid-day), erased 72 h after the date began anywhere (at UTC+14).

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use service::SharedClock;
use tokio_util::sync::CancellationToken;

/// Bytes of a salt: a SipHash key.
pub(crate) const SALT_BYTES: usize = 16;

/// How long after its beginning anywhere a date's salt lives, milliseconds (72 h).
const LIFE_MS: i64 = 72 * 3_600_000;

/// The easternmost offset from UTC, milliseconds: where a date begins first.
const EASTERNMOST_MS: i64 = 14 * 3_600_000;

/// The westernmost offset from UTC, milliseconds: where a date begins last.
const WESTERNMOST_MS: i64 = -12 * 3_600_000;

/// Dates held in advance.
const AHEAD_DAYS: usize = 2;

/// How often dates are looked at.
const REFRESH: Duration = Duration::from_secs(60);

/// Salts by date.
pub(crate) type SaltMap = BTreeMap<Date, [u8; SALT_BYTES]>;

/// Salts could not be read, made or erased.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SaltError {
    /// The directory or a file.
    #[error("salt {path:?}: {source}")]
    File {
        /// What was touched.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file of another length.
    #[error(
        "salt {path:?} has {bytes} bytes instead of {SALT_BYTES}; delete it (visitors of that date count anew)"
    )]
    Length {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: usize,
    },
    /// No random bytes.
    #[error("the operating system gives no random bytes for a salt: {0}")]
    Random(getrandom::Error),
    /// The clock shows a time without a date.
    #[error("the clock shows {0} ms, which is no date")]
    Clock(u64),
}

/// The salts on disk and in memory.
#[derive(Debug)]
pub(crate) struct Salts {
    directory: PathBuf,
    held: RwLock<Arc<SaltMap>>,
}

impl Salts {
    /// Reads `DATA/salts`, makes what is missing and erases what has expired.
    pub(crate) fn open(data_dir: &Path, now_ms: u64) -> Result<Self, SaltError> {
        let directory = data_dir.join("salts");
        let failed = |source| SaltError::File { path: directory.clone(), source };
        durable::create_dir_all_with(&directory, 0o700).map_err(failed)?;
        // A run that was killed may have left a salt whose name is not durable yet.
        durable::sync_dir(&directory).map_err(failed)?;
        let salts = Self { directory, held: RwLock::default() };
        salts.refresh(now_ms)?;
        Ok(salts)
    }

    /// The salts as of the last refresh.
    pub(crate) fn held(&self) -> Arc<SaltMap> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Erases, makes and reads what `now_ms` asks for. Blocks on the disk.
    pub(crate) fn refresh(&self, now_ms: u64) -> Result<(), SaltError> {
        let now = i64::try_from(now_ms).map_err(|_| SaltError::Clock(now_ms))?;
        let mut salts = self.read_and_erase(now)?;
        let last = date_at(now + EASTERNMOST_MS).ok_or(SaltError::Clock(now_ms))?;
        let first = date_at(now + WESTERNMOST_MS).ok_or(SaltError::Clock(now_ms))?;
        let last = (0..AHEAD_DAYS).try_fold(last, |date, _| date.tomorrow().ok());
        let last = last.ok_or(SaltError::Clock(now_ms))?;
        let mut date = first;
        while date <= last {
            if let std::collections::btree_map::Entry::Vacant(vacant) = salts.entry(date)
                && !has_expired(date, now)
            {
                vacant.insert(self.make(date)?);
            }
            date = date.tomorrow().map_err(|_| SaltError::Clock(now_ms))?;
        }
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if **held != salts {
            *held = Arc::new(salts);
        }
        Ok(())
    }

    fn read_and_erase(&self, now: i64) -> Result<SaltMap, SaltError> {
        let failed = |source| SaltError::File { path: self.directory.clone(), source };
        let (mut salts, mut erased) = (SaltMap::new(), false);
        for entry in std::fs::read_dir(&self.directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some(date) = name.strip_suffix(".salt").and_then(|date| date.parse::<Date>().ok()) else {
                continue;
            };
            if has_expired(date, now) {
                std::fs::remove_file(&path).map_err(failed)?;
                erased = true;
            } else {
                salts.insert(date, read(&path)?);
            }
        }
        if erased {
            durable::sync_dir(&self.directory).map_err(failed)?;
        }
        Ok(salts)
    }

    fn make(&self, date: Date) -> Result<[u8; SALT_BYTES], SaltError> {
        let path = self.directory.join(format!("{date}.salt"));
        let temporary = self.directory.join(format!("{date}.tmp"));
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(SaltError::Random)?;
        let write = || -> io::Result<()> {
            let mut file: File =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
            file.write_all(&salt)?;
            file.sync_all()?;
            durable::rename(&temporary, &path)
        };
        write().map_err(|source| SaltError::File { path: path.clone(), source })?;
        Ok(salt)
    }
}

/// Refreshes each minute until `shutdown`. Trouble is logged: dates without a salt have a derived key meanwhile.
pub(crate) async fn watch(
    salts: Arc<Salts>,
    clock: SharedClock,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let mut interval = tokio::time::interval(REFRESH);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = interval.tick() => {}
        }
        let (salts, now_ms) = (salts.clone(), clock.now_ms());
        if let Err(error) = tokio::task::spawn_blocking(move || salts.refresh(now_ms)).await? {
            tracing::error!(%error, "salts cannot be kept up");
        }
    }
}

fn read(path: &Path) -> Result<[u8; SALT_BYTES], SaltError> {
    let bytes = std::fs::read(path).map_err(|source| SaltError::File { path: path.to_owned(), source })?;
    let length = bytes.len();
    bytes.try_into().map_err(|_| SaltError::Length { path: path.to_owned(), bytes: length })
}

/// The UTC date at an instant, unix milliseconds.
fn date_at(ms: i64) -> Option<Date> {
    Some(Timestamp::from_millisecond(ms).ok()?.to_zoned(jiff::tz::TimeZone::UTC).date())
}

fn has_expired(date: Date, now: i64) -> bool {
    let midnight = date.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp().as_millisecond());
    midnight.is_ok_and(|midnight| now >= midnight - EASTERNMOST_MS + LIFE_MS)
}

#[cfg(test)]
mod tests;
