//! Finds properties that have had all hits of their local day, and tells the edges.
//!
//! In: the warehouse's hourly totals, asked every few seconds, and the quotas of the configuration, followed version by version. Out: a
//! record `quota/p_…` for each property that is over its quota on its own today; it goes to edges as configuration does, and they refuse.
//! Every api looks; what another has written already is no change. Invariants: a property without a quota costs nothing, and without any
//! quota the warehouse is not asked.

use std::time::Duration;

use clickhouse::Client;
use configuration::stored;
use configuration::stored::quota::{self, OverQuota};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use property::{Quota, local_date};
use proto::config::Actor;
use serde::{Deserialize, Serialize};
use service::SharedClock;
use tokio_util::sync::CancellationToken;

use crate::history::draft::Draft;
use crate::history::{Attribution, History, unreadable};
use crate::refuse::Refusal;

mod count;
mod known;

use self::known::Known;

/// Most properties that one look tells of; the next one tells of the others.
const TOLD_AT_ONCE: usize = 1_000;

/// How the log calls it.
const METHOD: &str = "NoteOverQuota";

/// The `[quotas]` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuotasConfig {
    /// `daily_hits` of a new property, if nobody says; 0 (default): no limit. Properties that are there stay as they are.
    pub daily_hits: u64,
    /// `hits_per_second` of a new property, if nobody says; 0 (default): as many as each edge's own configuration says.
    pub hits_per_second: u32,
    /// How often the warehouse is asked who is over its quota, ms (default 10,000). Several edges take more than a quota by what comes in
    /// meanwhile and until it is loaded.
    pub check_interval_ms: u64,
}

impl Default for QuotasConfig {
    fn default() -> Self {
        Self { daily_hits: 0, hits_per_second: 0, check_interval_ms: 10_000 }
    }
}

impl QuotasConfig {
    /// The quota of a new property, if nobody says.
    pub fn usual(&self) -> Quota {
        Quota { daily_hits: self.daily_hits, hits_per_second: self.hits_per_second }
    }
}

/// A property that may be over its quota.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    property_id: String,
    local_date: i32,
    hits: u64,
}

/// What is counted of it.
#[derive(Debug, Clone, Default)]
struct QuotaMetrics {
    checks: Counter,
    failures: Counter,
    over: Counter,
}

impl QuotaMetrics {
    fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        for (name, help, counter) in [
            ("api_quota_checks", "Looks for properties that are over their quota", &metrics.checks),
            ("api_quota_failures", "Of these, those that failed", &metrics.failures),
            (
                "api_quota_over",
                "Properties found over the quota of a day, and told by this api",
                &metrics.over,
            ),
        ] {
            registry.register(name, help, counter.clone());
        }
        metrics
    }
}

/// Looks every few seconds.
pub(crate) struct Watcher {
    interval: Duration,
    client: Client,
    history: History,
    clock: SharedClock,
    metrics: QuotaMetrics,
    known: Known,
}

impl Watcher {
    /// Asks through `client`.
    pub(crate) fn new(
        config: &QuotasConfig,
        client: Client,
        history: History,
        context: &service::Context,
    ) -> Self {
        Self {
            interval: Duration::from_millis(config.check_interval_ms),
            client,
            history,
            clock: context.clock.clone(),
            metrics: context.registry.register(QuotaMetrics::new),
            known: Known::default(),
        }
    }

    /// Looks until shutdown. The warehouse may be away: then nobody new is told of.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut was_good = true;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(self.interval) => {}
            }
            let looked = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                looked = self.look() => looked,
            };
            self.metrics.checks.inc();
            if let Err(refusal) = &looked {
                self.metrics.failures.inc();
                if was_good {
                    tracing::warn!(%refusal, "it cannot be seen who is over its quota; further failures are only counted");
                }
            }
            was_good = looked.is_ok();
        }
    }

    async fn look(&mut self) -> Result<(), Refusal> {
        let (mut known, history) = (std::mem::take(&mut self.known), self.history.clone());
        let following = tokio::task::spawn_blocking(move || {
            let followed = history.read().and_then(|reader| known.follow(&reader));
            (known, followed)
        });
        let (known, followed) = following.await.map_err(|error| unreadable(&error))?;
        self.known = known;
        followed?;
        if self.known.is_empty() {
            return Ok(());
        }
        let now_ms = self.clock.now_ms();
        let found = self.count(now_ms).await?;
        if found.is_empty() {
            return Ok(());
        }
        let by = Attribution { actor: Actor { kind: "api".to_owned(), id: String::new() }, method: METHOD };
        let told = found.clone();
        let over = self.history.change(by, move |draft| tell(draft, &told, now_ms)).await?;
        if over > 0 {
            tracing::info!(properties = over, "edges are told who is over the quota of the day");
        }
        self.metrics.over.inc_by(over);
        found.iter().for_each(|found| self.known.told(found));
        Ok(())
    }
}

/// Writes the records of those that are over their quota in this state; gives how many are new.
fn tell(draft: &mut Draft<'_>, found: &[Found], now_ms: u64) -> Result<u64, Refusal> {
    let mut told = 0;
    for Found { property_id, local_date: date, hits } in found {
        let Some(named) = stored::property(draft, property_id)? else { continue };
        let property = named.property;
        let is_today = local_date(now_ms, property.zone()) == *date;
        let daily_hits = property.quota.daily_hits;
        if !is_today || daily_hits == 0 || *hits < daily_hits {
            continue;
        }
        let key = quota::key(property_id);
        let before = draft.value(&key)?.map(|value| quota::read(&key, &value)).transpose();
        let before = before.map_err(|error| unreadable(&error))?;
        if before.is_some_and(|(_, over)| over.holds(property.quota, *date)) {
            continue;
        }
        draft.put(key, quota::value(property_id, OverQuota { local_date: *date, daily_hits }));
        told += 1;
    }
    Ok(told)
}

#[cfg(test)]
mod tests;
