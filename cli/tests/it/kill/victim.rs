//! Who is killed, and how it is seen from outside that it has work in hand.
//!
//! The victim stands still (SIGSTOP) while it is looked at, so what is seen then is what the kill destroys. Work
//! that was begun after the stop does not count, nor what was left over from the kill before.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::system::System;
use crate::system::process::wait_for;
use crate::traffic::Traffic;

/// Answers that were on their way when the victim was stopped have arrived by then.
const SETTLING: Duration = Duration::from_millis(80);
/// An edge notices within this time that its hub died, and finds the next.
const RECONNECTED_WITHIN: Duration = Duration::from_secs(60);

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Victim {
    Edge,
    Hub,
    /// The first or the second.
    Loader(u8),
    Warehouse,
}

/// What was seen before the stop.
#[derive(Debug, Default)]
pub(crate) struct Before {
    /// When the victim of the kill before was ready again, unix milliseconds.
    recovered_at_ms: i64,
    /// Batches that the edge had sent.
    batches_sent: Option<u64>,
    /// The loader's id.
    loader: Option<String>,
}

/// The moment right before the stop, by both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    instant: Instant,
    unix_ms: i64,
}

impl Moment {
    /// Now.
    pub(crate) fn now() -> Self {
        Self { instant: Instant::now(), unix_ms: jiff::Timestamp::now().as_millisecond() }
    }

    /// Unix milliseconds.
    pub(crate) fn unix_ms(self) -> i64 {
        self.unix_ms
    }
}

/// Every process once.
pub(crate) fn all(loaders: u8) -> Vec<Victim> {
    let mut victims = vec![Victim::Edge, Victim::Hub, Victim::Warehouse];
    victims.extend((0..loaders).map(Victim::Loader));
    victims
}

impl Victim {
    /// Name of its configuration file.
    pub(crate) fn child(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Hub => "hub",
            Self::Loader(0) => "loader",
            Self::Loader(_) => "loader-2",
            Self::Warehouse => "warehouse",
        }
    }

    /// Waits until the hub that runs now has acknowledged something: so what is on its way is on its way to this one.
    pub(crate) fn wait_until_at_work(self, system: &System) {
        if self != Self::Hub {
            return;
        }
        let acks = || system.metric_of("edge", "edge_ship_acks_total");
        let first = acks();
        let more =
            wait_for(RECONNECTED_WITHIN, || acks().filter(|now| first.is_some_and(|first| *now > first)));
        assert!(more.is_some(), "the hub acknowledged nothing within {RECONNECTED_WITHIN:?}");
    }

    /// What has to be known before it is stopped.
    pub(crate) fn look_before(self, system: &System, recovered_at_ms: i64) -> Before {
        let mut before = Before { recovered_at_ms, ..Before::default() };
        match self {
            Self::Hub => before.batches_sent = system.metric_of("edge", "edge_ship_batches_total"),
            Self::Loader(_) => before.loader = loader_id(system, self.child()),
            Self::Edge | Self::Warehouse => {}
        }
        before
    }

    /// What it has in hand, as a sentence; `None`: nothing that was begun before the stop.
    pub(crate) fn work_in_hand(
        self,
        system: &System,
        traffic: &Traffic,
        before: &Before,
        stopped: Moment,
    ) -> Option<String> {
        std::thread::sleep(SETTLING);
        match self {
            Self::Edge => unanswered_requests(traffic, stopped.instant),
            Self::Hub => batches_in_flight(system, before.batches_sent?),
            Self::Loader(_) => plan_not_done(system, before.loader.as_deref()?, before.recovered_at_ms),
            Self::Warehouse => running_insert(system, before.recovered_at_ms, stopped.unix_ms),
        }
    }
}

/// The client's own view: requests that left before the stop.
fn unanswered_requests(traffic: &Traffic, stopped_at: Instant) -> Option<String> {
    let count = traffic.unanswered_since(stopped_at);
    (count > 0).then(|| format!("{count} requests sent and not answered"))
}

/// The edge's view: of the batches on their way, fewer were sent since than there are.
fn batches_in_flight(system: &System, sent_before: u64) -> Option<String> {
    let in_flight = system.metric_of("edge", "edge_ship_in_flight_batches")?;
    let sent = system.metric_of("edge", "edge_ship_batches_total")?;
    let older = in_flight.checked_sub(sent.checked_sub(sent_before)?)?;
    (older > 0).then(|| format!("{older} batches sent and not acknowledged"))
}

/// The store's view: the newest plan is this loader's own and has no `done` beside it.
fn plan_not_done(system: &System, loader: &str, recovered_at_ms: i64) -> Option<String> {
    let (number, path) = newest_plan(system)?;
    if path.with_extension("done.json").exists() {
        return None;
    }
    let plan: Value = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
    let inserts = plan["inserts"].as_array()?.len();
    let is_its_own = plan["created_by"] == loader && plan["created_at_ms"].as_i64()? > recovered_at_ms;
    (is_its_own && inserts > 0).then(|| format!("plan {number} with {inserts} inserts created and not done"))
}

fn newest_plan(system: &System) -> Option<(u64, PathBuf)> {
    let folder = system.data().join("store/plans/0");
    let numbered = std::fs::read_dir(folder).ok()?.flatten().filter_map(|entry| {
        let number = entry.file_name().to_str()?.strip_suffix(".json")?.parse().ok()?;
        Some((number, entry.path()))
    });
    numbered.max()
}

/// The loaders' view: an INSERT was sent before the stop and has no answer.
fn running_insert(system: &System, recovered_at_ms: i64, stopped_at_ms: i64) -> Option<String> {
    let loaders = system.children().into_keys().filter(|name| name.starts_with("loader"));
    let since = loaders.filter_map(|loader| {
        let status = system.get_json(&format!("{}/status", system.admin_of(&loader))).ok()?;
        find_number(&status, "insert_running_since_ms")
    });
    let oldest = since.filter(|since| *since > recovered_at_ms && *since < stopped_at_ms).min()?;
    Some(format!("an INSERT that was sent {} ms before the stop", stopped_at_ms - oldest))
}

fn loader_id(system: &System, child: &str) -> Option<String> {
    let status = system.get_json(&format!("{}/status", system.admin_of(child))).ok()?;
    let services = status["services"].as_array()?;
    let loader = services.iter().find(|service| service["service"] == "loader")?;
    loader["id"].as_str().map(str::to_owned)
}

/// The number of this name, at any depth.
fn find_number(value: &Value, name: &str) -> Option<i64> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .find_map(|(key, value)| if key == name { value.as_i64() } else { find_number(value, name) }),
        Value::Array(items) => items.iter().find_map(|item| find_number(item, name)),
        _ => None,
    }
}
