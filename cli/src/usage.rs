//! `meridian usage`: how many hits each property had in each month, of every traffic class.
//!
//! In: reports of the properties that the key reads, by local day and class. Out: one line per property and month; that of the month that
//! it is says what of the quota of the day is used.

use std::collections::BTreeMap;

use anyhow::Context as _;
use clap::Args;
use comfy_table::{CellAlignment, Table};
use indicatif::{ProgressBar, ProgressStyle};
use proto::config::property_service_client::PropertyServiceClient;
use proto::config::{GetPropertyRequest, Property};
use proto::report::metric_value::Value as Number;
use proto::report::report_service_client::ReportServiceClient;
use proto::report::{RunReportRequest, RunReportResponse};
use serde_json::json;

use crate::property::{Format, all, limit};
use crate::services::{ApiOptions, call_error};

/// What is counted: every event is a hit.
const METRIC: &str = "events";
/// Rows of one report: days of a few years, in every class.
const ROWS: u32 = 250_000;

/// Arguments of `meridian usage`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Property id, p_…; without it every property that the key may list
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    property: String,
    /// Organisation whose properties are listed, o_…; without it that of the member's key, with the admin key all
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    organisation: String,
    /// First local day, inclusive: YYYY-MM-DD, today, yesterday, NdaysAgo
    #[arg(long, default_value = "365daysAgo")]
    from: String,
    /// Last local day, inclusive; the same forms
    #[arg(long, default_value = "today")]
    to: String,
    #[command(flatten)]
    api: ApiOptions,
    /// Form of the output; json: one object per line
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Hits of a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Month {
    hits: u64,
    human: u64,
    /// Of the day that it is; `None`: it is in another month.
    today: Option<u64>,
}

/// Runs the command.
///
/// # Errors
/// When the API cannot be reached or refuses.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let channel = arguments.api.connect().await?;
    let mut configured = PropertyServiceClient::new(channel.clone());
    let properties = if arguments.property.is_empty() {
        all(&mut configured, &arguments.organisation).await?
    } else {
        let request = GetPropertyRequest { property_id: arguments.property.clone() };
        vec![configured.get_property(request).await.map_err(|status| call_error(&status))?.into_inner()]
    };
    let mut reports = ReportServiceClient::new(channel).max_decoding_message_size(64 * 1024 * 1024);
    let style = ProgressStyle::with_template("asking for reports {bar:40} {pos}/{len}")?;
    let bar = ProgressBar::new(u64::try_from(properties.len())?).with_style(style);
    let mut usage = Vec::new();
    for property in properties {
        let request = RunReportRequest {
            property_id: property.property_id.clone(),
            from: arguments.from.clone(),
            to: arguments.to.clone(),
            metrics: vec![METRIC.to_owned()],
            dimensions: vec!["date".to_owned(), "traffic_class".to_owned()],
            limit: ROWS,
            ..RunReportRequest::default()
        };
        let report = reports.run_report(request).await.map_err(|status| call_error(&status))?;
        let today = today(&property.time_zone);
        usage.push((property, months(&report.into_inner(), &today)?));
        bar.inc(1);
    }
    bar.finish_and_clear();
    print(&usage, arguments.format);
    Ok(())
}

/// The date in a zone, as reports write it.
fn today(time_zone: &str) -> String {
    let now = jiff::Timestamp::now();
    now.in_tz(time_zone).map_or_else(|_| String::new(), |now| now.date().to_string())
}

/// Adds the days of a report up by month.
fn months(report: &RunReportResponse, today: &str) -> anyhow::Result<BTreeMap<String, Month>> {
    let mut months: BTreeMap<String, Month> = BTreeMap::new();
    for row in &report.rows {
        let [date, class] = row.dimension_values.as_slice() else {
            anyhow::bail!(
                "the report has {} dimensions instead of date and traffic_class",
                row.dimension_values.len()
            );
        };
        let month = date.get(..7).with_context(|| format!("the report's date {date:?} has no month"))?;
        let count = match row.metric_values.first().and_then(|value| value.value) {
            Some(Number::Integer(count)) => count,
            other => anyhow::bail!("the report counts hits as {other:?}"),
        };
        let is_this_month = today.starts_with(month);
        let month = months.entry(month.to_owned()).or_default();
        month.hits += count;
        if is_this_month {
            *month.today.get_or_insert(0) += if date == today { count } else { 0 };
        }
        if class == "human" {
            month.human += count;
        }
    }
    Ok(months)
}

fn print(usage: &[(Property, BTreeMap<String, Month>)], format: Format) {
    let lines = usage
        .iter()
        .flat_map(|(property, months)| months.iter().map(move |(month, counted)| (property, month, counted)));
    match format {
        Format::Json => {
            for (property, month, Month { hits, human, today }) in lines {
                let (id, daily_hits) = (&property.property_id, property.daily_hits);
                let mut line = json!({ "property_id": id, "month": month, "hits": hits, "human": human });
                line["daily_hits"] = json!(daily_hits);
                line["today"] = json!(today);
                println!("{line}");
            }
        }
        Format::Table => {
            let mut table = Table::new();
            table.set_header(["property_id", "name", "month", "hits", "human", "today", "daily_hits"]);
            for (property, month, Month { hits, human, today }) in lines {
                let (id, name, quota) = (&property.property_id, &property.name, limit(property.daily_hits));
                let today = today.map(|hits| hits.to_string()).unwrap_or_default();
                table.add_row([id, name, month, &hits.to_string(), &human.to_string(), &today, &quota]);
            }
            for column in 3..7 {
                if let Some(column) = table.column_mut(column) {
                    column.set_cell_alignment(CellAlignment::Right);
                }
            }
            println!("{table}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::report::{MetricValue, Row};

    #[test]
    fn days_and_classes_are_added_up_by_month() {
        let row = |date: &str, class: &str, count| Row {
            dimension_values: vec![date.into(), class.into()],
            metric_values: vec![MetricValue { value: Some(Number::Integer(count)) }],
        };
        let rows = vec![
            row("2026-01-31", "human", 3),
            row("2026-02-01", "human", 5),
            row("2026-02-01", "bot", 7),
            row("2026-02-28", "internal", 1),
        ];
        let report = RunReportResponse { rows, ..RunReportResponse::default() };
        for (today, of_january, of_february) in [
            ("2026-02-01", None, Some(12)),
            ("2026-02-02", None, Some(0)),
            ("2026-01-31", Some(3), None),
            ("2026-03-01", None, None),
        ] {
            let expected = [
                ("2026-01", Month { hits: 3, human: 3, today: of_january }),
                ("2026-02", Month { hits: 13, human: 5, today: of_february }),
            ];
            let found = months(&report, today).unwrap();
            assert_eq!(found, expected.map(|(month, counted)| (month.to_owned(), counted)).into(), "{today}");
        }
    }
}
