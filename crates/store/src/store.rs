//! The trait that a back end implements.

use std::time::Duration;

use chrono::{DateTime, Utc};
use model::{
    EndReason, Job, JobId, JobKind, JobState, NodeId, Progress, Recording, RecordingId, Rendition,
    RenditionId, Segment, SessionId, TenantId,
};
use tokio::sync::broadcast;

use crate::{
    AuditEntry, Cancellation, Change, Created, Deletion, Expired, Expiry, FinalizeOutcome,
    FinalizedRecording, JobFilter, JobOutcome, LeasedJob, LostRecording, NewRendition, Node, Page,
    RecordingFilter, StoreError, Upload, UploadPart, UploadStatus,
};

/// A database of recordings, renditions, jobs and nodes.
///
/// - Every method can fail with `Unavailable`: the database did not answer, and the call may be repeated. Whether the
///   write was committed is unknown. Each write can be repeated without harm.
/// - A method that takes a [`TenantId`] does not see rows of other tenants: `NotFound`.
/// - Each write is one transaction: it is committed when the method returns `Ok`, and changes nothing otherwise. A
///   dropped future may or may not have committed.
/// - Times are stored with a resolution of at least one microsecond. U+0000 in a text is replaced by U+FFFD.
///
/// A back end is verified with `store::conformance_suite!`. The documentation of `store_sqlite::SqliteStore` begins with the
/// shortest use.
#[async_trait::async_trait]
pub trait Store: Send + Sync {
    // Sessions: live recordings, each on one node.

    /// Inserts the rows of a session that begins: `recording` in state RECORDING, and its session.
    ///
    /// Repeating the call changes nothing while the session is live.
    ///
    /// # Errors
    /// `Conflict` if another session has the id.
    async fn begin(&self, recording: &Recording) -> Result<(), StoreError>;

    /// Sets a live session's state to PAUSED, or back to RECORDING. A finalized recording is not changed.
    ///
    /// # Errors
    /// `NotFound`.
    async fn set_paused(&self, tenant: &TenantId, id: SessionId, paused: bool) -> Result<(), StoreError>;

    /// Ends a recording for good, in one transaction: updates its row (inserts it if the database was unavailable at
    /// the beginning), replaces its tracks, inserts its jobs and renditions, and closes the session.
    ///
    /// Repeating the call changes nothing. Without an end reason it is `CRASH`: the process did not see the end.
    ///
    /// # Errors
    /// `Conflict` if another tenant has the id; `Internal` if two tracks have the same number.
    async fn finalize(&self, finalized: &FinalizedRecording) -> Result<FinalizeOutcome, StoreError>;

    /// The node that owns the session, and the reason of its end; none while it is live.
    ///
    /// # Errors
    /// `NotFound`.
    async fn session(
        &self,
        tenant: &TenantId,
        id: SessionId,
    ) -> Result<(NodeId, Option<EndReason>), StoreError>;

    // Recordings.

    /// The recording with its tracks.
    ///
    /// # Errors
    /// `NotFound`.
    async fn recording(&self, tenant: &TenantId, id: RecordingId) -> Result<Recording, StoreError>;

    /// Recordings of the tenant, newest first, after the position `after`. At most `limit`; a limit of 0 is 1.
    async fn list_recordings(
        &self,
        tenant: &TenantId,
        filter: &RecordingFilter,
        after: Option<(DateTime<Utc>, RecordingId)>,
        limit: u32,
    ) -> Result<Page, StoreError>;

    /// Stores the SHA-256 of a finalized file (lower-case hexadecimal). Does nothing if one is stored already.
    ///
    /// It has to be stored before the local file is removed: later nobody could verify the object.
    async fn set_sha256(&self, id: RecordingId, sha256: &str) -> Result<(), StoreError>;

    // Renditions.

    /// Requests a rendition and inserts its job. While the object store does not have the recording, only the node with
    /// the file can run the job; otherwise any node can.
    ///
    /// If a rendition with these parameters exists, it is returned unchanged. If it was cancelled or deleted, it is
    /// requeued, and a waiting DELETE job of its former file is cancelled.
    ///
    /// # Errors
    /// `NotFound`; `WrongState` if the recording is live, has no media, or was deleted.
    async fn create_rendition(
        &self,
        tenant: &TenantId,
        recording: RecordingId,
        new: &NewRendition,
    ) -> Result<Created, StoreError>;

    /// The rendition.
    ///
    /// # Errors
    /// `NotFound`.
    async fn rendition(&self, tenant: &TenantId, id: RenditionId) -> Result<Rendition, StoreError>;

    /// All renditions of the recording, oldest first, also deleted ones.
    async fn renditions_of(
        &self,
        tenant: &TenantId,
        recording: RecordingId,
    ) -> Result<Vec<Rendition>, StoreError>;

    // Segments. The rows are only for display: the node that renders segments does not read them.

    /// Inserts or replaces the row of a segment.
    ///
    /// # Errors
    /// `NotFound` if the recording does not exist.
    async fn write_segment(&self, segment: &Segment) -> Result<(), StoreError>;

