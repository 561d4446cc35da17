//! The errors of the API. `response` gives each its code, message and details; `grpc/status.rs` makes the status.

mod response;

use capture::CaptureError;
use model::{RecordingId, SessionId};
use store::StoreError;

use crate::config::Role;

pub(crate) use response::ErrorResponse;

/// A field of a request that can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// Its path, such as `ice_servers[0].urls[1]`.
    pub field: String,
    /// What is wrong.
    pub description: String,
}

impl FieldViolation {
    pub(crate) fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self { field: field.into(), description: description.into() }
    }
}

/// What another node answered, handed on as it is.
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
    /// The caller did not say who they are.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// The caller's role is not enough.
    #[error("the role {role} may not do this")]
    Denied {
        /// The caller's role.
        role: Role,
    },
    /// Fields of the request can't be used. The caller's fault.
    #[error("bad request")]
    Invalid(Vec<FieldViolation>),
    /// Audio that was streamed can't be used. The caller's fault; what came before is kept.
    #[error("{}: {} (recording {recording})", .violation.field, .violation.description)]
    Audio {
        /// What was kept of it; PARKED if nothing had come.
        recording: RecordingId,
        /// What is wrong.
        violation: FieldViolation,
    },
    /// No recording of the tenant has this id.
    #[error("no recording {0}")]
    NotFound(String),
    /// The tenant has nothing of this id.
    #[error("no {what} {id}")]
    Missing {
        /// What was looked for.
        what: &'static str,
        /// The id.
        id: String,
    },
    /// It can't be done as things are; the caller may change them.
    #[error("{problem}")]
    Precondition {
        /// A word for programs, such as `NO_SUCH_MEDIA`.
        reason: &'static str,
        /// Why, for a person.
        problem: String,
    },
    /// There are too many watchers.
    #[error("{limit} callers watch recordings on this node already")]
    WatchLimit {
        /// The most that are allowed.
        limit: usize,
    },
    /// The recorder is about to stop.
    #[error("the recorder is about to stop")]
    Stopping,
    /// The object store does not answer.
    #[error("the object store: {0}")]
    Blob(blob::BlobError),
    /// The session is over.
    #[error("session {0} has ended")]
    Ended(SessionId),
    /// The node that has the session does not answer; it may come back.
    #[error("session {0} can not be reached just now: the node that has it does not answer")]
    OwnerAway(SessionId),
    /// The node that has the session refused.
    #[error("{}", .0.message)]
    Relayed(Relayed),
    /// Capture refused.
    #[error(transparent)]
    Capture(CaptureError),
    /// The store refused.
    #[error(transparent)]
    Store(StoreError),
    /// A fault of ours.
    #[error("{0}")]
    Internal(String),
    /// A fault of ours whose cause is in the log under this id.
    #[error("internal error {0}")]
    Logged(uuid::Uuid),
}

impl ApiError {
    pub(crate) fn invalid(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldViolation::new(field, description)])
    }

    /// Whether the cause concerns nobody but us, so that the caller only gets an id by which to find it in the log.
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

    /// Whether the database's absence is the cause, which the operator has to see in the log.
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
