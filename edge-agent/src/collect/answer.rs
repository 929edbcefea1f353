//! Answers as bytes: 204, the pixel, errors, and the CORS headers that any page may send hits with.

use std::borrow::Cow;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderValue};
use hyper::{HeaderMap, Response, StatusCode};
use protocol::sent::{DROPPED_HEADER, PIXEL};
use protocol::{Outcome, Refusal, Reply};

/// What every handler gives.
pub(crate) type Answer = Response<Full<Bytes>>;

/// How long browsers remember that hits may be sent, seconds: the most that Chromium honours.
const PREFLIGHT_S: u32 = 7200;

/// Taken.
pub(crate) fn taken() -> Answer {
    with_cors(StatusCode::NO_CONTENT, Bytes::new())
}

/// Taken, shown as an image.
pub(crate) fn pixel() -> Answer {
    let mut answer = with_cors(StatusCode::OK, Bytes::from_static(PIXEL));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/gif"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// Any page may post hits.
pub(crate) fn preflight(methods: &'static str) -> Answer {
    let mut answer = taken();
    let headers = answer.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    let allowed = HeaderValue::from_static("content-type, content-encoding");
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(PREFLIGHT_S));
    answer
}

/// Refused.
pub(crate) fn refused(refusal: &Refusal) -> Answer {
    let mut answer = with_cors(refusal.code.status(), Bytes::from(refusal.to_json()));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) = refusal.retry_after_s {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if refusal.code.status() == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    answer
}

/// Refused, with the methods that the path has.
pub(crate) fn wrong_method(refusal: &Refusal, allowed: &'static str) -> Answer {
    let mut answer = refused(refusal);
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    answer
}

/// Any page may send another product's hits, with cookies too: their trackers ask so, and nothing here looks at a cookie.
pub(crate) fn preflight_for(headers: &HeaderMap, methods: &'static str) -> Answer {
    let mut answer = preflight(methods);
    allow_origin(headers, &mut answer);
    if let Some(wanted) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        answer.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    answer
}

/// The reply of another product's protocol, and what of the request was not counted.
pub(crate) fn reply(reply: Reply, headers: &HeaderMap, outcomes: &[Outcome]) -> Answer {
    let mut answer = with_cors(
        reply.status,
        match reply.body {
            Cow::Borrowed(body) => Bytes::from_static(body),
            Cow::Owned(body) => Bytes::from(body),
        },
    );
    allow_origin(headers, &mut answer);
    let fields = answer.headers_mut();
    if !reply.content_type.is_empty() {
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    }
    fields.extend(reply.headers);
    let mut dropped = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Taken { .. } => None,
        Outcome::Dropped(reason) => Some(reason.as_str()),
        Outcome::Refused(refusal) => Some(refusal.code.as_str()),
    });
    if let Some(first) = dropped.next()
        && let Ok(value) = HeaderValue::try_from(format!("{} {first}", dropped.count() + 1))
    {
        fields.insert(DROPPED_HEADER, value);
    }
    answer
}

/// A request with cookies is answered to its own origin, never to `*` (Fetch, CORS protocol and credentials).
fn allow_origin(headers: &HeaderMap, answer: &mut Answer) {
    if let Some(origin) = headers.get(header::ORIGIN) {
        let fields = answer.headers_mut();
        fields.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        fields.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        fields.insert(header::VARY, HeaderValue::from_static("origin"));
    }
}

/// An answer that any page may read.
pub(crate) fn with_cors(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let anyone = HeaderValue::from_static("*");
    answer.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, anyone);
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        // A script of another origin sees no header that is not named.
        let retry_after = HeaderValue::from_static("retry-after");
        answer.headers_mut().insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, retry_after);
    }
    answer
}