    /// Requeues all segments of a rendition. With an `error`, those that were IN_PROGRESS become FAILED instead.
    async fn requeue_segments(
        &self,
        recording: RecordingId,
        parameters: &str,
        error: Option<&str>,
    ) -> Result<(), StoreError>;

    /// Segments of the recording, ordered by rendition and number.
    async fn segments_of(
        &self,
        tenant: &TenantId,
        recording: RecordingId,
    ) -> Result<Vec<Segment>, StoreError>;

    /// Deletes the rows of a rendition's segments: they were joined, or are not needed.
    async fn delete_segments(&self, recording: RecordingId, parameters: &str) -> Result<(), StoreError>;

    /// Deletes the segment rows of all recordings that ended before this time. Returns their number.
    async fn delete_old_segments(&self, before: DateTime<Utc>) -> Result<u64, StoreError>;

    // Deletion and retention.

    /// Deletes a recording, in one transaction: sets it and its renditions to DELETED, cancels its render jobs, inserts
    /// the jobs that remove the objects and the local file, and writes an audit entry.
    ///
    /// # Errors
    /// `NotFound`; `WrongState` while the session is live.
    async fn delete_recording(
        &self,
        tenant: &TenantId,
        id: RecordingId,
        actor: &str,
    ) -> Result<Deletion, StoreError>;

    /// Deletes one rendition likewise. A running render of it is cancelled.
    ///
    /// # Errors
    /// `NotFound`.
    async fn delete_rendition(
        &self,
        tenant: &TenantId,
        id: RenditionId,
        actor: &str,
    ) -> Result<Deletion, StoreError>;

    /// Recordings or renditions past their retention, oldest first, at most `limit`: AVAILABLE ones, and recordings that
    /// are PARKED because no media arrived. Recordings parked for any other reason wait for a person and never expire.
    async fn expired(&self, expiry: &Expiry, limit: u32) -> Result<Vec<Expired>, StoreError>;

    /// The audit entries of the recording and its renditions, oldest first.
    async fn audit_of(
        &self,
        tenant: &TenantId,
        recording: RecordingId,
    ) -> Result<Vec<AuditEntry>, StoreError>;

    /// Claims the next run of a periodic task that one node does for all. Returns true to one caller per `interval`.
    async fn claim_run(&self, task: &str, interval: Duration) -> Result<bool, StoreError>;

    // Jobs and their leases.

    /// Leases the oldest due job of these kinds that is bound to `node` or to no node. Due is a job that is QUEUED or
    /// FAILED after its `run_at`, or IN_PROGRESS after its lease ended. None if no job is due.
    ///
    /// The lease is committed at once. No transaction is open while the job runs.
    async fn lease(
        &self,
        node: &NodeId,
        kinds: &[JobKind],
        length: Duration,
    ) -> Result<Option<LeasedJob>, StoreError>;

    /// Extends a lease to `length` from now and returns its new end. An expired lease can be renewed until another
    /// worker leases the job.
    ///
    /// # Errors
    /// `LeaseLost`.
    async fn renew(&self, leased: &LeasedJob, length: Duration) -> Result<DateTime<Utc>, StoreError>;

    /// Ends a run, in one transaction with its consequences. An expired lease is valid until another worker leases the
    /// job. Repeating a call whose answer was lost changes nothing. A DELETED recording stays DELETED.
    ///
    /// # Errors
    /// `LeaseLost`: nothing was changed.
    async fn finish(&self, leased: &LeasedJob, outcome: JobOutcome) -> Result<(), StoreError>;

    /// All jobs of the recording, oldest first.
    async fn jobs_of(&self, recording: RecordingId) -> Result<Vec<Job>, StoreError>;

    /// The job.
    ///
    /// # Errors
    /// `NotFound`.
    async fn job(&self, tenant: &TenantId, id: JobId) -> Result<Job, StoreError>;

    /// Jobs of the tenant, newest first, created before the job `before`. At most `limit`; a limit of 0 is 1.
    async fn list_jobs(
        &self,
        tenant: &TenantId,
        filter: &JobFilter,
        before: Option<JobId>,
        limit: u32,
    ) -> Result<Vec<Job>, StoreError>;

    /// Stores the progress of a run. The first call sets the job's rendition to IN_PROGRESS.
    ///
    /// # Errors
    /// `LeaseLost`, also if the job was cancelled.
    async fn set_progress(&self, leased: &LeasedJob, progress: &Progress) -> Result<(), StoreError>;

    /// Requeues a PARKED, FAILED or CANCELLED job with its attempts at 0, and its rendition. A recording that its jobs
    /// had parked returns to its state before that, as soon as none of its jobs is parked.
    ///
    /// # Errors
    /// `NotFound`, also for a job in any other state, and if its recording or rendition was deleted.
    async fn retry(&self, tenant: &TenantId, job: JobId) -> Result<(), StoreError>;

    /// Cancels a render job and its rendition. Its lease is lost. If the job was ever leased, a DELETE job is inserted
    /// that removes what the run may have stored.
    ///
    /// # Errors
    /// `NotFound`.
    async fn cancel(&self, tenant: &TenantId, job: JobId) -> Result<Cancellation, StoreError>;

