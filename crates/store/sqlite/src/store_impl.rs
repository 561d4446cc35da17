//! [`Store`] on SQLite: which query each method runs, on which connection, and what it reports to this process.

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
    SqliteStore, deletion, jobs, lost, nodes, recordings, renditions, rescue, segments, sessions, turns,
    uploads,
};

#[async_trait::async_trait]
impl Store for SqliteStore {
    async fn begin(&self, recording: &Recording) -> Result<(), StoreError> {
        sessions::begin(&self.writer, recording).await?;
        self.changes.publish(Change::Recording(recording.id));
        Ok(())
    }

    async fn set_paused(&self, tenant: &TenantId, id: SessionId, paused: bool) -> Result<(), StoreError> {
        Ok(sessions::set_paused(&self.writer, tenant, id, paused).await?)
    }

    async fn finalize(&self, sealed: &FinalizedRecording) -> Result<FinalizeOutcome, StoreError> {
        let (outcome, void) = sessions::finalize(&self.writer, sealed).await?;
        self.cancelled(void);
        self.changed(sealed.recording.id);
        Ok(outcome)
    }

    async fn session(
        &self,
        tenant: &TenantId,
        id: SessionId,
    ) -> Result<(NodeId, Option<EndReason>), StoreError> {
        Ok(sessions::session(&self.readers, tenant, id).await?)
    }

    async fn live_on(&self, node: &NodeId) -> Result<Vec<SessionId>, StoreError> {
        Ok(sessions::live_on(&self.readers, node).await?)
    }

    async fn recording(&self, tenant: &TenantId, id: RecordingId) -> Result<Recording, StoreError> {
        Ok(recordings::recording(&self.readers, tenant, id).await?)
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &RecordingFilter,
        after: Option<(DateTime<Utc>, RecordingId)>,
        limit: u32,
    ) -> Result<Page, StoreError> {
        Ok(recordings::list(&self.readers, tenant, filter, after, limit).await?)
    }

    async fn note_sha256(&self, id: RecordingId, sha256: &str) -> Result<(), StoreError> {
        Ok(recordings::note_sha256(&self.writer, id, sha256).await?)
    }

    async fn create_rendition(
        &self,
        tenant: &TenantId,
        recording: RecordingId,
        new: &NewRendition,
    ) -> Result<Created, StoreError> {
        let created = renditions::create(&self.writer, tenant, recording, new).await?;
        if created.job.is_some() {
            self.changed(recording);
        }
        Ok(created)
    }

    async fn rendition(&self, tenant: &TenantId, id: RenditionId) -> Result<Rendition, StoreError> {
        Ok(renditions::one(&self.readers, tenant, id).await?)
    }

    async fn renditions_of(
        &self,
        tenant: &TenantId,
        recording: RecordingId,
    ) -> Result<Vec<Rendition>, StoreError> {
        Ok(renditions::all_of(&self.readers, tenant, recording).await?)
    }

    async fn note_segment(&self, segment: &Segment) -> Result<(), StoreError> {
        Ok(segments::note(&self.writer, segment).await?)
    }

    async fn begin_segments_again(
        &self,
        recording: RecordingId,
        parameters: &str,
        error: Option<&str>,
    ) -> Result<(), StoreError> {
        Ok(segments::begin_again(&self.writer, recording, parameters, error).await?)
    }

    async fn segments_of(
        &self,
        tenant: &TenantId,
        recording: RecordingId,
    ) -> Result<Vec<Segment>, StoreError> {
        Ok(segments::all_of(&self.readers, tenant, recording).await?)
    }

    async fn forget_segments(&self, recording: RecordingId, parameters: &str) -> Result<(), StoreError> {
        Ok(segments::forget(&self.writer, recording, parameters).await?)
    }

    async fn forget_old_segments(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        Ok(segments::forget_old(&self.writer, before).await?)
    }

    async fn delete_recording(
        &self,
        tenant: &TenantId,
        id: RecordingId,
        actor: &str,
    ) -> Result<Deletion, StoreError> {
        let (deletion, cancelled) = deletion::delete_recording(&self.writer, tenant, id, actor).await?;
        for job in cancelled {
            self.changes.publish(Change::Cancelled(job));
        }
        self.changed(id);
        Ok(deletion)
    }

    async fn delete_rendition(
        &self,
        tenant: &TenantId,
        id: RenditionId,
        actor: &str,
    ) -> Result<Deletion, StoreError> {
        let (deletion, recording, job) = deletion::delete_rendition(&self.writer, tenant, id, actor).await?;
        self.changes.publish(Change::Cancelled(job));
        self.changed(recording);
        Ok(deletion)
    }

    async fn expired(&self, expiry: &Expiry, limit: u32) -> Result<Vec<Expired>, StoreError> {
        Ok(deletion::expired(&self.readers, expiry, limit).await?)
    }

    async fn audit_of(
        &self,
        tenant: &TenantId,
        recording: RecordingId,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        Ok(deletion::audit_of(&self.readers, tenant, recording).await?)
    }

    async fn claim_run(&self, task: &str, every: Duration) -> Result<bool, StoreError> {
        Ok(turns::take(&self.writer, task, every).await?)
    }

    async fn lease(
        &self,
        node: &NodeId,
        kinds: &[JobKind],
        length: Duration,
    ) -> Result<Option<LeasedJob>, StoreError> {
        Ok(jobs::lease::lease(&self.writer, node, kinds, length).await?)
    }

    async fn renew(&self, leased: &LeasedJob, length: Duration) -> Result<DateTime<Utc>, StoreError> {
        Ok(jobs::lease::renew(&self.writer, leased, length).await?)
    }

