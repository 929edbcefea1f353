//! The directory of property files as a service holds it: a snapshot that follows the disk.
//!
//! [`Properties::watch`] reads again each second (less often where that would take more than a tenth of a core); a look-up
//! that misses reads again at once (a property is used right after it was made), at most ten times a second however many
//! ask: those who come meanwhile share the next reading.
//! Directory reads run on blocking threads; readers of the snapshot never wait for the disk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use hit::{Rules, RulesSource};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::aliases::{self, Alias, AliasError, Aliases, OwnedAlias};
use crate::change::{self, RulesChange, RulesError};
use crate::create::{self, CreateError, Created, NewProperty};
use crate::model::{Property, is_measurement_id, is_property_id};
use crate::read::{Changes, FileError, Files};
use crate::rules_file::RulesFile;
use crate::snapshot::Snapshot;

/// How often the directory is read without a cause.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// A reading without a cause is followed by a rest of at least this many times its length: a million files take a second to
/// look at, and would keep a core busy.
const RESTS_PER_READING: u32 = 9;

/// Least time between two readings for look-ups that missed.
const MISS_EVERY: Duration = Duration::from_millis(100);

/// Why the directory cannot be used at start, when there is no last good version to go on with.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be listed or made.
    #[error("cannot read properties_dir = {dir:?}: {source}; create it or correct the path")]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file in it is broken.
    #[error("{0}; mend it or move it away")]
    File(#[from] FileError),
}

/// Figures for metrics and status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PropertiesStats {
    /// Properties in force.
    pub properties: u64,
    /// Files that are broken now; their last good version is in force.
    pub broken_files: u64,
    /// Readings of the directory that failed as a whole since the start.
    pub failed_readings: u64,
}

/// The last reading for a miss.
#[derive(Debug, Default)]
struct LastMiss {
    begun_at: Option<Instant>,
    /// Number of the last one that ended.
    ended: u64,
}

/// The properties in a directory.
#[derive(Debug)]
pub struct Properties {
    dir: PathBuf,
    files: Mutex<Files>,
    snapshot: RwLock<Arc<Snapshot>>,
    aliases: RwLock<Arc<Aliases>>,
    /// Number of the last reading for a miss that began.
    miss_begun: AtomicU64,
    miss: tokio::sync::Mutex<LastMiss>,
    broken_files: AtomicU64,
    failed_readings: AtomicU64,
}

