//! [`Store`] on Postgres: which query each method runs.

use std::time::Duration;

use chrono::{DateTime, Utc};
use model::{
    EndReason, Job, JobId, JobKind, JobState, NodeId, Progress, Recording, RecordingId, Rendition,
    RenditionId, Segment, SessionId, TenantId,
};
use store::{
    AuditEntry, Cancellation, Change, Created, Deletion, Expired, Expiry, FinalizeOutcome,
    FinalizedRecording, JobFilter, JobOutcome, LeasedJob, LostRecording, NewRendition, Node, Page,
    RecordingFilter, Store, StoreError, Upload, UploadPart, UploadStatus,
};
use tokio::sync::broadcast;

use crate::{
    PostgresStore, deletion, jobs, lost, nodes, recordings, renditions, rescue, segments, sessions, turns,
    uploads,
};

#[async_trait::async_trait]
impl Store for PostgresStore {
    async fn begin(&self, recording: &Recording) -> Result<(), StoreError> {
        self.bounded(sessions::begin(&self.pool, recording)).await
    }

    async fn set_paused(&self, tenant: &TenantId, id: SessionId, paused: bool) -> Result<(), StoreError> {
        self.bounded(sessions::set_paused(&self.pool, tenant, id, paused)).await
    }

    async fn finalize(&self, sealed: &FinalizedRecording) -> Result<FinalizeOutcome, StoreError> {
        self.bounded(sessions::finalize(&self.pool, sealed)).await
    }

    async fn session(
        &self,
        tenant: &TenantId,
        id: SessionId,
    ) -> Result<(NodeId, Option<EndReason>), StoreError> {
        self.bounded(sessions::session(&self.pool, tenant, id)).await
    }

    async fn live_on(&self, node: &NodeId) -> Result<Vec<SessionId>, StoreError> {
        self.bounded(sessions::live_on(&self.pool, node)).await
    }

    async fn recording(&self, tenant: &TenantId, id: RecordingId) -> Result<Recording, StoreError> {
        self.bounded(recordings::recording(&self.pool, tenant, id)).await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &RecordingFilter,
        after: Option<(DateTime<Utc>, RecordingId)>,
        limit: u32,
    ) -> Result<Page, StoreError> {
        self.bounded(recordings::list(&self.pool, tenant, filter, after, limit)).await
    }

    async fn note_sha256(&self, id: RecordingId, sha256: &str) -> Result<(), StoreError> {
        self.bounded(recordings::note_sha256(&self.pool, id, sha256)).await
    }

    async fn create_rendition(
        &self,
        tenant: &TenantId,
        recording: RecordingId,
        new: &NewRendition,
    ) -> Result<Created, StoreError> {
        self.bounded(renditions::create(&self.pool, tenant, recording, new)).await
    }

    async fn rendition(&self, tenant: &TenantId, id: RenditionId) -> Result<Rendition, StoreError> {
        self.bounded(renditions::one(&self.pool, tenant, id)).await
    }

    async fn renditions_of(
        &self,
        tenant: &TenantId,
        recording: RecordingId,
    ) -> Result<Vec<Rendition>, StoreError> {
        self.bounded(renditions::all_of(&self.pool, tenant, recording)).await
    }

    async fn note_segment(&self, segment: &Segment) -> Result<(), StoreError> {
        self.bounded(segments::note(&self.pool, segment)).await
    }

    async fn begin_segments_again(
        &self,
        recording: RecordingId,
        parameters: &str,
        error: Option<&str>,
    ) -> Result<(), StoreError> {
        self.bounded(segments::begin_again(&self.pool, recording, parameters, error)).await
    }

    async fn segments_of(
        &self,
        tenant: &TenantId,
        recording: RecordingId,
    ) -> Result<Vec<Segment>, StoreError> {
        self.bounded(segments::all_of(&self.pool, tenant, recording)).await
    }

    async fn forget_segments(&self, recording: RecordingId, parameters: &str) -> Result<(), StoreError> {
        self.bounded(segments::forget(&self.pool, recording, parameters)).await
    }

    async fn forget_old_segments(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        self.bounded(segments::forget_old(&self.pool, before)).await
    }

    async fn delete_recording(
        &self,
        tenant: &TenantId,
        id: RecordingId,
        actor: &str,
    ) -> Result<Deletion, StoreError> {
        self.bounded(deletion::delete_recording(&self.pool, tenant, id, actor)).await
    }

    async fn delete_rendition(
        &self,
        tenant: &TenantId,
        id: RenditionId,
        actor: &str,
    ) -> Result<Deletion, StoreError> {
        self.bounded(deletion::delete_rendition(&self.pool, tenant, id, actor)).await
    }

    async fn expired(&self, expiry: &Expiry, limit: u32) -> Result<Vec<Expired>, StoreError> {
        self.bounded(deletion::expired(&self.pool, expiry, limit)).await
    }

    async fn audit_of(
        &self,
        tenant: &TenantId,
        recording: RecordingId,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        self.bounded(deletion::audit_of(&self.pool, tenant, recording)).await
    }

    async fn claim_run(&self, task: &str, every: std::time::Duration) -> Result<bool, StoreError> {
        self.bounded(turns::take(&self.pool, task, every)).await
    }

