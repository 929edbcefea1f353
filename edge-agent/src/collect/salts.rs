//! The salts of this edge: what hubs tell, in files, so that it starts with every hub unreachable.
//!
//! In: salts that were told (`configuration::Salts`). Out: those in force, for [`super::accept`]. `DATA/salts/{date}.salt`, mode 0600, 16
//! bytes each, replaced whole when another one is told, erased 72 h after the date began anywhere. Invariants: a salt is in force only
//! when it is durable (a crash must not change a visitor in mid-day); only time takes one away; no file of an expired date stays.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use configuration::salts::{self as rules, SALT_BYTES};
use configuration::{Salt, SaltMap};
use jiff::civil::Date;
use prometheus_client::metrics::gauge::Gauge;
use service::SharedClock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often dates are looked at.
const REFRESH_MS: u64 = 60_000;

/// After the disk failed.
const RETRY_MS: u64 = 5_000;

/// A new edge is told its salts within this time; until then it is no trouble that it lacks them.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

/// A salt cannot be kept.
#[derive(Debug, thiserror::Error)]
#[error("salt {path:?}: {source}")]
pub(crate) struct SaltError {
    /// What was touched.
    path: PathBuf,
    /// What the operating system said.
    source: io::Error,
}

/// Salts that hits are taken with.
#[derive(Debug, Default)]
pub(crate) struct InForce {
    /// By date.
    pub(crate) salts: SaltMap,
    covered_until_ms: u64,
}

impl InForce {
    fn new(salts: SaltMap, now_ms: u64) -> Self {
        Self { covered_until_ms: rules::covered_until_ms(&salts, now_ms), salts }
    }

    /// Whether every date that it is somewhere on earth has its salt.
    pub(crate) fn cover(&self, now_ms: u64) -> bool {
        now_ms < self.covered_until_ms
    }
}

/// The salts on disk and in memory.
#[derive(Debug)]
pub(crate) struct Salts {
    directory: PathBuf,
    told: configuration::Salts,
    in_force: RwLock<Arc<InForce>>,
    missing: watch::Sender<Vec<Date>>,
}

impl Salts {
    /// Reads `DATA/salts` and erases what has expired.
    pub(crate) fn open(data_dir: &Path, now_ms: u64) -> Result<Self, SaltError> {
        let directory = data_dir.join("salts");
        let failed = |source| SaltError { path: directory.clone(), source };
        durable::create_dir_all_with(&directory, 0o700).map_err(failed)?;
        // A run that was killed may have left a salt whose name is not durable yet.
        durable::sync_dir(&directory).map_err(failed)?;
        let (in_force, missing) = (RwLock::default(), watch::Sender::new(Vec::new()));
        let salts = Self { directory, told: configuration::Salts::default(), in_force, missing };
        let kept = salts.read_and_erase(now_ms)?;
        salts.told.put(&kept, now_ms);
        salts.put_in_force(kept, now_ms);
        Ok(salts)
    }

    /// Where hubs' salts go; it begins with what is on disk.
    pub(crate) fn told(&self) -> &configuration::Salts {
        &self.told
    }

