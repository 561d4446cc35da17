//! The public interface to the live sessions.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use model::{EndReason, Recording, RecordingState, SessionId, TenantId};
use spool::{OpenFile, OsFiles};
use tokio::{sync::oneshot, time::timeout};
use tracing::warn;

use crate::{
    CaptureConfig, ConfigError, Ledger,
    begin::{self, Begun, NewSession},
    error::CaptureError,
    node::{ANSWER_DEADLINE, Node},
    registry::{Entry, SessionHost},
    session::statistics::{SessionDrops, TrackStatus},
    shard::{Command, Shard},
    source::{self, NewSource, SourceHandle, control::Control},
    start,
};

/// A live session and its counters.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionStatus {
    /// Its id.
    pub id: SessionId,
    /// RECORDING or PAUSED, or PROCESSING while it is being finalized. Then it has no counters.
    pub state: RecordingState,
    /// The recording as it began.
    pub recording: Arc<Recording>,
    /// The time since the session began.
    pub age: Duration,
    /// Bytes of the file so far.
    pub bytes: u64,
    /// The counters of each track.
    pub tracks: Vec<TrackStatus>,
    /// What was dropped, beyond the counters of the tracks.
    pub drops: SessionDrops,
}

/// The live sessions of this node. Cheap to clone. When the last clone is dropped, everything stops at once, as in a crash,
/// and the next start repairs the files: call [`shutdown`](Self::shutdown) first.
#[derive(Clone)]
pub struct Capture {
    node: Arc<Node>,
}

impl Capture {
    /// Binds the sockets, finishes the files that a crash left in the spool, and starts the shards and the spool's writers.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting that can't be used: a port that is taken, a directory that can't be written, an
    /// unknown codec.
    pub async fn start(config: CaptureConfig, ledger: Arc<dyn Ledger>) -> Result<Self, ConfigError> {
        Ok(Self { node: Arc::new(start::start(config, ledger, Arc::new(OsFiles)).await?) })
    }

    /// Answers an offer and begins to record. Dropping the future does not end the session.
    ///
    /// # Errors
    /// [`CaptureError`]; then no session exists.
    pub async fn begin(&self, session: NewSession) -> Result<Begun, CaptureError> {
        // A caller that drops the future must not leave a session half begun.
        let begin = begin::begin(Arc::clone(&self.node), session);
        self.node
            .tasks
            .spawn(begin)
            .await
            .unwrap_or_else(|error| Err(CaptureError::Internal(format!("beginning failed: {error}"))))
    }

    /// Answers another offer of a live session. A refused offer changes nothing.
    ///
    /// # Errors
    /// [`CaptureError`].
    pub async fn renegotiate(
        &self,
        tenant: &TenantId,
        id: SessionId,
        sdp_offer: String,
    ) -> Result<String, CaptureError> {
        let entry = self.node.registry.find(tenant, id).ok_or(CaptureError::NotFound(id))?;
        let (answer, answered) = oneshot::channel();
        let command = Command::Renegotiate { id, offer: sdp_offer, answer };
        let SessionHost::Shard(shard) = entry.host else { return Err(CaptureError::NotWebrtc(id)) };
        self.node.shard(shard)?.send(command).await?;
        match timeout(ANSWER_DEADLINE, answered).await {
            Ok(Ok(Err(peer::OfferError::Closed))) => Err(CaptureError::Ended(id)),
            Ok(Ok(answer)) => Ok(answer?),
            Ok(Err(_)) | Err(_) => Err(CaptureError::Internal("the shard did not answer".to_owned())),
        }
    }

    /// Begins a session of a source that isn't WebRTC. It ends with the handle, or when it is stopped.
    ///
    /// # Errors
    /// [`CaptureError`]; then no session exists.
    pub async fn open(&self, source: NewSource) -> Result<SourceHandle, CaptureError> {
        let open = source::open(Arc::clone(&self.node), source);
        self.node
            .tasks
            .spawn(open)
            .await
            .unwrap_or_else(|error| Err(CaptureError::Internal(format!("beginning failed: {error}"))))
    }

