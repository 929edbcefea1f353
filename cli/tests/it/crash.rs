//! A service dies before, in and after each durable step on the way of a hit, and every hit is reported once.
//!
//! For each fail point: a client sends hits with ids to properties of its own and repeats what was not answered; the
//! service that passes the point dies there, is started again, and in the end the reports of these properties are what
//! the client counted. A point that nobody passes fails the test.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::system::command::{Property, sentence};
use crate::system::process::wait_for;
use crate::system::{Options, System};
use crate::traffic::{Site, Traffic, Workload, check_reports};

/// Every durable step: what dies, and where.
const POINTS: [(&str, &[&str]); 13] = [
    ("edge", &["edge.wal.append.before", "edge.wal.append.after"]),
    ("edge", &["edge.flush.before", "edge.flush.after"]),
    ("hub", &["hub.segment.put.before", "hub.segment.put.after"]),
    ("hub", &["hub.ack.before", "hub.ack.after"]),
    ("edge", &["edge.outbox.delete.before", "edge.outbox.delete.after"]),
    ("loader", &["loader.plan.create.before", "loader.plan.create.after"]),
    ("loader", &["loader.insert.hits.before", "loader.insert.hits.sent", "loader.insert.hits.after"]),
    (
        "loader",
        &["loader.insert.sessions.before", "loader.insert.sessions.sent", "loader.insert.sessions.after"],
    ),
    ("loader", &["loader.insert.values.before", "loader.insert.values.sent", "loader.insert.values.after"]),
    ("loader", &["loader.insert.items.before", "loader.insert.items.sent", "loader.insert.items.after"]),
    (
        "loader",
        &["loader.insert.refusals.before", "loader.insert.refusals.sent", "loader.insert.refusals.after"],
    ),
    (
        "loader",
        &[
            "loader.insert.watermarks.before",
            "loader.insert.watermarks.sent",
            "loader.insert.watermarks.after",
        ],
    ),
    ("loader", &["loader.plan.done.before", "loader.plan.done.after"]),
];
const PROPERTIES: usize = 3;
/// Requests of two hits each that are refused while a service dies.
const REFUSED: u64 = 10;
const HITS: u64 = 200;
const PASSED_WITHIN: Duration = Duration::from_secs(60);

#[test]
fn a_death_at_any_durable_step_loses_and_doubles_nothing() {
    let system = System::start(&Options { processes: true, fail_points: true, ..Options::default() });
    let points = POINTS.iter().flat_map(|(victim, points)| points.iter().map(|point| (*victim, *point)));
    let mut sent = 0;
    for (seed, (victim, point)) in (1..).zip(points) {
        eprintln!("{victim} dies at {point}");
        sent += die_at(&system, victim, point, seed);
        let status = system.settle();
        let count = |name: &str| status["hits"][name].as_u64().unwrap();
        assert_eq!(count("acknowledged") - count("repeated"), sent, "after {point}: {status}");
        assert_eq!(count("loaded"), count("acknowledged"), "after {point}: {status}");
        let dropped =
            status["hits"]["dropped"].as_object().unwrap().values().filter_map(Value::as_u64).sum::<u64>();
        assert_eq!(dropped, 0, "after {point}: {status}");
    }
}

/// Sends hits while the point is armed, and compares reports; gives how many hits.
fn die_at(system: &System, victim: &str, point: &str, seed: u64) -> u64 {
    let properties: Vec<Property> =
        (0..PROPERTIES).map(|_| system.create_property(&["--time-zone", "UTC"])).collect();
    let sites = properties.into_iter().map(|property| Site { property, utc_offset_s: 0 }).collect();
    let pid = system.children()[victim];
    let file = |state: &str| system.data().join(format!("{point}.{state}"));
    std::fs::write(file("armed"), "").unwrap();
    let workload = Workload { seed, hits: HITS, sites, steady_for: Duration::ZERO, at_both_edges: false };
    let (expected, sites) = Traffic::start(system, workload).finish(system);
    let imported = system.create_property(&["--time-zone", "UTC"]);
    let refused = send_what_is_refused(system, &imported);
    let import = system.import(&imported, "-", closed_sessions().as_bytes());
    assert!(import.status.success(), "the import at {point} failed: {}", sentence(&import));
    assert!(
        wait_for(PASSED_WITHIN, || file("fired").exists().then_some(())).is_some(),
        "nobody passed {point} within {PASSED_WITHIN:?}"
    );
    system.wait_until_ready_again(victim, pid);
    system.settle();
    check_reports(system, &sites, &expected);
    let day = "--from 2025-03-10 --to 2025-03-10 --metrics page_views,visitors,sessions,bounce_rate";
    let closed = json!({"page_views": 3, "visitors": 2, "sessions": 2, "bounce_rate": 0.5});
    assert_eq!(system.rows(&imported, day), [closed], "after {point}");
    check_refused(system, &imported, refused, (victim, point));
    expected.counted_hits() + 3
}

/// Gives how many hits an edge refused; one that is not there refuses nothing.
fn send_what_is_refused(system: &System, property: &Property) -> u64 {
    let body = json!({"measurement_id": property.measurement_id, "hits": [{"age_ms": -1}, {}]}).to_string();
    let url = format!("{}/v1/collect", system.address("collect"));
    let send = || {
        let sent = system.client().send(Method::POST, &url, &[], Bytes::from(body.clone()));
        system.runtime().block_on(sent).is_ok_and(|answer| answer.status == StatusCode::BAD_REQUEST)
    };
    2 * (0..REFUSED).map(|_| u64::from(send())).sum::<u64>()
}

/// A death of the edge loses what is in no block yet, or an answer; no other one loses any, and none doubles any.
fn check_refused(system: &System, property: &Property, refused: u64, (victim, point): (&str, &str)) {
    let rows = system.rows(property, "--from yesterday --to today --metrics refused_hits");
    let told = rows[0]["refused_hits"].as_u64().unwrap();
    let is_right = if victim == "edge" { told <= 2 * REFUSED } else { told == refused };
    assert!(is_right, "{told} of {refused} refused hits are reported after {point}");
}

/// An access log: one visitor with two pages, one with a page. The end of an import closes their sessions, and rows of
/// sessions are made of closed ones.
fn closed_sessions() -> String {
    let line = |address: &str, minute: u8, path: &str| {
        let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0";
        format!(
            "{address} - - [10/Mar/2025:09:{minute:02}:00 +0000] \"GET {path} HTTP/1.1\" 200 512 \"-\" \"{agent}\"\n"
        )
    };
    [line("192.0.2.7", 0, "/"), line("192.0.2.8", 1, "/"), line("192.0.2.7", 2, "/tea")].concat()
}

#[test]
fn every_fail_point_of_the_services_is_in_the_matrix() {
    let mut named: Vec<String> = Vec::new();
    for service in ["edge-agent", "hub", "warehouse-loader"] {
        named.extend(points_in(&crate::system::project(service).join("src")));
    }
    let mut listed: Vec<String> =
        POINTS.iter().flat_map(|(_, points)| points.iter().map(|point| (*point).to_owned())).collect();
    listed.extend(crate::erasure::POINTS.map(str::to_owned));
    named.sort();
    listed.sort();
    assert_eq!(named, listed);
}

fn points_in(directory: &Path) -> Vec<String> {
    let mut points = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            points.extend(points_in(&path));
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            let calls = text.split("fail::point(\"").skip(1).filter_map(|rest| rest.split('"').next());
            points.extend(calls.map(str::to_owned));
        }
    }
    points
}
