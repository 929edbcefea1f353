//! Figures against hand-computed ones, over both faces.

use api::plan::fields::{Dimension, Metric};
use batch::{HitRow, ItemRow, RefusalRow, RollupRows, RowKey, ValueRow};
use proto::report::metric_value::Value as Number;
use proto::report::{OrderBy, RunReportRequest};
use serde_json::{Value, json};

use crate::rows::{closed, insert, item, key, measured, refused, views, watermark};
use crate::running::Running;

/// 00:30 on 18 May in Kolkata.
const NOW: &str = "2015-05-17T19:00:00Z";

const EVIL: &str = "x' OR 1=1 --";

struct Site {
    running: Running,
    id: String,
    key: String,
}

/// Property A in Kolkata as in the module's figures, and property B, whose rows must never be seen.
///
/// A, people: 17 May 10h `/` google (opens, new visitor 1, 2 s), `/a` google (1, 3.5 s), `/a` google scroll (1); 23h `/` direct
/// (opens, new visitor 2). 18 May 0h `/b` direct (2), `/` evil twice (opens, 3); 5h `/b` google (opens, 1).
/// Closed: google `/`→`/a` 300 s engaged; direct `/`→`/b` 1,500 s engaged; google `/b`→`/b` bounced; evil is still open.
async fn site() -> anyhow::Result<Site> {
    let running = Running::start(NOW).await?;
    let a = running.property("A", "Asia/Kolkata").await?;
    let b = running.property("B", "Asia/Kolkata").await?;
    let id = text(&a["property_id"]);
    let rows = RollupRows {
        hits: hits(&id)?,
        sessions: vec![
            closed(at(&id, "17T10:00", "/", "google")?, "/a", 1, 300_000),
            closed(at(&id, "17T23:45", "/", "(direct)")?, "/b", 1, 1_500_000),
            closed(at(&id, "18T05:00", "/b", "google")?, "/b", 0, 0),
        ],
        values: values(&id)?,
        items: items(&id)?,
        refusals: refusals(&id)?,
    };
    insert(&running.warehouse, 0, &rows).await?;
    insert(&running.warehouse, 0, &foreign(&text(&b["property_id"]))?).await?;
    // Another generation of A is not live.
    insert(&running.warehouse, 1, &rows).await?;
    Ok(Site { running, key: text(&a["report_key"]), id })
}

fn at(property: &str, time: &str, page: &str, source: &str) -> anyhow::Result<RowKey> {
    key(property, &format!("2015-05-{time}+05:30[Asia/Kolkata]"), page, source)
}

fn hits(id: &str) -> anyhow::Result<Vec<HitRow>> {
    let at = |time: &str, page: &str, source: &str| at(id, time, page, source);
    let mut hits = vec![
        views(at("17T10:00", "/", "google")?, 1, 1),
        views(at("17T10:05", "/a", "google")?, 1, 1),
        views(at("17T10:05", "/a", "google")?, 1, 1),
        views(at("17T23:45", "/", "(direct)")?, 1, 2),
        views(at("18T00:10", "/b", "(direct)")?, 1, 2),
        views(at("18T00:40", "/", EVIL)?, 2, 3),
        views(at("18T05:00", "/b", "google")?, 1, 1),
        views(at("17T10:00", "/", "google")?, 100, 99),
    ];
    for (place, new) in [(0, true), (3, true), (5, false), (6, false)] {
        hits[place].sessions = 1;
        hits[place].new_visitors = hits[place].visitors.iter().copied().filter(|_| new).collect();
    }
    (hits[0].engagement_ms, hits[1].engagement_ms) = (2_000, 3_500);
    (hits[2].event_name, hits[2].page_views) = ("scroll".into(), 0);
    hits[5].key.campaign = r"a\b 'c'".into();
    (hits[7].key.traffic_class, hits[7].sessions) = ("bot".into(), 100);
    (hits[7].currency, hits[7].revenue_micros, hits[7].key_events) = ("EUR".into(), 999_000_000, 100);
    (hits[1].currency, hits[1].revenue_micros, hits[1].key_events) = ("EUR".into(), 49_500_000, 1);
    (hits[4].currency, hits[4].revenue_micros, hits[4].key_events) = ("EUR".into(), 500_000, 1);
    (hits[0].custom, hits[1].custom, hits[4].custom) =
        ("pro".into(), "free\u{1f}\u{1f}3".into(), "pro".into());
    // 2.5 of a page view and 0.75 of a click on it, which has no currency; 1 of another day; what a bot adds does not count.
    (hits[1].custom_micros, hits[2].custom_micros) = ([2_500_000, 0, 0, 0, 7], [750_000, 0, 4_000_000, 0, 0]);
    (hits[6].custom_micros, hits[7].custom_micros) = ([1_000_000, 0, 0, 0, 0], [1 << 59; 5]);
    (hits[6].currency, hits[6].revenue_micros) = ("JPY".into(), 7_000_000_000);
    (hits[0].page_title, hits[5].page_title, hits[7].page_title) =
        ("Home".into(), "Evil".into(), "Bots".into());
    Ok(hits)
}

