//! What the edge says about itself on `/status`: how far it has come, its queues, its stores. After a restart
//! `replay_hits` says how much of the WAL is still to be processed again.
//!
//! Out: the JSON of a `service::status::ServiceReport`, with an object `edge` beside it: `hub` (the one it ships to; absent
//! while there is none), `found` (the work that the process before this one left on disk), `erasures` (how many of the configuration's have a mark in the
//! WAL and how many wait for one) and `geo_databases` (what the location databases in force
//! are called, and when they were built). A further region has a position of its own, queues and stores that begin with its name and a dot, and
//! its `hub`, `found` and `erasures` in `edge.regions`.

use std::sync::Arc;

use configuration::Replica;
use hit::EdgeId;
use serde::Serialize;
use serde_json::{Map, Value, json};
use service::SharedClock;
use service::status::{EdgeCounters, EdgePosition, QueueStatus, ServiceReport, ServiceStatus};

use crate::collect::origin::Origins;
use crate::disk::Owner;
use crate::handoff::IntakeLevel;
use crate::handoff::forgets::Forgets;
use crate::ledger::{Accounts, Ledger};
use crate::metrics::pipeline::ShipMetrics;
use crate::ship::CurrentHub;

/// What the report is made of.
pub(crate) struct EdgeStatus {
    /// The edge.
    pub(crate) edge: EdgeId,
    /// The home region's first.
    pub(crate) pipelines: Vec<PipelineStatus>,
    /// For the location databases.
    pub(crate) origins: Arc<Origins>,
    /// For the version of the configuration.
    pub(crate) replica: Arc<Replica>,
    /// Time.
    pub(crate) clock: SharedClock,
}

/// What one pipeline has to say.
pub(crate) struct PipelineStatus {
    /// Name of its region.
    pub(crate) region: String,
    /// Edge and epoch.
    pub(crate) owner: Owner,
    /// Accounts.
    pub(crate) ledger: Arc<Ledger>,
    /// Level of the intake.
    pub(crate) intake: Arc<IntakeLevel>,
    /// For what is in flight.
    pub(crate) ship: ShipMetrics,
    /// The hub.
    pub(crate) hub: CurrentHub,
    /// What was found at start.
    pub(crate) found: Found,
    /// For erasures.
    pub(crate) forgets: Arc<Forgets>,
    /// Limit of the intake.
    pub(crate) queue_submissions: usize,
    /// Limit of the disk.
    pub(crate) max_bytes: u64,
}

/// The work that was found on disk at start: acknowledged, and not with a hub.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Found {
    /// Hits in the WAL and in no batch: they are processed again.
    hits_in_no_batch: u64,
    /// Batches of both lanes in the outbox: they are sent, whether or not they were on their way before.
    batches_not_acknowledged: u64,
}

impl Found {
    /// To be asked before any stage runs.
    pub(crate) fn in_ledger(ledger: &Ledger) -> Self {
        let accounts = ledger.snapshot();
        let batches = accounts.rollup.len() + accounts.raw.len();
        Self {
            hits_in_no_batch: accounts.acknowledged - accounts.sealed,
            batches_not_acknowledged: u64::try_from(batches).unwrap_or(u64::MAX),
        }
    }
}

impl EdgeStatus {
    /// The whole answer.
    pub(crate) fn answer(&self) -> Value {
        let mut value = serde_json::to_value(self.report()).unwrap_or_default();
        let mut edge = Map::new();
        let mut regions = Map::new();
        for (index, pipeline) in self.pipelines.iter().enumerate() {
            match index {
                0 => edge.extend(pipeline.way_out()),
                _ => drop(regions.insert(pipeline.region.clone(), Value::Object(pipeline.way_out()))),
            }
        }
        edge.insert("geo_databases".to_owned(), json!(self.origins.databases()));
        if !regions.is_empty() {
            edge.insert("regions".to_owned(), Value::Object(regions));
        }
        if let Some(fields) = value.as_object_mut() {
            fields.insert("edge".to_owned(), Value::Object(edge));
        }
        value
    }

