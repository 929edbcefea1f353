//! In the middle of a session the zone changes, the rules change, or pages begin to be folded into `(other)`.
//!
//! Each hit is counted by the rules of its moment, a session stays under the time and dimensions of its first hit. All
//! expected values are written by hand from docs/definitions.md; Asia/Kolkata is UTC+5:30 all year.

use http::StatusCode;
use serde_json::{Value, json};

use crate::system::command::Property;
use crate::system::process::Stopped;
use crate::system::{Options, System};

const HUMAN: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0";
/// What is told apart of a property and hour here: its host and three pages.
const TEXTS: i64 = 4;
const RANGE: &str = "--from 2025-03-01 --to 2025-03-31";

#[test]
fn changes_in_mid_session_count_each_hit_by_the_rules_of_its_moment() {
    let system = System::start(&Options { processes: true, ..Options::default() });
    system.configure("edge", |edge| {
        let limits = edge["process"]["limits"].as_table_mut().unwrap();
        limits.insert("max_pages_per_property_hour".to_owned(), TEXTS.into());
    });
    system.restart_gracefully("edge");
    let sites = [(); 3].map(|()| system.create_property(&["--time-zone", "UTC"]));
    let [zone, rules, pages] = &sites;
    change_zone(&system, zone);
    change_time_out(&system, rules);
    visit_many_pages(&system, pages);
    for property in &sites {
        close_sessions(&system, property);
    }
    system.settle();
    check_zone(&system, zone);
    check_time_out(&system, rules);
    check_pages(&system, pages);
}

fn change_zone(system: &System, property: &Property) {
    view(system, property, "ann", "2025-03-10T20:00:00Z", "/a?utm_source=letter&utm_medium=email");
    set_rules(system, property, "time_zone = \"Asia/Kolkata\"");
    // 01:40 of the next day in Kolkata, of the same session.
    view(system, property, "ann", "2025-03-10T20:10:00Z", "/b");
    // 40 minutes later: a new one, all of it by the new zone.
    view(system, property, "ann", "2025-03-10T20:50:00Z", "/c");
}

fn check_zone(system: &System, property: &Property) {
    check(
        system,
        property,
        "date_hour",
        "page_views,visitors,sessions",
        &json!([
            {"date_hour": "2025-03-10T20", "page_views": 1, "visitors": 1, "sessions": 1},
            {"date_hour": "2025-03-11T01", "page_views": 1, "visitors": 1, "sessions": 0},
            {"date_hour": "2025-03-11T02", "page_views": 1, "visitors": 1, "sessions": 1},
        ]),
    );
    // Closed sessions under the date of their first hit, by the zone of that moment.
    check(
        system,
        property,
        "date,exit_page",
        "sessions,session_duration,bounce_rate",
        &json!([
            {"date": "2025-03-10", "exit_page": "/b", "sessions": 1, "session_duration": 600.0, "bounce_rate": 0.0},
            {"date": "2025-03-11", "exit_page": "/c", "sessions": 1, "session_duration": 0.0, "bounce_rate": 1.0},
        ]),
    );
    // The source is the session's, also for the hit after the change.
    check(
        system,
        property,
        "date,source",
        "page_views",
        &json!([
            {"date": "2025-03-10", "source": "letter", "page_views": 1},
            {"date": "2025-03-11", "source": "(direct)", "page_views": 1},
            {"date": "2025-03-11", "source": "letter", "page_views": 1},
        ]),
    );
    let report = system.report(property, &format!("{RANGE} --metrics visitors"));
    // The zone of the day that the report ends on; the hits came later, and are counted by that of their moment.
    assert_eq!(report["time_zone"], json!("UTC"));
    assert_eq!(report["totals"]["visitors"], json!(1), "a client id stays the same visitor");
}

fn change_time_out(system: &System, property: &Property) {
    view(system, property, "bob", "2025-03-10T10:00:00Z", "/a");
    set_rules(system, property, "session_timeout_s = 300");
    // Ten minutes: within the time-out of the first hit's rules, past that of its own.
    view(system, property, "bob", "2025-03-10T10:10:00Z", "/b");
    set_rules(system, property, "session_timeout_s = 3600");
    // Forty minutes: past the time-out of the hit before, within its own.
    view(system, property, "bob", "2025-03-10T10:50:00Z", "/c");
}