impl Properties {
    /// Reads the directory for the first time. It may be empty; it must exist, and every property file in it be good.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Arc<Self>, OpenError> {
        let dir = dir.into();
        let mut files = Files::default();
        let changes =
            files.refresh(&dir).map_err(|source| OpenError::Directory { dir: dir.clone(), source })?;
        if let Some(error) = changes.errors.into_iter().next() {
            return Err(error.into());
        }
        let aliases = Aliases::default()
            .refresh(&dir)
            .map_err(|source| OpenError::Directory { dir: dir.clone(), source })?;
        Ok(Arc::new(Self {
            snapshot: RwLock::new(files.snapshot()),
            aliases: RwLock::new(Arc::new(aliases.unwrap_or_default())),
            dir,
            files: Mutex::new(files),
            miss_begun: AtomicU64::new(0),
            miss: tokio::sync::Mutex::default(),
            broken_files: AtomicU64::new(0),
            failed_readings: AtomicU64::new(0),
        }))
    }

    /// [`Properties::open`] after making the directory if it is missing: for the service that writes it.
    pub fn open_or_create(dir: impl Into<PathBuf>) -> Result<Arc<Self>, OpenError> {
        let dir = dir.into();
        // With a sync of its entries: a run that was killed may have left a property whose name is not durable yet.
        match durable::create_dir_all(&dir).and_then(|()| durable::sync_dir(&dir)) {
            Ok(()) => Self::open(dir),
            Err(source) => Err(OpenError::Directory { dir, source }),
        }
    }

    /// Where the files are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The properties as last read.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The property with this measurement id; reads the directory again before it says no.
    pub async fn find_measurement_id(self: &Arc<Self>, measurement_id: &str) -> Option<Arc<Property>> {
        if let Some(found) = self.snapshot().by_measurement_id(measurement_id) {
            return Some(found);
        }
        if !is_measurement_id(measurement_id) {
            return None;
        }
        self.refresh_after_miss().await;
        self.snapshot().by_measurement_id(measurement_id)
    }

    /// The property with this id; reads the directory again before it says no.
    pub async fn find_id(self: &Arc<Self>, property_id: &str) -> Option<Arc<Property>> {
        if let Some(found) = self.snapshot().by_id(property_id) {
            return Some(found);
        }
        if !is_property_id(property_id) {
            return None;
        }
        self.refresh_after_miss().await;
        self.snapshot().by_id(property_id)
    }

    /// The property that this report key reads; reads the directory again before it says no.
    pub async fn find_report_key(self: &Arc<Self>, report_key: &str) -> Option<Arc<Property>> {
        if let Some(found) = self.snapshot().by_report_key(report_key) {
            return Some(found);
        }
        if !report_key.starts_with("rk_") {
            return None;
        }
        self.refresh_after_miss().await;
        self.snapshot().by_report_key(report_key)
    }

    /// The property that another product's client means by an id; reads the directory again before it says no. `hostname` is the
    /// page's where ids of the protocol are not unique, otherwise empty.
    pub async fn find_alias(
        self: &Arc<Self>,
        protocol: &str,
        id: &str,
        hostname: &str,
    ) -> Option<Arc<Property>> {
        let alias = Alias { protocol: protocol.to_owned(), id: id.to_owned(), hostname: hostname.to_owned() };
        if self.current_aliases().owner(&alias).is_none() {
            self.refresh_after_miss().await;
        }
        self.by_alias(&alias)
    }

    /// The same by what was last read.
    pub fn find_known_alias(&self, protocol: &str, id: &str, hostname: &str) -> Option<Arc<Property>> {
        let alias = Alias { protocol: protocol.to_owned(), id: id.to_owned(), hostname: hostname.to_owned() };
        self.by_alias(&alias)
    }

    fn by_alias(&self, alias: &Alias) -> Option<Arc<Property>> {
        let owner = self.current_aliases().owner(alias)?;
        self.snapshot().by_id(&owner)
    }

    /// Aliases of a property, or of all.
    pub fn aliases(&self, property_id: Option<&str>) -> Vec<OwnedAlias> {
        self.current_aliases().of(property_id)
    }

    /// Claims an alias for a property, which must exist. Blocks on the disk.
    ///
    /// # Errors
    /// When it is another property's, or cannot be written.
    pub fn claim_alias(&self, owned: &OwnedAlias) -> Result<(), AliasError> {
        aliases::claim(&self.dir, owned)?;
        self.refresh();
        Ok(())
    }

    /// Gives an alias up. Blocks on the disk.
    ///
    /// # Errors
    /// When the property has no such alias, or it cannot be deleted.
    pub fn release_alias(&self, owned: &OwnedAlias) -> Result<(), AliasError> {
        aliases::release(&self.dir, owned)?;
        self.refresh();
        Ok(())
    }

    fn current_aliases(&self) -> Arc<Aliases> {
        Arc::clone(&self.aliases.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the directory again each second until `shutdown`; one that takes long to read is read less often.
    pub async fn watch(self: Arc<Self>, shutdown: CancellationToken) {
        loop {
            let begun_at = Instant::now();
            self.refresh_on_a_blocking_thread().await;
            let rest = WATCH_EVERY.max(begun_at.elapsed() * RESTS_PER_READING);
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// Makes a property and its keys; `now_ms` is its time of creation. Blocks on the disk: call it on a blocking
    /// thread. The property is in the snapshot when this returns.
    pub fn create(&self, new: NewProperty, now_ms: u64) -> Result<Created, CreateError> {
        let created = create::create(&self.dir, new, now_ms)?;
        self.refresh();
        Ok(created)
    }

    /// Sets the rules and tracker settings of a property, which must exist, to what the text of a rules file says; a dry run only
    /// tells what that would change. Blocks on the disk: call it on a blocking thread. What changed is in the snapshot when this
    /// returns.
    ///
    /// # Errors
    /// With the line or the field that cannot be used; when the property's file is broken or cannot be written.
    pub fn set_rules(
        &self,
        property_id: &str,
        text: &str,
        is_dry_run: bool,
    ) -> Result<RulesChange, RulesError> {
        let changed = change::set(&self.dir, property_id, RulesFile::parse(text)?, is_dry_run)?;
        self.refresh();
        Ok(changed)
    }

    /// Figures for metrics and status.
    pub fn stats(&self) -> PropertiesStats {
        PropertiesStats {
            properties: u64::try_from(self.snapshot().len()).unwrap_or(u64::MAX),
            broken_files: self.broken_files.load(Ordering::Relaxed),
            failed_readings: self.failed_readings.load(Ordering::Relaxed),
        }
    }

    /// Reads the directory again now; blocks on the disk. Trouble is logged and the last good version stays.
    pub fn refresh(&self) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        match files.refresh(&self.dir) {
            Ok(Changes { emptied: true, .. }) => {
                self.failed(&"it lost all its files at once; properties_dir may not be mounted");
            }
            Ok(changes) => {
                for error in &changes.errors {
                    tracing::error!(%error, "the last good version of this property stays in force");
                }
                self.broken_files.store(u64::try_from(files.broken()).unwrap_or(u64::MAX), Ordering::Relaxed);
                if changes.any {
                    // The files stay locked until their snapshot is in place, or an older one could follow a newer.
                    *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = files.snapshot();
                }
            }
            Err(error) => self.failed(&error),
        }
        // Under the same lock, so that an older listing never follows a newer one.
        match self.current_aliases().refresh(&self.dir) {
            Ok(None) => {}
            Ok(Some(aliases)) => {
                *self.aliases.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(aliases);
            }
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&self, reason: &dyn std::fmt::Display) {
        // Each second until mended: said at the first failure and then every minute or so.
        if self.failed_readings.fetch_add(1, Ordering::Relaxed).is_multiple_of(60) {
            tracing::error!(dir = %self.dir.display(), %reason, "cannot read the properties; the last good ones stay");
        }
    }

    async fn refresh_after_miss(self: &Arc<Self>) {
        let begun_before = self.miss_begun.load(Ordering::Acquire);
        let mut last = self.miss.lock().await;
        if last.ended > begun_before {
            // A whole reading began and ended since the miss.
            return;
        }
        if let Some(begun_at) = last.begun_at {
            tokio::time::sleep_until(begun_at + MISS_EVERY).await;
        }
        last.begun_at = Some(Instant::now());
        let number = self.miss_begun.fetch_add(1, Ordering::AcqRel) + 1;
        self.refresh_on_a_blocking_thread().await;
        last.ended = number;
    }

    async fn refresh_on_a_blocking_thread(self: &Arc<Self>) {
        let properties = Arc::clone(self);
        if let Err(error) = tokio::task::spawn_blocking(move || properties.refresh()).await {
            self.failed(&error);
        }
    }
}

impl RulesSource for Properties {
    fn rules(&self, property_id: &str, version: u32) -> Option<Arc<Rules>> {
        self.snapshot().rules(property_id, version)
    }
}

#[cfg(test)]
mod tests;