    async fn finish(&self, leased: &LeasedJob, outcome: JobOutcome) -> Result<(), StoreError> {
        jobs::finish::finish(&self.writer, leased, outcome).await?;
        self.changed(leased.job.recording);
        Ok(())
    }

    async fn jobs_of(&self, recording: RecordingId) -> Result<Vec<Job>, StoreError> {
        Ok(jobs::jobs_of(&self.readers, recording).await?)
    }

    async fn job(&self, tenant: &TenantId, id: JobId) -> Result<Job, StoreError> {
        Ok(jobs::job(&self.readers, tenant, id).await?)
    }

    async fn list_jobs(
        &self,
        tenant: &TenantId,
        filter: &JobFilter,
        before: Option<JobId>,
        limit: u32,
    ) -> Result<Vec<Job>, StoreError> {
        Ok(jobs::list(&self.readers, tenant, filter, before, limit).await?)
    }

    async fn note_progress(&self, leased: &LeasedJob, progress: &Progress) -> Result<(), StoreError> {
        jobs::progress::note(&self.writer, leased, progress).await?;
        self.changes.publish(Change::Recording(leased.job.recording));
        Ok(())
    }

    async fn retry(&self, tenant: &TenantId, job: JobId) -> Result<(), StoreError> {
        let recording = jobs::finish::retry(&self.writer, tenant, job).await?;
        self.changed(recording);
        Ok(())
    }

    async fn cancel(&self, tenant: &TenantId, job: JobId) -> Result<Cancellation, StoreError> {
        let (cancellation, recording) = jobs::cancel::cancel(&self.writer, tenant, job).await?;
        if cancellation == Cancellation::Now {
            self.changes.publish(Change::Cancelled(job));
            self.changes.publish(Change::Recording(recording));
            self.signal.notify();
        }
        Ok(cancellation)
    }

    async fn depth(&self) -> Result<Vec<(JobKind, JobState, u64)>, StoreError> {
        Ok(jobs::depth(&self.readers).await?)
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    async fn wait_for_jobs(&self, at_most: Duration) {
        // Without an answer the worker looks when its time is up.
        let next = tokio::time::timeout(at_most, jobs::lease::next_due(&self.readers)).await;
        let next = next.ok().and_then(Result::ok).flatten().unwrap_or(at_most);
        self.signal.wait(next.min(at_most)).await;
    }

    async fn begin_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        Ok(uploads::begin_upload(&self.writer, upload).await?)
    }

    async fn note_part(
        &self,
        recording: RecordingId,
        upload_id: &str,
        part: &UploadPart,
    ) -> Result<(), StoreError> {
        Ok(uploads::note_part(&self.writer, recording, upload_id, part).await?)
    }

    async fn upload_of(
        &self,
        recording: RecordingId,
    ) -> Result<Option<(Upload, Vec<UploadPart>)>, StoreError> {
        Ok(uploads::upload_of(&self.readers, recording).await?)
    }

    async fn forget_upload(&self, recording: RecordingId, upload_id: &str) -> Result<(), StoreError> {
        let void = uploads::forget_upload(&self.writer, recording, upload_id).await?;
        self.cancelled(void);
        self.changed(recording);
        Ok(())
    }

    async fn uploads_on(&self, node: &NodeId) -> Result<Vec<UploadStatus>, StoreError> {
        Ok(uploads::uploads_on(&self.readers, node).await?)
    }

    async fn lost_uploads(&self, silent_for: Duration) -> Result<Vec<UploadStatus>, StoreError> {
        Ok(uploads::lost_uploads(&self.readers, silent_for).await?)
    }

    async fn rescue(
        &self,
        upload: &Upload,
        bytes: u64,
        missing: Option<&str>,
        renditions: &[NewRendition],
    ) -> Result<bool, StoreError> {
        let rescued = rescue::rescue(&self.writer, upload, bytes, missing, renditions).await?;
        self.changed(upload.recording);
        Ok(rescued)
    }

    async fn owner(&self, recording: RecordingId) -> Result<Option<NodeId>, StoreError> {
        Ok(uploads::owner(&self.readers, recording).await?)
    }

    async fn lost_recordings(&self, silent_for: Duration) -> Result<Vec<LostRecording>, StoreError> {
        Ok(lost::lost_recordings(&self.readers, silent_for).await?)
    }

    async fn park_lost(
        &self,
        recording: RecordingId,
        silent_for: Duration,
        error: &str,
    ) -> Result<bool, StoreError> {
        let given_up = lost::park_lost(&self.writer, recording, silent_for, error).await?;
        if given_up {
            self.changes.publish(Change::Recording(recording));
        }
        Ok(given_up)
    }

    async fn unpark(&self, node: &NodeId, live: &[RecordingId]) -> Result<Vec<RecordingId>, StoreError> {
        let back = lost::unpark(&self.writer, node, live).await?;
        back.iter().for_each(|id| self.changed(*id));
        Ok(back)
    }

    async fn heartbeat(&self, id: &NodeId, grpc_address: &str, draining: bool) -> Result<(), StoreError> {
        Ok(nodes::heartbeat(&self.writer, id, grpc_address, draining).await?)
    }

    async fn node(&self, id: &NodeId) -> Result<Node, StoreError> {
        Ok(nodes::node(&self.readers, id).await?)
    }

    async fn nodes_seen_within(&self, time: Duration) -> Result<Vec<Node>, StoreError> {
        Ok(nodes::nodes_seen_within(&self.readers, time).await?)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(nodes::ping(&self.readers).await?)
    }
}
