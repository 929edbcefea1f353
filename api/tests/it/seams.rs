//! A property changes its zone from Berlin to New York and its currency from EUR to USD, over HTTP and on the real engine.
//!
//! At noon of 3 March 2025 in Berlin (UTC+1) it is 06:00 in New York (UTC-5), so the local hours from 06 to 12 of that day are there
//! twice, and it has 30 hours.

use batch::{HitRow, RollupRows};
use serde_json::{Value, json};

use crate::rows::{insert, key, views};
use crate::running::Running;

const NOW: &str = "2025-03-03T11:00:00Z";

/// One view and some money, counted in this zone and currency.
fn sold(id: &str, at: &str, currency: &str, units: u64) -> anyhow::Result<HitRow> {
    let row = views(key(id, at, "/", "a")?, 1, units);
    Ok(HitRow { currency: currency.into(), revenue_micros: units * 1_000_000, ..row })
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_over_a_change_of_zone_and_currency_say_so_and_hours_stay() -> anyhow::Result<()> {
    let running = Running::start(NOW).await?;
    let new = json!({ "name": "Shop", "time_zone": "Europe/Berlin", "currency": "EUR" }).to_string();
    let property = running.http("POST", "/v1/properties", &running.admin_key, &new).await?.body;
    let text = |field: &str| property[field].as_str().unwrap_or_default().to_owned();
    let (id, report_key) = (text("property_id"), text("report_key"));
    let path = format!("/v1/properties/{id}?update_mask=time_zone,currency");
    let change = json!({ "time_zone": "America/New_York", "currency": "USD" }).to_string();
    let changed = running.http("PATCH", &path, &running.admin_key, &change).await?;
    assert_eq!((changed.status, &changed.body["currency"]), (200, &json!("USD")), "{changed:?}");
    let hits = vec![
        sold(&id, "2025-03-02T23:30+01:00[Europe/Berlin]", "EUR", 1)?,
        sold(&id, "2025-03-03T10:30+01:00[Europe/Berlin]", "EUR", 2)?,
        sold(&id, "2025-03-03T10:30-05:00[America/New_York]", "USD", 4)?,
        sold(&id, "2025-03-04T00:30-05:00[America/New_York]", "USD", 8)?,
    ];
    insert(&running.warehouse, 0, &RollupRows { hits, ..RollupRows::default() }).await?;
    let ask = async |from: &str, to: &str, metric: &str, dimension: &str| {
        let body = json!({
            "property_id": id, "from": from, "to": to, "metrics": [metric], "dimensions": ["date_hour", dimension],
            "order_by": [{ "field": "date_hour" }],
        });
        let answer = running.http("POST", "/v1/reports/run", &report_key, &body.to_string()).await?;
        assert_eq!(answer.status, 200, "{answer:?}");
        anyhow::Ok(answer.body)
    };
    let row = |hour: &str, currency: &str, revenue: f64| json!({ "date_hour": hour, "currency": currency, "revenue": revenue });

    let across = ask("2025-03-01", "2025-03-09", "revenue", "currency").await?;
    assert_eq!(
        across["rows"],
        json!([
            row("2025-03-02T23", "EUR", 1.0),
            row("2025-03-03T10", "EUR", 2.0),
            row("2025-03-03T10", "USD", 4.0),
            row("2025-03-04T00", "USD", 8.0),
        ])
    );
    let notes: Vec<[&Value; 4]> = across["notes"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|note| ["code", "at", "before", "after"].map(|field| &note[field]))
        .collect();
    assert_eq!(
        json!(notes),
        json!([
            ["time_zone_changed", NOW, "Europe/Berlin", "America/New_York"],
            ["currency_changed", NOW, "EUR", "USD"],
        ])
    );
    let message = across["notes"][0]["message"].as_str().unwrap_or_default();
    assert!(message.contains("2025-03-03 has 30 h"), "{message}");
    assert_eq!(across["time_zone"], "America/New_York");

    let before = ask("2025-03-01", "2025-03-02", "revenue", "currency").await?;
    assert_eq!(before["rows"], json!([row("2025-03-02T23", "EUR", 1.0)]));
    assert_eq!((&before["notes"], &before["time_zone"]), (&json!([]), &json!("Europe/Berlin")));
    let after = ask("2025-03-04", "2025-03-09", "revenue", "currency").await?;
    assert_eq!(after["rows"], json!([row("2025-03-04T00", "USD", 8.0)]));
    assert_eq!((&after["notes"], &after["time_zone"]), (&json!([]), &json!("America/New_York")));

    // Without money its currency is no matter.
    let views = ask("2025-03-03", "2025-03-03", "page_views", "country").await?;
    assert_eq!(views["rows"], json!([{ "date_hour": "2025-03-03T10", "country": "IN", "page_views": 2 }]));
    assert_eq!(views["notes"].as_array().map(Vec::len), Some(1), "{views}");
    running.stop().await
}
