//! Who is killed, and how it is seen from outside what work it has in hand.
//!
//! The victim stands still (SIGSTOP) while it is looked at, so what is seen then is what the kill destroys. Work
//! that was begun after the stop does not count, nor what was left over from a kill before.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::reader::Reader;
use super::traces::{Traces, newest_plan, rows_of_plan};
use crate::system::System;
use crate::system::process::wait_for;
use crate::traffic::Traffic;

/// Answers that were on their way when the victim was stopped have arrived by then.
const SETTLING: Duration = Duration::from_millis(80);
/// So long a short state is watched for, to stop the victim as soon as it shows.
const WATCHED_FOR: Duration = Duration::from_secs(1);
/// An edge notices within this time that its hub died, and finds the next.
const RECONNECTED_WITHIN: Duration = Duration::from_secs(60);

/// A service; the number is 0 for the first and 1 for the second of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Victim {
    Edge(u8),
    Hub(u8),
    Loader(u8),
    Api,
    Warehouse,
}

/// What a victim is in the middle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    RequestsNotAnswered,
    HitsInNoBatch,
    BatchesInOutbox,
    BatchesNotAcknowledged,
    SegmentHalfWritten,
    PlanWithoutRows,
    PlanWithRowsNotDone,
    ReportNotAnswered,
    InsertNotAnswered,
    PartHalfWritten,
    MergeRunning,
}

impl State {
    /// For the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RequestsNotAnswered => "requests of clients not answered",
            Self::HitsInNoBatch => "hits in the WAL and in no batch",
            Self::BatchesInOutbox => "batches in the outbox not acknowledged",
            Self::BatchesNotAcknowledged => "batches received or on their way, not acknowledged",
            Self::SegmentHalfWritten => "a segment half written",
            Self::PlanWithoutRows => "a plan created, none of its rows in",
            Self::PlanWithRowsNotDone => "a plan's rows in, the plan not done",
            Self::ReportNotAnswered => "a report not answered",
            Self::InsertNotAnswered => "an INSERT not answered",
            Self::PartHalfWritten => "a part of a table half written",
            Self::MergeRunning => "a merge running",
        }
    }
}

/// A state, and what was seen of it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) state: State,
    pub(crate) evidence: String,
}

/// Where to look.
pub(crate) struct Scene<'a> {
    pub(crate) system: &'a System,
    pub(crate) traffic: &'a Traffic,
    pub(crate) reader: &'a Reader,
    /// Files that kills left half written, of hubs and of the engine.
    pub(crate) leftovers: BTreeSet<PathBuf>,
    /// When the victim of the kill before was ready again, unix milliseconds.
    pub(crate) recovered_at_ms: i64,
}

/// What was seen before the stop.
#[derive(Debug, Default)]
pub(crate) struct Before {
    /// Per edge: the hub that it ships to, and batches that it had sent.
    shipping: Vec<Option<(String, u64)>>,
    /// The loader's id.
    loader: Option<String>,
    /// An edge's batches on their way.
    in_flight: u64,
    /// Whether a file showed that is there only while it is written.
    is_half_written: bool,
}

impl Before {
    /// Whether a stop may show this state. What only the next process can tell has to be likely already, and a file
    /// that is written in a millisecond has to be there.
    pub(crate) fn promises(&self, state: State) -> bool {
        match state {
            State::BatchesInOutbox => self.in_flight > 0,
            State::SegmentHalfWritten => self.is_half_written,
            _ => true,
        }
    }
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

const NAMES: [[&str; 2]; 3] = [["edge", "edge-2"], ["hub", "hub-2"], ["loader", "loader-2"]];

impl Victim {
    /// Name of its configuration file.
    pub(crate) fn child(self) -> &'static str {
        match self {
            Self::Edge(number) => NAMES[0][usize::from(number)],
            Self::Hub(number) => NAMES[1][usize::from(number)],
            Self::Loader(number) => NAMES[2][usize::from(number)],
            Self::Api => "api",
            Self::Warehouse => "warehouse",
        }
    }

