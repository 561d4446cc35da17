//! The code, message and `google.rpc` details of each error: the same for gRPC and HTTP.

use std::{collections::HashMap, time::Duration};

use capture::CaptureError;
use peer::OfferError;
use store::StoreError;
use tonic::Code;
use tonic_types::ErrorDetails;

use super::{ApiError, FieldViolation};

/// The `domain` of every `ErrorInfo`.
const DOMAIN: &str = "webrtc-recorder";
/// In bytes. A status is sent in HTTP headers, whose size clients limit, and a message may quote what a client sent.
const LONGEST_MESSAGE: usize = 1024;

/// Delays of `RetryInfo`.
const RETRY_SOON: Duration = Duration::from_secs(1);
const RETRY_LATER: Duration = Duration::from_secs(10);

/// An error as the client receives it, before it becomes a gRPC status or JSON.
pub(crate) struct ErrorResponse {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) details: ErrorDetails,
}

impl ErrorResponse {
    fn new(code: Code, reason: &str, message: impl Into<String>) -> Self {
        let mut details = ErrorDetails::new();
        details.set_error_info(reason, DOMAIN, HashMap::new());
        Self { code, message: shorten(message.into()), details }
    }

    fn retry(mut self, delay: Duration) -> Self {
        self.details.set_retry_info(Some(delay));
        self
    }

    fn with(mut self, reason: &str, facts: &[(&str, &str)]) -> Self {
        let facts = facts.iter().map(|(name, fact)| ((*name).to_owned(), shorten((*fact).to_owned())));
        self.details.set_error_info(reason, DOMAIN, facts.collect::<HashMap<_, _>>());
        self
    }
}

fn shorten(mut text: String) -> String {
    if text.len() > LONGEST_MESSAGE {
        text.truncate(text.floor_char_boundary(LONGEST_MESSAGE));
        text.push('…');
    }
    text
}

impl ApiError {
    /// What the client receives.
    pub(crate) fn response(&self) -> ErrorResponse {
        let text = self.to_string();
        match self {
            Self::Unauthenticated(_) => ErrorResponse::new(Code::Unauthenticated, "UNAUTHENTICATED", text),
            Self::Denied { .. } => ErrorResponse::new(Code::PermissionDenied, "ROLE_NOT_ENOUGH", text),
            Self::Invalid(violations) => invalid(violations),
            Self::Audio { recording, violation } => {
                let mut response = invalid(std::slice::from_ref(violation));
                response.message = shorten(text);
                response.with("AUDIO_REFUSED", &[("recording_id", &recording.to_string())])
            }
            Self::NotFound(_) => ErrorResponse::new(Code::NotFound, "RECORDING_NOT_FOUND", text),
            Self::Missing { what, .. } => {
                let reason = format!("{}_NOT_FOUND", what.to_ascii_uppercase());
                ErrorResponse::new(Code::NotFound, &reason, text)
            }
            Self::Precondition { reason, .. } => ErrorResponse::new(Code::FailedPrecondition, reason, text),
            Self::WatchLimit { limit } => ErrorResponse::new(Code::ResourceExhausted, "WATCH_LIMIT", text)
                .with("WATCH_LIMIT", &[("limit", &limit.to_string())])
                .retry(RETRY_LATER),
            Self::Stopping => ErrorResponse::new(Code::Unavailable, "DRAINING", text).retry(RETRY_SOON),
            Self::Ended(_) => ErrorResponse::new(Code::FailedPrecondition, "SESSION_ENDED", text),
            Self::OwnerAway(_) => ErrorResponse::new(Code::Unavailable, "NODE_AWAY", text).retry(RETRY_LATER),
            Self::Relayed(_) => ErrorResponse::new(Code::Unknown, "RELAYED", text),
            Self::Capture(error) => capture(error),
            Self::Store(StoreError::Unavailable(_)) => database_unavailable(),
            Self::Store(StoreError::NotFound { .. }) => {
                ErrorResponse::new(Code::NotFound, "RECORDING_NOT_FOUND", text)
            }
            Self::Store(StoreError::WrongState { .. }) => {
                ErrorResponse::new(Code::FailedPrecondition, "WRONG_STATE", text)
            }
            // `calls` replaces an internal error by `Logged`. The causes below must not reach a client even if it did not.
            Self::Logged(_) => ErrorResponse::new(Code::Internal, "INTERNAL", text),
            Self::Store(_) | Self::Blob(_) | Self::Internal(_) => internal(),
        }
    }

