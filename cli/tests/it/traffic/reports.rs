//! Reported = acknowledged: every property, traffic class, event and day.

use std::collections::BTreeMap;

use futures::StreamExt;
use serde_json::{Value, json};

use super::expected::{Bounds, Day, Expected, Figures, page_views};
use super::workload::{DEPTH, PRICE, PURCHASE, QUANTITY, Site};
use crate::system::System;

/// Reports that are asked for at the same time.
const AT_ONCE: usize = 6;
/// Hits may be a day and a quarter old, and a run some hours long.
const FROM: &str = "4daysAgo";
/// What purchases bring, told by the hits and by their items.
const MONEY: [&str; 4] = ["revenue", "key_events", "items_purchased", "item_revenue"];

/// The reports of one property: by day, event and class, by day and class (sessions know no event), and by class what brought money, and
/// how far pages were read.
#[derive(Default)]
struct Reported {
    events: Vec<Value>,
    sessions: Vec<Value>,
    money: Vec<Value>,
    depths: Vec<Value>,
}

/// Asks for the reports of all sites.
///
/// # Panics
/// When any of them says something else than the client counted, with all that differ.
pub(crate) fn check_reports(system: &System, sites: &[Site], expected: &Expected) {
    let asked = sites.iter().enumerate().map(|(index, site)| async move {
        let rows = |dimensions: Value, metrics: Value, filter: &'static str| async move {
            let id = &site.property.property_id;
            let body = json!({
                "property_id": id, "from": FROM, "to": "today", "dimensions": dimensions, "metrics": metrics,
                "filter": filter, "limit": 10_000,
            });
            let answer = system.call_api("/v1/reports/run", &body).await.unwrap();
            answer["rows"].as_array().unwrap_or_else(|| panic!("no rows of {id}: {answer}")).clone()
        };
        let events =
            rows(json!(["date", "event_name", "traffic_class"]), json!(["events", "page_views"]), "").await;
        let sessions = rows(json!(["date", "traffic_class"]), json!(["visitors", "sessions"]), "").await;
        let money = rows(json!(["traffic_class"]), json!(MONEY), "currency == EUR").await;
        let depths = rows(json!(["traffic_class"]), json!(["scroll_depth_p50"]), "").await;
        (index, Reported { events, sessions, money, depths })
    });
    let mut wrong: Vec<String> = system.runtime().block_on(
        futures::stream::iter(asked)
            .buffer_unordered(AT_ONCE)
            .flat_map(|(index, reported)| {
                let name = &sites[index].property.property_id;
                let differences = differences(&expected.of_site(index), &reported);
                futures::stream::iter(differences.into_iter().map(move |text| format!("{name}: {text}")))
            })
            .collect(),
    );
    wrong.sort();
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// Every difference between what was counted, by class, and what is reported.
fn differences(expected: &BTreeMap<&str, &Figures>, reported: &Reported) -> Vec<String> {
    let mut found = Vec::new();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let number = |row: &Value, name: &str| row[name].as_u64().unwrap_or(u64::MAX);
    for row in &reported.events {
        let (class, event) = (text(row, "traffic_class"), text(row, "event_name"));
        let days = expected.get(class.as_str()).and_then(|figures| figures.events.get(event.as_str()));
        let bounds = days.and_then(|days| days.get(&text(row, "date"))).copied().unwrap_or_default();
        let is_right = bounds.allow(number(row, "events"))
            && number(row, "page_views") == page_views(&event, number(row, "events"));
        if !is_right {
            found.push(format!("{row}, sent {bounds:?}"));
        }
    }
    for (class, figures) in expected {
        let of_class =
            |rows: &[Value]| rows.iter().filter(|row| row["traffic_class"] == *class).cloned().collect();
        let (events, sessions): (Vec<Value>, Vec<Value>) =
            (of_class(&reported.events), of_class(&reported.sessions));
        for (event, total) in &figures.totals {
            let rows = events.iter().filter(|row| row["event_name"] == *event);
            let sum: u64 = rows.map(|row| number(row, "events")).sum();
            if sum != *total {
                found.push(format!("{class} {event}: {total} sent, {sum} reported over all days"));
            }
        }
        let sum: u64 = sessions.iter().map(|row| number(row, "sessions")).sum();
        if sum != figures.session_count() {
            found.push(format!("{class}: {} sessions begun, {sum} reported", figures.session_count()));
        }
        let bought = figures.totals.get(PURCHASE).copied().unwrap_or_default();
        let money = (bought > 0).then(|| money(class, bought));
        let reported_money = reported.money.iter().find(|row| row["traffic_class"] == *class);
        if money.as_ref() != reported_money {
            found.push(format!("{class}: {money:?} sent, {reported_money:?} reported"));
        }
        let is_read = figures.totals.contains_key("click");
        let depth = is_read.then(|| json!({"traffic_class": class, "scroll_depth_p50": DEPTH}));
        let reported_depth = reported.depths.iter().find(|row| row["traffic_class"] == *class);
        if depth.as_ref() != reported_depth {
            found.push(format!("{class}: {depth:?} sent, {reported_depth:?} reported"));
        }
        found.extend(outside(class, "sessions", &figures.sessions_by_day(), &sessions));
        found.extend(outside(class, "visitors", &figures.visitors_by_day(), &sessions));
    }
    found
}

