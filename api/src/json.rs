//! The HTTP/JSON face: `POST /v1/reports/run`, `GET /v1/openapi.json`, and the paths of [`crate::rest`].
//!
//! A report has a route of its own because its rows are objects with names. Errors, also those of unknown paths and of bodies
//! that are no JSON, are `{"error":{"code","field","value","message"}}`.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Uri};
use proto::report::{OrderBy, RunReportRequest};
use serde::de::DeserializeOwned;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::answer::{Report, Value};
use crate::refuse::{Code, Refusal};
use crate::report::Reports;
use crate::rest::{Rest, no_such_method, whole};

/// What has a route here, for the list of what exists.
pub const ROUTES: [&str; 2] = ["POST /v1/reports/run", "GET /v1/openapi.json"];

/// The routes; a body may have `max_request_bytes`, and `openapi` is the description of all of them.
pub fn router(reports: Reports, rest: Rest, openapi: Bytes, max_request_bytes: usize) -> Router {
    let rest = Arc::new(rest);
    let annotated =
        move |method: Method, uri: Uri, headers: HeaderMap, body: Result<Bytes, BytesRejection>| {
            let rest = Arc::clone(&rest);
            async move { rest.answer(&method, &uri, headers, body).await }
        };
    let openapi = async || ([(CONTENT_TYPE, "application/json")], openapi);
    Router::new()
        .route("/v1/reports/run", post(run_report).fallback(async || no_such_method([Method::POST].iter())))
        .route("/v1/openapi.json", get(openapi).fallback(async || no_such_method([Method::GET].iter())))
        .fallback(annotated)
        .layer(DefaultBodyLimit::max(max_request_bytes))
        .with_state(reports)
}

async fn run_report(
    State(reports): State<Reports>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    reports.check_key(&headers)?;
    let body: ReportBody = parse(body)?;
    let report = reports.run(&headers, &body.into(), None::<Duration>).await?;
    let json = serde_json::to_vec(&Shown(&report)).map_err(|error| {
        Refusal::new(Code::Internal, format!("the report cannot be written as JSON: {error}"))
    })?;
    Ok(([(CONTENT_TYPE, "application/json")], json).into_response())
}

/// `meridian.report.v1.RunReportRequest`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReportBody {
    property_id: String,
    from: String,
    to: String,
    metrics: Vec<String>,
    #[serde(default)]
    dimensions: Vec<String>,
    #[serde(default)]
    filter: String,
    #[serde(default)]
    order_by: Vec<OrderByBody>,
    #[serde(default)]
    limit: u32,
    #[serde(default)]
    offset: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object {\"field\": NAME, \"descending\": true or false}")]
struct OrderByBody {
    field: String,
    #[serde(default)]
    descending: bool,
}

impl From<ReportBody> for RunReportRequest {
    fn from(body: ReportBody) -> Self {
        let order_by = body.order_by.into_iter();
        Self {
            property_id: body.property_id,
            from: body.from,
            to: body.to,
            metrics: body.metrics,
            dimensions: body.dimensions,
            filter: body.filter,
            order_by: order_by
                .map(|OrderByBody { field, descending }| OrderBy { field, descending })
                .collect(),
            limit: body.limit,
            offset: body.offset,
        }
    }
}

fn parse<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Refusal> {
    let body = whole(body)?;
    serde_json::from_slice(&body).map_err(|error| {
        Refusal::invalid(
            "body",
            &String::from_utf8_lossy(&body),
            format!("which is not the JSON expected here: {error}"),
        )
    })
}

/// A report in the JSON form of the interface.
struct Shown<'a>(&'a Report);

struct Rows<'a>(&'a Report);

/// One row, or the totals, which have no labels.
struct Named<'a> {
    report: &'a Report,
    labels: &'a [String],
    values: &'a [Value],
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let report = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("rows", &Rows(report))?;
        map.serialize_entry("row_count", &report.row_count)?;
        map.serialize_entry("totals", &Named { report, labels: &[], values: &report.totals })?;
        map.serialize_entry("time_zone", &report.time_zone)?;
        map.serialize_entry("data_until", &report.data_until)?;
        map.serialize_entry("elapsed_ms", &report.elapsed_ms)?;
        map.serialize_entry("notes", &report.notes)?;
        map.end()
    }
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let report = self.0;
        serializer.collect_seq(report.rows.iter().map(|(labels, values)| Named { report, labels, values }))
    }
}

impl Serialize for Named<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (dimension, label) in self.report.dimensions.iter().zip(self.labels) {
            map.serialize_entry(dimension.name(), label)?;
        }
        for (metric, value) in self.report.metrics.iter().zip(self.values) {
            match value {
                Value::Integer(integer) => map.serialize_entry(metric.name(), integer)?,
                Value::Number(number) => map.serialize_entry(metric.name(), number)?,
                Value::Nothing => map.serialize_entry(metric.name(), &())?,
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fields::{Dimension, Metric};
    use crate::seams::Note;

    #[test]
    fn report_has_the_form_of_the_interface() {
        let report = Report {
            dimensions: vec![Dimension::Date],
            metrics: vec![Metric::PageViews, Metric::BounceRate],
            rows: vec![(vec!["2015-05-17".into()], vec![Value::Integer(123), Value::Number(0.5)])],
            row_count: 1,
            totals: vec![Value::Integer(123), Value::Number(0.0)],
            time_zone: "UTC".into(),
            data_until: String::new(),
            elapsed_ms: 4,
            notes: vec![Note {
                code: "currency_changed",
                message: "m".into(),
                at: "2015-05-17T00:00:00Z".into(),
                before: "EUR".into(),
                after: "USD".into(),
            }],
        };
        assert_eq!(
            serde_json::to_string(&Shown(&report)).unwrap(),
            r#"{"rows":[{"date":"2015-05-17","page_views":123,"bounce_rate":0.5}],"row_count":1,"totals":{"page_views":123,"bounce_rate":0.0},"time_zone":"UTC","data_until":"","elapsed_ms":4,"notes":[{"code":"currency_changed","message":"m","at":"2015-05-17T00:00:00Z","before":"EUR","after":"USD"}]}"#
        );
    }

    #[test]
    fn unknown_fields_are_refused_by_name() {
        let body = Ok(Bytes::from_static(b"{\"property_id\":\"p_a\",\"colour\":1}"));
        let message = parse::<ReportBody>(body).unwrap_err().message;
        assert!(message.contains("unknown field `colour`"), "{message}");
    }
}