    /// The name of its gRPC code: a label of metrics.
    pub(crate) fn code_name(&self) -> &'static str {
        let code = match self {
            Self::Relayed(relayed) => Code::from(relayed.code),
            error => error.response().code,
        };
        match code {
            Code::Ok => "OK",
            Code::Cancelled => "CANCELLED",
            Code::Unknown => "UNKNOWN",
            Code::InvalidArgument => "INVALID_ARGUMENT",
            Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Code::NotFound => "NOT_FOUND",
            Code::AlreadyExists => "ALREADY_EXISTS",
            Code::PermissionDenied => "PERMISSION_DENIED",
            Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Code::FailedPrecondition => "FAILED_PRECONDITION",
            Code::Aborted => "ABORTED",
            Code::OutOfRange => "OUT_OF_RANGE",
            Code::Unimplemented => "UNIMPLEMENTED",
            Code::Internal => "INTERNAL",
            Code::Unavailable => "UNAVAILABLE",
            Code::DataLoss => "DATA_LOSS",
            Code::Unauthenticated => "UNAUTHENTICATED",
        }
    }
}

fn capture(error: &CaptureError) -> ErrorResponse {
    let text = error.to_string();
    match error {
        CaptureError::Offer(offer_error) => offer(offer_error),
        CaptureError::NotFound(_) => ErrorResponse::new(Code::NotFound, "RECORDING_NOT_FOUND", text),
        CaptureError::Ended(_) => ErrorResponse::new(Code::FailedPrecondition, "SESSION_ENDED", text),
        CaptureError::NotWebrtc(_) => ErrorResponse::new(Code::FailedPrecondition, "NOT_WEBRTC", text),
        CaptureError::SessionLimit { limit, .. } => {
            ErrorResponse::new(Code::ResourceExhausted, "SESSION_LIMIT", text)
                .with("SESSION_LIMIT", &[("limit", &limit.to_string())])
                .retry(RETRY_LATER)
        }
        CaptureError::DiskNearlyFull { .. } => ErrorResponse::new(
            Code::ResourceExhausted,
            "DISK_NEARLY_FULL",
            "the recorder's disk is nearly full",
        )
        .retry(RETRY_LATER),
        CaptureError::Draining => ErrorResponse::new(Code::Unavailable, "DRAINING", text).retry(RETRY_SOON),
        CaptureError::Ledger(_) => database_unavailable(),
        CaptureError::Internal(_) => internal(),
    }
}

fn offer(error: &OfferError) -> ErrorResponse {
    let text = error.to_string();
    match error {
        OfferError::Malformed(_) | OfferError::TooLarge { .. } | OfferError::NoMedia => {
            invalid(&[FieldViolation::new("sdp_offer", text)])
        }
        OfferError::NoCommonCodec { offered, supported } => {
            ErrorResponse::new(Code::FailedPrecondition, "NO_COMMON_CODEC", text)
                .with("NO_COMMON_CODEC", &[("offered", offered), ("supported", supported)])
        }
        OfferError::Closed => ErrorResponse::new(Code::FailedPrecondition, "SESSION_ENDED", text),
    }
}

fn invalid(violations: &[FieldViolation]) -> ErrorResponse {
    let texts: Vec<String> = violations
        .iter()
        .map(|violation| format!("{}: {}", violation.field, violation.description))
        .collect();
    let mut response = ErrorResponse::new(Code::InvalidArgument, "INVALID_ARGUMENT", texts.join("; "));
    for violation in violations {
        response
            .details
            .add_bad_request_violation(violation.field.clone(), shorten(violation.description.clone()));
    }
    response
}

fn database_unavailable() -> ErrorResponse {
    ErrorResponse::new(Code::Unavailable, "DATABASE_AWAY", "the recorder's database is away")
        .retry(RETRY_SOON)
}

fn internal() -> ErrorResponse {
    ErrorResponse::new(Code::Internal, "INTERNAL", "internal error")
}
