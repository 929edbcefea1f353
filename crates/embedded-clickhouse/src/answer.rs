//! A result or an error as an HTTP response.
//!
//! Out: 200 with the result, or the status of the error's code with its text as the body; `X-ClickHouse-Query-Id`,
//! `X-ClickHouse-Summary`, `X-ClickHouse-Exception-Code` as a server sends them. `Accept-Encoding: lz4` is answered with the plain
//! body: the interface is meant for loopback, where compression costs more than it saves.

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::engine::EngineError;
use crate::execute::Reply;

/// Seconds after which a refused client may try again.
const RETRY_AFTER_S: u16 = 1;

/// Builds the response.
pub(crate) fn write(result: Result<Reply, EngineError>, query_id: Option<&str>) -> Response {
    let mut headers = HeaderMap::new();
    if let Some(id) = query_id.and_then(|id| HeaderValue::from_str(id).ok()) {
        headers.insert(HeaderName::from_static("x-clickhouse-query-id"), id);
    }
    let (status, body) = match result {
        Ok(reply) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
            if let Ok(summary) = HeaderValue::from_str(&summary(&reply)) {
                headers.insert(HeaderName::from_static("x-clickhouse-summary"), summary);
            }
            (StatusCode::OK, Body::from(reply.body))
        }
        Err(error) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=UTF-8"));
            headers.insert(
                HeaderName::from_static("x-clickhouse-exception-code"),
                HeaderValue::from(error.code),
            );
            let status = error.status();
            if status == StatusCode::SERVICE_UNAVAILABLE {
                headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
            }
            (status, Body::from(format!("{}\n", error.text)))
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Counts as strings, as a server writes them.
fn summary(reply: &Reply) -> String {
    let output = &reply.output;
    format!(
        concat!(
            r#"{{"read_rows":"{}","read_bytes":"{}","written_rows":"{}","written_bytes":"{}","#,
            r#""total_rows_to_read":"0","result_rows":"{}","result_bytes":"{}","elapsed_ns":"{}"}}"#
        ),
        output.read_rows,
        output.read_bytes,
        output.written_rows,
        output.written_bytes,
        output.result_rows,
        output.result_bytes,
        reply.elapsed.as_nanos(),
    )
}
