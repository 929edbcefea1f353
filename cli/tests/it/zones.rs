//! Days and hours are the property's own: half-hour zones, and the days on which clocks change.
//!
//! The expected dates and hours are written by hand from the time zone database (2025a):
//! Asia/Kolkata is UTC+5:30 and Asia/Kathmandu UTC+5:45 all year; Australia/Lord_Howe goes back from UTC+11 to
//! UTC+10:30 at 2025-04-05T15:00Z and forward at 2025-10-04T15:30Z; Europe/Berlin goes forward from UTC+1 to UTC+2 at
//! 2025-03-30T01:00Z and back at 2025-10-26T01:00Z.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Value, json};

use crate::system::command::Property;
use crate::system::{Options, System};

/// A hit's instant in UTC, and the hour of the property it falls into.
type Case = (&'static str, &'static str);

const KOLKATA: &[Case] = &[
    ("2025-03-10T18:29:59Z", "2025-03-10T23"),
    ("2025-03-10T18:30:00Z", "2025-03-11T00"),
    ("2025-03-10T19:29:59Z", "2025-03-11T00"),
    ("2025-03-10T19:30:00Z", "2025-03-11T01"),
    ("2025-12-31T18:30:00Z", "2026-01-01T00"),
];

const KATHMANDU: &[Case] = &[
    ("2025-03-10T18:14:59Z", "2025-03-10T23"),
    ("2025-03-10T18:15:00Z", "2025-03-11T00"),
    ("2025-03-11T06:14:59Z", "2025-03-11T11"),
    ("2025-03-11T06:15:00Z", "2025-03-11T12"),
];

const LORD_HOWE: &[Case] = &[
    // Midnight by summer time, UTC+11.
    ("2025-04-05T12:59:59Z", "2025-04-05T23"),
    ("2025-04-05T13:00:00Z", "2025-04-06T00"),
    // 01:00 to 02:00 by summer time, then 01:30 to 02:00 once more: an hour of 90 minutes.
    ("2025-04-05T14:00:00Z", "2025-04-06T01"),
    ("2025-04-05T14:59:59Z", "2025-04-06T01"),
    ("2025-04-05T15:00:00Z", "2025-04-06T01"),
    ("2025-04-05T15:29:59Z", "2025-04-06T01"),
    ("2025-04-05T15:30:00Z", "2025-04-06T02"),
    // Midnight by standard time, UTC+10:30.
    ("2025-04-06T13:29:59Z", "2025-04-06T23"),
    ("2025-04-06T13:30:00Z", "2025-04-07T00"),
    // 02:00 becomes 02:30: an hour of 30 minutes.
    ("2025-10-04T15:29:59Z", "2025-10-05T01"),
    ("2025-10-04T15:30:00Z", "2025-10-05T02"),
    ("2025-10-04T15:59:59Z", "2025-10-05T02"),
    ("2025-10-04T16:00:00Z", "2025-10-05T03"),
];

const BERLIN: &[Case] = &[
    ("2025-03-29T22:59:59Z", "2025-03-29T23"),
    ("2025-03-29T23:00:00Z", "2025-03-30T00"),
    // 02:00 becomes 03:00: there is no hour 02.
    ("2025-03-30T00:59:59Z", "2025-03-30T01"),
    ("2025-03-30T01:00:00Z", "2025-03-30T03"),
    ("2025-03-30T21:59:59Z", "2025-03-30T23"),
    ("2025-03-30T22:00:00Z", "2025-03-31T00"),
    // 03:00 becomes 02:00: the hour 02 comes twice, under one name.
    ("2025-10-25T23:59:59Z", "2025-10-26T01"),
    ("2025-10-26T00:00:00Z", "2025-10-26T02"),
    ("2025-10-26T00:59:59Z", "2025-10-26T02"),
    ("2025-10-26T01:00:00Z", "2025-10-26T02"),
    ("2025-10-26T01:59:59Z", "2025-10-26T02"),
    ("2025-10-26T02:00:00Z", "2025-10-26T03"),
];

const ZONES: [(&str, &[Case]); 4] = [
    ("Asia/Kolkata", KOLKATA),
    ("Asia/Kathmandu", KATHMANDU),
    ("Australia/Lord_Howe", LORD_HOWE),
    ("Europe/Berlin", BERLIN),
];

#[test]
fn hits_fall_into_the_days_and_hours_of_their_property() {
    let system = System::start(&Options::default());
    let properties = ZONES.map(|(zone, cases)| {
        let property = system.create_property(&["--time-zone", zone]);
        send(&system, &property, cases);
        property
    });
    system.settle();
    for (property, (zone, cases)) in properties.iter().zip(ZONES) {
        check(&system, property, zone, cases);
    }
}

/// One hit for each case, each of a visitor of its own.
fn send(system: &System, property: &Property, cases: &[Case]) {
    let hits: Vec<Value> = cases
        .iter()
        .map(|(instant, _)| {
            json!({
                "event": "page_view", "url": "https://shop.example/", "timestamp": instant, "client_id": instant,
                "ip": "192.0.2.7", "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0",
            })
        })
        .collect();
    let body = json!({"measurement_id": property.measurement_id, "hits": hits});
    let (status, answer) = system.collect(&body, &[("x-meridian-secret", &property.api_secret)]);
    assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
}

fn check(system: &System, property: &Property, zone: &str, cases: &[Case]) {
    let range = "--from 2025-01-01 --to 2026-12-31";
    let hours = count(cases.iter().map(|(_, hour)| (*hour).to_owned()));
    let dates = count(cases.iter().map(|(_, hour)| hour.split('T').next().unwrap().to_owned()));
    let hours_of_day = count(
        cases.iter().map(|(_, hour)| hour.rsplit('T').next().unwrap().parse::<u8>().unwrap().to_string()),
    );

    for (dimension, expected) in [("date_hour", hours), ("date", dates), ("hour", hours_of_day)] {
        for metric in ["page_views", "visitors", "sessions"] {
            let options = format!("{range} --dimensions {dimension} --metrics {metric}");
            let rows = system.rows(property, &options);
            let reported: BTreeMap<String, u64> = rows
                .iter()
                .map(|row| (row[dimension].as_str().unwrap().to_owned(), row[metric].as_u64().unwrap()))
                .collect();
            assert_eq!(reported, expected, "{metric} by {dimension} in {zone}");
            assert_eq!(rows.len(), expected.len(), "two rows of one {dimension} in {zone}");
        }
    }
    let report = system.report(property, &format!("{range} --metrics page_views"));
    assert_eq!(report["time_zone"], json!(zone));
}

fn count(names: impl Iterator<Item = String>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    counts
}
