//! Joined rows, computed by hand.

use super::*;
use crate::plan::tests::{property, request};

fn row(label: &str, sums: &[(Measure, u64)]) -> Row {
    let mut row = Row { labels: vec![label.into()], sums: NO_SUMS };
    for (measure, value) in sums {
        row.sums[measure.index()] = *value;
    }
    row
}

fn report(dimension: &str, order_by: &str, offset: u32, limit: u32, parts: Vec<Vec<Row>>) -> Report {
    let mut request = request("page_views bounce_rate session_duration", dimension, "");
    if !order_by.is_empty() {
        request.order_by = vec![proto::report::OrderBy { field: order_by.into(), descending: false }];
    }
    (request.offset, request.limit) = (offset, limit);
    let plan = crate::plan::plan(&request, property("Asia/Kolkata"), 0).unwrap();
    let mut totals = NO_SUMS;
    for row in parts.iter().flatten() {
        add(&mut totals, &row.sums);
    }
    answer(plan, Findings { found: Found::Parts(parts), totals, data_until_ms: Some(1_431_857_100_000) })
}

fn parts(labels: [&str; 3]) -> Vec<Vec<Row>> {
    use Measure::{DurationMs, PageViews, SessionsClosed, SessionsEngaged};
    vec![
        vec![row(labels[0], &[(PageViews, 5)]), row(labels[1], &[(PageViews, 9)])],
        vec![
            row(labels[1], &[(SessionsClosed, 4), (SessionsEngaged, 1), (DurationMs, 6_000)]),
            row(labels[2], &[(SessionsClosed, 1), (SessionsEngaged, 1), (DurationMs, 500)]),
        ],
    ]
}

#[test]
fn rows_of_two_tables_are_joined_with_zeros_where_one_has_none() {
    use Value::{Integer, Number};
    let report = report("source", "", 0, 0, parts(["a", "b", "c"]));
    let of = |label: &str, numbers: [Value; 3]| (vec![label.to_owned()], numbers.to_vec());
    assert_eq!(
        report.rows,
        [
            of("b", [Integer(9), Number(0.75), Number(1.5)]),
            of("a", [Integer(5), Number(0.0), Number(0.0)]),
            of("c", [Integer(0), Number(0.0), Number(0.5)]),
        ]
    );
    assert_eq!(report.totals, [Integer(14), Number(0.6), Number(1.3)]);
    assert_eq!((report.row_count, report.time_zone.as_str()), (3, "Asia/Kolkata"));
    assert_eq!(report.data_until, "2015-05-17T10:05:00Z");
}

#[test]
fn joined_rows_are_ordered_and_cut() {
    let labels = |report: &Report| report.rows.iter().flat_map(|row| row.0.clone()).collect::<Vec<_>>();
    let hours = report("hour", "hour", 0, 0, parts(["10", "9", "0"]));
    assert_eq!(labels(&hours), ["0", "9", "10"]);
    let page = report("source", "bounce_rate", 1, 1, parts(["a", "b", "c"]));
    assert_eq!((labels(&page), page.row_count), (vec!["c".to_owned()], 3));
    let beyond = report("source", "", 7, 1, parts(["a", "b", "c"]));
    assert_eq!((beyond.rows.len(), beyond.row_count), (0, 3));
}
