//! What a back end does.

use std::time::Duration;

use chrono::{DateTime, Utc};
use model::{
    EndReason, Job, JobId, JobKind, JobState, NodeId, Progress, Recording, RecordingId, RecordingState,
    SessionId, Source, TenantId,
};
use tokio::sync::broadcast;

use crate::{
    Change, Deletions, LostRecordings, NewRendition, RenderedFile, Renditions, Segments, StoreError, Uploads,
};

/// A back end.
pub trait Store:
    Sessions
    + Recordings
    + Renditions
    + Deletions
    + JobQueue
    + Nodes
    + Uploads
    + LostRecordings
    + Segments
    + Send
    + Sync
{
}
impl<T> Store for T where
    T: Sessions
        + Recordings
        + Renditions
        + Deletions
        + JobQueue
        + Nodes
        + Uploads
        + LostRecordings
        + Segments
        + Send
        + Sync
{
}

/// A sealed recording, as it goes into the database in one transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct FinalizedRecording {
    /// The recording with everything known, its state the one that it is to have.
    pub recording: Recording,
    /// Its jobs.
    pub jobs: Vec<NewJob>,
    /// What is to be made of it. Their jobs are made with them, for the node that has the file. What there is already stays.
    pub renditions: Vec<NewRendition>,
}

/// A job to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// What it does.
    pub kind: JobKind,
    /// The only node that can run it; none where any can.
    pub node: Option<NodeId>,
    /// Not before this.
    pub run_at: DateTime<Utc>,
}

/// What [`Sessions::seal`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinalizeOutcome {
    /// Written now.
    Written,
    /// It had been sealed before; nothing was changed.
    AlreadySealed,
}

/// Sessions: live recordings and the node that has them.
#[async_trait::async_trait]
pub trait Sessions: Send + Sync {
    /// Writes the row of a session that begins: `recording` in state RECORDING, and its session row.
    ///
    /// Repeating it changes nothing, while the session lives.
    ///
    /// # Errors
    /// `Conflict` if the id is taken; `Unavailable`.
    async fn begin(&self, recording: &Recording) -> Result<(), StoreError>;

    /// The tenant's live session was paused (state PAUSED) or resumed (RECORDING). One that is sealed stays as it is.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable`.
    async fn set_paused(&self, tenant: &TenantId, id: SessionId, paused: bool) -> Result<(), StoreError>;

    /// The tenant's recording rows end here: updates the recording (or inserts it, if the database was away when
    /// it began), replaces its tracks, inserts its jobs and closes the session row, all in one transaction.
    /// Repeating it changes nothing. Without an end reason it is `CRASH`: nobody was there to see the end.
    ///
    /// # Errors
    /// `Unavailable`; `Conflict` if the id is another tenant's; `Internal` if two tracks have one number. Then nothing
    /// was changed.
    async fn finalize(&self, sealed: &FinalizedRecording) -> Result<FinalizeOutcome, StoreError>;

    /// The node that has (or had) the tenant's session, and why it ended if it did.
    ///
    /// # Errors
    /// `NotFound`.
    async fn session(
        &self,
        tenant: &TenantId,
        id: SessionId,
    ) -> Result<(NodeId, Option<EndReason>), StoreError>;

    /// Ids of sessions that the database believes live on `node`.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn live_on(&self, node: &NodeId) -> Result<Vec<SessionId>, StoreError>;
}

/// What to list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecordingFilter {
    /// With exactly this name.
    pub name: Option<String>,
    /// With exactly this correlation id.
    pub correlation_id: Option<String>,
    /// In this state; none: in any but DELETED.
    pub state: Option<RecordingState>,
    /// From this source.
    pub source: Option<Source>,
    /// Begun at or after this.
    pub started_from: Option<DateTime<Utc>>,
    /// Begun before this.
    pub started_until: Option<DateTime<Utc>>,
}

/// One page of a list, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The recordings, with their tracks.
    pub recordings: Vec<Recording>,
    /// Where the next page begins: pass it as `after`. None on the last.
    pub next: Option<(DateTime<Utc>, RecordingId)>,
}

/// Recordings. Times are kept to the microsecond at least; U+0000 in a text becomes U+FFFD.
#[async_trait::async_trait]
pub trait Recordings: Send + Sync {
    /// The tenant's recording, with its tracks.
    ///
    /// # Errors
    /// `NotFound`.
    async fn recording(&self, tenant: &TenantId, id: RecordingId) -> Result<Recording, StoreError>;

    /// The tenant's recordings, newest first, at most `limit` (and at least one), after the given place.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn list(
        &self,
        tenant: &TenantId,
        filter: &RecordingFilter,
        after: Option<(DateTime<Utc>, RecordingId)>,
        limit: u32,
    ) -> Result<Page, StoreError>;

    /// Writes down the SHA-256 of a sealed file (lower-case hexadecimal), at the latest before the local copy goes. One
    /// that is known already stays.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn note_sha256(&self, id: RecordingId, sha256: &str) -> Result<(), StoreError>;
}

