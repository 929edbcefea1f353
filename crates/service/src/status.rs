//! What the services say about themselves, and how it adds up to `meridian status`.
//!
//! In: one [`ServiceReport`] per admin port (`GET /status`). Out: one [`Status`]. Everything known about an
//! (edge, epoch) only grows, so reports are combined by taking the greater value of each: order does not matter,
//! two loaders that report the same watermarks count once, and a report that contains others (`meridian dev`) may be
//! combined with them again.
//!
//! Invariant 7 is computed here: `pending` = positions acknowledged − positions loaded, over all (edge, epoch).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The answer of `meridian status --format json`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Status {
    /// Acknowledged hits that reports do not show yet.
    pub pending: u64,
    /// What happened to the hits, over all edges.
    pub hits: HitsStatus,
    /// Every service that was asked, sorted by name and id.
    pub services: Vec<ServiceStatus>,
}

/// Hits by what happened to them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HitsStatus {
    /// Answered with success.
    pub acknowledged: u64,
    /// Of those, repeats of a hit id already counted.
    pub repeated: u64,
    /// Of those, by traffic class.
    pub by_class: BTreeMap<String, u64>,
    /// Positions that the loaders have put into the warehouse.
    pub loaded: u64,
    /// Not counted in reports, by reason.
    pub dropped: BTreeMap<String, u64>,
}

/// One service as it sees itself.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// `edge`, `hub`, `loader`, `api`, `warehouse`.
    pub service: String,
    /// Its id; the address that was asked if it did not answer.
    pub id: String,
    /// Its queues by name.
    #[serde(default)]
    pub queues: BTreeMap<String, QueueStatus>,
    /// Age of the oldest work it still has to do; 0 when there is none.
    #[serde(default)]
    pub lag_seconds: f64,
    /// What its stores take on disk or in the object store, by name, in bytes.
    #[serde(default)]
    pub stores: BTreeMap<String, u64>,
    /// Version of the configuration in force there; absent where there is none, as in a loader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_version: Option<u64>,
    /// Why it could not be asked; absent for a service that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreachable: Option<String>,
}

/// How full a queue is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QueueStatus {
    /// What is in it.
    pub length: u64,
    /// What it takes before it refuses or waits; 0: no limit of its own, another queue's or the disk budget bounds it.
    pub limit: u64,
    /// What both count: `hits`, `batches`, `bytes`, `segments`.
    pub unit: String,
}

/// The answer of `GET /status` on an admin port: the service itself, or several behind one port (`meridian dev`).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceReport {
    /// The services behind this port.
    pub services: Vec<ServiceStatus>,
    /// How far the edges that this service knows about have come.
    pub positions: Vec<EdgePosition>,
}

/// How far one (edge, epoch) has come. An edge fills in `acknowledged` and `counters`, a loader `loaded`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EdgePosition {
    /// The edge's id.
    pub edge: String,
    /// The epoch, 32 hex digits.
    pub epoch: String,
    /// Hits committed to the WAL: the position of the next one. `None` from a loader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<u64>,
    /// WAL position up to which every hit is in the warehouse. `None` from an edge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loaded: Option<u64>,
    /// Counted since the epoch began. A reason in `dropped` belongs to one kind of service
    /// (a loader's: `quarantined`, `erased`), so that edge and loader never count the same hit under the same name.
    #[serde(default)]
    pub counters: EdgeCounters,
}

/// The counters of one (edge, epoch); each only grows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EdgeCounters {
    /// Hits answered with success.
    pub acknowledged: u64,
    /// Of those, repeats of a hit id already counted.
    pub repeated: u64,
    /// Of those, by traffic class.
    pub by_class: BTreeMap<String, u64>,
    /// Not counted in reports, by reason.
    pub dropped: BTreeMap<String, u64>,
}

impl ServiceStatus {
    /// A service with nothing queued.
    pub fn new(service: impl Into<String>, id: impl Into<String>) -> Self {
        Self { service: service.into(), id: id.into(), ..Self::default() }
    }

    /// A service that did not answer at `address`.
    pub fn unreachable(
        service: impl Into<String>,
        address: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Self { unreachable: Some(reason.into()), ..Self::new(service, address) }
    }
}

/// Adds up what the services report.
pub fn merge(reports: Vec<ServiceReport>) -> Status {
    let ServiceReport { services, positions } = combine(reports);
    let mut status = Status { services, ..Status::default() };
    for position in positions {
        let loaded = position.loaded.unwrap_or(0);
        // An edge that is known only through a loader has nothing pending that anyone knows of. The reports are
        // not taken at one moment: a loader asked last may be ahead of what the edge said.
        status.pending += position.acknowledged.unwrap_or(0).saturating_sub(loaded);
        status.hits.loaded += loaded;
        let counters = position.counters;
        status.hits.acknowledged += counters.acknowledged;
        status.hits.repeated += counters.repeated;
        add(&mut status.hits.by_class, counters.by_class);
        add(&mut status.hits.dropped, counters.dropped);
    }
    status
}

/// Combines reports into one, as `meridian dev` does for the services in it. Commutative, associative and idempotent
/// in the positions; of a service that is in several reports the first that answered stays.
pub fn combine(reports: Vec<ServiceReport>) -> ServiceReport {
    let mut services: BTreeMap<(String, String), ServiceStatus> = BTreeMap::new();
    let mut positions: BTreeMap<(String, String), EdgePosition> = BTreeMap::new();
    for report in reports {
        for service in report.services {
            let known = services.entry((service.service.clone(), service.id.clone()));
            let known = known.or_insert_with(|| service.clone());
            if known.unreachable.is_some() {
                *known = service;
            }
        }
        for position in report.positions {
            let key = (position.edge.clone(), position.epoch.clone());
            match positions.entry(key) {
                std::collections::btree_map::Entry::Vacant(vacant) => {
                    vacant.insert(position);
                }
                std::collections::btree_map::Entry::Occupied(mut known) => {
                    known.get_mut().raise_to(position);
                }
            }
        }
    }
    ServiceReport { services: services.into_values().collect(), positions: positions.into_values().collect() }
}

impl EdgePosition {
    fn raise_to(&mut self, other: Self) {
        self.acknowledged = self.acknowledged.max(other.acknowledged);
        self.loaded = self.loaded.max(other.loaded);
        let (mine, theirs) = (&mut self.counters, other.counters);
        mine.acknowledged = mine.acknowledged.max(theirs.acknowledged);
        mine.repeated = mine.repeated.max(theirs.repeated);
        raise(&mut mine.by_class, theirs.by_class);
        raise(&mut mine.dropped, theirs.dropped);
    }
}

fn raise(counts: &mut BTreeMap<String, u64>, others: BTreeMap<String, u64>) {
    for (name, count) in others {
        let known = counts.entry(name).or_default();
        *known = count.max(*known);
    }
}

fn add(counts: &mut BTreeMap<String, u64>, others: BTreeMap<String, u64>) {
    for (name, count) in others {
        *counts.entry(name).or_default() += count;
    }
}

#[cfg(test)]
mod tests;
