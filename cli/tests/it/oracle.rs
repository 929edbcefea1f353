//! What reports on an access log must say, from `tests/access-log/oracle.py`, and the comparison with what they say.
//!
//! The oracle shares no code with Meridian. Both sides are brought into the oracle's JSON form and compared field by
//! field: counts exactly, rates and means within 10⁻⁶.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::system;

/// Rates and means are sums of whole numbers divided once on either side.
const TOLERANCE: f64 = 1e-6;

/// A mistake that the oracle makes when asked to, so that the comparison shows that it notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// Sessions end after another pause than 30 minutes.
    GapMinutes(u32),
    /// One human hit is not counted.
    LeaveOutHit(u32),
    /// One bot is counted as human.
    LetBotThrough(u32),
}

impl Mistake {
    fn arguments(self) -> [String; 2] {
        let (option, number) = match self {
            Self::GapMinutes(minutes) => ("--gap-minutes", minutes),
            Self::LeaveOutHit(number) => ("--leave-out-hit", number),
            Self::LetBotThrough(number) => ("--let-bot-through", number),
        };
        [option.to_owned(), number.to_string()]
    }
}

/// The oracle's answer for a log.
pub(crate) fn ask(log: &Path, mistake: Option<Mistake>) -> Value {
    let output = Command::new(python())
        .arg(system::project("tests/access-log/oracle.py"))
        .arg(log)
        .arg("--crawlers")
        .arg(system::assets().join("crawler-user-agents/crawler-user-agents.json"))
        .args(mistake.map(Mistake::arguments).into_iter().flatten())
        .output()
        .unwrap();
    assert!(output.status.success(), "oracle.py failed: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn python() -> PathBuf {
    let path = system::project("third-party/venv/bin/python");
    assert!(path.is_file(), "{} is missing: run `make setup`", path.display());
    path
}

/// Every difference, with its place.
pub(crate) fn differences(expected: &Value, reported: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", expected, reported, &mut found);
    found
}

fn compare(place: &str, expected: &Value, reported: &Value, found: &mut Vec<String>) {
    match (expected, reported) {
        (Value::Object(left), Value::Object(right)) => {
            let names: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            for name in names {
                let at =
                    |side: &serde_json::Map<String, Value>| side.get(name).cloned().unwrap_or(Value::Null);
                compare(&format!("{place}/{name}"), &at(left), &at(right), found);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                compare(&format!("{place}/{index}"), left, right, found);
            }
        }
        _ if is_same(expected, reported) => {}
        _ => found.push(format!("{place}: the oracle says {expected}, the reports say {reported}")),
    }
}

fn is_same(expected: &Value, reported: &Value) -> bool {
    match (expected.as_u64(), reported.as_u64(), expected.as_f64(), reported.as_f64()) {
        (Some(left), Some(right), _, _) => left == right,
        (_, _, Some(left), Some(right)) => (left - right).abs() <= TOLERANCE,
        _ => expected == reported,
    }
}

#[test]
fn comparison_names_every_difference() {
    let expected = serde_json::json!({"a": 1, "b": {"c": 0.5, "d": null}, "e": [["/", 2]], "gone": 1});
    let reported = serde_json::json!({"a": 2, "b": {"c": 0.500_000_1, "d": 0}, "e": [["/", 3]], "new": 1});
    let places: Vec<String> = differences(&expected, &reported)
        .iter()
        .map(|text| text.split(':').next().unwrap().to_owned())
        .collect();
    assert_eq!(places, ["/a", "/b/d", "/e/0/1", "/gone", "/new"]);
}
