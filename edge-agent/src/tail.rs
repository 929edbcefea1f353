//! What comes for a property while somebody looks: `meridian tail`, behind `GET /seen` of the admin port.
//!
//! One more part that stages share, as the ledger is: collect tells, processing lends its rules, which collect also asks for a protocol whose
//! reply tells bots. Whoever looks asks again and again; while asked, the edge keeps the last lines of that property, and otherwise nothing. Bounded in
//! properties, lines, and the time without a question. In: what became of a hit. Out: JSON lines, each with an id of its own.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hit::{HitView, TrafficRules};
use processing::enrich::address::Address;
use processing::enrich::traffic::{TrafficTerms, traffic_of};
use processing::{Detection, TrafficReason};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use service::SharedClock;

/// Lines kept of a property; at the limit the oldest goes.
const LINES: usize = 256;
/// Properties looked at; more are refused.
const PROPERTIES: usize = 16;
/// How long lines are kept after the last question, milliseconds.
const KEPT_MS: u64 = 10_000;

/// What somebody looks at.
#[derive(Default)]
pub(crate) struct Tail {
    /// Name of the edge: ids of its lines begin with it.
    edge: String,
    /// Whether there is anything to keep; read for each hit.
    is_on: AtomicBool,
    watched: Mutex<Watched>,
    /// Known when processing has begun.
    detection: OnceLock<Arc<Detection>>,
}

#[derive(Default)]
struct Watched {
    lines: u64,
    properties: HashMap<String, Kept>,
}

struct Kept {
    until_ms: u64,
    lines: VecDeque<Value>,
}

/// A line that is told once its hit is durable.
#[derive(Debug)]
pub(crate) struct Told {
    /// Whose.
    pub(crate) property_id: String,
    /// Its fields.
    pub(crate) line: Map<String, Value>,
}

impl Tail {
    /// Of this edge.
    pub(crate) fn new(edge: &str) -> Self {
        Self { edge: edge.to_owned(), ..Self::default() }
    }

    /// Rules that tell a visitor from a crawler.
    pub(crate) fn learn(&self, detection: &Arc<Detection>) {
        let _only_once = self.detection.set(Arc::clone(detection));
    }

    /// Whether somebody looks at any property.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// What speaks for the class of a hit, once it can be told: the same that processing will find.
    pub(crate) fn traffic_of(&self, hit: &HitView<'_>, rules: &TrafficRules) -> Option<TrafficReason> {
        let detected = self.detection.get()?.of(hit);
        Some(traffic_of(hit, &Address::parse(hit.referrer), &TrafficTerms::new(rules), detected.traffic))
    }

    /// The lines kept of a property, from now on too; `None`: too many properties are looked at.
    pub(crate) fn look(&self, property_id: &str, now_ms: u64) -> Option<Vec<Value>> {
        let mut watched = self.lock();
        watched.forget(now_ms);
        if !watched.properties.contains_key(property_id) && watched.properties.len() >= PROPERTIES {
            return None;
        }
        self.is_on.store(true, Ordering::Relaxed);
        let new = || Kept { until_ms: 0, lines: VecDeque::new() };
        let kept = watched.properties.entry(property_id.to_owned()).or_insert_with(new);
        kept.until_ms = now_ms.saturating_add(KEPT_MS);
        Some(kept.lines.iter().cloned().collect())
    }

    /// Forgets the lines of a property; whoever looks goes on with those that come.
    pub(crate) fn forget(&self, property_id: &str) {
        if let Some(kept) = self.lock().properties.get_mut(property_id) {
            kept.lines.clear();
        }
    }

    /// Keeps a line, if somebody looks at its property.
    pub(crate) fn tell(&self, told: Told, now_ms: u64) {
        let mut watched = self.lock();
        watched.forget(now_ms);
        if watched.properties.is_empty() {
            self.is_on.store(false, Ordering::Relaxed);
        }
        let id = format!("{}-{}", self.edge, watched.lines);
        let Some(kept) = watched.properties.get_mut(&told.property_id) else { return };
        let mut line = told.line;
        line.insert("id".to_owned(), json!(id));
        if kept.lines.len() >= LINES {
            kept.lines.pop_front();
        }
        kept.lines.push_back(Value::Object(line));
        watched.lines += 1;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose lines are asked for.
#[derive(Debug, Deserialize)]
struct Asked {
    property_id: String,
}

/// `GET /seen?property_id=p_…`: `{"seen":[…]}`, the lines that were kept since somebody first asked.
pub(crate) fn routes(tail: Arc<Tail>, clock: SharedClock) -> Router {
    Router::new().route("/seen", get(seen)).with_state((tail, clock))
}

async fn seen(State((tail, clock)): State<(Arc<Tail>, SharedClock)>, Query(asked): Query<Asked>) -> Response {
    match tail.look(&asked.property_id, clock.now_ms()) {
        Some(lines) => Json(json!({ "seen": lines })).into_response(),
        None => {
            let message =
                format!("{PROPERTIES} properties are looked at already; try again when somebody has stopped");
            (StatusCode::SERVICE_UNAVAILABLE, message).into_response()
        }
    }
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tail").field("edge", &self.edge).field("is_on", &self.is_on).finish_non_exhaustive()
    }
}

impl Watched {
    fn forget(&mut self, now_ms: u64) {
        self.properties.retain(|_, kept| kept.until_ms >= now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(property_id: &str, n: usize) -> Told {
        let line = Map::from_iter([("n".to_owned(), json!(n))]);
        Told { property_id: property_id.to_owned(), line }
    }

    #[test]
    fn lines_are_kept_only_while_somebody_looks() {
        let tail = Tail::new("edge-1");
        tail.tell(told("p_a", 0), 1_000);
        assert!(!tail.is_on());
        assert_eq!(tail.look("p_a", 1_000), Some(vec![]));
        assert!(tail.is_on());
        tail.tell(told("p_a", 1), 2_000);
        tail.tell(told("p_b", 2), 2_000);
        assert_eq!(tail.look("p_a", 2_000), Some(vec![json!({"n": 1, "id": "edge-1-0"})]));
        tail.tell(told("p_a", 3), 2_000 + KEPT_MS + 1);
        assert!(!tail.is_on());
        assert_eq!(tail.look("p_a", 2_000 + KEPT_MS + 2), Some(vec![]));
    }

    #[test]
    fn lines_of_a_property_are_forgotten() {
        let tail = Tail::new("edge-1");
        for (n, property_id) in ["p_a", "p_b"].into_iter().enumerate() {
            tail.look(property_id, 0);
            tail.tell(told(property_id, n), 0);
        }
        tail.forget("p_a");
        tail.forget("p_nobody_looks_at");
        assert_eq!(tail.look("p_a", 0), Some(vec![]));
        assert_eq!(tail.look("p_b", 0), Some(vec![json!({"n": 1, "id": "edge-1-1"})]));
        tail.tell(told("p_a", 2), 0);
        assert_eq!(tail.look("p_a", 0), Some(vec![json!({"n": 2, "id": "edge-1-2"})]));
    }

    #[test]
    fn lines_and_properties_are_bounded() {
        let tail = Tail::new("edge-1");
        for n in 0..PROPERTIES {
            assert!(tail.look(&format!("p_{n}"), 0).is_some());
        }
        assert_eq!(tail.look("p_more", 0), None);
        (0..LINES + 7).for_each(|n| tail.tell(told("p_0", n), 0));
        let lines = tail.look("p_0", 0).unwrap();
        assert_eq!((lines.len(), &lines[0]["n"]), (LINES, &json!(7)));
    }
}
