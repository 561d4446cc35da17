//! Which status an error becomes, with its `google.rpc` details. The only such map; HTTP's errors are made from it.

use std::{collections::HashMap, time::Duration};

use capture::CaptureError;
use peer::OfferError;
use prost::Message as _;
use store::StoreError;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::error::{ApiError, FieldViolation, Relayed};

/// The `domain` of every `ErrorInfo`.
const DOMAIN: &str = "webrtc-recorder";
/// A status travels in HTTP headers, which peers limit; what a client sent may be quoted in it.
const LONGEST_MESSAGE: usize = 1024;

/// When a refused caller should try again.
const RETRY_SOON: Duration = Duration::from_secs(1);
const RETRY_LATER: Duration = Duration::from_secs(10);

/// What an error is on the wire, before it is put into one of its forms.
struct Verdict {
    code: Code,
    message: String,
    details: ErrorDetails,
}

impl Verdict {
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

/// The status of an error.
#[must_use]
pub fn status(error: ApiError) -> Status {
    match error {
        ApiError::Relayed(Relayed { code, message, details }) => {
            Status::with_details(Code::from(code), message, details.into())
        }
        error => {
            let Verdict { code, message, details } = verdict(&error);
            Status::with_error_details(code, message, details)
        }
    }
}

/// The same as a message, for HTTP.
#[must_use]
pub fn rpc_status(error: ApiError) -> tonic_types::Status {
    let status = status(error);
    let plain = || tonic_types::Status {
        code: status.code().into(),
        message: status.message().to_owned(),
        details: Vec::new(),
    };
    if status.details().is_empty() {
        return plain();
    }
    tonic_types::Status::decode(status.details()).unwrap_or_else(|_| plain())
}

/// An error that another node answered with.
#[must_use]
pub(super) fn relayed(status: &Status) -> ApiError {
    ApiError::Relayed(Relayed {
        code: status.code().into(),
        message: status.message().to_owned(),
        details: status.details().to_vec(),
    })
}

/// The name of an error's code, for a metric.
#[must_use]
pub fn code_name(error: &ApiError) -> &'static str {
    let code = match error {
        ApiError::Relayed(relayed) => Code::from(relayed.code),
        error => verdict(error).code,
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

fn verdict(error: &ApiError) -> Verdict {
    let text = error.to_string();
    match error {
        ApiError::Unauthenticated(_) => Verdict::new(Code::Unauthenticated, "UNAUTHENTICATED", text),
        ApiError::Denied { .. } => Verdict::new(Code::PermissionDenied, "ROLE_NOT_ENOUGH", text),
        ApiError::Invalid(violations) => invalid(violations),
        ApiError::Audio { recording, violation } => {
            let mut verdict = invalid(std::slice::from_ref(violation));
            verdict.message = shorten(text);
            verdict.with("AUDIO_REFUSED", &[("recording_id", &recording.to_string())])
        }
        ApiError::NotFound(_) => Verdict::new(Code::NotFound, "RECORDING_NOT_FOUND", text),
        ApiError::Missing { what, .. } => {
            let reason = format!("{}_NOT_FOUND", what.to_ascii_uppercase());
            Verdict::new(Code::NotFound, &reason, text)
        }
        ApiError::Precondition { reason, .. } => Verdict::new(Code::FailedPrecondition, reason, text),
        ApiError::WatchLimit { limit } => Verdict::new(Code::ResourceExhausted, "WATCH_LIMIT", text)
            .with("WATCH_LIMIT", &[("limit", &limit.to_string())])
            .retry(RETRY_LATER),
        ApiError::Stopping => Verdict::new(Code::Unavailable, "DRAINING", text).retry(RETRY_SOON),
        ApiError::Ended(_) => Verdict::new(Code::FailedPrecondition, "SESSION_ENDED", text),
        ApiError::OwnerAway(_) => Verdict::new(Code::Unavailable, "NODE_AWAY", text).retry(RETRY_LATER),
        ApiError::Relayed(_) => Verdict::new(Code::Unknown, "RELAYED", text),
        ApiError::Capture(error) => capture(error),
        ApiError::Store(StoreError::Unavailable(_)) => database_away(),
        ApiError::Store(StoreError::NotFound { .. }) => {
            Verdict::new(Code::NotFound, "RECORDING_NOT_FOUND", text)
        }
        ApiError::Store(StoreError::WrongState { .. }) => {
            Verdict::new(Code::FailedPrecondition, "WRONG_STATE", text)
        }
        // A cause that is internal is replaced by an id before it comes here; if it were not, it still would not
        // be told.
        ApiError::Logged(_) => Verdict::new(Code::Internal, "INTERNAL", text),
        ApiError::Store(_) | ApiError::Blob(_) | ApiError::Internal(_) => internal(),
    }
}

fn capture(error: &CaptureError) -> Verdict {
    let text = error.to_string();
    match error {
        CaptureError::Offer(offer_error) => offer(offer_error),
        CaptureError::NotFound(_) => Verdict::new(Code::NotFound, "RECORDING_NOT_FOUND", text),
        CaptureError::Ended(_) => Verdict::new(Code::FailedPrecondition, "SESSION_ENDED", text),
        CaptureError::NotWebrtc(_) => Verdict::new(Code::FailedPrecondition, "NOT_WEBRTC", text),
        CaptureError::SessionLimit { limit, .. } => {
            Verdict::new(Code::ResourceExhausted, "SESSION_LIMIT", text)
                .with("SESSION_LIMIT", &[("limit", &limit.to_string())])
                .retry(RETRY_LATER)
        }
        CaptureError::DiskNearlyFull { .. } => {
            Verdict::new(Code::ResourceExhausted, "DISK_NEARLY_FULL", "the recorder's disk is nearly full")
                .retry(RETRY_LATER)
        }
        CaptureError::Draining => Verdict::new(Code::Unavailable, "DRAINING", text).retry(RETRY_SOON),
        CaptureError::Ledger(_) => database_away(),
        CaptureError::Internal(_) => internal(),
    }
}

fn offer(error: &OfferError) -> Verdict {
    let text = error.to_string();
    match error {
        OfferError::Malformed(_) | OfferError::TooLarge { .. } | OfferError::NoMedia => {
            invalid(&[FieldViolation::new("sdp_offer", text)])
        }
        OfferError::NoCommonCodec { offered, supported } => {
            Verdict::new(Code::FailedPrecondition, "NO_COMMON_CODEC", text)
                .with("NO_COMMON_CODEC", &[("offered", offered), ("supported", supported)])
        }
        OfferError::Closed => Verdict::new(Code::FailedPrecondition, "SESSION_ENDED", text),
    }
}

fn invalid(violations: &[FieldViolation]) -> Verdict {
    let told: Vec<String> = violations
        .iter()
        .map(|violation| format!("{}: {}", violation.field, violation.description))
        .collect();
    let mut verdict = Verdict::new(Code::InvalidArgument, "INVALID_ARGUMENT", told.join("; "));
    for violation in violations {
        verdict
            .details
            .add_bad_request_violation(violation.field.clone(), shorten(violation.description.clone()));
    }
    verdict
}

fn database_away() -> Verdict {
    Verdict::new(Code::Unavailable, "DATABASE_AWAY", "the recorder's database is away").retry(RETRY_SOON)
}

fn internal() -> Verdict {
    Verdict::new(Code::Internal, "INTERNAL", "internal error")
}

#[cfg(test)]
mod tests {
    use capture::LedgerError;
    use model::SessionId;

    use super::*;
    use crate::config::Role;

    fn check(error: ApiError, code: Code, reason: &str, retry: bool) {
        let status = status(error);
        assert_eq!(status.code(), code, "{status}");
        let details = status.get_error_details();
        assert_eq!(details.error_info().unwrap().reason, reason);
        assert_eq!(details.retry_info().is_some(), retry, "{reason}");
    }

    #[test]
    fn every_row_of_the_error_table_has_its_code_and_details() {
        let offer = |error| ApiError::Capture(CaptureError::Offer(error));
        let id = SessionId::new();
        let rows = [
            (offer(OfferError::Malformed("x".into())), Code::InvalidArgument, "INVALID_ARGUMENT", false),
            (
                offer(OfferError::TooLarge { bytes: 2, limit: 1 }),
                Code::InvalidArgument,
                "INVALID_ARGUMENT",
                false,
            ),
            (offer(OfferError::NoMedia), Code::InvalidArgument, "INVALID_ARGUMENT", false),
            (
                offer(OfferError::NoCommonCodec { offered: "H263".into(), supported: "VP8".into() }),
                Code::FailedPrecondition,
                "NO_COMMON_CODEC",
                false,
            ),
            (ApiError::invalid("id", "must be a UUID"), Code::InvalidArgument, "INVALID_ARGUMENT", false),
            (
                ApiError::Audio {
                    recording: id.into(),
                    violation: FieldViolation::new("audio.data", "is empty"),
                },
                Code::InvalidArgument,
                "AUDIO_REFUSED",
                false,
            ),
            (CaptureError::NotWebrtc(id).into(), Code::FailedPrecondition, "NOT_WEBRTC", false),
            (ApiError::NotFound("x".into()), Code::NotFound, "RECORDING_NOT_FOUND", false),
            (ApiError::Ended(id), Code::FailedPrecondition, "SESSION_ENDED", false),
            (ApiError::Unauthenticated("no token"), Code::Unauthenticated, "UNAUTHENTICATED", false),
            (ApiError::Denied { role: Role::Viewer }, Code::PermissionDenied, "ROLE_NOT_ENOUGH", false),
            (
                CaptureError::SessionLimit { live: 5, limit: 5 }.into(),
                Code::ResourceExhausted,
                "SESSION_LIMIT",
                true,
            ),
            (
                CaptureError::DiskNearlyFull { free: 1, wanted: 2 }.into(),
                Code::ResourceExhausted,
                "DISK_NEARLY_FULL",
                true,
            ),
            (CaptureError::Draining.into(), Code::Unavailable, "DRAINING", true),
            (
                CaptureError::Ledger(LedgerError("refused".into())).into(),
                Code::Unavailable,
                "DATABASE_AWAY",
                true,
            ),
            (StoreError::Unavailable("refused".into()).into(), Code::Unavailable, "DATABASE_AWAY", true),
            (
                StoreError::WrongState { what: "recording", state: "RECORDING" }.into(),
                Code::FailedPrecondition,
                "WRONG_STATE",
                false,
            ),
            (ApiError::Missing { what: "job", id: "x".into() }, Code::NotFound, "JOB_NOT_FOUND", false),
            (
                ApiError::Precondition { reason: "NO_SUCH_MEDIA", problem: "x".into() },
                Code::FailedPrecondition,
                "NO_SUCH_MEDIA",
                false,
            ),
            (ApiError::WatchLimit { limit: 1 }, Code::ResourceExhausted, "WATCH_LIMIT", true),
            (ApiError::Stopping, Code::Unavailable, "DRAINING", true),
            (ApiError::OwnerAway(id), Code::Unavailable, "NODE_AWAY", true),
        ];
        for (error, code, reason, retry) in rows {
            check(error, code, reason, retry);
        }
    }

    #[test]
    fn a_bad_field_is_named_in_the_details() {
        let status = status(ApiError::invalid("ice_servers[0].urls[1]", "has no scheme"));
        let details = status.get_error_details();
        let violations = &details.bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, "ice_servers[0].urls[1]");
        assert_eq!(status.message(), "ice_servers[0].urls[1]: has no scheme");
    }

    #[test]
    fn no_codec_in_common_names_both_sides() {
        let error = OfferError::NoCommonCodec { offered: "H263".into(), supported: "VP8, opus".into() };
        let status = status(ApiError::Capture(CaptureError::Offer(error)));
        assert!(status.message().contains("H263") && status.message().contains("VP8, opus"), "{status}");
    }

    #[test]
    fn what_concerns_only_us_is_not_told() {
        let secret = "postgres://user:password@db/";
        for error in [
            ApiError::Internal(secret.into()),
            StoreError::Internal(secret.into()).into(),
            StoreError::Corrupt(secret.into()).into(),
            StoreError::Unavailable(secret.into()).into(),
            CaptureError::Ledger(LedgerError(secret.into())).into(),
            CaptureError::Internal(secret.into()).into(),
            blob::BlobError::Refused(secret.into()).into(),
        ] {
            let rpc = rpc_status(error);
            assert!(!format!("{rpc:?}").contains("password"), "{rpc:?}");
        }
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let error = OfferError::Malformed("ü".repeat(4000));
        let status = status(ApiError::Capture(CaptureError::Offer(error)));
        assert!(status.message().len() < 1100, "{}", status.message().len());
        assert!(status.message().ends_with('…'));
    }

    #[test]
    fn another_nodes_answer_is_handed_on_as_it_is() {
        let theirs = status(ApiError::Ended(SessionId::new()));
        let ours = status(relayed(&theirs));
        assert_eq!((ours.code(), ours.message()), (theirs.code(), theirs.message()));
        assert_eq!(ours.get_error_details().error_info().unwrap().reason, "SESSION_ENDED");
    }
}