    /// Its kind, for the table.
    pub(crate) fn kind(self) -> &'static str {
        self.child().trim_end_matches("-2")
    }

    /// What it can be in the middle of.
    pub(crate) fn states(self) -> &'static [State] {
        match self {
            Self::Edge(_) => &[State::RequestsNotAnswered, State::HitsInNoBatch, State::BatchesInOutbox],
            Self::Hub(_) => &[State::BatchesNotAcknowledged, State::SegmentHalfWritten],
            Self::Loader(_) => &[State::PlanWithoutRows, State::PlanWithRowsNotDone],
            Self::Api => &[State::ReportNotAnswered],
            Self::Warehouse => &[State::InsertNotAnswered, State::PartHalfWritten, State::MergeRunning],
        }
    }

    /// What has to be known before it is stopped, in this state if it can be.
    pub(crate) fn look_before(self, scene: &Scene<'_>, wanted: State) -> Before {
        let mut before = Before::default();
        match self {
            Self::Hub(number) => {
                before.shipping =
                    edges(scene.system).iter().map(|edge| shipping(scene.system, edge)).collect();
                if wanted == State::SegmentHalfWritten {
                    before.is_half_written = Traces::Segments(&hub_id(number)).watch(scene, WATCHED_FOR);
                }
            }
            Self::Loader(_) => before.loader = loader_id(scene.system, self.child()),
            Self::Edge(_) => {
                let in_flight = scene.system.metric_of(self.child(), "edge_ship_in_flight_batches");
                before.in_flight = in_flight.unwrap_or(0);
            }
            Self::Api | Self::Warehouse => {}
        }
        before
    }

    /// What it has in hand that was begun before the stop. Nothing: it is no victim now.
    pub(crate) fn work_in_hand(self, scene: &Scene<'_>, before: &Before, stopped: Moment) -> Vec<Seen> {
        std::thread::sleep(SETTLING);
        let seen = |state, evidence: Option<String>| evidence.map(|evidence| Seen { state, evidence });
        let found: Vec<Option<Seen>> = match self {
            Self::Edge(number) => {
                vec![seen(State::RequestsNotAnswered, unanswered_requests(scene, number, stopped.instant))]
            }
            Self::Hub(number) => vec![
                seen(State::BatchesNotAcknowledged, batches_in_flight(scene.system, number, before)),
                seen(State::SegmentHalfWritten, Traces::Segments(&hub_id(number)).fresh(scene)),
            ],
            Self::Loader(_) => vec![plan_not_done(scene, before.loader.as_deref().unwrap_or_default())],
            Self::Api => vec![seen(State::ReportNotAnswered, scene.reader.unanswered_since(stopped.instant))],
            Self::Warehouse => vec![
                seen(State::InsertNotAnswered, running_insert(scene, stopped.unix_ms)),
                seen(State::PartHalfWritten, Traces::Parts("tmp_insert_").fresh(scene)),
                seen(State::MergeRunning, Traces::Parts("tmp_merge_").fresh(scene)),
            ],
        };
        found.into_iter().flatten().collect()
    }

    /// What the next process found that the kill left behind, which is what the victim had in hand besides.
    pub(crate) fn found_afterwards(self, system: &System) -> Vec<Seen> {
        let Self::Edge(_) = self else { return vec![] };
        let status = system.get_json(&format!("{}/status", system.admin_of(self.child()))).unwrap();
        let found = &status["edge"]["found"];
        let seen = |state, name: &str, of: &str| {
            let count = found[name].as_u64().unwrap_or_else(|| panic!("no {name} in {status}"));
            (count > 0).then(|| Seen { state, evidence: format!("{count} {of}") })
        };
        [
            seen(State::HitsInNoBatch, "hits_in_no_batch", "hits in no batch"),
            seen(State::BatchesInOutbox, "batches_not_acknowledged", "batches in the outbox"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// A hub that acknowledged something just now, so that what is on its way is on its way to it; of two such the one that
/// was killed less often.
pub(crate) fn hub_at_work(system: &System, kills_of: impl Fn(Victim) -> usize) -> Victim {
    let edges = edges(system);
    let look = |edge: &String| {
        let acks = system.metric_of(edge, "edge_ship_acks_total")?;
        shipping(system, edge).map(|(hub, _)| (hub, acks))
    };
    let first: Vec<Option<(String, u64)>> = edges.iter().map(look).collect();
    let hub = wait_for(RECONNECTED_WITHIN, || {
        let now = edges.iter().map(look);
        let at_work = first.iter().zip(now).filter_map(|(first, now)| {
            let (hub, acks) = now?;
            // Nothing was known of this edge or its hub was another: what it has now is acknowledged by the new one.
            let more = first.as_ref().is_none_or(|(before, then)| *before != hub || acks > *then);
            (more && acks > 0).then_some(hub)
        });
        let hubs = [0, 1].map(|number| (number, hub_id(number)));
        let named: Vec<u8> = at_work
            .filter_map(|id| hubs.iter().find(|(_, hub)| *hub == id).map(|(number, _)| *number))
            .collect();
        named.into_iter().map(Victim::Hub).min_by_key(|victim| kills_of(*victim))
    });
    hub.unwrap_or_else(|| panic!("no hub acknowledged anything within {RECONNECTED_WITHIN:?}"))
}

/// `hub-1` and `hub-2`, as their certificates say.
fn hub_id(number: u8) -> String {
    format!("hub-{}", number + 1)
}

fn edges(system: &System) -> Vec<String> {
    system.children().into_keys().filter(|name| name.starts_with("edge")).collect()
}

/// The hub that an edge ships to, and batches that it had sent by then.
fn shipping(system: &System, edge: &str) -> Option<(String, u64)> {
    let sent = system.metric_of(edge, "edge_ship_batches_total")?;
    let status = system.get_json(&format!("{}/status", system.admin_of(edge))).ok()?;
    Some((status["edge"]["hub"].as_str()?.to_owned(), sent))
}

/// The client's own view: requests that left before the stop.
fn unanswered_requests(scene: &Scene<'_>, edge: u8, stopped_at: Instant) -> Option<String> {
    let count = scene.traffic.unanswered_since(edge.into(), stopped_at);
    (count > 0).then(|| format!("{count} requests sent and not answered"))
}

/// The edges' view: of the batches on their way to this hub, fewer were sent since than there are.
fn batches_in_flight(system: &System, hub: u8, before: &Before) -> Option<String> {
    let older: u64 = edges(system)
        .iter()
        .zip(&before.shipping)
        .filter_map(|(edge, before)| {
            let (hub_before, sent_before) = before.as_ref()?;
            let in_flight = system.metric_of(edge, "edge_ship_in_flight_batches")?;
            let (hub_now, sent) = shipping(system, edge)?;
            let is_here = *hub_before == hub_id(hub) && hub_now == *hub_before;
            is_here.then(|| in_flight.saturating_sub(sent.saturating_sub(*sent_before)))
        })
        .sum();
    (older > 0).then(|| format!("{older} batches sent and not acknowledged"))
}

/// The store's view, and the warehouse's: the newest plan is this loader's own, has no `done` beside it, and so many of
/// its rows are there.
fn plan_not_done(scene: &Scene<'_>, loader: &str) -> Option<Seen> {
    let (number, path) = newest_plan(scene.system)?;
    if path.with_extension("done.json").exists() {
        return None;
    }
    let plan: Value = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
    let inserts = plan["inserts"].as_array()?;
    let is_its_own = plan["created_by"] == loader && plan["created_at_ms"].as_i64()? > scene.recovered_at_ms;
    if !is_its_own || inserts.is_empty() {
        return None;
    }
    let due: u64 = inserts.iter().filter_map(|insert| insert["rows"].as_u64()).sum();
    let there = rows_of_plan(scene.system, plan["rows_plan"].as_u64()?)?;
    let state = if there == 0 { State::PlanWithoutRows } else { State::PlanWithRowsNotDone };
    let evidence = format!("plan {number} not done, {there} of {due} rows of {} inserts in", inserts.len());
    Some(Seen { state, evidence })
}

/// The loaders' view: an INSERT was sent before the stop and has no answer.
fn running_insert(scene: &Scene<'_>, stopped_at_ms: i64) -> Option<String> {
    let system = scene.system;
    let loaders = system.children().into_keys().filter(|name| name.starts_with("loader"));
    let since = loaders.filter_map(|loader| {
        let status = system.get_json(&format!("{}/status", system.admin_of(&loader))).ok()?;
        status["loader"]["insert_running_since_ms"].as_i64()
    });
    let oldest = since.filter(|since| *since > scene.recovered_at_ms && *since < stopped_at_ms).min()?;
    Some(format!("an INSERT sent {} ms before the stop", stopped_at_ms - oldest))
}

fn loader_id(system: &System, child: &str) -> Option<String> {
    let status = system.get_json(&format!("{}/status", system.admin_of(child))).ok()?;
    let services = status["services"].as_array()?;
    let loader = services.iter().find(|service| service["service"] == "loader")?;
    loader["id"].as_str().map(str::to_owned)
}
