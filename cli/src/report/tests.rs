//! The three forms of a report.

use proto::report::Row;

use super::*;

fn report() -> RunReportResponse {
    let integer = |count| MetricValue { value: Some(Number::Integer(count)) };
    let rate = |rate| MetricValue { value: Some(Number::Number(rate)) };
    RunReportResponse {
        dimensions: vec!["page_path".into()],
        metrics: vec!["page_views".into(), "bounce_rate".into()],
        rows: vec![
            Row { dimension_values: vec!["/a,\"b\"".into()], metric_values: vec![integer(12), rate(0.5)] },
            Row { dimension_values: vec!["/".into()], metric_values: vec![integer(3), rate(0.0)] },
        ],
        row_count: 7,
        totals: vec![integer(15), rate(0.25)],
        time_zone: "UTC".into(),
        data_until: "2015-05-17T10:05:03Z".into(),
        elapsed_ms: 4,
        notes: Vec::new(),
    }
}

#[test]
fn json_names_every_value() {
    let expected = r#"{"rows":[{"page_path":"/a,\"b\"","page_views":12,"bounce_rate":0.5},
        {"page_path":"/","page_views":3,"bounce_rate":0.0}],"row_count":7,"totals":{"page_views":15,"bounce_rate":0.25},
        "time_zone":"UTC","data_until":"2015-05-17T10:05:03Z","elapsed_ms":4,"notes":[]}"#;
    assert_eq!(to_json(&report()), serde_json::from_str::<Value>(expected).unwrap());
}

#[test]
fn csv_quotes_by_rfc_4180() {
    assert_eq!(
        to_csv(&report()),
        "page_path,page_views,bounce_rate\r\n\"/a,\"\"b\"\"\",12,0.5\r\n/,3,0.0\r\n"
    );
}

#[test]
fn order_is_field_and_direction() {
    let order = |text| {
        parse_order(text).map(|order| (order.field, order.descending)).map_err(|error| error.to_string())
    };
    assert_eq!(order("page_views:desc"), Ok(("page_views".into(), true)));
    assert_eq!(order("date"), Ok(("date".into(), false)));
    assert_eq!(order("date:asc"), Ok(("date".into(), false)));
    assert!(order("date:down").unwrap_err().contains("FIELD:desc"));
}
