//! `meridian report`: ask for a report over the gRPC API and print it as a table, JSON or CSV.

use anyhow::bail;
use clap::{Args, ValueEnum};
use comfy_table::{CellAlignment, Table, presets};
use proto::report::metric_value::Value as Number;
use proto::report::report_service_client::ReportServiceClient;
use proto::report::{MetricValue, Note, OrderBy, RunReportRequest, RunReportResponse};
use serde_json::{Map, Value, json};

use crate::services::{ApiOptions, call_error};

/// Arguments of `meridian report`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Property id, "p_…"
    #[arg(long, value_name = "ID")]
    property: String,
    /// First local day, inclusive: YYYY-MM-DD, today, yesterday, NdaysAgo
    #[arg(long, default_value = "today")]
    from: String,
    /// Last local day, inclusive; the same forms
    #[arg(long, default_value = "today")]
    to: String,
    /// visitors, new_visitors, sessions, engaged_sessions, bounce_rate, page_views, events, session_duration,
    /// engagement_time, key_events, revenue, refused_hits, items_viewed, items_added_to_cart, items_checked_out, items_purchased, item_revenue; api/README.md
    /// has all
    #[arg(long, alias = "metric", value_delimiter = ',', default_value = "visitors,sessions,page_views")]
    metrics: Vec<String>,
    /// date, date_hour, hour, page_path, entry_page, exit_page, source, medium, campaign, country, device, browser,
    /// operating_system, event_name, traffic_class, currency, refusal_reason, item_id, item_name, item_brand, item_category, item_variant; api/README.md has all
    #[arg(long, alias = "dimension", value_delimiter = ',')]
    dimensions: Vec<String>,
    /// NAME OP VALUE {and|or NAME OP VALUE}; OP: == != =~ !~ in(a,b)
    #[arg(long, value_name = "EXPRESSION", default_value = "")]
    filter: String,
    /// Metrics or dimensions, each with :asc or :desc
    #[arg(long, value_delimiter = ',', value_name = "FIELD[:desc]")]
    order_by: Vec<String>,
    /// Rows at most
    #[arg(long, default_value_t = 10_000)]
    limit: u32,
    /// Rows to leave out at the beginning
    #[arg(long, default_value_t = 0)]
    offset: u32,
    #[command(flatten)]
    api: ApiOptions,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
    Csv,
}

/// Runs the report and prints it.
///
/// # Errors
/// When the API cannot be reached or refuses the request.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let format = arguments.format;
    let order_by = arguments.order_by.iter().map(|text| parse_order(text)).collect::<anyhow::Result<_>>()?;
    let mut client =
        ReportServiceClient::new(arguments.api.connect().await?).max_decoding_message_size(64 * 1024 * 1024);
    let request = RunReportRequest {
        property_id: arguments.property,
        from: arguments.from,
        to: arguments.to,
        metrics: arguments.metrics,
        dimensions: arguments.dimensions,
        filter: arguments.filter,
        order_by,
        limit: arguments.limit,
        offset: arguments.offset,
    };
    let report = client.run_report(request).await.map_err(|status| call_error(&status))?.into_inner();
    match format {
        Format::Table => println!("{}", to_table(&report)),
        Format::Json => println!("{}", to_json(&report)),
        Format::Csv => print!("{}", to_csv(&report)),
    }
    Ok(())
}

fn parse_order(text: &str) -> anyhow::Result<OrderBy> {
    let (field, descending) = match text.rsplit_once(':') {
        None | Some((_, "asc")) => (text.trim_end_matches(":asc"), false),
        Some((field, "desc")) => (field, true),
        Some((_, other)) => {
            bail!("--order-by {text:?} ends in {other:?}; write FIELD, FIELD:asc or FIELD:desc")
        }
    };
    Ok(OrderBy { field: field.to_owned(), descending })
}

/// The JSON form of a report: rows as objects by name.
pub fn to_json(report: &RunReportResponse) -> Value {
    let rows: Vec<Value> = report
        .rows
        .iter()
        .map(|row| {
            let dimensions =
                report.dimensions.iter().cloned().zip(row.dimension_values.iter().map(|value| json!(value)));
            let metrics = report.metrics.iter().cloned().zip(row.metric_values.iter().map(number));
            Value::Object(dimensions.chain(metrics).collect())
        })
        .collect();
    let totals: Map<String, Value> =
        report.metrics.iter().cloned().zip(report.totals.iter().map(number)).collect();
    json!({
        "rows": rows,
        "row_count": report.row_count,
        "totals": totals,
        "time_zone": report.time_zone,
        "data_until": report.data_until,
        "elapsed_ms": report.elapsed_ms,
        "notes": report.notes.iter().map(note).collect::<Vec<_>>(),
    })
}

fn note(note: &Note) -> Value {
    let Note { code, message, at, before, after } = note;
    json!({ "code": code, "message": message, "at": at, "before": before, "after": after })
}

fn number(value: &MetricValue) -> Value {
    match value.value {
        Some(Number::Integer(count)) => json!(count),
        Some(Number::Number(number)) => json!(number),
        None => Value::Null,
    }
}

/// Counts whole, rates and times with a few digits: for eyes, not for programs.
fn shown(value: &MetricValue) -> String {
    match value.value {
        Some(Number::Integer(count)) => count.to_string(),
        Some(Number::Number(number)) => format!("{number:.3}"),
        None => String::new(),
    }
}

/// The report as a table for a terminal, totals in the last row.
pub fn to_table(report: &RunReportResponse) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(report.dimensions.iter().chain(&report.metrics));
    for row in &report.rows {
        table.add_row(row.dimension_values.iter().cloned().chain(row.metric_values.iter().map(shown)));
    }
    if !report.dimensions.is_empty() {
        let mut total = vec![String::new(); report.dimensions.len()];
        if let Some(first) = total.first_mut() {
            "total".clone_into(first);
        }
        total.extend(report.totals.iter().map(shown));
        table.add_row(total);
    }
    for index in report.dimensions.len()..report.dimensions.len() + report.metrics.len() {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let until = if report.data_until.is_empty() { "nothing yet" } else { &report.data_until };
    let notes: String = report.notes.iter().map(|note| format!("\nnote: {}", note.message)).collect();
    format!(
        "{table}\n{} of {} rows, time zone {}, counted until {until}, {} ms{notes}",
        report.rows.len(),
        report.row_count,
        report.time_zone,
        report.elapsed_ms
    )
}

fn to_csv(report: &RunReportResponse) -> String {
    let mut text = csv_line(report.dimensions.iter().chain(&report.metrics).cloned());
    for row in &report.rows {
        let metrics = row.metric_values.iter().map(|value| match number(value) {
            Value::Null => String::new(),
            number => number.to_string(),
        });
        text.push_str(&csv_line(row.dimension_values.iter().cloned().chain(metrics)));
    }
    text
}

/// One line by RFC 4180: fields with a comma, quote or line break are quoted, quotes doubled.
fn csv_line(fields: impl Iterator<Item = String>) -> String {
    let quoted = fields.map(|field| {
        if field.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", field.replace('"', "\"\""))
        } else {
            field
        }
    });
    let mut line = quoted.collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

#[cfg(test)]
mod tests;
