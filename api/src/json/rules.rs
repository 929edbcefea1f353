//! `POST /v1/rules` sets a property's rules, `GET /v1/rules` shows them.
//!
//! Rules come and go as the text of a rules file, as over gRPC, so that an error names the line as it was written.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::json;

use super::parse;
use crate::properties::PropertyCalls;
use crate::refuse::{Code, Refusal};

/// `meridian.config.v1.SetRulesRequest`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesBody {
    property_id: String,
    rules: String,
    #[serde(default)]
    dry_run: bool,
}

/// `meridian.config.v1.GetRulesRequest`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RulesQuery {
    #[serde(default)]
    property_id: String,
    #[serde(default)]
    version: u32,
}

pub(super) async fn set(
    State(properties): State<PropertyCalls>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    properties.check_key(&headers).await?;
    let RulesBody { property_id, rules, dry_run } = parse(body)?;
    let set = properties.set_rules(&headers, &property_id, rules, dry_run).await?;
    let changes = set.changes.into_iter();
    let changes: Vec<_> = changes
        .map(|change| json!({ "field": change.field, "old": change.old, "new": change.new }))
        .collect();
    Ok(Json(json!({ "version": set.version, "changes": changes })).into_response())
}

pub(super) async fn get(
    State(properties): State<PropertyCalls>,
    wanted: Result<Query<RulesQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    properties.check_key(&headers).await?;
    let Query(wanted) = wanted.map_err(|rejection| {
        let said = rejection.body_text();
        let message = format!("the query is not property_id=p_… and perhaps version=NUMBER: {said}");
        Refusal::new(Code::InvalidArgument, message)
    })?;
    let shown = properties.rules(&headers, &wanted.property_id, wanted.version).await?;
    let body =
        json!({ "version": shown.version, "current_version": shown.current_version, "rules": shown.text });
    Ok(Json(body).into_response())
}
