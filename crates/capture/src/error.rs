//! Why a call on the live sessions was refused.

use model::SessionId;

use crate::{LedgerError, shard::ShardGone};

/// Why a call was refused.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The caller's fault: the offer can't be used.
    #[error(transparent)]
    Offer(#[from] peer::OfferError),
    /// The tenant has no live session with this id on this node.
    #[error("no live session {0}")]
    NotFound(SessionId),
    /// The session is ending or has ended.
    #[error("session {0} has ended")]
    Ended(SessionId),
    /// The session's source is not WebRTC: it takes no offer.
    #[error("session {0} takes no offer: its media does not come by WebRTC")]
    NotWebrtc(SessionId),
    /// The limit of live sessions is reached. Retry later or on another node.
    #[error("{live} of {limit} sessions are live")]
    SessionLimit {
        /// Live sessions, of the node or of the tenant.
        live: usize,
        /// The limit.
        limit: usize,
    },
    /// The spool's disk is nearly full. Retry later or on another node.
    #[error("the spool's disk has {free} bytes left, fewer than the {required} required")]
    DiskNearlyFull {
        /// Free bytes.
        free: u64,
        /// Bytes that must be free.
        required: u64,
    },
    /// The node drains. Retry on another node.
    #[error("the recorder is shutting down")]
    Draining,
    /// The database did not answer. Retry later.
    #[error("the database is away: {0}")]
    Ledger(#[from] LedgerError),
    /// A fault of the recorder: a shard did not answer in time, or the spool failed.
    #[error("{0}")]
    Internal(String),
}

impl From<ShardGone> for CaptureError {
    fn from(gone: ShardGone) -> Self {
        Self::Internal(gone.to_string())
    }
}
