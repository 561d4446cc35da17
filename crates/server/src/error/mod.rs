//! The errors of the API. `response` gives each its code, message and details; `grpc/status.rs` makes the status.

mod response;

use capture::CaptureError;
use model::{RecordingId, SessionId};
use store::StoreError;

use crate::config::Role;

pub(crate) use response::ErrorResponse;

/// An invalid field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// The field's path, such as `ice_servers[0].urls[1]`.
    pub field: String,
    /// What is wrong.
    pub description: String,
}

impl FieldViolation {
    pub(crate) fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self { field: field.into(), description: description.into() }
    }
}

/// Another node's answer, relayed unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relayed {
    /// A gRPC code.
    pub code: i32,
    /// The message.
    pub message: String,
    /// An encoded `google.rpc.Status`.
    pub details: Vec<u8>,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No token, or an unknown one.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// The caller's role lacks the permission.
    #[error("the role {role} may not do this")]
    Denied {
        /// The caller's role.
        role: Role,
    },
    /// Invalid fields of the request. The caller must change them.
    #[error("bad request")]
    Invalid(Vec<FieldViolation>),
    /// Invalid audio in a stream. The caller must change it. The audio before it is recorded.
    #[error("{}: {} (recording {recording})", .violation.field, .violation.description)]
    Audio {
        /// The recording of the audio before it; PARKED if there was none.
        recording: RecordingId,
        /// What is wrong.
        violation: FieldViolation,
    },
    /// The tenant has no recording with this id.
    #[error("no recording {0}")]
    NotFound(String),
    /// The tenant has no object of this kind with this id.
    #[error("no {what} {id}")]
    Missing {
        /// The kind of object: `rendition`, `job`.
        what: &'static str,
        /// The id.
        id: String,
    },
    /// The state of the recording, rendition or job does not allow the call.
    #[error("{problem}")]
    Precondition {
        /// The `reason` of the `ErrorInfo`, for programs, such as `NO_SUCH_MEDIA`.
        reason: &'static str,
        /// The reason as a sentence.
        problem: String,
    },
    /// The node has its maximum of watchers.
    #[error("{limit} callers watch recordings on this node already")]
    WatchLimit {
        /// The maximum.
        limit: usize,
    },
    /// The recorder shuts down.
    #[error("the recorder is about to stop")]
    Stopping,
    /// The object store failed.
    #[error("the object store: {0}")]
    Blob(blob::BlobError),
    /// The session has ended.
    #[error("session {0} has ended")]
    Ended(SessionId),
    /// The session's node does not answer. A later call may reach it.
    #[error("session {0} can not be reached just now: the node that has it does not answer")]
    OwnerAway(SessionId),
    /// The session's node refused.
    #[error("{}", .0.message)]
    Relayed(Relayed),
    /// Capture refused.
    #[error(transparent)]
    Capture(CaptureError),
    /// The store refused.
    #[error(transparent)]
    Store(StoreError),
    /// An internal error. `calls` logs it and replaces it by `Logged`.
    #[error("{0}")]
    Internal(String),
    /// An internal error whose cause is in the log under this id.
    #[error("internal error {0}")]
    Logged(uuid::Uuid),
}

impl ApiError {
    pub(crate) fn invalid(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldViolation::new(field, description)])
    }

    /// Whether the cause must not reach the caller, who gets the id of its log line instead.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        matches!(
            self,
            Self::Internal(_)
                | Self::Blob(_)
                | Self::Capture(CaptureError::Internal(_))
                | Self::Store(
                    StoreError::Internal(_)
                        | StoreError::Corrupt(_)
                        | StoreError::Conflict { .. }
                        | StoreError::LeaseLost(_)
                )
        )
    }

    /// Whether the cause is an unavailable database, which is logged as a warning.
    #[must_use]
    pub fn is_database_away(&self) -> bool {
        matches!(self, Self::Store(StoreError::Unavailable(_)) | Self::Capture(CaptureError::Ledger(_)))
    }
}

impl From<CaptureError> for ApiError {
    fn from(error: CaptureError) -> Self {
        match error {
            CaptureError::NotFound(id) => Self::NotFound(id.to_string()),
            CaptureError::Ended(id) => Self::Ended(id),
            other => Self::Capture(other),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<blob::BlobError> for ApiError {
    fn from(error: blob::BlobError) -> Self {
        Self::Blob(error)
    }
}
