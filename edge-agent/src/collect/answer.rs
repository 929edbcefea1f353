//! Answers as bytes: 204, the pixel, errors, and the CORS headers that any page may send hits with.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};

use super::refusal::Refusal;

/// What every handler gives.
pub(crate) type Answer = Response<Full<Bytes>>;

/// How long browsers remember that hits may be sent, seconds: the most that Chromium honours.
const PREFLIGHT_S: u32 = 7200;

/// A transparent GIF of one pixel.
const PIXEL: &[u8] =
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00\x21\xf9\x04\x01\x00\x00\x00\x00\
    \x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00\x3b";

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
    if let Some(seconds) = refusal.code.retry_after_s() {
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

fn with_cors(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let anyone = HeaderValue::from_static("*");
    answer.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, anyone);
    answer
}
