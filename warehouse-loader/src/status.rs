//! What `/status` says of the loader: queues, how far each edge is loaded, and the work in hand.
//!
//! In: the loading task notes what changes. Out: the JSON of a `service::status::ServiceReport`, with an object `loader`
//! beside it: `plan` (the number in hand or last done), `plan_open`, `insert_running_since_ms` (absent between INSERTs).

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use service::SharedClock;
use service::admin::StatusFn;
use service::status::{EdgeCounters, EdgePosition, QueueStatus, ServiceReport, ServiceStatus};
use std::sync::Arc;

use crate::document::Mark;

/// What is known at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Batches that wait.
    pub batches: u64,
    /// Batches that may wait, per edge.
    pub batches_limit: u64,
    /// Hits that wait.
    pub hits: u64,
    /// Bytes of batches in memory.
    pub cached_bytes: u64,
    /// Bytes that may be in memory.
    pub cached_limit: u64,
    /// Creation of the oldest segment with a batch that waits, unix milliseconds.
    pub oldest_ms: Option<u64>,
    /// Sizes of the stores by name, bytes.
    pub stores: BTreeMap<String, u64>,
    /// How far each edge is loaded.
    pub positions: Vec<EdgePosition>,
    /// The plan.
    pub work: Work,
}

/// The work in hand.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Work {
    /// The plan in hand, or the last that is done.
    pub plan: u64,
    /// Whether it is still to be done.
    pub plan_open: bool,
    /// Since when an INSERT is running, unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insert_running_since_ms: Option<u64>,
}

/// Shared between the loading task and the admin port.
#[derive(Debug, Clone, Default)]
pub struct LoaderStatus(Arc<Mutex<Snapshot>>);

impl LoaderStatus {
    /// Changes what is said.
    pub fn update(&self, change: impl FnOnce(&mut Snapshot)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, Snapshot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The function that the admin port calls.
    pub fn status_fn(&self, id: String, clock: SharedClock) -> StatusFn {
        let status = self.clone();
        Arc::new(move || {
            let snapshot = status.lock().clone();
            let work = serde_json::to_value(&snapshot.work).unwrap_or_default();
            let report = report(&id, snapshot, clock.now_ms());
            let mut value = serde_json::to_value(report).unwrap_or_default();
            if let Some(fields) = value.as_object_mut() {
                fields.insert("loader".to_owned(), work);
            }
            value
        })
    }
}

/// The positions that marks stand for.
pub fn positions<'a>(marks: impl Iterator<Item = &'a Mark>) -> Vec<EdgePosition> {
    let position = |mark: &Mark| {
        let mut counters = EdgeCounters::default();
        if mark.quarantined_hits > 0 {
            counters.dropped.insert("quarantined".to_owned(), mark.quarantined_hits);
        }
        if mark.erased_hits > 0 {
            counters.dropped.insert("erased".to_owned(), mark.erased_hits);
        }
        EdgePosition {
            edge: mark.edge.to_string(),
            epoch: mark.epoch.to_string(),
            acknowledged: None,
            loaded: Some(mark.position),
            counters,
        }
    };
    marks.map(position).collect()
}

/// Seconds since `oldest_ms`, 0 if nothing waits.
#[allow(clippy::cast_precision_loss)] // milliseconds of any real lag fit in 52 bits
pub fn lag_seconds(oldest_ms: Option<u64>, now_ms: u64) -> f64 {
    oldest_ms.map_or(0.0, |oldest| now_ms.saturating_sub(oldest) as f64 / 1_000.0)
}

/// Hits are bounded by their batches only.
const NO_LIMIT: u64 = 0;

fn report(id: &str, snapshot: Snapshot, now_ms: u64) -> ServiceReport {
    let queue = |length, limit, unit: &str| QueueStatus { length, limit, unit: unit.to_owned() };
    let mut service = ServiceStatus::new("loader", id);
    service.queues = BTreeMap::from([
        ("waiting".to_owned(), queue(snapshot.batches, snapshot.batches_limit, "batches")),
        ("waiting_hits".to_owned(), queue(snapshot.hits, NO_LIMIT, "hits")),
        ("cache".to_owned(), queue(snapshot.cached_bytes, snapshot.cached_limit, "bytes")),
    ]);
    service.lag_seconds = lag_seconds(snapshot.oldest_ms, now_ms);
    service.stores = snapshot.stores;
    ServiceReport { services: vec![service], positions: snapshot.positions }
}

#[cfg(test)]
mod tests {
    use hit::Epoch;
    use service::TestClock;

    use super::*;

    #[test]
    fn status_tells_positions_lag_and_work_in_hand() {
        let status = LoaderStatus::default();
        let mark = Mark {
            edge: "edge-1".parse().unwrap(),
            epoch: Epoch([2; 16]),
            lane: "rollup".into(),
            seq: 3,
            position: 70,
            complete_until_ms: 0,
            quarantined_hits: 5,
            erased_hits: 0,
        };
        status.update(|snapshot| {
            snapshot.positions = positions([mark].iter());
            snapshot.oldest_ms = Some(4_000);
            snapshot.work = Work { plan: 9, plan_open: true, insert_running_since_ms: Some(5_500) };
        });
        let value = status.status_fn("loader-1".into(), TestClock::new(6_000).shared())();
        assert_eq!(value["services"][0]["lag_seconds"], 2.0);
        assert_eq!(value["positions"][0]["loaded"], 70);
        assert_eq!(value["positions"][0]["counters"]["dropped"]["quarantined"], 5);
        assert_eq!(value["loader"]["plan"], 9);
        assert_eq!(value["loader"]["insert_running_since_ms"], 5_500);
        assert!(serde_json::from_value::<ServiceReport>(value).is_ok());
    }
}
