//! Midnight passes, in UTC and where a property is, while hits come: each is of its own day, and sessions go on.
//!
//! The services run with a wall clock that is ahead (`tests/shifted-clock`), so that midnight is some seconds away. The
//! client knows by how much, and counts by the same clock. `scripts/test-midnight.sh` lets whole suites run across midnight.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::system::command::Property;
use crate::system::process::wait_for;
use crate::system::{Options, System};
use crate::traffic::{Site, Traffic, Workload, ZONES, check_reports};

const HUMAN: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0";
const S_PER_DAY: i64 = 86_400;
/// A start takes some seconds; on a machine that is slow today it is tried again with more.
const LEADS_S: [i64; 3] = [10, 40, 160];
/// What has to be left of that when everything is ready.
const LEAST_LEFT_MS: i64 = 2_000;
const TRAFFIC_AFTER: Duration = Duration::from_secs(3);
const HITS_PER_SECOND: u64 = 150;

#[test]
fn hits_across_midnight_in_utc_are_of_their_days() {
    cross("UTC", 0);
}

#[test]
fn hits_across_midnight_of_a_property_are_of_its_days() {
    cross("Asia/Kathmandu", 20_700);
}

fn cross(zone: &str, utc_offset_s: i64) {
    let crossed = LEADS_S.into_iter().any(|lead_s| try_to_cross(zone, utc_offset_s, lead_s));
    assert!(crossed, "nothing was ready within {} s", LEADS_S[2]);
}

/// False: it was ready too late.
fn try_to_cross(zone: &str, utc_offset_s: i64, lead_s: i64) -> bool {
    let now_s = jiff::Timestamp::now().as_second();
    // The first local midnight that lies further ahead than the lead: clocks are only ever put ahead.
    let day = (now_s + lead_s + utc_offset_s).div_euclid(S_PER_DAY) + 1;
    let midnight_s = day * S_PER_DAY - utc_offset_s;
    let clock_ahead_s = u64::try_from(midnight_s - lead_s - now_s).unwrap();
    let system = System::start(&Options { clock_ahead_s, ..Options::default() });
    let left_ms = || midnight_s * 1_000 - system.now_ms();

    let sites: Vec<Site> = system
        .create_properties(ZONES.iter().map(|(zone, _)| *zone))
        .into_iter()
        .zip(ZONES)
        .map(|(property, (_, utc_offset_s))| Site { property, utc_offset_s })
        .collect();
    let quiet = system.create_property(&["--time-zone", zone]);
    let left = Duration::from_millis(u64::try_from(left_ms() - LEAST_LEFT_MS).unwrap_or(0));
    if left.is_zero() {
        return false;
    }
    let steady_for = left + TRAFFIC_AFTER;
    let hits = HITS_PER_SECOND * steady_for.as_secs();
    let workload = Workload { seed: 1, hits, sites, steady_for, at_both_edges: false };
    let traffic = Traffic::start(&system, workload);
    view(&system, &quiet, "/before");
    if left_ms() <= 0 {
        return false;
    }
    let after = wait_for(Duration::from_secs(400), || (left_ms() < -1_000).then_some(()));
    assert!(after.is_some(), "midnight did not come");
    view(&system, &quiet, "/after");
    let (expected, sites) = traffic.finish(&system);
    eprintln!("{zone}, midnight {} s after start: {}", lead_s, expected.summary());
    system.settle();
    check_reports(&system, &sites, &expected);

    // Without a client id: another visitor of another day, and yet the session that began before midnight.
    let [before, after] = [day - 1, day]
        .map(|day| jiff::Timestamp::from_second(day * S_PER_DAY).unwrap().strftime("%Y-%m-%d").to_string());
    let options = "--from yesterday --dimensions date,page_path --metrics page_views,visitors,new_visitors";
    assert_eq!(
        system.rows(&quiet, options),
        [
            json!({"date": before, "page_path": "/before", "page_views": 1, "visitors": 1, "new_visitors": 1}),
            json!({"date": after, "page_path": "/after", "page_views": 1, "visitors": 1, "new_visitors": 0}),
        ]
    );
    let sessions = system.rows(&quiet, "--from yesterday --dimensions date --metrics sessions");
    assert_eq!(
        sessions,
        [json!({"date": before, "sessions": 1}), json!({"date": after, "sessions": 0})],
        "a session is not cut at midnight"
    );
    true
}

/// One page view of a visitor without client id.
fn view(system: &System, property: &Property, page: &str) {
    let hit: Value = json!({"event": "page_view", "url": format!("https://shop.example{page}")});
    let body = json!({"measurement_id": property.measurement_id, "hits": [hit]});
    let (status, answer) = system.collect(&body, &[("user-agent", HUMAN), ("x-forwarded-for", "192.0.2.7")]);
    assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
}