fn values(id: &str) -> anyhow::Result<Vec<ValueRow>> {
    let at = |time: &str, page: &str, source: &str| at(id, time, page, source);
    // 17 May: eight times 1,000, once 3,000 and once 5,000 ms; 18 May: three times 2,000. A bot's do not count.
    let mut values = vec![
        measured(at("17T10:00", "/", "google")?, "lcp_ms", 1_000, 8),
        measured(at("17T10:05", "/a", "google")?, "lcp_ms", 3_000, 1),
        measured(at("17T23:45", "/", "(direct)")?, "lcp_ms", 5_000, 1),
        measured(at("18T00:10", "/b", "(direct)")?, "lcp_ms", 2_000, 3),
        measured(at("17T10:00", "/", "google")?, "cls_thousandths", 100, 1),
        measured(at("17T10:00", "/", "google")?, "lcp_ms", 60_000, 1_000),
    ];
    values[5].key.traffic_class = "bot".into();
    Ok(values)
}

fn items(id: &str) -> anyhow::Result<Vec<ItemRow>> {
    let at = |time: &str, page: &str, source: &str| at(id, time, page, source);
    let mut items = vec![
        item(at("17T10:00", "/a", "google")?, "Cap", "EUR", 2, 49_500_000),
        item(at("17T10:05", "/a", "google")?, "Hat", "EUR", 0, 0),
        item(at("18T05:00", "/b", "(direct)")?, "Cap", "JPY", 1, 7_000_000_000),
        item(at("18T05:00", "/b", "(direct)")?, "Cap", "EUR", 1_000, 999_000_000),
    ];
    items[1].custom = "pro\u{1f}SUMMER".into();
    items[3].key.traffic_class = "bot".into();
    Ok(items)
}

fn refusals(id: &str) -> anyhow::Result<Vec<RefusalRow>> {
    let at = |time: &str| at(id, time, "", "");
    // 17 May 10h: 3 and 2 too old, 4 with a field that cannot be; 18 May 0h: 10 of another host; 2h, where nothing was counted: 1.
    Ok(vec![
        refused(&at("17T10:00")?, "too_old", 3),
        refused(&at("17T10:05")?, "too_old", 2),
        refused(&at("17T10:05")?, "invalid_field", 4),
        refused(&at("18T00:10")?, "foreign_hostname", 10),
        refused(&at("18T02:10")?, "too_old", 1),
    ])
}

