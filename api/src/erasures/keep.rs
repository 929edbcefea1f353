//! Keeps erasures going: a request for each record, retention once a day, and an end to records that every edge has had time to read.
//!
//! In: the configuration and the clock. Out: requests in the store. Every api does it; a request is created if absent, and the job of a
//! day's retention has an id that the day gives. Invariant: a record goes only after its request was seen in the store.

use std::collections::BTreeSet;
use std::time::Duration;

use configuration::stored::erasures::{Erasure, erasure_key};
use erasure::JobId;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use proto::config::Actor;
use service::{Context, SharedClock};
use tokio_util::sync::CancellationToken;

use super::{Erasing, past, records, unavailable};
use crate::history::draft::Draft;
use crate::history::{Attribution, History, unreadable};
use crate::refuse::Refusal;

/// Pause between two looks.
const LOOK: Duration = Duration::from_secs(10);

/// How long edges that are cut off may take to read a record, milliseconds: 30 days.
const KEPT_MS: u64 = 30 * DAY_MS;

const DAY_MS: u64 = 24 * 3_600_000;

/// How the log calls the end of records.
const METHOD: &str = "EndErasures";

/// What is counted.
#[derive(Debug, Clone, Default)]
struct KeepMetrics {
    failures: Counter,
    retention: Counter,
}

impl KeepMetrics {
    fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let (failures, retention) = (metrics.failures.clone(), metrics.retention.clone());
        registry.register("api_erasure_failures", "Looks at erasures that failed", failures);
        registry.register(
            "api_erasure_past_retention",
            "Properties with hits past their retention, found",
            retention,
        );
        metrics
    }
}

/// Looks every few seconds.
pub(crate) struct Keeper {
    history: History,
    erasing: Erasing,
    clock: SharedClock,
    metrics: KeepMetrics,
    /// Jobs whose requests are in the store.
    asked: BTreeSet<String>,
    /// Day of the last retention, counted from 1970.
    retained: Option<u64>,
}

impl Keeper {
    /// Over the configuration.
    pub(crate) fn new(history: History, erasing: Erasing, context: &Context) -> Self {
        Self {
            history,
            erasing,
            clock: context.clock.clone(),
            metrics: context.registry.register(KeepMetrics::new),
            asked: BTreeSet::new(),
            retained: None,
        }
    }

    /// Looks until shutdown; what fails is told once and tried again.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut was_good = true;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(LOOK) => {}
            }
            let looked = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                looked = self.look() => looked,
            };
            if let Err(refusal) = &looked {
                self.metrics.failures.inc();
                if was_good {
                    tracing::warn!(%refusal, "erasures cannot be kept going; further failures are only counted");
                }
            }
            was_good = looked.is_ok();
        }
    }

    async fn look(&mut self) -> Result<(), Refusal> {
        let history = self.history.clone();
        let reading = tokio::task::spawn_blocking(move || records(&history.read()?));
        let known = reading.await.map_err(|error| unreadable(&error))??;
        self.asked.retain(|job| known.contains_key(job));
        for erasure in known.values() {
            if !self.asked.contains(&erasure.job) {
                self.erasing.ask(erasure).await.map_err(|error| unavailable(&error))?;
                self.asked.insert(erasure.job.clone());
            }
        }
        let now_ms = self.clock.now_ms();
        let is_read = |erasure: &&Erasure| erasure.requested_at_ms.saturating_add(KEPT_MS) < now_ms;
        self.end(known.values().filter(is_read).map(|erasure| erasure.job.clone()).collect()).await?;
        self.retain(now_ms).await
    }

    async fn end(&self, jobs: Vec<String>) -> Result<(), Refusal> {
        if jobs.is_empty() {
            return Ok(());
        }
        let by = Attribution { actor: Actor { kind: "api".to_owned(), id: String::new() }, method: METHOD };
        let end = move |draft: &mut Draft<'_>| {
            jobs.iter().for_each(|job| draft.delete(erasure_key(job)));
            Ok(())
        };
        self.history.change(by, end).await
    }

    /// Once a day of UTC, by whichever api is first.
    async fn retain(&mut self, now_ms: u64) -> Result<(), Refusal> {
        let day = now_ms / DAY_MS;
        if self.retained == Some(day) {
            return Ok(());
        }
        let begins_ms = day * DAY_MS;
        let jobs = &self.erasing.jobs;
        let first = jobs.request(&JobId::new(begins_ms, 0)).await.map_err(|error| unavailable(&error))?;
        if first.is_none() {
            let history = self.history.clone();
            let reading = tokio::task::spawn_blocking(move || past::terms(&history.read()?, now_ms));
            let terms = reading.await.map_err(|error| unreadable(&error))??;
            let found = past::find(&self.erasing.warehouse, &terms).await?;
            past::ask(jobs, &found, (begins_ms, now_ms), 0).await.map_err(|error| unavailable(&error))?;
            self.metrics.retention.inc_by(u64::try_from(found.len()).unwrap_or(u64::MAX));
        }
        self.retained = Some(day);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
