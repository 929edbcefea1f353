//! Why a request was not answered, and the one table from that to gRPC and HTTP status.
//!
//! Every refusal is one sentence that names field and value where there is one and says what would be right. What went
//! wrong inside (SQL, addresses) is logged where it happened and never told to the caller.

use std::fmt;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use serde_json::json;

/// Longest value that a refusal repeats, characters.
const VALUE_MAX_CHARS: usize = 200;

/// Seconds after which a caller that was shed may come again.
const RETRY_AFTER_S: u64 = 1;

mod status;

/// The kinds of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request cannot be understood or answered as it is.
    InvalidArgument,
    /// No key, or one that nobody has.
    Unauthenticated,
    /// The key is good, but not for this.
    PermissionDenied,
    /// The property or path does not exist.
    NotFound,
    /// Somebody else has it.
    AlreadyExists,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// The body is larger than the limit.
    TooLarge,
    /// Too much is going on; the same request may be repeated.
    Overloaded,
    /// The caller asks more often than it may; the same request may be repeated.
    RateLimited,
    /// It took longer than the caller or the configuration allows.
    DeadlineExceeded,
    /// The warehouse does not answer; the same request may be repeated.
    Unavailable,
    /// Our fault.
    Internal,
}

impl Code {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::InvalidArgument,
        Self::Unauthenticated,
        Self::PermissionDenied,
        Self::NotFound,
        Self::AlreadyExists,
        Self::MethodNotAllowed,
        Self::TooLarge,
        Self::Overloaded,
        Self::RateLimited,
        Self::DeadlineExceeded,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The table: name in JSON, gRPC status, HTTP status.
    fn row(self) -> (&'static str, tonic::Code, StatusCode) {
        match self {
            Self::InvalidArgument => {
                ("invalid_argument", tonic::Code::InvalidArgument, StatusCode::BAD_REQUEST)
            }
            Self::Unauthenticated => {
                ("unauthenticated", tonic::Code::Unauthenticated, StatusCode::UNAUTHORIZED)
            }
            Self::PermissionDenied => {
                ("permission_denied", tonic::Code::PermissionDenied, StatusCode::FORBIDDEN)
            }
            Self::NotFound => ("not_found", tonic::Code::NotFound, StatusCode::NOT_FOUND),
            Self::AlreadyExists => ("already_exists", tonic::Code::AlreadyExists, StatusCode::CONFLICT),
            Self::MethodNotAllowed => {
                ("method_not_allowed", tonic::Code::Unimplemented, StatusCode::METHOD_NOT_ALLOWED)
            }
            Self::TooLarge => ("too_large", tonic::Code::ResourceExhausted, StatusCode::PAYLOAD_TOO_LARGE),
            Self::Overloaded => {
                ("overloaded", tonic::Code::ResourceExhausted, StatusCode::SERVICE_UNAVAILABLE)
            }
            Self::RateLimited => {
                ("rate_limited", tonic::Code::ResourceExhausted, StatusCode::TOO_MANY_REQUESTS)
            }
            Self::DeadlineExceeded => {
                ("deadline_exceeded", tonic::Code::DeadlineExceeded, StatusCode::GATEWAY_TIMEOUT)
            }
            Self::Unavailable => ("unavailable", tonic::Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE),
            Self::Internal => ("internal", tonic::Code::Internal, StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// The name in JSON and in metrics.
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The gRPC status.
    pub fn grpc(self) -> tonic::Code {
        self.row().1
    }

    /// The HTTP status.
    pub fn http(self) -> StatusCode {
        self.row().2
    }

    /// Whether the same request may be repeated soon.
    fn is_retryable(self) -> bool {
        matches!(self, Self::Overloaded | Self::RateLimited | Self::Unavailable)
    }
}

/// A request that is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What kind.
    pub code: Code,
    /// The field of the request that is wrong.
    pub field: Option<String>,
    /// Its value, cut when it is long.
    pub value: Option<String>,
    /// One sentence for people; names field and value.
    pub message: String,
}

impl Refusal {
    /// A refusal that is not about a field.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, field: None, value: None, message: message.into() }
    }

    /// `FIELD is "VALUE", PROBLEM`: `problem` goes on with what is wrong and what would be right.
    pub fn invalid(field: impl Into<String>, value: &str, problem: impl fmt::Display) -> Self {
        let field = field.into();
        let value = shorten(value);
        let message = format!("{field} is {value:?}, {problem}");
        Self { code: Code::InvalidArgument, field: Some(field), value: Some(value), message }
    }
}

fn shorten(value: &str) -> String {
    match value.char_indices().nth(VALUE_MAX_CHARS) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "error": {
            "code": self.code.as_str(),
            "field": self.field.unwrap_or_default(),
            "value": self.value.unwrap_or_default(),
            "message": self.message,
        } });
        let mut response = (self.code.http(), Json(body)).into_response();
        if self.code.is_retryable() {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_names_field_and_value() {
        let refusal = Refusal::invalid("limit", "300000", "which is more than 250000");
        assert_eq!(refusal.message, "limit is \"300000\", which is more than 250000");
        let status = tonic::Status::from(refusal);
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let refusal = Refusal::invalid("filter", &"ü".repeat(5_000), "which is too long");
        assert_eq!(refusal.value.map(|value| value.chars().count()), Some(VALUE_MAX_CHARS + 1));
    }
}