    /// The salts as of the last refresh.
    pub(crate) fn in_force(&self) -> Arc<InForce> {
        self.in_force.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The dates somewhere on earth that lack a salt; told whenever that changes.
    pub(crate) fn missing(&self) -> watch::Receiver<Vec<Date>> {
        self.missing.subscribe()
    }

    /// Erases what has expired, writes what was told and puts it in force. Blocks on the disk.
    pub(crate) fn refresh(&self, now_ms: u64) -> Result<(), SaltError> {
        self.told.let_go(now_ms);
        let (mut next, mut failed) = match self.read_and_erase(now_ms) {
            Ok(kept) => (kept, Ok(())),
            Err(error) => {
                let held = self.in_force();
                let kept = held.salts.iter().filter(|(date, _)| !rules::has_expired(**date, now_ms));
                (kept.map(|(date, salt)| (*date, *salt)).collect(), Err(error))
            }
        };
        for (date, salt) in self.told.held().iter() {
            if next.get(date) == Some(salt) {
                continue;
            }
            match self.write(*date, salt) {
                Ok(()) => drop(next.insert(*date, *salt)),
                Err(error) => failed = Err(error),
            }
        }
        self.put_in_force(next, now_ms);
        failed
    }

    fn put_in_force(&self, salts: SaltMap, now_ms: u64) {
        let missing = rules::missing(&salts, now_ms);
        let in_force = Arc::new(InForce::new(salts, now_ms));
        *self.in_force.write().unwrap_or_else(PoisonError::into_inner) = in_force;
        self.missing.send_if_modified(|before| {
            let is_new = *before != missing;
            *before = missing;
            is_new
        });
    }

    fn read_and_erase(&self, now_ms: u64) -> Result<SaltMap, SaltError> {
        let failed = |source| SaltError { path: self.directory.clone(), source };
        let (mut salts, mut erased) = (SaltMap::new(), false);
        for entry in std::fs::read_dir(&self.directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            // What a killed run was writing holds a salt, too.
            let is_half_written = name.ends_with(".tmp");
            let date = name.strip_suffix(".salt").and_then(|date| date.parse::<Date>().ok());
            if is_half_written || date.is_some_and(|date| rules::has_expired(date, now_ms)) {
                std::fs::remove_file(&path).map_err(failed)?;
                erased = true;
            } else if let Some(date) = date
                && let Some(salt) = read(&path)?
            {
                salts.insert(date, salt);
            }
        }
        if erased {
            durable::sync_dir(&self.directory).map_err(failed)?;
        }
        Ok(salts)
    }

    /// Makes the file of a date hold this salt.
    pub(crate) fn write(&self, date: Date, salt: &Salt) -> Result<(), SaltError> {
        let path = self.directory.join(format!("{date}.salt"));
        let temporary = self.directory.join(format!("{date}.tmp"));
        let write = || -> io::Result<()> {
            let mut file: File =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
            file.write_all(salt.bytes())?;
            file.sync_all()?;
            durable::rename(&temporary, &path)
        };
        write().map_err(|source| SaltError { path: path.clone(), source })
    }
}

/// Puts in force what is told, erases what expires, and says when a date lacks its salt, until `shutdown`. Trouble with the disk is
/// logged and tried again: what is in force stays.
pub(crate) async fn watch(
    salts: Arc<Salts>,
    clock: SharedClock,
    missing: Gauge,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let mut told = salts.told().watch();
    let count = |dates: &[Date]| i64::try_from(dates.len()).unwrap_or(i64::MAX);
    missing.set(count(&salts.missing().borrow()));
    if !salts.in_force().cover(clock.now_ms()) {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _told = told.changed() => {}
            () = tokio::time::sleep(TOLD_WITHIN) => {}
        }
    }
    let mut was_missing = false;
    loop {
        told.mark_unchanged();
        let (to_refresh, now_ms) = (salts.clone(), clock.now_ms());
        let refreshed = tokio::task::spawn_blocking(move || to_refresh.refresh(now_ms)).await?;
        if let Err(error) = &refreshed {
            tracing::error!(%error, "salts cannot be kept up; it is tried again");
        }
        let dates = salts.missing().borrow().clone();
        missing.set(count(&dates));
        match (was_missing, dates.is_empty()) {
            (false, false) => tracing::error!(
                ?dates,
                "no hub has told the salts of these dates, and it is one of them somewhere on earth; hits are refused"
            ),
            (true, true) => tracing::info!("every date has its salt again; hits are taken"),
            _ => {}
        }
        was_missing = !dates.is_empty();
        // Not later than a date begins that lacks its salt.
        let covered_ms = salts.in_force().covered_until_ms.saturating_sub(clock.now_ms());
        let longest_ms = if refreshed.is_ok() { REFRESH_MS } else { RETRY_MS };
        let pause_ms = if covered_ms == 0 { longest_ms } else { covered_ms.min(longest_ms) };
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _told = told.changed() => {}
            () = tokio::time::sleep(Duration::from_millis(pause_ms)) => {}
        }
    }
}

/// The salt in a file; none if it is damaged: the hubs have it, too.
fn read(path: &Path) -> Result<Option<Salt>, SaltError> {
    let bytes = std::fs::read(path).map_err(|source| SaltError { path: path.to_owned(), source })?;
    let length = bytes.len();
    let salt = <[u8; SALT_BYTES]>::try_from(bytes);
    if salt.is_err() {
        tracing::error!(
            path = %path.display(),
            "this salt has {length} bytes instead of {SALT_BYTES}; it is not used, and replaced when a hub tells it"
        );
    }
    Ok(salt.ok().map(Salt::new))
}

#[cfg(test)]
mod tests;
