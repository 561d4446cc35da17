//! The door to the live sessions.

use std::{sync::Arc, time::Duration};

use model::{Channel, EndReason, Recording, RecordingState, SessionId, TenantId};

use crate::{CaptureConfig, ConfigError, Ledger};

/// What a caller wants recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSession {
    /// Whose it is.
    pub tenant: TenantId,
    /// A name; empty: the session's id.
    pub name: String,
    /// The caller's correlation id; may be empty.
    pub correlation_id: String,
    /// What it is for.
    pub channel: Channel,
    /// The offer.
    pub sdp_offer: String,
}

/// A session that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// Its id.
    pub id: SessionId,
    /// The complete answer.
    pub sdp_answer: String,
}

/// Why a call was refused.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The offer can't be used.
    #[error(transparent)]
    Offer(#[from] peer::OfferError),
    /// No live session of the tenant has this id on this node.
    #[error("no live session {0}")]
    NotFound(SessionId),
    /// The session is ending or has ended.
    #[error("session {0} has ended")]
    Ended(SessionId),
    /// As many sessions as are allowed are live.
    #[error("{live} of {limit} sessions are live")]
    SessionLimit {
        /// Live now.
        live: usize,
        /// Allowed.
        limit: usize,
    },
    /// The spool's disk is nearly full.
    #[error("the spool's disk has {free} bytes left, fewer than the {wanted} wanted")]
    DiskNearlyFull {
        /// Free bytes.
        free: u64,
        /// Wanted bytes.
        wanted: u64,
    },
    /// The recorder is draining.
    #[error("the recorder is shutting down")]
    Draining,
    /// The ledger did not take the session.
    #[error("the database is away: {0}")]
    Ledger(#[from] crate::LedgerError),
    /// A shard did not answer in time, or the spool failed: a fault of ours.
    #[error("{0}")]
    Internal(String),
}

/// What a live session is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionStatus {
    /// Its id.
    pub id: SessionId,
    /// RECORDING or PAUSED, or PROCESSING while it is being sealed.
    pub state: RecordingState,
    /// How long it has been live.
    pub age: Duration,
    /// Bytes of media so far.
    pub bytes: u64,
    /// The recorder's counters by track name.
    pub tracks: Vec<(String, media::TrackStatistics, peer::TrackStatistics)>,
}

/// The live sessions of this node. Cheap to clone.
#[derive(Clone)]
pub struct Capture {
    _ledger: Arc<dyn Ledger>,
}

impl Capture {
    /// Binds the sockets, seals what a crash left in the spool, and starts the shards and the spool's writers.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting that can't be used: a port that is taken, a directory that can't be
    /// written, a codec that nobody knows.
    pub async fn start(config: CaptureConfig, ledger: Arc<dyn Ledger>) -> Result<Self, ConfigError> {
        let _ = config;
        Ok(Self { _ledger: ledger })
    }

    /// Answers an offer and begins to record. The session lives from here on, whether or not the caller does.
    ///
    /// # Errors
    /// [`CaptureError`]; then no session exists.
    pub async fn begin(&self, session: NewSession) -> Result<Begun, CaptureError> {
        let _ = session;
        Err(CaptureError::Draining)
    }

    /// Answers another offer of a live session. One that fails leaves the session recording as it was.
    ///
    /// # Errors
    /// [`CaptureError`].
    pub async fn renegotiate(
        &self,
        tenant: &TenantId,
        id: SessionId,
        sdp_offer: String,
    ) -> Result<String, CaptureError> {
        let _ = (tenant, sdp_offer);
        Err(CaptureError::NotFound(id))
    }

    /// Ends a live session and returns when it is sealed: file closed and safe, rows and jobs committed. Dropping
    /// the future changes nothing in that. A session that is being sealed already is waited for.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn stop(
        &self,
        tenant: &TenantId,
        id: SessionId,
        reason: EndReason,
    ) -> Result<Recording, CaptureError> {
        let _ = (tenant, reason);
        Err(CaptureError::NotFound(id))
    }

    /// The tenant's live sessions; of all tenants if none is given.
    pub async fn live(&self, tenant: Option<&TenantId>) -> Vec<SessionStatus> {
        let _ = tenant;
        Vec::new()
    }

    /// How many sessions are live.
    #[must_use]
    pub fn count(&self) -> usize {
        0
    }

    /// Refuses new sessions from here on.
    pub fn drain(&self) {}

    /// Ends all sessions with [`EndReason::Shutdown`], returns when they are sealed or `at_most` has passed; the
    /// number that was not sealed in time (the next start seals them).
    pub async fn shutdown(&self, at_most: Duration) -> usize {
        let _ = at_most;
        0
    }
}