/// What must never be seen.
fn foreign(property: &str) -> anyhow::Result<RollupRows> {
    let key = at(property, "17T10:00", "/", "google")?;
    Ok(RollupRows {
        hits: vec![HitRow { sessions: 7_777, ..views(key.clone(), 7_777, 500) }],
        sessions: vec![closed(key.clone(), "/", 0, 7_777_000)],
        values: vec![measured(key.clone(), "lcp_ms", 9_000, 7_777)],
        refusals: vec![refused(&key, "too_old", 7_777)],
        items: vec![item(key, "Cap", "EUR", 7_777, 7_777)],
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl Site {
    fn request(&self, metrics: &str, dimensions: &str, filter: &str) -> RunReportRequest {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        RunReportRequest {
            property_id: self.id.clone(),
            from: "2015-05-17".into(),
            to: "2015-05-18".into(),
            metrics: words(metrics),
            dimensions: words(dimensions),
            filter: filter.into(),
            ..RunReportRequest::default()
        }
    }

    /// Rows as `label label number number`, joined by `; `.
    async fn rows(&self, request: RunReportRequest) -> anyhow::Result<String> {
        let report = self.running.report(&self.key, request).await?;
        let rows = report.rows.iter().map(|row| {
            let numbers = row.metric_values.iter().map(|value| match value.value {
                Some(Number::Integer(integer)) => integer.to_string(),
                Some(Number::Number(number)) => number.to_string(),
                None => "nothing".to_owned(),
            });
            row.dimension_values.iter().cloned().chain(numbers).collect::<Vec<_>>().join(" ")
        });
        Ok(rows.collect::<Vec<_>>().join("; "))
    }
}

const ALL: &str = "visitors new_visitors sessions engaged_sessions bounce_rate page_views events session_duration engagement_time";

/// Metrics, dimensions, filter, and the rows.
const REPORTS: &[(&str, &str, &str, &str)] = &[
    (ALL, "", "", "3 2 4 2 0.3333333333333333 7 8 600 5.5"),
    ("page_views visitors sessions", "date", "", "2015-05-17 3 2 2; 2015-05-18 4 3 2"),
    ("page_views bounce_rate", "date", "", "2015-05-17 3 0; 2015-05-18 4 1"),
    ("page_views", "date_hour", "", "2015-05-18T00 3; 2015-05-17T10 2; 2015-05-17T23 1; 2015-05-18T05 1"),
    ("page_views", "hour", "", "0 3; 10 2; 5 1; 23 1"),
    ("page_views", "page_path", "", "/ 4; /b 2; /a 1"),
    ("events", "event_name", "", "page_view 7; scroll 1"),
    ("events", "page_title", "", " 5; Evil 2; Home 1"),
    ("sessions", "entry_page", "", "/ 2; /b 1"),
    ("sessions session_duration", "exit_page", "", "/b 2 750; /a 1 300"),
    ("sessions", "entry_page exit_page", "", "/ /a 1; / /b 1; /b /b 1"),
    ("page_views bounce_rate", "source", "", "google 3 0.5; (direct) 2 0; x' OR 1=1 -- 2 0"),
    ("page_views", "traffic_class", "", "bot 100; human 7"),
    ("revenue key_events", "currency", "currency != ''", "JPY 7000 0; EUR 50 2"),
    ("revenue", "date", "currency == EUR", "2015-05-17 49.5; 2015-05-18 0.5"),
    ("custom_metric_1 custom_metric_3 visitors", "date", "", "2015-05-17 3.25 4 2; 2015-05-18 1 0 3"),
    ("custom_metric_1 events", "event_name", "", "page_view 3.5 7; scroll 0.75 1"),
    ("custom_metric_1", "", "currency == EUR", "2.5"),
    ("custom_metric_5 custom_metric_2", "", "", "0.000007 0"),
    ("custom_metric_1 bounce_rate", "source", "", "google 4.25 0.5; (direct) 0 0; x' OR 1=1 -- 0 0"),
    ("key_events", "date", "", "2015-05-17 1; 2015-05-18 1"),
    ("lcp_p50 lcp_p75 lcp_p95 cls_p75", "", "", "1000 2000 5000 0.1"),
    ("lcp_p50 page_views", "date", "", "2015-05-17 1000 3; 2015-05-18 2000 4"),
    (
        "lcp_p95 visitors bounce_rate",
        "source",
        "",
        "(direct) 5000 1 0; google 3000 1 0.5; x' OR 1=1 -- 0 1 0",
    ),
    ("inp_p75", "", "", "0"),
    ("inp_p75", "page_path", "", ""),
    ("cls_p75", "page_path", "", "/ 0.1"),
    ("events visitors", "custom_1", "", " 5 3; pro 2 2; free 1 1"),
    ("events", "custom_1 custom_3", "custom_3 == 3", "free 3 1"),
    ("events", "custom_5", "", " 8"),
    ("refused_hits", "", "", "20"),
    ("refused_hits", "refusal_reason", "", "foreign_hostname 10; too_old 6; invalid_field 4"),
    (
        "refused_hits",
        "date refusal_reason",
        "refusal_reason in (too_old, kind)",
        "2015-05-17 too_old 5; 2015-05-18 too_old 1",
    ),
    ("refused_hits page_views", "date", "", "2015-05-17 9 3; 2015-05-18 11 4"),
    ("refused_hits page_views", "hour", "date == 2015-05-18", "0 10 3; 2 1 0; 5 0 1"),
    ("page_views", "", "traffic_class == bot", "100"),
    ("page_views", "", "traffic_class =~ .", "107"),
    ("page_views", "date", "hour in (0, 23) and page_path != /b", "2015-05-17 1; 2015-05-18 2"),
    ("page_views", "", "page_path =~ '^/[ab]$' or date == 2015-05-17", "5"),
    ("page_views", "", "source !~ o", "4"),
    ("visitors", "", "country == IN and date_hour == 2015-05-18T05", "1"),
    (
        "items_viewed items_added_to_cart items_checked_out items_purchased",
        "item_name",
        "",
        "Cap 2 4 6 3; Hat 1 2 3 0",
    ),
    (
        "item_revenue items_purchased",
        "currency item_id",
        "",
        "JPY id of Cap 7000 1; EUR id of Cap 49.5 2; EUR id of Hat 0 0",
    ),
    ("item_revenue revenue", "date", "currency == EUR", "2015-05-17 49.5 49.5; 2015-05-18 0 0.5"),
    ("items_viewed", "custom_1 custom_2", "item_name == Hat", "pro SUMMER 1"),
    ("items_purchased", "source", "item_name == Cap", "google 2; (direct) 1"),
    ("visitors", "page_path", "country == DE", ""),
];

#[tokio::test(flavor = "multi_thread")]
async fn reports_are_what_was_computed_by_hand() -> anyhow::Result<()> {
    let site = site().await?;
    for (metrics, dimensions, filter, expected) in REPORTS {
        let rows = site.rows(site.request(metrics, dimensions, filter)).await?;
        assert_eq!(rows, *expected, "{metrics} by {dimensions} where {filter}");
    }
    let today = RunReportRequest {
        from: "today".into(),
        to: "today".into(),
        ..site.request("page_views", "date", "")
    };
    assert_eq!(site.rows(today).await?, "2015-05-18 4");
    site.running.clock.advance_ms(24 * 3_600_000);
    let days = RunReportRequest {
        from: "2daysAgo".into(),
        to: "yesterday".into(),
        ..site.request("page_views", "date", "")
    };
    assert_eq!(site.rows(days).await?, "2015-05-17 3; 2015-05-18 4");
    site.running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_filters_stay_values() -> anyhow::Result<()> {
    let site = site().await?;
    for (filter, views) in [
        (r#"source == "x' OR 1=1 --""#, 2),
        (r#"source in ("x' OR 1=1 --", "') UNION ALL SELECT 1 --")"#, 2),
        (r#"source =~ "^x' OR 1=1 --$""#, 2),
        (r#"source == "' OR 1=1 --""#, 0),
        (r#"source == "\\' OR 1=1 --""#, 0),
        (r#"source == "google\\""#, 0),
        (r#"source == "google' OR property != ''""#, 0),
        (r#"source == "{property:String}""#, 0),
        (r#"source == "?" or source == "%" or source == "${1}""#, 0),
        (r#"campaign == "a\\b 'c'""#, 2),
        (r#"campaign == 'a\b \'c\''"#, 2),
        (r#"campaign =~ "a\\\\b""#, 2),
        (r#"campaign == "a\\\\b 'c'""#, 0),
        ("page_path == '/日本; DROP TABLE hit_hourly'", 0),
    ] {
        let rows = site.rows(site.request("page_views", "", filter)).await?;
        assert_eq!(rows, views.to_string(), "{filter}");
    }
    // The second binding alone keeps foreign rows away, whatever a statement forgets.
    let client = warehouse::client(&site.running.warehouse)?;
    let filters = api::query::sql::additional_table_filters(&site.id);
    for (sql, expected) in [
        ("SELECT sum(page_views) FROM hit_hourly WHERE generation = 0", 107),
        ("SELECT sum(page_views) FROM total_hourly WHERE generation = 0", 107),
        ("SELECT sum(sessions) FROM session_hourly WHERE generation = 0", 3),
        ("SELECT sum(page_views) FROM hit_rollup WHERE generation = 0", 107),
        ("SELECT sum(sessions) FROM session_rollup WHERE generation = 0", 3),
        ("SELECT sum(count) FROM value_rollup WHERE generation = 0", 1_014),
        ("SELECT sum(count) FROM value_hourly WHERE generation = 0", 1_014),
        ("SELECT sum(items_purchased) FROM item_rollup WHERE generation = 0", 1_003),
        ("SELECT sum(items_purchased) FROM item_hourly WHERE generation = 0", 1_003),
        ("SELECT sum(hits) FROM refusal_rollup WHERE generation = 0", 20),
        ("SELECT sum(hits) FROM refusal_hourly WHERE generation = 0", 20),
    ] {
        let sum: u64 =
            client.query(sql).with_setting("additional_table_filters", &filters).fetch_one().await?;
        assert_eq!(sum, expected, "{sql}");
    }
    site.running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_pair_is_answered_or_refused_by_both_names() -> anyhow::Result<()> {
    let site = site().await?;
    let expected = json!({
        "visitors": 3, "new_visitors": 2, "sessions": 4, "engaged_sessions": 2, "bounce_rate": 1.0 / 3.0,
        "page_views": 7, "events": 8, "session_duration": 600.0, "engagement_time": 5.5, "key_events": 2,
        "revenue": 50.0, "custom_metric_1": 4.25, "custom_metric_2": 0.0, "custom_metric_3": 4.0, "custom_metric_4": 0.0,
        "custom_metric_5": 0.000_007, "items_viewed": 3, "items_added_to_cart": 6, "items_checked_out": 9,
        "refused_hits": 20, "items_purchased": 3, "item_revenue": 49.5, "lcp_p50": 1000.0, "lcp_p75": 2000.0, "lcp_p95": 5000.0,
        "cls_p50": 0.1, "cls_p75": 0.1, "cls_p95": 0.1
    });
    for metric in Metric::all() {
        for dimension in Dimension::ALL {
            let (metric, name) = (metric.name(), dimension.name());
            let filter = if matches!(metric, "revenue" | "item_revenue") { "currency == EUR" } else { "" };
            let body = json!({
                "property_id": site.id, "from": "2015-05-17", "to": "2015-05-18",
                "metrics": [metric], "dimensions": [name], "filter": filter
            });
            let answer = site.running.http("POST", "/v1/reports/run", &site.key, &body.to_string()).await?;
            if answer.status == 400 {
                let message = text(&answer.body["error"]["message"]);
                assert!(message.contains(metric) && message.contains(name), "{message}");
                continue;
            }
            assert_eq!(answer.status, 200, "{metric} by {name}: {:?}", answer.body);
            let is_there = answer.body["row_count"].as_u64() > Some(0);
            assert_eq!(is_there, expected.get(metric).is_some(), "{metric} by {name}");
            let total = &answer.body["totals"][metric];
            match dimension {
                // Named, the class is not held to people.
                Dimension::TrafficClass => {}
                Dimension::EntryPage | Dimension::ExitPage if metric == "sessions" => assert_eq!(total, 3),
                // Of what nobody measured every percentile is 0.
                _ => {
                    let expected = expected.get(metric).cloned().unwrap_or(json!(0.0));
                    assert_eq!(*total, expected, "{metric} by {name}");
                }
            }
        }
    }
    site.running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_orders_agree_between_one_table_and_two() -> anyhow::Result<()> {
    let site = site().await?;
    // The second metric of each pair makes the api join and sort instead of the warehouse.
    for (metrics, joined) in [("page_views", false), ("page_views engaged_sessions", true)] {
        for (order, descending, offset, limit, expected) in [
            ("page_path_is_default", false, 0, 0, vec!["google", "(direct)", EVIL]),
            ("source", true, 0, 0, vec![EVIL, "google", "(direct)"]),
            ("page_views", false, 0, 2, vec!["(direct)", EVIL]),
            ("page_views", false, 1, 1, vec![EVIL]),
            ("page_views", false, 3, 1, vec![]),
        ] {
            let mut request = site.request(metrics, "source", "");
            (request.offset, request.limit) = (offset, limit);
            if order != "page_path_is_default" {
                request.order_by = vec![OrderBy { field: order.into(), descending }];
            }
            let report = site.running.report(&site.key, request).await?;
            let sources: Vec<_> = report.rows.iter().map(|row| row.dimension_values[0].as_str()).collect();
            assert_eq!((sources, report.row_count), (expected, 3), "{order} {offset} {limit} {joined}");
        }
    }
    site.running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_of_odd_zones_and_changing_clocks_keep_their_names() -> anyhow::Result<()> {
    let running = Running::start(NOW).await?;
    for (zone, times, from, to, expected) in [
        (
            "Europe/Berlin",
            vec![
                "2015-03-29T01:30+01:00",
                "2015-03-29T03:30+02:00",
                "2015-10-25T02:30+02:00",
                "2015-10-25T02:30+01:00",
            ],
            "2015-01-01",
            "2015-12-31",
            vec![("2015-03-29T01", 1), ("2015-03-29T03", 1), ("2015-10-25T02", 2)],
        ),
        (
            "Australia/Lord_Howe",
            vec!["2015-04-05T01:45+11:00", "2015-04-05T01:45+10:30", "2015-04-05T02:05+10:30"],
            "2015-04-05",
            "2015-04-05",
            vec![("2015-04-05T01", 2), ("2015-04-05T02", 1)],
        ),
        (
            "Asia/Kathmandu",
            vec!["2015-05-17T23:59+05:45", "2015-05-18T00:00+05:45", "2015-05-18T00:59+05:45"],
            "2015-05-18",
            "2015-05-18",
            vec![("2015-05-18T00", 2)],
        ),
    ] {
        let property = running.property(zone, zone).await?;
        let id = text(&property["property_id"]);
        let hits = times.iter().map(|time| Ok(views(key(&id, &format!("{time}[{zone}]"), "/", "a")?, 1, 1)));
        let rows = RollupRows { hits: hits.collect::<anyhow::Result<_>>()?, ..RollupRows::default() };
        insert(&running.warehouse, 0, &rows).await?;
        let body = json!({
            "property_id": id, "from": from, "to": to, "metrics": ["page_views"], "dimensions": ["date_hour"],
            "order_by": [{ "field": "date_hour" }]
        });
        let key = text(&property["report_key"]);
        let answer = running.http("POST", "/v1/reports/run", &key, &body.to_string()).await?;
        let rows = expected.iter().map(|(hour, views)| json!({ "date_hour": hour, "page_views": views }));
        assert_eq!(answer.body["rows"], Value::from(rows.collect::<Vec<_>>()), "{zone}");
        assert_eq!(answer.body["time_zone"], zone);
    }
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn data_until_is_the_slowest_living_edge() -> anyhow::Result<()> {
    let running = Running::start(NOW).await?;
    let property = running.property("A", "UTC").await?;
    let body = json!({
        "property_id": property["property_id"], "from": "today", "to": "today", "metrics": ["page_views"]
    })
    .to_string();
    let until = async || -> anyhow::Result<Value> {
        let answer = running.http("POST", "/v1/reports/run", &running.admin_key, &body).await?;
        assert_eq!(answer.body["rows"], json!([{ "page_views": 0 }]));
        Ok(answer.body["data_until"].clone())
    };
    assert_eq!(until().await?, "");
    // 2015-05-17T22:00:00Z and a minute later; one edge is a lost disk's, one was not heard of for two days, and the
    // clock of one says 2100.
    for (edge, epoch, until_ms) in [
        ("a", "01", 1_431_900_000_000),
        ("b", "02", 1_431_900_060_000),
        ("b", "03", 1_431_899_000_000),
        ("c", "04", 1_431_900_000_000 - 2 * 86_400_000),
        ("d", "05", 4_102_444_800_000),
    ] {
        watermark(&running.warehouse, edge, epoch, until_ms).await?;
    }
    assert_eq!(until().await?, "2015-05-17T22:00:00Z");
    running.stop().await
}
