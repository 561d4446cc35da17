//! The map from errors to gRPC statuses with their `google.rpc` details. HTTP's errors are made from the same statuses.

use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::error::{ApiError, ErrorResponse, Relayed};

/// The status of an error.
#[must_use]
pub fn status(error: ApiError) -> Status {
    match error {
        ApiError::Relayed(Relayed { code, message, details }) => {
            Status::with_details(Code::from(code), message, details.into())
        }
        error => {
            let ErrorResponse { code, message, details } = error.response();
            Status::with_error_details(code, message, details)
        }
    }
}

/// The same as a `google.rpc.Status`, for HTTP.
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

/// Another node's answer as an error that [`status`] turns back into the same status.
#[must_use]
pub(super) fn relayed(status: &Status) -> ApiError {
    ApiError::Relayed(Relayed {
        code: status.code().into(),
        message: status.message().to_owned(),
        details: status.details().to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use capture::{CaptureError, LedgerError};
    use model::SessionId;
    use peer::OfferError;
    use store::StoreError;

    use super::*;
    use crate::{config::Role, error::FieldViolation};

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
                CaptureError::DiskNearlyFull { free: 1, required: 2 }.into(),
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
    fn an_internal_cause_does_not_reach_the_client() {
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
    fn another_nodes_status_is_relayed_unchanged() {
        let theirs = status(ApiError::Ended(SessionId::new()));
        let ours = status(relayed(&theirs));
        assert_eq!((ours.code(), ours.message()), (theirs.code(), theirs.message()));
        assert_eq!(ours.get_error_details().error_info().unwrap().reason, "SESSION_ENDED");
    }
}