    /// The report; reads counters only.
    fn report(&self) -> ServiceReport {
        let mut status = ServiceStatus::new("edge", self.edge.as_str());
        status.config_version = Some(self.replica.position().version);
        let now_ms = self.clock.now_ms();
        let mut positions = Vec::with_capacity(self.pipelines.len());
        for (index, pipeline) in self.pipelines.iter().enumerate() {
            let accounts = pipeline.ledger.snapshot();
            let prefix = if index == 0 { String::new() } else { format!("{}.", pipeline.region) };
            let named = |name: &str| format!("{prefix}{name}");
            status.queues.extend(pipeline.queues(&accounts).map(|(name, queue)| (named(name), queue)));
            status.stores.insert(named("wal"), accounts.wal_bytes);
            status.stores.insert(named("state"), accounts.state_bytes);
            let lag_ms = accounts.oldest_ms().map_or(0, |oldest| now_ms.saturating_sub(oldest));
            let lag_seconds = std::time::Duration::from_millis(lag_ms).as_secs_f64();
            status.lag_seconds = status.lag_seconds.max(lag_seconds);
            positions.push(pipeline.position(&accounts));
        }
        ServiceReport { services: vec![status], positions }
    }
}

impl PipelineStatus {
    /// The hub it ships to, the work that was found, and erasures.
    fn way_out(&self) -> Map<String, Value> {
        let hub = self.hub.id().map(|hub| ("hub".to_owned(), json!(hub)));
        let rest = [("found", json!(self.found)), ("erasures", json!(self.forgets.counts()))];
        hub.into_iter().chain(rest.map(|(name, value)| (name.to_owned(), value))).collect()
    }

    fn position(&self, accounts: &Accounts) -> EdgePosition {
        let totals = &accounts.totals;
        EdgePosition {
            edge: self.owner.edge.to_string(),
            epoch: self.owner.epoch.to_string(),
            acknowledged: Some(accounts.acknowledged),
            loaded: None,
            counters: EdgeCounters {
                acknowledged: accounts.acknowledged,
                repeated: totals.repeated,
                by_class: totals.by_class.iter().map(|(class, n)| (class.as_str().to_owned(), *n)).collect(),
                dropped: totals.dropped.iter().map(|(reason, n)| (reason.as_str().to_owned(), *n)).collect(),
            },
        }
    }

    fn queues(&self, accounts: &Accounts) -> impl Iterator<Item = (&'static str, QueueStatus)> {
        let queue =
            |length: u64, limit: u64, unit: &str| QueueStatus { length, limit, unit: unit.to_owned() };
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let disk = self.max_bytes;
        let rollup_bytes = accounts.rollup.values().map(|(_, bytes)| bytes).sum();
        let in_flight = u64::try_from(self.ship.in_flight_batches.get()).unwrap_or(0);
        // What waits on disk is bounded by the disk budget and not by a number of its own: limit 0.
        [
            ("collect", self.intake.submissions(), count(self.queue_submissions), "requests"),
            ("unprocessed_blocks", accounts.next_block - accounts.processed_blocks, 0, "blocks"),
            ("unprocessed_hits", accounts.acknowledged - accounts.processed, 0, "hits"),
            ("queued_hits", accounts.queued(), 0, "hits"),
            ("replay_hits", accounts.replay_hits(), 0, "hits"),
            ("outbox_rollup", count(accounts.rollup.len()), 0, "batches"),
            ("outbox_rollup_bytes", rollup_bytes, disk, "bytes"),
            ("outbox_raw", count(accounts.raw.len()), 0, "batches"),
            ("outbox_raw_bytes", accounts.raw.values().sum(), disk, "bytes"),
            ("in_flight", in_flight, 0, "batches"),
            ("disk", accounts.wal_bytes + accounts.state_bytes, disk, "bytes"),
        ]
        .into_iter()
        .map(move |(name, length, limit, unit)| (name, queue(length, limit, unit)))
    }
}
