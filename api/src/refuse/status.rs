//! A refusal as a gRPC status, and back.
//!
//! In the details of the status stand the messages that clients of gRPC know: `google.rpc.ErrorInfo` with the code as its
//! reason and field and value as its metadata, `google.rpc.BadRequest` for the field of a bad request, `google.rpc.RetryInfo`.
//! A refusal that went through a status is the same afterwards; a status of another origin becomes the nearest refusal.

use std::collections::HashMap;
use std::time::Duration;

use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{Code, RETRY_AFTER_S, Refusal};

/// Whose reasons ours are.
const DOMAIN: &str = "meridian";

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let Refusal { code, field, value, message } = refusal;
        let mut details = ErrorDetails::new();
        if let (Code::InvalidArgument, Some(field)) = (code, &field) {
            details.add_bad_request_violation(field, &message);
        }
        if code.is_retryable() {
            details.set_retry_info(Some(Duration::from_secs(RETRY_AFTER_S)));
        }
        let metadata = [("field", field), ("value", value)];
        let metadata = metadata.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?)));
        details.set_error_info(reason(code), DOMAIN, metadata.collect::<HashMap<_, _>>());
        Self::with_error_details(code.grpc(), message, details)
    }
}

impl From<&Status> for Refusal {
    fn from(status: &Status) -> Self {
        let info = status.get_details_error_info().filter(|info| info.domain == DOMAIN);
        let told =
            info.as_ref().and_then(|info| Code::ALL.into_iter().find(|&code| reason(code) == info.reason));
        let text = |name: &str| info.as_ref().and_then(|info| info.metadata.get(name).cloned());
        Self {
            code: told.unwrap_or_else(|| nearest(status.code())),
            field: text("field"),
            value: text("value"),
            message: status.message().to_owned(),
        }
    }
}

/// `TOO_LARGE`
fn reason(code: Code) -> String {
    code.as_str().to_ascii_uppercase()
}

/// For a status that does not say which refusal it is, such as tonic's own.
fn nearest(code: tonic::Code) -> Code {
    match code {
        // tonic's for a message beyond the limit.
        tonic::Code::OutOfRange => Code::TooLarge,
        tonic::Code::ResourceExhausted => Code::Overloaded,
        tonic::Code::FailedPrecondition => Code::InvalidArgument,
        other => Code::ALL.into_iter().find(|code| code.grpc() == other).unwrap_or(Code::Internal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_survives_a_status() {
        for code in Code::ALL {
            for (field, value) in [(None, None), (Some("rules"), Some("")), (Some("a[0].b"), Some("ü\n\"%"))]
            {
                let refusal = Refusal {
                    code,
                    field: field.map(str::to_owned),
                    value: value.map(str::to_owned),
                    message: "größer als erlaubt: \"5\"".to_owned(),
                };
                // As over the network: the details travel in a header.
                let response = Status::from(refusal.clone()).into_http::<()>();
                let status = Status::from_header_map(response.headers()).unwrap();
                assert_eq!(status.code(), code.grpc());
                assert_eq!(Refusal::from(&status), refusal);
            }
        }
    }

    #[test]
    fn clients_find_the_standard_details() {
        let details = Status::from(Refusal::invalid("limit", "-1", "which is negative")).get_error_details();
        let violations = &details.bad_request().unwrap().field_violations;
        assert_eq!((violations.len(), violations[0].field.as_str()), (1, "limit"));
        assert_eq!(violations[0].description, "limit is \"-1\", which is negative");
        let info = details.error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("INVALID_ARGUMENT", "meridian"));
        assert_eq!(info.metadata["value"], "-1");
        assert!(details.retry_info().is_none());

        let details = Status::from(Refusal::new(Code::Overloaded, "later")).get_error_details();
        assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_secs(1)));
        assert!(details.bad_request().is_none());
    }

    #[test]
    fn a_status_of_another_origin_becomes_the_nearest_refusal() {
        for (status, code) in [
            (Status::out_of_range("decoded message length too large"), Code::TooLarge),
            (Status::resource_exhausted(""), Code::Overloaded),
            (Status::failed_precondition(""), Code::InvalidArgument),
            (Status::unavailable(""), Code::Unavailable),
            (Status::permission_denied(""), Code::PermissionDenied),
            (Status::unknown(""), Code::Internal),
            (Status::data_loss(""), Code::Internal),
        ] {
            let refusal = Refusal::from(&status);
            assert_eq!((refusal.code, refusal.message.as_str()), (code, status.message()));
        }
    }
}
