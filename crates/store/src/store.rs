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

/// A back end.
#[async_trait::async_trait]
pub trait Store: Send + Sync {
    // Sessions: live recordings and the node that has them.

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

    // Recordings. Times are kept to the microsecond at least; U+0000 in a text becomes U+FFFD.

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

    // Renditions.

    /// Asks for a rendition of the tenant's recording and makes its job: for the node that has the file while the
    /// object store doesn't have it yet, else for any. One with the same parameters that is there already is returned
    /// as it is, unless it was cancelled or deleted: then it is made again, and a DELETE job that waits to remove its
    /// former file is given up.
    ///
    /// # Errors
    /// `NotFound`; `WrongState` if the recording is live, has no media, or was deleted.
    async fn create_rendition(
        &self,
        tenant: &TenantId,
        recording: RecordingId,
        new: &NewRendition,
    ) -> Result<Created, StoreError>;

    /// The tenant's rendition.
    ///
    /// # Errors
    /// `NotFound`.
    async fn rendition(&self, tenant: &TenantId, id: RenditionId) -> Result<Rendition, StoreError>;

    /// Renditions of the tenant's recording, oldest first, deleted ones too.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn renditions_of(
        &self,
        tenant: &TenantId,
        recording: RecordingId,
    ) -> Result<Vec<Rendition>, StoreError>;

    // Segments. Their rows only tell: whoever makes a segment knows by itself how far it is.

    /// Writes down a segment, in place of what was said of it before.
    ///
    /// # Errors
    /// `NotFound` if there is no such recording; `Unavailable`.
    async fn note_segment(&self, segment: &Segment) -> Result<(), StoreError>;

    /// All segments of a rendition are to be made anew. What was IN_PROGRESS has FAILED if an error is given; the others
    /// are QUEUED.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn begin_segments_again(
        &self,
        recording: RecordingId,
        parameters: &str,
        error: Option<&str>,
    ) -> Result<(), StoreError>;

    /// The segments of the tenant's recording, by rendition, in order.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn segments_of(
        &self,
        tenant: &TenantId,
        recording: RecordingId,
    ) -> Result<Vec<Segment>, StoreError>;

    /// Forgets the segments of a rendition: they have been joined, or are not needed.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn forget_segments(&self, recording: RecordingId, parameters: &str) -> Result<(), StoreError>;

    /// Forgets segments of all recordings that ended before this. Returns how many there were.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn forget_old_segments(&self, before: DateTime<Utc>) -> Result<u64, StoreError>;

    // Deletion, and what remembers it.

    /// Marks the tenant's recording and its renditions DELETED, cancels their renders, makes the jobs that remove the
    /// objects and the local file, and writes an audit entry, all in one transaction.
    ///
    /// # Errors
    /// `NotFound`; `WrongState` while its session is live. Then nothing was changed.
    async fn delete_recording(
        &self,
        tenant: &TenantId,
        id: RecordingId,
        actor: &str,
    ) -> Result<Deletion, StoreError>;

    /// The same for one rendition. A running render of it is cancelled.
    ///
    /// # Errors
    /// `NotFound`.
    async fn delete_rendition(
        &self,
        tenant: &TenantId,
        id: RenditionId,
        actor: &str,
    ) -> Result<Deletion, StoreError>;

    /// Recordings or renditions whose time is over, oldest first, at most `limit`: those that are AVAILABLE, and recordings
    /// that are PARKED because no media came. What else is parked waits for a person, and is never among them.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn expired(&self, expiry: &Expiry, limit: u32) -> Result<Vec<Expired>, StoreError>;

    /// What was removed of the tenant's recording, oldest first.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn audit_of(
        &self,
        tenant: &TenantId,
        recording: RecordingId,
    ) -> Result<Vec<AuditEntry>, StoreError>;

    /// Whether it is the caller's turn to do what one node does for all every so often. Of all that ask within `every`,
    /// one is told so.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn claim_run(&self, task: &str, every: Duration) -> Result<bool, StoreError>;

    // Jobs and their leases.

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

    // The journal of uploads.

    /// Writes down an upload that was begun. Repeating it changes nothing.
    ///
    /// # Errors
    /// `Conflict` if another upload of the recording is written down; `NotFound` if there is no such recording;
    /// `Unavailable`.
    async fn begin_upload(&self, upload: &Upload) -> Result<(), StoreError>;

    /// Writes down a part, in place of an earlier one of its number.
    ///
    /// # Errors
    /// `NotFound` if this upload is not, or no longer, written down; `Unavailable`.
    async fn note_part(
        &self,
        recording: RecordingId,
        upload_id: &str,
        part: &UploadPart,
    ) -> Result<(), StoreError>;

    /// The recording's upload and its parts by number, if there is one.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn upload_of(
        &self,
        recording: RecordingId,
    ) -> Result<Option<(Upload, Vec<UploadPart>)>, StoreError>;

    /// Forgets an upload and its parts. If it had been rescued, what the rescue said is missing is taken back, and the
    /// renditions that were made without that are made anew, as after [`rescue`](Self::rescue). One that is not written
    /// down is fine.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn forget_upload(&self, recording: RecordingId, upload_id: &str) -> Result<(), StoreError>;

    /// The uploads of recordings that `node` has the files of.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn uploads_on(&self, node: &NodeId) -> Result<Vec<UploadStatus>, StoreError>;

    /// The uploads that were not rescued yet, of nodes that have said nothing for so long.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn lost_uploads(&self, silent_for: Duration) -> Result<Vec<UploadStatus>, StoreError>;

    /// Writes down that the object now holds the first `bytes` of the recording and will stay so unless its node comes
    /// back: AVAILABLE, its error telling what is missing, if anything is; a session that was live is closed as `CRASH`. In
    /// the same transaction those of `renditions` that there aren't are written down with their jobs, and any node may
    /// make these and what waited for the lost one. Returns whether it was written, which it is once.
    ///
    /// Whoever seals such a session later still does, unless the recording was deleted meanwhile. All its renditions but
    /// those that were cancelled or deleted are then made anew, by new jobs; earlier jobs that are not done are CANCELLED.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn rescue(
        &self,
        upload: &Upload,
        bytes: u64,
        missing: Option<&str>,
        renditions: &[NewRendition],
    ) -> Result<bool, StoreError>;

    /// The node that received a recording, of whatever tenant; none if there is no such recording.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn owner(&self, recording: RecordingId) -> Result<Option<NodeId>, StoreError>;

    // Recordings whose nodes are lost.

    /// RECORDING, PAUSED and PROCESSING recordings without a journaled upload, of nodes that have said nothing for so long.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn lost_recordings(&self, silent_for: Duration) -> Result<Vec<LostRecording>, StoreError>;

    /// Gives such a recording up, until its node is back: PARKED with this error; a session that was live is closed as
    /// `CRASH`, at the time when its node was last heard of. Returns whether it was, which it is not if it is no longer such
    /// a recording.
    ///
    /// Whoever seals such a session later still does, unless the recording was deleted meanwhile.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn park_lost(
        &self,
        recording: RecordingId,
        silent_for: Duration,
        error: &str,
    ) -> Result<bool, StoreError>;

    /// `node` is there again: of its recordings that were given up, those that are sealed, and those whose sessions are
    /// `live`, are as they were before. Returns which.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn unpark(&self, node: &NodeId, live: &[RecordingId]) -> Result<Vec<RecordingId>, StoreError>;

    // Nodes.

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