    async fn lease(
        &self,
        node: &NodeId,
        kinds: &[JobKind],
        length: Duration,
    ) -> Result<Option<LeasedJob>, StoreError> {
        self.bounded(jobs::lease::lease(&self.pool, node, kinds, length)).await
    }

    async fn renew(&self, leased: &LeasedJob, length: Duration) -> Result<DateTime<Utc>, StoreError> {
        self.bounded(jobs::lease::renew(&self.pool, leased, length)).await
    }

    async fn finish(&self, leased: &LeasedJob, outcome: JobOutcome) -> Result<(), StoreError> {
        self.bounded(jobs::finish::finish(&self.pool, leased, outcome)).await
    }

    async fn jobs_of(&self, recording: RecordingId) -> Result<Vec<Job>, StoreError> {
        self.bounded(jobs::jobs_of(&self.pool, recording)).await
    }

    async fn job(&self, tenant: &TenantId, id: JobId) -> Result<Job, StoreError> {
        self.bounded(jobs::job(&self.pool, tenant, id)).await
    }

    async fn list_jobs(
        &self,
        tenant: &TenantId,
        filter: &JobFilter,
        before: Option<JobId>,
        limit: u32,
    ) -> Result<Vec<Job>, StoreError> {
        self.bounded(jobs::list(&self.pool, tenant, filter, before, limit)).await
    }

    async fn note_progress(&self, leased: &LeasedJob, progress: &Progress) -> Result<(), StoreError> {
        self.bounded(jobs::progress::note(&self.pool, leased, progress)).await
    }

    async fn retry(&self, tenant: &TenantId, job: JobId) -> Result<(), StoreError> {
        self.bounded(jobs::finish::retry(&self.pool, tenant, job)).await
    }

    async fn cancel(&self, tenant: &TenantId, job: JobId) -> Result<Cancellation, StoreError> {
        self.bounded(jobs::cancel::cancel(&self.pool, tenant, job)).await
    }

    async fn depth(&self) -> Result<Vec<(JobKind, JobState, u64)>, StoreError> {
        self.bounded(jobs::depth(&self.pool)).await
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    async fn wait_for_jobs(&self, at_most: Duration) {
        // Without an answer the worker looks when its time is up.
        let next = tokio::time::timeout(at_most, jobs::lease::next_due(&self.pool)).await;
        let next = next.ok().and_then(Result::ok).flatten().unwrap_or(at_most);
        self.signal.wait(next.min(at_most)).await;
    }

    async fn begin_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        self.bounded(uploads::begin_upload(&self.pool, upload)).await
    }

    async fn note_part(
        &self,
        recording: RecordingId,
        upload_id: &str,
        part: &UploadPart,
    ) -> Result<(), StoreError> {
        self.bounded(uploads::note_part(&self.pool, recording, upload_id, part)).await
    }

    async fn upload_of(
        &self,
        recording: RecordingId,
    ) -> Result<Option<(Upload, Vec<UploadPart>)>, StoreError> {
        self.bounded(uploads::upload_of(&self.pool, recording)).await
    }

    async fn forget_upload(&self, recording: RecordingId, upload_id: &str) -> Result<(), StoreError> {
        self.bounded(uploads::forget_upload(&self.pool, recording, upload_id)).await
    }

    async fn uploads_on(&self, node: &NodeId) -> Result<Vec<UploadStatus>, StoreError> {
        self.bounded(uploads::uploads_on(&self.pool, node)).await
    }

    async fn lost_uploads(&self, silent_for: Duration) -> Result<Vec<UploadStatus>, StoreError> {
        self.bounded(uploads::lost_uploads(&self.pool, silent_for)).await
    }

    async fn rescue(
        &self,
        upload: &Upload,
        bytes: u64,
        missing: Option<&str>,
        renditions: &[NewRendition],
    ) -> Result<bool, StoreError> {
        self.bounded(rescue::rescue(&self.pool, upload, bytes, missing, renditions)).await
    }

    async fn owner(&self, recording: RecordingId) -> Result<Option<NodeId>, StoreError> {
        self.bounded(uploads::owner(&self.pool, recording)).await
    }

    async fn lost_recordings(&self, silent_for: Duration) -> Result<Vec<LostRecording>, StoreError> {
        self.bounded(lost::lost_recordings(&self.pool, silent_for)).await
    }

    async fn park_lost(
        &self,
        recording: RecordingId,
        silent_for: Duration,
        error: &str,
    ) -> Result<bool, StoreError> {
        self.bounded(lost::park_lost(&self.pool, recording, silent_for, error)).await
    }

    async fn unpark(&self, node: &NodeId, live: &[RecordingId]) -> Result<Vec<RecordingId>, StoreError> {
        self.bounded(lost::unpark(&self.pool, node, live)).await
    }

    async fn heartbeat(&self, id: &NodeId, grpc_address: &str, draining: bool) -> Result<(), StoreError> {
        self.bounded(nodes::heartbeat(&self.pool, id, grpc_address, draining)).await
    }

    async fn node(&self, id: &NodeId) -> Result<Node, StoreError> {
        self.bounded(nodes::node(&self.pool, id)).await
    }

    async fn nodes_seen_within(&self, time: Duration) -> Result<Vec<Node>, StoreError> {
        self.bounded(nodes::nodes_seen_within(&self.pool, time)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.bounded(nodes::ping(&self.pool)).await
    }
}
