//! Findings into a report: rows of several tables joined, ordered and cut; sums into metrics.
//!
//! A row is there when any table has it; what another lacks is 0. Rates of no session are 0.

use std::cmp::Ordering;
use std::collections::HashMap;

use jiff::Timestamp;

use crate::plan::fields::{Dimension, Measure, Measured, Metric};
use crate::plan::{OrderField, Plan};
use crate::query::{Findings, Found, NO_SUMS, Row, Sums, add};
use crate::seams::{self, Note};

/// A number of a report.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A count.
    Integer(u64),
    /// A rate, a mean, a time.
    Number(f64),
    /// There is no such number: money of different currencies has no sum.
    Nothing,
}

/// A finished report.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// As asked.
    pub dimensions: Vec<Dimension>,
    /// As asked.
    pub metrics: Vec<Metric>,
    /// Labels and numbers, in the order of the two above.
    pub rows: Vec<(Vec<String>, Vec<Value>)>,
    /// Rows without limit and offset.
    pub row_count: u64,
    /// The metrics over everything.
    pub totals: Vec<Value>,
    /// Zone of the labels of the last day.
    pub time_zone: String,
    /// RFC 3339; empty: nothing was loaded yet.
    pub data_until: String,
    /// Time taken.
    pub elapsed_ms: u64,
    /// What a reader should know about the days.
    pub notes: Vec<Note>,
}

/// Makes the report; `elapsed_ms` is filled in by who measures it.
pub fn answer(plan: Plan, findings: Findings) -> Report {
    let (rows, row_count) = match findings.found {
        Found::Page { rows, row_count } => (rows, row_count),
        Found::Parts(parts) => {
            let mut rows = join(parts);
            let row_count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
            rows.sort_unstable_by(|a, b| compare(&plan, a, b));
            (rows.into_iter().skip(plan.offset).take(plan.limit).collect(), row_count)
        }
    };
    let values = |sums: &Sums| {
        let closed_only = plan.closed_sessions_only;
        plan.metrics.iter().map(|metric| value(*metric, sums, closed_only)).collect::<Vec<_>>()
    };
    let until = findings.data_until_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    Report {
        rows: rows.into_iter().map(|row| (row.labels, values(&row.sums))).collect(),
        totals: totals(&plan, values(&findings.totals)),
        row_count,
        time_zone: seams::time_zone(&plan.property.rules, plan.days).to_owned(),
        notes: seams::notes(
            &plan.property.rules,
            plan.days,
            plan.metrics.iter().any(|metric| metric.is_money()),
        ),
        data_until: until.map(|until| until.to_string()).unwrap_or_default(),
        elapsed_ms: 0,
        dimensions: plan.dimensions,
        metrics: plan.metrics,
    }
}

/// Money has a total only where all of it is of one currency.
fn totals(plan: &Plan, mut values: Vec<Value>) -> Vec<Value> {
    for (metric, value) in plan.metrics.iter().zip(&mut values) {
        if metric.is_money() && !plan.is_of_one_currency {
            *value = Value::Nothing;
        }
    }
    values
}

fn join(parts: Vec<Vec<Row>>) -> Vec<Row> {
    let mut joined: HashMap<Vec<String>, Sums> = HashMap::new();
    for row in parts.into_iter().flatten() {
        add(joined.entry(row.labels).or_insert(NO_SUMS), &row.sums);
    }
    joined.into_iter().map(|(labels, sums)| Row { labels, sums }).collect()
}

/// Ranks as `query::sql` orders.
fn compare(plan: &Plan, a: &Row, b: &Row) -> Ordering {
    for key in &plan.order {
        let order = match key.field {
            OrderField::Dimension(n) => {
                let (a, b) = (a.labels.get(n), b.labels.get(n));
                if plan.dimensions.get(n) == Some(&Dimension::Hour) {
                    let hour = |label: Option<&String>| label.and_then(|label| label.parse::<u8>().ok());
                    hour(a).cmp(&hour(b))
                } else {
                    a.cmp(&b)
                }
            }
            OrderField::Metric(n) => plan.metrics.get(n).map_or(Ordering::Equal, |metric| {
                let of = |row: &Row| value(*metric, &row.sums, plan.closed_sessions_only);
                match (of(a), of(b)) {
                    (Value::Integer(a), Value::Integer(b)) => a.cmp(&b),
                    (Value::Number(a), Value::Number(b)) => a.total_cmp(&b),
                    _ => Ordering::Equal,
                }
            }),
        };
        let order = if key.descending { order.reverse() } else { order };
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

fn value(metric: Metric, sums: &Sums, closed_sessions_only: bool) -> Value {
    let sum = |measure: Measure| sums.get(measure.index()).copied().unwrap_or(0);
    let closed = sum(Measure::SessionsClosed);
    match metric {
        Metric::BounceRate => {
            Value::Number(ratio(closed.saturating_sub(sum(Measure::SessionsEngaged)), closed))
        }
        Metric::SessionDuration => Value::Number(ratio(sum(Measure::DurationMs), closed) / 1000.0),
        Metric::EngagementTime => Value::Number(ratio(sum(Measure::EngagementMs), 1000)),
        Metric::Revenue => Value::Number(ratio(sum(Measure::RevenueMicros), 1_000_000)),
        Metric::Custom(slot) => Value::Number(ratio(sum(Measure::CustomMicros(slot)), 1_000_000)),
        Metric::ItemRevenue => Value::Number(ratio(sum(Measure::ItemRevenueMicros), 1_000_000)),
        Metric::Percentile(measured, percentile) => {
            let unit = if measured == Measured::Cls { 1000 } else { 1 };
            Value::Number(ratio(sum(Measure::Percentile(measured, percentile)), unit))
        }
        counted => {
            let measure = counted.measures(closed_sessions_only).first();
            Value::Integer(measure.map_or(0, |measure| sum(*measure)))
        }
    }
}

/// 0 of nothing. Counts beyond 2^53 lose their last bits, which no rate shows.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests;
