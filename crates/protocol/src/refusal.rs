//! Refusals: what a client is told when its request is not taken, by a code that programs can rely on.
//!
//! Out: status, and `{"error":{"code","field","value","message"}}`. `docs/errors.md` lists the codes.

use http::StatusCode;
use serde::Serialize;

/// Characters of a value that an error repeats.
const VALUE_CHARS: usize = 100;

/// Seconds after which an overloaded edge may be asked again.
const RETRY_OVERLOADED_S: u32 = 1;

/// Seconds after which a full edge, one with a clock that went back, or one that lacks a salt may be asked again.
const RETRY_FULL_S: u32 = 30;

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// Not JSON, or not an object.
    InvalidJson,
    /// A field with an impossible value.
    InvalidField,
    /// A field that must be there.
    MissingField,
    /// A field that there is not.
    UnknownField,
    /// More hits than a request may hold.
    TooManyHits,
    /// A body or query beyond the limit.
    TooLarge,
    /// A Content-Encoding other than gzip.
    UnsupportedEncoding,
    /// The API secret is wrong.
    InvalidSecret,
    /// A field that only the API secret allows.
    SecretRequired,
    /// No property has this measurement id.
    UnknownMeasurementId,
    /// The property's hits stay in a data region that this edge does not serve.
    WrongRegion,
    /// No such path.
    NotFound,
    /// Another method.
    MethodNotAllowed,
    /// The body did not come in time.
    Timeout,
    /// More hits wait than the edge takes.
    Overloaded,
    /// The disk budget is used up.
    Full,
    /// The edge's clock went back.
    ClockUnsure,
    /// The edge cannot store hits.
    Unavailable,
    /// The edge has not been told its configuration yet.
    Unconfigured,
    /// The edge has not been told the salt of a date that it is somewhere on earth.
    SaltMissing,
    /// The property has had all hits of its local day.
    OverQuota,
    /// The property has had all hits of this moment.
    RateLimited,
}

impl Code {
    /// Every code, for tests and metrics.
    #[cfg(test)]
    pub const ALL: [Self; 22] = [
        Self::InvalidJson,
        Self::InvalidField,
        Self::MissingField,
        Self::UnknownField,
        Self::TooManyHits,
        Self::TooLarge,
        Self::UnsupportedEncoding,
        Self::InvalidSecret,
        Self::SecretRequired,
        Self::UnknownMeasurementId,
        Self::WrongRegion,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Timeout,
        Self::Overloaded,
        Self::Full,
        Self::ClockUnsure,
        Self::Unavailable,
        Self::Unconfigured,
        Self::SaltMissing,
        Self::OverQuota,
        Self::RateLimited,
    ];

    /// As in the answer and in `edge_collect_requests_total{result}`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid_json",
            Self::InvalidField => "invalid_field",
            Self::MissingField => "missing_field",
            Self::UnknownField => "unknown_field",
            Self::TooManyHits => "too_many_hits",
            Self::TooLarge => "too_large",
            Self::UnsupportedEncoding => "unsupported_encoding",
            Self::InvalidSecret => "invalid_secret",
            Self::SecretRequired => "secret_required",
            Self::UnknownMeasurementId => "unknown_measurement_id",
            Self::WrongRegion => "wrong_region",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Timeout => "timeout",
            Self::Overloaded => "overloaded",
            Self::Full => "full",
            Self::ClockUnsure => "clock_unsure",
            Self::Unavailable => "unavailable",
            Self::Unconfigured => "unconfigured",
            Self::SaltMissing => "salt_missing",
            Self::OverQuota => "over_quota",
            Self::RateLimited => "rate_limited",
        }
    }

    /// The HTTP status: the one table of them.
    pub fn status(self) -> StatusCode {
        match self {
            Self::InvalidJson
            | Self::InvalidField
            | Self::MissingField
            | Self::UnknownField
            | Self::TooManyHits => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::InvalidSecret | Self::SecretRequired => StatusCode::UNAUTHORIZED,
            Self::UnknownMeasurementId | Self::NotFound => StatusCode::NOT_FOUND,
            Self::WrongRegion => StatusCode::MISDIRECTED_REQUEST,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::OverQuota | Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::Overloaded
            | Self::Full
            | Self::ClockUnsure
            | Self::Unavailable
            | Self::Unconfigured
            | Self::SaltMissing => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// `Retry-After`, seconds, where the edge is what is in the way and the same request may succeed later. What a property's limit refuses
    /// names its time itself, [`Refusal::retry_after_s`].
    pub fn retry_after_s(self) -> Option<u32> {
        match self {
            Self::Overloaded | Self::Unavailable | Self::Unconfigured => Some(RETRY_OVERLOADED_S),
            Self::Full | Self::ClockUnsure | Self::SaltMissing => Some(RETRY_FULL_S),
            _ => None,
        }
    }
}

/// A request that is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub code: Code,
    /// Path of the field, such as `hits[3].age_ms`; empty: the request as a whole.
    pub field: String,
    /// What it held, cut to 100 characters.
    pub value: String,
    /// One sentence with the way out.
    pub message: String,
    /// `Retry-After`, seconds.
    pub retry_after_s: Option<u32>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: Error<'a>,
}

