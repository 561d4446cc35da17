//! The door to the live sessions.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use model::{Channel, EndReason, Recording, RecordingState, SessionId, TenantId};
use spool::{Files, OpenFile, OpenFiles, OsFiles, Spool, Writers};
use tokio::{sync::oneshot, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::warn;

use crate::{
    CaptureConfig, ConfigError, Ledger, begin,
    registry::{Entry, Registry, SessionHost},
    session::finalizing::Sealer,
    shard::{Command, SessionStatistics, Shard, ShardGone},
    source::{self, Control, NewSource, SourceHandle},
    start,
};

/// A shard that takes longer to answer an offer is stuck.
pub(crate) const ANSWER_DEADLINE: Duration = Duration::from_secs(5);
/// How long shutdown waits before it asks the sessions that are left again.
const STOP_AGAIN: Duration = Duration::from_millis(200);

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
    /// The session is none of WebRTC: it takes no offer.
    #[error("session {0} takes no offer: its media does not come by WebRTC")]
    NotWebrtc(SessionId),
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
    /// What is recorded, as it was when the session began.
    pub recording: Arc<Recording>,
    /// How long it has been live.
    pub age: Duration,
    /// Bytes of media so far.
    pub bytes: u64,
    /// The recorder's counters by track name.
    pub tracks: Vec<(String, media::TrackStatistics, peer::TrackStatistics)>,
}

/// The live sessions of this node. Cheap to clone. When the last clone is dropped everything stops where it is, as in a
/// crash: call [`shutdown`](Self::shutdown) first.
#[derive(Clone)]
pub struct Capture {
    node: Arc<Node>,
}

impl Capture {
    /// Binds the sockets, seals what a crash left in the spool, and starts the shards and the spool's writers.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting that can't be used: a port that is taken, a directory that can't be
    /// written, a codec that nobody knows.
    pub async fn start(config: CaptureConfig, ledger: Arc<dyn Ledger>) -> Result<Self, ConfigError> {
        Ok(Self { node: Arc::new(start::start(config, ledger, Arc::new(OsFiles)).await?) })
    }

    /// Answers an offer and begins to record. The session lives from here on, whether or not the caller does.
    ///
    /// # Errors
    /// [`CaptureError`]; then no session exists.
    pub async fn begin(&self, session: NewSession) -> Result<Begun, CaptureError> {
        // A caller that goes away must not leave a session half begun.
        let begin = begin::begin(Arc::clone(&self.node), session);
        self.node
            .tasks
            .spawn(begin)
            .await
            .unwrap_or_else(|error| Err(CaptureError::Internal(format!("beginning failed: {error}"))))
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
        let entry = self.node.registry.find(tenant, id).ok_or(CaptureError::NotFound(id))?;
        let (answer, answered) = oneshot::channel();
        let command = Command::Renegotiate { id, offer: sdp_offer, answer };
        let SessionHost::Shard(shard) = entry.home else { return Err(CaptureError::NotWebrtc(id)) };
        self.node.shard(shard)?.send(command).await?;
        match timeout(ANSWER_DEADLINE, answered).await {
            Ok(Ok(Err(peer::OfferError::Closed))) => Err(CaptureError::Ended(id)),
            Ok(Ok(answer)) => Ok(answer?),
            Ok(Err(_)) | Err(_) => Err(CaptureError::Internal("the shard did not answer".to_owned())),
        }
    }

    /// Begins a session of a source that isn't WebRTC. It lives as long as the handle, or until it is stopped.
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