/// What so many purchases bring.
fn money(class: &str, bought: u64) -> Value {
    let revenue = bought as f64 * PRICE;
    let items = bought * u64::from(QUANTITY);
    json!({
        "traffic_class": class, "revenue": revenue, "key_events": bought, "items_purchased": items,
        "item_revenue": revenue,
    })
}

/// Days on which a metric is not what it must be.
fn outside(class: &str, metric: &str, expected: &BTreeMap<Day, Bounds>, rows: &[Value]) -> Vec<String> {
    let reported: BTreeMap<&str, u64> = rows
        .iter()
        .map(|row| (row["date"].as_str().unwrap_or_default(), row[metric].as_u64().unwrap_or(u64::MAX)))
        .collect();
    let mut days: Vec<&str> = expected.keys().map(String::as_str).chain(reported.keys().copied()).collect();
    days.sort_unstable();
    days.dedup();
    days.into_iter()
        .filter_map(|day| {
            let bounds = expected.get(day).copied().unwrap_or_default();
            let count = reported.get(day).copied().unwrap_or_default();
            (!bounds.allow(count))
                .then(|| format!("{class} {day}: {count} {metric} reported, sent {bounds:?}"))
        })
        .collect()
}

#[test]
fn a_hit_that_is_missing_doubled_or_of_another_day_or_event_is_noticed() {
    let mut expected = Expected::default();
    super::tests::count_two_hits(&mut expected);
    let of_site = expected.of_site(0);
    let row = |date: &str, event: &str, events: u64| {
        let views = page_views(event, events);
        json!({"date": date, "event_name": event, "traffic_class": "human", "events": events, "page_views": views})
    };
    let sessions = |date: &str, count: u64| {
        vec![json!({"date": date, "traffic_class": "human", "visitors": 1, "sessions": count})]
    };
    let read = |depth: f64| vec![json!({"traffic_class": "human", "scroll_depth_p50": depth})];
    let check = |events: Vec<Value>, sessions: Vec<Value>| {
        differences(&of_site, &Reported { events, sessions, depths: read(28.0), ..Reported::default() })
    };
    let day = "2026-03-01";
    let fair = || vec![row(day, "click", 1), row(day, "page_view", 1)];
    assert_eq!(check(fair(), sessions(day, 1)), Vec::<String>::new());
    let wrong: [Vec<Value>; 5] = [
        vec![row(day, "click", 1)],
        vec![row(day, "click", 2), row(day, "page_view", 1)],
        vec![row(day, "click", 1), row("2026-03-02", "page_view", 1)],
        vec![row(day, "click", 1), row(day, "purchase", 1)],
        [fair(), vec![row("2026-02-28", "click", 1)]].concat(),
    ];
    for events in wrong {
        assert!(!check(events.clone(), sessions(day, 1)).is_empty(), "{events:?}");
    }
    for (money, depths) in [(vec![money("human", 1)], read(28.0)), (vec![], read(29.0)), (vec![], vec![])] {
        let reported = Reported { events: fair(), sessions: sessions(day, 1), money, depths };
        assert_eq!(differences(&of_site, &reported).len(), 1);
    }
    assert!(!check(fair(), sessions(day, 2)).is_empty());
    assert!(!check(fair(), sessions("2026-03-02", 1)).is_empty());
    assert!(!check(fair(), vec![]).is_empty());
}