#[derive(Serialize)]
struct Error<'a> {
    code: &'a str,
    field: &'a str,
    value: &'a str,
    message: &'a str,
}

impl Refusal {
    /// A refusal of the request as a whole.
    pub fn whole(code: Code, message: impl Into<String>) -> Self {
        Self::field(code, "", "", message)
    }

    /// A refusal because of one field.
    pub fn field(
        code: Code,
        field: impl Into<String>,
        value: impl std::fmt::Display,
        message: impl Into<String>,
    ) -> Self {
        let value = value.to_string().chars().take(VALUE_CHARS).collect();
        let retry_after_s = code.retry_after_s();
        Self { code, field: field.into(), value, message: message.into(), retry_after_s }
    }

    /// The same, to be sent again after so many seconds.
    #[must_use]
    pub fn again_after(self, seconds: u32) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    /// The body of the answer.
    pub fn to_json(&self) -> Vec<u8> {
        let error = Error {
            code: self.code.as_str(),
            field: &self.field,
            value: &self.value,
            message: &self.message,
        };
        serde_json::to_vec(&Envelope { error }).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sent::Dropped;

    #[test]
    fn every_code_is_documented_with_its_status() {
        let text = include_str!("../../../docs/errors.md");
        for code in Code::ALL {
            let row = format!("| `{}` | {} |", code.as_str(), code.status().as_u16());
            assert!(text.contains(&row), "docs/errors.md lacks the row {row}");
            assert_eq!(code.retry_after_s().is_some(), code.status() == StatusCode::SERVICE_UNAVAILABLE);
        }
    }

    #[test]
    fn reports_know_every_reason_that_counts_for_a_property() {
        let is_told = |reason: &str| hit::known_reason(reason) == reason;
        for code in Code::ALL {
            let is_anybodys = matches!(
                code,
                Code::UnsupportedEncoding
                    | Code::Timeout
                    | Code::UnknownMeasurementId
                    | Code::WrongRegion
                    | Code::NotFound
                    | Code::MethodNotAllowed
            );
            let expected = !is_anybodys && code.retry_after_s().is_none();
            assert_eq!(is_told(code.as_str()), expected, "{code:?}");
        }
        for reason in [Dropped::Kind, Dropped::TooOld, Dropped::SecretRequired, Dropped::NoConsent] {
            assert!(is_told(reason.as_str()), "{reason:?}");
        }
        assert!(!is_told(Dropped::UnknownSite.as_str()));
    }

    #[test]
    fn the_answer_has_the_documented_shape() {
        let refusal = Refusal::field(Code::InvalidField, "hits[3].age_ms", -5, "too young");
        assert_eq!(
            String::from_utf8(refusal.to_json()).unwrap(),
            r#"{"error":{"code":"invalid_field","field":"hits[3].age_ms","value":"-5","message":"too young"}}"#
        );
    }
}
