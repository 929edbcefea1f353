//! The HTTP side: routes, bodies, answers.
//!
//! In: requests on `/` and `/ping`. Out: what a ClickHouse server would answer, complete before its first byte. Invariant: a
//! request reaches the engine only when its body has arrived whole, so a cut connection never becomes a block.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::response::Response;
use axum::routing::get;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, Method};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::answer;
use crate::engine::EngineError;
use crate::execute::{Place, Queue, Reply};
use crate::metrics::{Refusal, ServeMetrics};
use crate::parse::Request;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) queue: Queue,
    pub(crate) metrics: ServeMetrics,
    pub(crate) max_body_bytes: u64,
    pub(crate) body_timeout: Duration,
}

/// The routes of ClickHouse's HTTP interface.
pub(crate) fn router(served: Served) -> Router {
    let statement = get(statement).post(statement);
    Router::new().route("/", statement).route("/ping", get(async || "Ok.\n")).with_state(served)
}

async fn statement(State(served): State<Served>, request: HttpRequest) -> Response {
    let pairs: Vec<(String, String)> =
        url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    // A HEAD comes here too, and may not write either.
    let is_get = request.method() != Method::POST;
    if is_get && pairs.is_empty() {
        return Response::new(Body::from("Ok.\n"));
    }
    let query_id = query_id(&pairs, request.headers());
    let result = run(&served, pairs, is_get, request).await;
    answer::write(result, query_id.as_deref())
}

async fn run(
    served: &Served,
    pairs: Vec<(String, String)>,
    read_only: bool,
    request: HttpRequest,
) -> Result<Reply, EngineError> {
    let mut place = served.queue.enter().inspect_err(|_| served.metrics.refused(Refusal::QueueFull))?;
    let (head, body) = request.into_parts();
    if let Some(encoding) = head.headers.get(CONTENT_ENCODING).filter(|value| *value != "identity") {
        return Err(EngineError::own(
            779,
            "UNSUPPORTED_MEDIA_TYPE",
            &format!(
                "Content-Encoding {encoding:?} is not supported: send the body as it is, or with decompress=1"
            ),
        ));
    }
    let content_type =
        head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = read(served, &mut place, &head.headers, body).await?;
    served.queue.run(place, Request { read_only, pairs, content_type, body }).await
}

/// The whole body, or a refusal.
async fn read(
    served: &Served,
    place: &mut Place,
    headers: &HeaderMap,
    body: Body,
) -> Result<Bytes, EngineError> {
    let limit = served.max_body_bytes;
    let too_large = || {
        served.metrics.refused(Refusal::TooLarge);
        EngineError::too_large(&format!(
            "The body is longer than max_body_bytes = {limit}: send less per request, or raise it"
        ))
    };
    let stated = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse().ok());
    if stated.is_some_and(|length: u64| length > limit) {
        return Err(too_large());
    }
    let mut incoming = Limited::new(body, usize::try_from(limit).unwrap_or(usize::MAX));
    let whole = async {
        let mut body = BytesMut::new();
        while let Some(frame) = incoming.frame().await {
            match frame {
                Ok(frame) => {
                    let Ok(data) = frame.into_data() else { continue };
                    served.queue.budget.grow(&mut place.body, data.len()).inspect_err(|_| {
                        served.metrics.refused(Refusal::MemoryFull);
                    })?;
                    body.extend_from_slice(&data);
                }
                Err(error) if error.is::<LengthLimitError>() => return Err(too_large()),
                Err(error) => {
                    served.metrics.refused(Refusal::Incomplete);
                    let text = format!("The body did not arrive whole, nothing was run: {error}");
                    return Err(EngineError::bad_request(&text));
                }
            }
        }
        Ok(body.freeze())
    };
    match tokio::time::timeout(served.body_timeout, whole).await {
        Ok(result) => result,
        Err(_) => {
            served.metrics.refused(Refusal::Incomplete);
            let limit_ms = served.body_timeout.as_millis();
            let text =
                format!("The body did not arrive whole within body_timeout_ms = {limit_ms}, nothing was run");
            Err(EngineError::own(159, "TIMEOUT_EXCEEDED", &text))
        }
    }
}

/// The client's query id, or a new one; `None` only if the system gives no random bytes.
fn query_id(pairs: &[(String, String)], headers: &HeaderMap) -> Option<String> {
    let header = headers.get(HeaderName::from_static("x-clickhouse-query-id"));
    let given = pairs
        .iter()
        .find(|(name, value)| name == "query_id" && !value.is_empty())
        .map(|(_, value)| value.clone());
    given.or_else(|| header.and_then(|value| value.to_str().ok()).map(str::to_owned)).or_else(|| {
        let mut random = [0_u8; 16];
        getrandom::fill(&mut random).ok()?;
        let digits = hex::encode(random);
        // Laid out like the UUIDs of a server.
        let (a, b, c, d, e) = (&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]);
        Some(format!("{a}-{b}-{c}-{d}-{e}"))
    })
}