/// A job that a worker has for the time of its lease.
#[derive(Debug, Clone, PartialEq)]
pub struct LeasedJob {
    /// The job, `attempts` counting this run.
    pub job: Job,
    /// Tells this lease from any other of the same job.
    pub lease: uuid::Uuid,
    /// When it ends unless it is renewed.
    pub until: DateTime<Utc>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum JobOutcome {
    /// Done: the recording's state (where given) and the next jobs are written in the same transaction.
    Done {
        /// The recording's new state.
        recording_state: Option<RecordingState>,
        /// What comes next.
        next: Vec<NewJob>,
    },
    /// To be run again at this time; the job is FAILED until then.
    RetryAt {
        /// When.
        at: DateTime<Utc>,
        /// What went wrong.
        error: String,
    },
    /// Given up, in the same transaction as the recording's state PARKED and its error; where the job was about a
    /// rendition, the rendition's.
    Parked {
        /// What went wrong.
        error: String,
    },
    /// Done: the rendition is available.
    Rendered(RenderedFile),
    /// It is not the time yet: QUEUED until then, and this run does not count.
    Later {
        /// When.
        at: DateTime<Utc>,
    },
}

/// What jobs to list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobFilter {
    /// On this recording.
    pub recording: Option<RecordingId>,
    /// Of this kind.
    pub kind: Option<JobKind>,
    /// In this state.
    pub state: Option<JobState>,
}

/// What [`JobQueue::cancel`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancellation {
    /// Cancelled now. Whoever runs the job is told.
    Now,
    /// It had been cancelled before.
    Before,
    /// It is over, or of a kind that can't be cancelled; nothing was changed.
    Refused(JobState),
}

/// Jobs and their leases.
#[async_trait::async_trait]
pub trait JobQueue: Send + Sync {
    /// Leases the oldest job that is due: of these kinds, bound to `node` or to none, QUEUED or FAILED with its
    /// time come, or IN_PROGRESS with its lease run out. Committed at once; no transaction is held while it runs.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn lease(
        &self,
        node: &NodeId,
        kinds: &[JobKind],
        length: Duration,
    ) -> Result<Option<LeasedJob>, StoreError>;

    /// Prolongs a lease by `length` from now.
    ///
    /// # Errors
    /// `LeaseLost`.
    async fn renew(&self, leased: &LeasedJob, length: Duration) -> Result<DateTime<Utc>, StoreError>;

    /// Ends a run, in one transaction. A lease that has run out is still good while nobody else has taken the job;
    /// repeating an end whose answer was lost changes nothing. A recording that is DELETED stays so.
    ///
    /// # Errors
    /// `LeaseLost`; then nothing was changed.
    async fn finish(&self, leased: &LeasedJob, outcome: JobOutcome) -> Result<(), StoreError>;

    /// The recording's jobs, oldest first.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn jobs_of(&self, recording: RecordingId) -> Result<Vec<Job>, StoreError>;

    /// The tenant's job.
    ///
    /// # Errors
    /// `NotFound`.
    async fn job(&self, tenant: &TenantId, id: JobId) -> Result<Job, StoreError>;

    /// The tenant's jobs, newest first, at most `limit` (and at least one), made before the given one.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn list_jobs(
        &self,
        tenant: &TenantId,
        filter: &JobFilter,
        before: Option<JobId>,
        limit: u32,
    ) -> Result<Vec<Job>, StoreError>;

    /// Writes down how far a run has come. A rendition is IN_PROGRESS from the first time on.
    ///
    /// # Errors
    /// `LeaseLost`, also if the job was cancelled.
    async fn note_progress(&self, leased: &LeasedJob, progress: &Progress) -> Result<(), StoreError>;

    /// Makes a PARKED, FAILED or CANCELLED job due now, its attempts counted anew. A recording that was parked by its
    /// jobs goes back to the state it had, once none of them is parked any longer; the job's rendition is QUEUED.
    ///
    /// # Errors
    /// `NotFound`, also for a job in any other state, and if what it is about was deleted.
    async fn retry(&self, tenant: &TenantId, job: JobId) -> Result<(), StoreError>;

    /// Ends a job of the tenant before it is done, and its rendition with it. Its lease is void from here on. If it has ever
    /// been run, a DELETE job is made that removes what it may have stored.
    ///
    /// # Errors
    /// `NotFound`.
    async fn cancel(&self, tenant: &TenantId, job: JobId) -> Result<Cancellation, StoreError>;

    /// How many jobs there are that are neither DONE nor CANCELLED, by kind and state, for a gauge. Where there are
    /// none, nothing is said.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn depth(&self) -> Result<Vec<(JobKind, JobState, u64)>, StoreError>;

    /// Listens to what changes from here on. What another process changes in an SQLite file is not heard.
    fn changes(&self) -> broadcast::Receiver<Change>;

    /// Returns when jobs may have become due, or after `at_most`, whichever is first. A job of which nobody heard (made
    /// while the database was away, or by another process on SQLite) is found after `at_most`: let it be seconds.
    async fn wait_for_jobs(&self, at_most: Duration);
}

/// A node of the cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// Where its gRPC is reached by the other nodes, `host:port`.
    pub grpc_address: String,
    /// When it last said that it lives.
    pub seen_at: DateTime<Utc>,
    /// Whether it refuses new sessions.
    pub draining: bool,
}

/// Nodes.
#[async_trait::async_trait]
pub trait Nodes: Send + Sync {
    /// Says that a node lives, and where.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn heartbeat(&self, id: &NodeId, grpc_address: &str, draining: bool) -> Result<(), StoreError>;

    /// The node, where it was last seen.
    ///
    /// # Errors
    /// `NotFound`.
    async fn node(&self, id: &NodeId) -> Result<Node, StoreError>;

    /// The nodes that have said so within this time, by id.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn nodes_seen_within(&self, time: Duration) -> Result<Vec<Node>, StoreError>;

    /// Whether the database answers.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn ping(&self) -> Result<(), StoreError>;
}