    /// The number of jobs that are neither DONE nor CANCELLED, by kind and state. Pairs without jobs are absent.
    async fn count_jobs(&self) -> Result<Vec<(JobKind, JobState, u64)>, StoreError>;

    /// Subscribes to changes from now on. Changes that another process makes in an SQLite file are not reported.
    fn changes(&self) -> broadcast::Receiver<Change>;

    /// Returns when jobs may have become due, at the latest after `at_most`.
    ///
    /// Some jobs are only found after `at_most`: those inserted while the database was unavailable, and those that
    /// another process inserts in an SQLite file. So `at_most` should be a few seconds.
    async fn wait_for_jobs(&self, at_most: Duration);

    // The journal of uploads.

    /// Inserts the journal's row of an upload that was begun. Repeating the call changes nothing.
    ///
    /// # Errors
    /// `Conflict` if the journal has another upload of the recording; `NotFound` if the recording does not exist.
    async fn begin_upload(&self, upload: &Upload) -> Result<(), StoreError>;

    /// Inserts or replaces a part by its number.
    ///
    /// # Errors
    /// `NotFound` if the journal does not have this upload, or no longer.
    async fn write_part(
        &self,
        recording: RecordingId,
        upload_id: &str,
        part: &UploadPart,
    ) -> Result<(), StoreError>;

    /// The recording's upload and its parts by number, if the journal has one.
    async fn upload_of(
        &self,
        recording: RecordingId,
    ) -> Result<Option<(Upload, Vec<UploadPart>)>, StoreError>;

    /// Deletes an upload and its parts from the journal; none is fine. If the upload had been rescued, the whole file is
    /// now in the object store: clears the recording's error and requeues its renditions, as after
    /// [`rescue`](Self::rescue).
    async fn delete_upload(&self, recording: RecordingId, upload_id: &str) -> Result<(), StoreError>;

    /// The journal's uploads of files on `node`.
    async fn uploads_on(&self, node: &NodeId) -> Result<Vec<UploadStatus>, StoreError>;

    /// The uploads of nodes without a heartbeat for `silent_for` that were not rescued yet.
    async fn lost_uploads(&self, silent_for: Duration) -> Result<Vec<UploadStatus>, StoreError>;

    /// Commits that a lost node's upload was completed with the parts that it has: the object holds the first `bytes` of
    /// the recording. Returns false if another call did this before.
    ///
    /// In one transaction: the recording becomes AVAILABLE with `missing` as its error, a live session is closed as
    /// `CRASH`, those of `renditions` that do not exist are inserted with their jobs, and any node can run these jobs and
    /// the recording's waiting render jobs.
    ///
    /// If the node returns, it can still finalize the session, unless the recording was deleted. Its renditions are then
    /// requeued with new jobs, except cancelled and deleted ones; unfinished earlier jobs become CANCELLED.
    async fn rescue(
        &self,
        upload: &Upload,
        bytes: u64,
        missing: Option<&str>,
        renditions: &[NewRendition],
    ) -> Result<bool, StoreError>;

    /// The node that owns the recording, of any tenant. None if the recording does not exist.
    async fn owner(&self, recording: RecordingId) -> Result<Option<NodeId>, StoreError>;

    // Recordings of lost nodes of which nothing was uploaded.

    /// RECORDING, PAUSED and PROCESSING recordings that have no upload in the journal, of nodes without a heartbeat for
    /// `silent_for`.
    async fn lost_recordings(&self, silent_for: Duration) -> Result<Vec<LostRecording>, StoreError>;

    /// Parks a lost recording until its node returns: PARKED with this error. A live session is closed as `CRASH`, at
    /// the time of its node's last heartbeat. Returns false if [`lost_recordings`](Self::lost_recordings) would no longer
    /// return the recording.
    ///
    /// If the node returns, it can still finalize the session, unless the recording was deleted.
    async fn park_lost(
        &self,
        recording: RecordingId,
        silent_for: Duration,
        error: &str,
    ) -> Result<bool, StoreError>;

    /// `node` has returned: its parked lost recordings get their former state, if they were finalized or if their
    /// session is in `live`. Returns their ids.
    async fn unpark(&self, node: &NodeId, live: &[RecordingId]) -> Result<Vec<RecordingId>, StoreError>;

    // Nodes.

    /// Inserts or updates the node's row with the current time as its last heartbeat.
    async fn heartbeat(&self, id: &NodeId, grpc_address: &str, draining: bool) -> Result<(), StoreError>;

    /// The node.
    ///
    /// # Errors
    /// `NotFound`.
    async fn node(&self, id: &NodeId) -> Result<Node, StoreError>;

    /// Nodes whose last heartbeat is within `time`, ordered by id.
    async fn nodes_seen_within(&self, time: Duration) -> Result<Vec<Node>, StoreError>;

    /// Runs a query that reads nothing: `Ok` if the database answers.
    async fn ping(&self) -> Result<(), StoreError>;
}
