//! Makes the salts of calendar dates, one for all edges, and keeps them in the object store: `salts/{date}`.
//!
//! In: the clock and the store. Out: [`Salts`] for hubs. At start and each minute: a date that is somewhere on earth or within two days
//! of it, and has no salt, gets one, created if absent, so that of apis that come at once one is first and the others read its salt; a
//! date that expired loses its object. Invariants: a salt is told only after the store was seen to hold it; what is told goes on while
//! the store fails; salts are in no log of the configuration and in no copy of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use configuration::salts::{NoSalt, SALT_BYTES, has_expired, of_object, to_object, wanted};
use configuration::{Salt, SaltMap, Salts};
use futures::TryStreamExt as _;
use jiff::civil::Date;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use service::{Context, SharedClock};
use store::{StoreConfig, StoreError};
use tokio_util::sync::CancellationToken;

use crate::history::HistoryConfig;

/// Their folder in the store.
const FOLDER: &str = "salts";

/// Pause between two passes.
const PASS: Duration = Duration::from_secs(60);

/// Pause after one that failed.
const RETRY: Duration = Duration::from_secs(5);

/// Failed passes between two ERROR lines.
const SAY_EVERY: u64 = 12;

/// How often a create is tried that had no clean answer.
const ATTEMPTS: u32 = 3;

/// A salt cannot be made, read or erased.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    /// The store.
    #[error("{key}: {source}")]
    Store { key: String, source: object_store::Error },
    /// No answer.
    #[error("{key}: the store did not answer within {ms} ms")]
    Timeout { key: String, ms: u128 },
    /// The object is none of ours.
    #[error("{key} is no salt: {source}; remove the object, and it is made anew")]
    Damaged { key: String, source: NoSalt },
    /// What killed processes left.
    #[error("what was left in {FOLDER} cannot be erased: {0}")]
    Unfinished(#[from] StoreError),
    /// No random bytes.
    #[error("the operating system gives no random bytes for a salt: {0}")]
    Random(getrandom::Error),
    /// The clock shows a time without a date.
    #[error("the clock shows {0} ms, which is no date")]
    Clock(u64),
}

/// What is counted.
#[derive(Debug, Clone, Default)]
struct KeepMetrics {
    failures: Counter,
    missing: Gauge,
}

impl KeepMetrics {
    fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let (failures, missing) = (metrics.failures.clone(), metrics.missing.clone());
        registry.register("api_salts_failures", "Looks at the salts in the store that failed", failures);
        registry.register("api_salts_missing", "Dates now and two ahead without a salt here", missing);
        metrics
    }
}

/// Keeps the salts.
pub struct Keeper {
    store: Arc<dyn ObjectStore>,
    config: StoreConfig,
    timeout: Duration,
    salts: Salts,
    clock: SharedClock,
    metrics: KeepMetrics,
}

impl Keeper {
    /// Keeps them in this store, which is the one that `config` names, and tells them to `salts`.
    pub fn new(config: &HistoryConfig, store: Arc<dyn ObjectStore>, salts: Salts, context: &Context) -> Self {
        Self {
            store,
            config: config.store.clone(),
            timeout: Duration::from_millis(config.store_timeout_ms),
            salts,
            clock: context.clock.clone(),
            metrics: context.registry.register(KeepMetrics::new),
        }
    }

