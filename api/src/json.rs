//! The HTTP/JSON face: `POST /v1/reports/run`, `POST` and `GET /v1/properties`, `POST`, `GET` and `DELETE /v1/aliases`,
//! `POST` and `GET /v1/rules`.
//!
//! Bodies have the fields of the `.proto` messages; a report's rows are objects with names. Errors, also those of
//! unknown paths and of bodies that are no JSON, are `{"error":{"code","field","value","message"}}`.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRef, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use property::{Alias, NewProperty, OwnedAlias};
use proto::report::{OrderBy, RunReportRequest};
use serde::de::DeserializeOwned;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;

use crate::answer::{Report, Value};
use crate::grpc::shown;
use crate::properties::PropertyCalls;
use crate::refuse::{Code, Refusal};
use crate::report::Reports;

mod rules;

#[derive(Clone)]
struct Calls {
    reports: Reports,
    properties: PropertyCalls,
}

impl FromRef<Calls> for Reports {
    fn from_ref(calls: &Calls) -> Self {
        calls.reports.clone()
    }
}

impl FromRef<Calls> for PropertyCalls {
    fn from_ref(calls: &Calls) -> Self {
        calls.properties.clone()
    }
}

/// The routes; a body may have `max_request_bytes`.
pub fn router(reports: Reports, properties: PropertyCalls, max_request_bytes: usize) -> Router {
    Router::new()
        .route("/v1/reports/run", post(run_report))
        .route("/v1/properties", post(create_property).get(list_properties))
        .route("/v1/aliases", post(add_alias).get(list_aliases).delete(remove_alias))
        .route("/v1/rules", post(rules::set).get(rules::get))
        .fallback(async || {
            let paths = "POST /v1/reports/run, POST or GET /v1/properties, POST, GET or DELETE /v1/aliases, \
                         POST or GET /v1/rules";
            Refusal::new(Code::NotFound, format!("there is nothing at this path; use {paths}"))
        })
        .method_not_allowed_fallback(async || {
            let said = "this path has no such method; reports are run with POST, properties and aliases made \
                        with POST and listed with GET, aliases removed with DELETE, rules set with POST and read with GET";
            Refusal::new(Code::MethodNotAllowed, said)
        })
        .layer(DefaultBodyLimit::max(max_request_bytes))
        .with_state(Calls { reports, properties })
}

async fn run_report(
    State(reports): State<Reports>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    reports.check_key(&headers).await?;
    let body: ReportBody = parse(body)?;
    let report = reports.run(&headers, &body.into(), None::<Duration>).await?;
    let json = serde_json::to_vec(&Shown(&report)).map_err(|error| {
        Refusal::new(Code::Internal, format!("the report cannot be written as JSON: {error}"))
    })?;
    Ok(([(CONTENT_TYPE, "application/json")], json).into_response())
}

async fn create_property(
    State(properties): State<PropertyCalls>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    properties.check_key(&headers).await?;
    let body: PropertyBody = parse(body)?;
    let PropertyBody { name, time_zone, currency, hostnames } = body;
    let keys = properties.create(&headers, NewProperty { name, time_zone, currency, hostnames }).await?;
    Ok((StatusCode::CREATED, Json(keys)).into_response())
}

async fn list_properties(
    State(properties): State<PropertyCalls>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let properties = properties.list(&headers).await?;
    let properties = properties.iter().map(|property| {
        let shown = shown(property);
        json!({
            "property_id": shown.property_id,
            "measurement_id": shown.measurement_id,
            "name": shown.name,
            "time_zone": shown.time_zone,
            "currency": shown.currency,
            "hostnames": shown.hostnames,
            "created_at": shown.created_at,
        })
    });
    Ok(Json(json!({ "properties": properties.collect::<Vec<_>>() })).into_response())
}

async fn add_alias(
    State(properties): State<PropertyCalls>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    properties.check_key(&headers).await?;
    let body: AliasBody = parse(body)?;
    let added = properties.add_alias(&headers, body.into()).await?;
    Ok((StatusCode::CREATED, Json(AliasBody::from(added))).into_response())
}

async fn remove_alias(
    State(properties): State<PropertyCalls>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    properties.check_key(&headers).await?;
    let body: AliasBody = parse(body)?;
    properties.remove_alias(&headers, body.into()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn list_aliases(
    State(properties): State<PropertyCalls>,
    Query(wanted): Query<AliasesQuery>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let aliases = properties.list_aliases(&headers, &wanted.property_id).await?;
    let aliases: Vec<_> = aliases.into_iter().map(AliasBody::from).collect();
    Ok(Json(json!({ "aliases": aliases })).into_response())
}

/// `meridian.config.v1.Alias`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AliasBody {
    property_id: String,
    protocol: String,
    id: String,
    #[serde(default)]
    hostname: String,
}

/// Whose aliases are wanted.
#[derive(Debug, Deserialize)]
struct AliasesQuery {
    #[serde(default)]
    property_id: String,
}

impl From<AliasBody> for OwnedAlias {
    fn from(body: AliasBody) -> Self {
        let AliasBody { property_id, protocol, id, hostname } = body;
        Self { alias: Alias { protocol, id, hostname }, property_id }
    }
}

impl From<OwnedAlias> for AliasBody {
    fn from(owned: OwnedAlias) -> Self {
        let Alias { protocol, id, hostname } = owned.alias;
        Self { property_id: owned.property_id, protocol, id, hostname }
    }
}

/// `meridian.config.v1.CreatePropertyRequest`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PropertyBody {
    name: String,
    #[serde(default)]
    time_zone: String,
    #[serde(default)]
    currency: String,
    #[serde(default)]
    hostnames: Vec<String>,
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
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Refusal::new(Code::TooLarge, "the body is larger than a request may be")
        }
        _ => Refusal::new(Code::InvalidArgument, "the body did not arrive whole"),
    })?;
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
        };
        assert_eq!(
            serde_json::to_string(&Shown(&report)).unwrap(),
            r#"{"rows":[{"date":"2015-05-17","page_views":123,"bounce_rate":0.5}],"row_count":1,"totals":{"page_views":123,"bounce_rate":0.0},"time_zone":"UTC","data_until":"","elapsed_ms":4}"#
        );
    }

    #[test]
    fn unknown_fields_are_refused_by_name() {
        let body = Ok(Bytes::from_static(b"{\"name\":\"a\",\"colour\":1}"));
        let message = parse::<PropertyBody>(body).unwrap_err().message;
        assert!(message.contains("unknown field `colour`"), "{message}");
    }
}