    /// Pauses a live session, or resumes it, and writes that down. While it is paused nothing is kept. Repeating it
    /// changes nothing.
    ///
    /// # Errors
    /// `NotFound`, `Ended`; `Ledger` if the row could not be written, though the session did as it was told.
    pub async fn pause(&self, tenant: &TenantId, id: SessionId, paused: bool) -> Result<(), CaptureError> {
        let entry = self.node.registry.find(tenant, id).ok_or(CaptureError::NotFound(id))?;
        let _one_at_a_time = entry.pausing.lock().await;
        let (answer, answered) = oneshot::channel();
        match &entry.home {
            SessionHost::Shard(shard) => {
                self.node.shard(*shard)?.send(Command::Pause { id, paused, answer }).await?;
            }
            // A task that is gone drops the question.
            SessionHost::Task(control) => drop(control.send(Control::Pause { paused, answer }).await),
        }
        match timeout(ANSWER_DEADLINE, answered).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false) | Err(_)) => return Err(CaptureError::Ended(id)),
            Err(_) => return Err(CaptureError::Internal("the session did not answer".to_owned())),
        }
        Ok(self.node.ledger.paused(tenant, id, paused).await?)
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
        let mut entry = self.node.registry.find(tenant, id).ok_or(CaptureError::NotFound(id))?;
        self.node.stop(&entry, reason).await?;
        match entry.committed.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(recording)) => Ok(Recording::clone(recording)),
            Ok(None) | Err(_) => Err(CaptureError::NotFound(id)),
        }
    }

    /// The tenant's live sessions; of all tenants if none is given.
    pub async fn live(&self, tenant: Option<&TenantId>) -> Vec<SessionStatus> {
        let mut counted = self.node.statistics().await;
        let entries = self.node.registry.all(tenant);
        let status = |entry: Entry| {
            let counted = counted.remove(&entry.id);
            let state = match &counted {
                None => RecordingState::Processing,
                Some(counted) if counted.paused => RecordingState::Paused,
                Some(_) => RecordingState::Recording,
            };
            let (bytes, tracks) = counted.map(|counted| (counted.bytes, counted.tracks)).unwrap_or_default();
            let age = entry.begun.elapsed();
            SessionStatus { id: entry.id, state, recording: entry.recording, age, bytes, tracks }
        };
        entries.into_iter().map(status).collect()
    }

    /// The files that are being written of which something is final.
    #[must_use]
    pub fn growing(&self) -> Vec<OpenFile> {
        self.node.growing.list()
    }

    /// How many sessions are live or being sealed.
    #[must_use]
    pub fn count(&self) -> usize {
        self.node.registry.count()
    }

    /// Where media is received: an address for each shard and listen address, by UDP and, where it is offered, by
    /// ICE-TCP.
    #[must_use]
    pub fn media_addresses(&self) -> Vec<SocketAddr> {
        self.node.shards.iter().flat_map(Shard::addresses).copied().collect()
    }

    /// Refuses new sessions from here on.
    pub fn drain(&self) {
        self.node.draining.store(true, Ordering::Release);
    }

    /// Ends all sessions with [`EndReason::Shutdown`], returns when they are sealed or `at_most` has passed; the
    /// number that was not sealed in time (the next start seals them).
    pub async fn shutdown(&self, at_most: Duration) -> usize {
        self.drain();
        if timeout(at_most, self.node.stop_all()).await.is_err() {
            warn!(sessions = self.count(), "sessions were not sealed in time, the next start goes on");
        }
        self.count()
    }
}

impl std::fmt::Debug for Capture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Capture").field("sessions", &self.count()).finish_non_exhaustive()
    }
}

impl From<ShardGone> for CaptureError {
    fn from(gone: ShardGone) -> Self {
        Self::Internal(gone.to_string())
    }
}

/// What the clones of a [`Capture`] share.
pub(crate) struct Node {
    pub(crate) config: CaptureConfig,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) files: Arc<dyn Files>,
    pub(crate) draining: AtomicBool,
    pub(crate) growing: OpenFiles,
    pub(crate) sealer: Arc<Sealer>,
    /// Begins, listeners and connections.
    pub(crate) tasks: TaskTracker,
    pub(crate) cancelled: CancellationToken,
    // Dropped in this order: the shards hand files to the writers.
    pub(crate) shards: Vec<Shard>,
    pub(crate) writers: Writers,
    pub(crate) spool: Arc<Spool>,
}

impl Node {
    pub(crate) fn shard(&self, number: usize) -> Result<&Shard, ShardGone> {
        self.shards.get(number).ok_or(ShardGone)
    }

    pub(crate) async fn statistics(&self) -> HashMap<SessionId, SessionStatistics> {
        let mut all = HashMap::new();
        for shard in &self.shards {
            // A shard that is stuck must not hold up what the others know.
            let counted =
                timeout(ANSWER_DEADLINE, shard.statistics()).await.ok().flatten().unwrap_or_default();
            all.extend(counted.into_iter().map(|counted| (counted.id, counted)));
        }
        let tasks = self.registry.all(None).into_iter().map(|entry| async move {
            let SessionHost::Task(control) = entry.home else { return None };
            timeout(ANSWER_DEADLINE, source::statistics(&control)).await.ok().flatten()
        });
        all.extend(join_all(tasks).await.into_iter().flatten().map(|counted| (counted.id, counted)));
        all
    }

    /// Tells a session to end. One that is ending already does not mind.
    async fn stop(&self, entry: &Entry, reason: EndReason) -> Result<(), ShardGone> {
        match &entry.home {
            SessionHost::Shard(shard) => {
                self.shard(*shard)?.send(Command::Stop { id: entry.id, reason }).await
            }
            SessionHost::Task(control) => {
                // A task that is gone has handed its session to the seal.
                let _ = control.send(Control::Stop(reason)).await;
                Ok(())
            }
        }
    }

    /// Stops every session and waits until the last one is committed.
    async fn stop_all(&self) {
        let mut count = self.registry.watch_count();
        while self.registry.count() > 0 {
            for entry in self.registry.all(None) {
                // A shard that is gone has no sessions to stop.
                let _ = self.stop(&entry, EndReason::Shutdown).await;
            }
            // A session that was just beginning may have come after its stop: ask again.
            let _ = timeout(STOP_AGAIN, count.wait_for(|count| *count == 0)).await;
        }
        self.sealer.tasks.close();
        self.sealer.tasks.wait().await;
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.cancelled.cancel();
    }
}