fn check_time_out(system: &System, property: &Property) {
    check(
        system,
        property,
        "date",
        "page_views,visitors,sessions",
        &json!([
            {"date": "2025-03-10", "page_views": 3, "visitors": 1, "sessions": 2},
        ]),
    );
    check(
        system,
        property,
        "entry_page,exit_page",
        "sessions,session_duration",
        &json!([
            {"entry_page": "/a", "exit_page": "/a", "sessions": 1, "session_duration": 0.0},
            {"entry_page": "/b", "exit_page": "/c", "sessions": 1, "session_duration": 2_400.0},
        ]),
    );
}

fn visit_many_pages(system: &System, property: &Property) {
    for (minute, page) in [(50, "/1"), (51, "/2"), (52, "/3")] {
        view(system, property, "eve", &format!("2025-03-10T10:{minute}:00Z"), page);
    }
    // What was counted so far survives.
    let pid = system.children()["edge"];
    Stopped::stop(pid).unwrap().kill();
    system.wait_until_ready_again("edge", pid);
    // The fourth and fifth page are others; the second is known.
    for (minute, page) in [(53, "/4"), (54, "/2"), (55, "/5")] {
        view(system, property, "eve", &format!("2025-03-10T10:{minute}:00Z"), page);
    }
    view(system, property, "dan", "2025-03-10T10:56:00Z", "/9");
    // A new hour counts anew, in the same session.
    view(system, property, "eve", "2025-03-10T11:01:00Z", "/4");
}

fn check_pages(system: &System, property: &Property) {
    check(
        system,
        property,
        "page_path",
        "page_views,visitors",
        &json!([
            {"page_path": "(other)", "page_views": 3, "visitors": 2},
            {"page_path": "/1", "page_views": 1, "visitors": 1},
            {"page_path": "/2", "page_views": 2, "visitors": 1},
            {"page_path": "/3", "page_views": 1, "visitors": 1},
            {"page_path": "/4", "page_views": 1, "visitors": 1},
        ]),
    );
    check(
        system,
        property,
        "entry_page,exit_page",
        "sessions,session_duration",
        &json!([
            {"entry_page": "(other)", "exit_page": "(other)", "sessions": 1, "session_duration": 0.0},
            {"entry_page": "/1", "exit_page": "/4", "sessions": 1, "session_duration": 660.0},
        ]),
    );
    check(system, property, "date", "sessions", &json!([{"date": "2025-03-10", "sessions": 2}]));
}

/// The rows of a report, ordered by its dimensions.
fn check(system: &System, property: &Property, dimensions: &str, metrics: &str, expected: &Value) {
    let options = format!("{RANGE} --dimensions {dimensions} --metrics {metrics} --order-by {dimensions}");
    let rows = Value::Array(system.rows(property, &options));
    assert_eq!(rows, *expected, "{metrics} by {dimensions}");
}

/// One page view with a time of its own.
fn view(system: &System, property: &Property, client: &str, at: &str, page: &str) {
    let hit = json!({
        "event": "page_view", "url": format!("https://shop.example{page}"), "timestamp": at, "client_id": client,
        "ip": "192.0.2.7", "user_agent": HUMAN,
    });
    post(system, property, &json!({"measurement_id": property.measurement_id, "hits": [hit]}));
}

/// The end of an import closes the sessions of its past.
fn close_sessions(system: &System, property: &Property) {
    let body = json!({
        "measurement_id": property.measurement_id, "hits": [], "import_until": "2025-03-12T00:00:00Z",
    });
    post(system, property, &body);
}

fn post(system: &System, property: &Property, body: &Value) {
    let (status, answer) = system.collect(body, &[("x-meridian-secret", &property.api_secret)]);
    assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
}

/// These rules are in force at the edge when this ends.
fn set_rules(system: &System, property: &Property, text: &str) {
    system.set_rules(property, text, &[]);
    // The edge reads the whole directory to find a property that was made after the change.
    let later = system.create_property(&[]);
    view(system, &later, "marker", "2025-03-10T00:00:00Z", "/");
}