    /// Makes and erases until shutdown.
    ///
    /// # Errors
    /// None: what fails is told and tried again.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut failed = 0;
        loop {
            let kept = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                kept = self.keep() => kept,
            };
            match kept {
                Ok(()) => failed = 0,
                Err(error) => {
                    self.metrics.failures.inc();
                    if failed % SAY_EVERY == 0 {
                        tracing::error!(%error, "salts cannot be kept up; those that are held stay in force");
                    }
                    failed += 1;
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(if failed == 0 { PASS } else { RETRY }) => {}
            }
        }
    }

    /// One pass; what fails of it keeps nothing else from being done.
    async fn keep(&self) -> Result<(), KeepError> {
        let now_ms = self.clock.now_ms();
        self.salts.let_go(now_ms);
        let wanted = wanted(now_ms);
        let mut done = self.find_and_make(&wanted, now_ms).await;
        let held = self.salts.held();
        let missing = wanted.iter().filter(|date| !held.contains_key(date)).count();
        self.metrics.missing.set(i64::try_from(missing).unwrap_or(i64::MAX));
        if wanted.is_empty() {
            done = Err(KeepError::Clock(now_ms));
        }
        done.and(self.erase_unfinished(now_ms).await)
    }

    async fn find_and_make(&self, wanted: &[Date], now_ms: u64) -> Result<(), KeepError> {
        let (mut dates, mut done): (BTreeSet<Date>, _) = (wanted.iter().copied().collect(), Ok(()));
        match self.list().await {
            Err(error) => done = Err(error),
            Ok(listed) => {
                let (expired, there): (Vec<_>, Vec<_>) =
                    listed.into_iter().partition(|date| has_expired(*date, now_ms));
                for date in expired {
                    done = done.and(self.erase(date).await);
                }
                // Late hits have the salts of dates that are over everywhere; what is far ahead is not used yet.
                dates.extend(there.into_iter().filter(|date| wanted.last().is_some_and(|last| date <= last)));
            }
        }
        let mut found = SaltMap::new();
        for date in dates {
            let salt = if wanted.contains(&date) {
                self.find_or_make(date).await.map(Some)
            } else {
                self.find(date).await
            };
            match salt {
                Ok(salt) => drop(salt.map(|salt| found.insert(date, salt))),
                Err(error) => done = done.and(Err(error)),
            }
        }
        for date in self.salts.put(&found, now_ms) {
            tracing::warn!(%date, "the store has another salt of a date than was held; that of the store counts");
        }
        done
    }

    /// The salt of a date, as the store has it from now on.
    async fn find_or_make(&self, date: Date) -> Result<Salt, KeepError> {
        // The same in each attempt: one without an answer may still succeed. If the object was lost, visitors stay who they are.
        let ours = match self.salts.held().get(&date) {
            Some(salt) => *salt,
            None => new_salt()?,
        };
        let mut attempt = 1;
        loop {
            if let Some(salt) = self.find(date).await? {
                return Ok(salt);
            }
            let Err(failed) = self.create(date, &ours).await else { return Ok(ours) };
            if attempt == ATTEMPTS {
                return self.find(date).await?.ok_or(failed);
            }
            attempt += 1;
        }
    }

    async fn find(&self, date: Date) -> Result<Option<Salt>, KeepError> {
        let key = key(date);
        let path = Key::from(key.as_str());
        let bytes = match self.within(&key, async { self.store.get(&path).await?.bytes().await }).await {
            Err(KeepError::Store { source: object_store::Error::NotFound { .. }, .. }) => return Ok(None),
            bytes => bytes?,
        };
        of_object(date, &bytes).map(Some).map_err(|source| KeepError::Damaged { key, source })
    }

    async fn create(&self, date: Date, salt: &Salt) -> Result<(), KeepError> {
        let key = key(date);
        let path = Key::from(key.as_str());
        let payload = PutPayload::from(to_object(date, salt));
        let put = self.store.put_opts(&path, payload, PutOptions::from(PutMode::Create));
        self.within(&key, put).await.map(drop)
    }

    async fn erase(&self, date: Date) -> Result<(), KeepError> {
        let key = key(date);
        let path = Key::from(key.as_str());
        match self.within(&key, self.store.delete(&path)).await {
            // Another api was faster.
            Err(KeepError::Store { source: object_store::Error::NotFound { .. }, .. }) => Ok(()),
            erased => erased,
        }
    }

    async fn erase_unfinished(&self, now_ms: u64) -> Result<(), KeepError> {
        let config = self.config.clone();
        let erased = tokio::task::spawn_blocking(move || {
            let is_over = |name: &str| date_of(name).is_some_and(|date| has_expired(date, now_ms));
            store::erase_unfinished(&config, FOLDER, is_over)
        });
        // It ends with an error only if the runtime does.
        Ok(erased.await.unwrap_or(Ok(()))?)
    }

    /// The dates that have an object.
    async fn list(&self) -> Result<Vec<Date>, KeepError> {
        let prefix = Key::from(FOLDER);
        let names = self.store.list(Some(&prefix)).map_ok(|object| object.location).try_collect::<Vec<_>>();
        let names = self.within(FOLDER, names).await?;
        Ok(names.iter().filter_map(|name| date_of(name.filename()?)).collect())
    }

    async fn within<T>(
        &self,
        key: &str,
        call: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, KeepError> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(source)) => Err(KeepError::Store { key: key.to_owned(), source }),
            Err(_) => Err(KeepError::Timeout { key: key.to_owned(), ms: self.timeout.as_millis() }),
        }
    }
}

fn key(date: Date) -> String {
    format!("{FOLDER}/{date}")
}

/// The date that an object is called by.
fn date_of(name: &str) -> Option<Date> {
    name.parse::<Date>().ok().filter(|date| date.to_string() == name)
}

fn new_salt() -> Result<Salt, KeepError> {
    let mut bytes = [0; SALT_BYTES];
    getrandom::fill(&mut bytes).map_err(KeepError::Random)?;
    Ok(Salt::new(bytes))
}

#[cfg(test)]
mod tests;