    /// Pauses or resumes a live session, and commits that. Media received in a pause is not recorded. Repeating it changes
    /// nothing.
    ///
    /// # Errors
    /// `NotFound`, `Ended`; `Ledger` if the row could not be written, although the session was paused or resumed.
    pub async fn pause(&self, tenant: &TenantId, id: SessionId, paused: bool) -> Result<(), CaptureError> {
        let entry = self.node.registry.find(tenant, id).ok_or(CaptureError::NotFound(id))?;
        let _one_at_a_time = entry.pausing.lock().await;
        let (answer, answered) = oneshot::channel();
        match &entry.host {
            SessionHost::Shard(shard) => {
                self.node.shard(*shard)?.send(Command::Pause { id, paused, answer }).await?;
            }
            // A task that is gone drops the command with its answer.
            SessionHost::Task(control) => drop(control.send(Control::Pause { paused, answer }).await),
        }
        match timeout(ANSWER_DEADLINE, answered).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false) | Err(_)) => return Err(CaptureError::Ended(id)),
            Err(_) => return Err(CaptureError::Internal("the session did not answer".to_owned())),
        }
        Ok(self.node.ledger.paused(tenant, id, paused).await?)
    }

    /// Ends a live session and returns when it is finalized: the file is complete on disk, row and jobs are committed.
    /// Dropping the future does not cancel that. For a session that is ending already, it waits for the same end.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn stop(
        &self,
        tenant: &TenantId,
        id: SessionId,
        reason: EndReason,
    ) -> Result<Recording, CaptureError> {
        let mut entry = self.node.registry.find(tenant, id).ok_or(CaptureError::NotFound(id))?;
        self.node.stop(&entry, reason).await?;
        match entry.committed.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(recording)) => Ok(Recording::clone(recording)),
            Ok(None) | Err(_) => Err(CaptureError::NotFound(id)),
        }
    }

    /// The tenant's live sessions; of all tenants if none is given.
    pub async fn live(&self, tenant: Option<&TenantId>) -> Vec<SessionStatus> {
        let mut statistics = self.node.statistics().await;
        let entries = self.node.registry.all(tenant);
        let status = |entry: Entry| {
            let statistics = statistics.remove(&entry.id);
            let state = match &statistics {
                None => RecordingState::Processing,
                Some(session) if session.paused => RecordingState::Paused,
                Some(_) => RecordingState::Recording,
            };
            let (bytes, tracks, drops) =
                statistics.map(|session| (session.bytes, session.tracks, session.drops)).unwrap_or_default();
            let age = entry.begun.elapsed();
            SessionStatus { id: entry.id, state, recording: entry.recording, age, bytes, tracks, drops }
        };
        entries.into_iter().map(status).collect()
    }

    /// The open files that have final bytes.
    #[must_use]
    pub fn open_files(&self) -> Vec<OpenFile> {
        self.node.open_files.list()
    }

    /// The number of sessions that are live or being finalized.
    #[must_use]
    pub fn count(&self) -> usize {
        self.node.registry.count()
    }

    /// The addresses that receive media, one for each shard and listen address: by UDP and, where it is offered, by
    /// ICE-TCP.
    #[must_use]
    pub fn media_addresses(&self) -> Vec<SocketAddr> {
        self.node.shards.iter().flat_map(Shard::addresses).copied().collect()
    }

    /// Refuses new sessions from now on.
    pub fn drain(&self) {
        self.node.draining.store(true, Ordering::Release);
    }

    /// Ends all sessions with [`EndReason::Shutdown`]. Returns when they are finalized or `at_most` has passed, with the
    /// number of sessions that were not finalized in time: the next start finalizes them.
    pub async fn shutdown(&self, at_most: Duration) -> usize {
        self.drain();
        if timeout(at_most, self.node.stop_all()).await.is_err() {
            warn!(
                sessions = self.count(),
                "sessions were not finalized in time, the next start finalizes them"
            );
        }
        self.count()
    }
}

impl std::fmt::Debug for Capture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Capture").field("sessions", &self.count()).finish_non_exhaustive()
    }
}
