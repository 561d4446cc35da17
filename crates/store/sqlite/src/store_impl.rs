//! [`Store`] on SQLite: the query that each method runs, on which connection, and the changes that it reports.

use std::time::Duration;

use chrono::{DateTime, Utc};
use model::{
    EndReason, Job, JobId, JobKind, JobState, NodeId, Progress, Recording, RecordingId, Rendition,
    RenditionId, Segment, SessionId, TenantId,
};
use store::{
    AuditEntry, Cancellation, Change, Created, Deletion, Expired, Expiry, FinalizeOutcome,
    FinalizedRecording, JobFilter, JobOutcome, LeasedJob, LostRecording, NewRendition, Node, Page,
    RecordingFilter, Store, StoreError, Upload, UploadPart, UploadStatus, query_span, traced,
};
use tokio::sync::broadcast;

use crate::{
    SqliteStore, deletion, jobs, lost, nodes, periodic_tasks, recordings, renditions, rescue, segments,
    sessions, uploads,
};

#[async_trait::async_trait]
impl Store for SqliteStore {
    async fn begin(&self, recording: &Recording) -> Result<(), StoreError> {
        traced(
            query_span!("db.session.begin", session_id = %recording.id),
            sessions::begin(&self.writer, recording),
        )
        .await?;
        self.changes.publish(Change::Recording(recording.id));
        Ok(())
    }

    async fn set_paused(&self, tenant: &TenantId, id: SessionId, paused: bool) -> Result<(), StoreError> {
        traced(
            query_span!("db.session.set_paused", session_id = %id, paused),
            sessions::set_paused(&self.writer, tenant, id, paused),
        )
        .await
    }

    async fn finalize(&self, finalized: &FinalizedRecording) -> Result<FinalizeOutcome, StoreError> {
        let (outcome, cancelled) = traced(
            query_span!("db.session.finalize", recording_id = %finalized.recording.id),
            sessions::finalize(&self.writer, finalized),
        )
        .await?;
        self.report_cancelled(cancelled);
        self.report_changed(finalized.recording.id);
        Ok(outcome)
    }

    async fn session(
        &self,
        tenant: &TenantId,
        id: SessionId,
    ) -> Result<(NodeId, Option<EndReason>), StoreError> {
        traced(query_span!("db.session.get", session_id = %id), sessions::session(&self.readers, tenant, id))
            .await
    }

    async fn recording(&self, tenant: &TenantId, id: RecordingId) -> Result<Recording, StoreError> {
        traced(
            query_span!("db.recording.get", recording_id = %id),
            recordings::recording(&self.readers, tenant, id),
        )
        .await
    }

    async fn list_recordings(
        &self,
        tenant: &TenantId,
        filter: &RecordingFilter,
        after: Option<(DateTime<Utc>, RecordingId)>,
        limit: u32,
    ) -> Result<Page, StoreError> {
        traced(
            query_span!("db.recording.list", %tenant, limit),
            recordings::list_recordings(&self.readers, tenant, filter, after, limit),
        )
        .await
    }

    async fn set_sha256(&self, id: RecordingId, sha256: &str) -> Result<(), StoreError> {
        traced(
            query_span!("db.recording.set_sha256", recording_id = %id),
            recordings::set_sha256(&self.writer, id, sha256),
        )
        .await
    }

    async fn create_rendition(
        &self,
        tenant: &TenantId,
        recording: RecordingId,
        new: &NewRendition,
    ) -> Result<Created, StoreError> {
        let created = traced(
            query_span!("db.rendition.create", recording_id = %recording, kind = new.kind),
            renditions::create_rendition(&self.writer, tenant, recording, new),
        )
        .await?;
        if created.job.is_some() {
            self.report_changed(recording);
        }
        Ok(created)
    }

    async fn rendition(&self, tenant: &TenantId, id: RenditionId) -> Result<Rendition, StoreError> {
        traced(
            query_span!("db.rendition.get", rendition_id = %id),
            renditions::rendition(&self.readers, tenant, id),
        )
        .await
    }

    async fn renditions_of(
        &self,
        tenant: &TenantId,
        recording: RecordingId,
    ) -> Result<Vec<Rendition>, StoreError> {
        traced(
            query_span!("db.rendition.list", recording_id = %recording),
            renditions::renditions_of(&self.readers, tenant, recording),
        )
        .await
    }

    async fn write_segment(&self, segment: &Segment) -> Result<(), StoreError> {
        traced(
            query_span!("db.segment.write", recording_id = %segment.recording, number = segment.number),
            segments::write_segment(&self.writer, segment),
        )
        .await
    }

    async fn requeue_segments(
        &self,
        recording: RecordingId,
        parameters: &str,
        error: Option<&str>,
    ) -> Result<(), StoreError> {
        traced(
            query_span!("db.segment.requeue", recording_id = %recording),
            segments::requeue_segments(&self.writer, recording, parameters, error),
        )
        .await
    }

    async fn segments_of(
        &self,
        tenant: &TenantId,
        recording: RecordingId,
    ) -> Result<Vec<Segment>, StoreError> {
        traced(
            query_span!("db.segment.list", recording_id = %recording),
            segments::segments_of(&self.readers, tenant, recording),
        )
        .await
    }

    async fn delete_segments(&self, recording: RecordingId, parameters: &str) -> Result<(), StoreError> {
        traced(
            query_span!("db.segment.delete", recording_id = %recording),
            segments::delete_segments(&self.writer, recording, parameters),
        )
        .await
    }

    async fn delete_old_segments(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        traced(
            query_span!("db.segment.delete_old", %before),
            segments::delete_old_segments(&self.writer, before),
        )
        .await
    }

    async fn delete_recording(
        &self,
        tenant: &TenantId,
        id: RecordingId,
        actor: &str,
    ) -> Result<Deletion, StoreError> {
        let (deletion, cancelled) = traced(
            query_span!("db.recording.delete", recording_id = %id),
            deletion::delete_recording(&self.writer, tenant, id, actor),
        )
        .await?;
        self.report_cancelled(cancelled);
        self.report_changed(id);
        Ok(deletion)
    }

    async fn delete_rendition(
        &self,
        tenant: &TenantId,
        id: RenditionId,
        actor: &str,
    ) -> Result<Deletion, StoreError> {
        let (deletion, recording, job) = traced(
            query_span!("db.rendition.delete", rendition_id = %id),
            deletion::delete_rendition(&self.writer, tenant, id, actor),
        )
        .await?;
        self.changes.publish(Change::Cancelled(job));
        self.report_changed(recording);
        Ok(deletion)
    }

    async fn expired(&self, expiry: &Expiry, limit: u32) -> Result<Vec<Expired>, StoreError> {
        traced(
            query_span!("db.retention.expired", before = %expiry.before, limit),
            deletion::expired(&self.readers, expiry, limit),
        )
        .await
    }

    async fn audit_of(
        &self,
        tenant: &TenantId,
        recording: RecordingId,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        traced(
            query_span!("db.audit.list", recording_id = %recording),
            deletion::audit_of(&self.readers, tenant, recording),
        )
        .await
    }

    async fn claim_run(&self, task: &str, every: Duration) -> Result<bool, StoreError> {
        traced(
            query_span!("db.periodic_task.claim", task),
            periodic_tasks::claim_run(&self.writer, task, every),
        )
        .await
    }

    async fn lease(
        &self,
        node: &NodeId,
        kinds: &[JobKind],
        length: Duration,
    ) -> Result<Option<LeasedJob>, StoreError> {
        traced(
            query_span!("db.job.lease", node_id = %node),
            jobs::lease::lease(&self.writer, node, kinds, length),
        )
        .await
    }

    async fn renew(&self, leased: &LeasedJob, length: Duration) -> Result<DateTime<Utc>, StoreError> {
        traced(
            query_span!("db.job.renew", job_id = %leased.job.id),
            jobs::lease::renew(&self.writer, leased, length),
        )
        .await
    }

    async fn finish(&self, leased: &LeasedJob, outcome: JobOutcome) -> Result<(), StoreError> {
        traced(
            query_span!("db.job.finish", job_id = %leased.job.id, recording_id = %leased.job.recording),
            jobs::finish::finish(&self.writer, leased, outcome),
        )
        .await?;
        self.report_changed(leased.job.recording);
        Ok(())
    }

    async fn jobs_of(&self, recording: RecordingId) -> Result<Vec<Job>, StoreError> {
        traced(
            query_span!("db.job.of_recording", recording_id = %recording),
            jobs::jobs_of(&self.readers, recording),
        )
        .await
    }

    async fn job(&self, tenant: &TenantId, id: JobId) -> Result<Job, StoreError> {
        traced(query_span!("db.job.get", job_id = %id), jobs::job(&self.readers, tenant, id)).await
    }

    async fn list_jobs(
        &self,
        tenant: &TenantId,
        filter: &JobFilter,
        before: Option<JobId>,
        limit: u32,
    ) -> Result<Vec<Job>, StoreError> {
        traced(
            query_span!("db.job.list", %tenant, limit),
            jobs::list_jobs(&self.readers, tenant, filter, before, limit),
        )
        .await
    }

    async fn set_progress(&self, leased: &LeasedJob, progress: &Progress) -> Result<(), StoreError> {
        traced(
            query_span!("db.job.set_progress", job_id = %leased.job.id),
            jobs::progress::set_progress(&self.writer, leased, progress),
        )
        .await?;
        self.changes.publish(Change::Recording(leased.job.recording));
        Ok(())
    }

    async fn retry(&self, tenant: &TenantId, job: JobId) -> Result<(), StoreError> {
        let recording = traced(
            query_span!("db.job.retry", job_id = %job),
            jobs::finish::retry(&self.writer, tenant, job),
        )
        .await?;
        self.report_changed(recording);
        Ok(())
    }

    async fn cancel(&self, tenant: &TenantId, job: JobId) -> Result<Cancellation, StoreError> {
        let (cancellation, recording) = traced(
            query_span!("db.job.cancel", job_id = %job),
            jobs::cancel::cancel(&self.writer, tenant, job),
        )
        .await?;
        if cancellation == Cancellation::Cancelled {
            self.changes.publish(Change::Cancelled(job));
            self.report_changed(recording);
        }
        Ok(cancellation)
    }

    async fn count_jobs(&self) -> Result<Vec<(JobKind, JobState, u64)>, StoreError> {
        traced(query_span!("db.job.count"), jobs::count_jobs(&self.readers)).await
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    async fn wait_for_jobs(&self, at_most: Duration) {
        // Without an answer the worker looks again after `at_most`.
        let next = tokio::time::timeout(at_most, jobs::lease::next_due(&self.readers)).await;
        let next = next.ok().and_then(Result::ok).flatten().unwrap_or(at_most);
        self.signal.wait(next.min(at_most)).await;
    }

    async fn begin_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        traced(
            query_span!("db.upload.begin", recording_id = %upload.recording),
            uploads::begin_upload(&self.writer, upload),
        )
        .await
    }

    async fn write_part(
        &self,
        recording: RecordingId,
        upload_id: &str,
        part: &UploadPart,
    ) -> Result<(), StoreError> {
        traced(
            query_span!("db.upload.write_part", recording_id = %recording, part = part.number),
            uploads::write_part(&self.writer, recording, upload_id, part),
        )
        .await
    }

    async fn upload_of(
        &self,
        recording: RecordingId,
    ) -> Result<Option<(Upload, Vec<UploadPart>)>, StoreError> {
        traced(
            query_span!("db.upload.get", recording_id = %recording),
            uploads::upload_of(&self.readers, recording),
        )
        .await
    }

    async fn delete_upload(&self, recording: RecordingId, upload_id: &str) -> Result<(), StoreError> {
        let cancelled = traced(
            query_span!("db.upload.delete", recording_id = %recording),
            uploads::delete_upload(&self.writer, recording, upload_id),
        )
        .await?;
        self.report_cancelled(cancelled);
        self.report_changed(recording);
        Ok(())
    }

    async fn uploads_on(&self, node: &NodeId) -> Result<Vec<UploadStatus>, StoreError> {
        traced(query_span!("db.upload.on_node", node_id = %node), uploads::uploads_on(&self.readers, node))
            .await
    }

    async fn lost_uploads(&self, silent_for: Duration) -> Result<Vec<UploadStatus>, StoreError> {
        traced(query_span!("db.upload.lost"), uploads::lost_uploads(&self.readers, silent_for)).await
    }

    async fn rescue(
        &self,
        upload: &Upload,
        bytes: u64,
        missing: Option<&str>,
        renditions: &[NewRendition],
    ) -> Result<bool, StoreError> {
        let rescued = traced(
            query_span!("db.upload.rescue", recording_id = %upload.recording),
            rescue::rescue(&self.writer, upload, bytes, missing, renditions),
        )
        .await?;
        self.report_changed(upload.recording);
        Ok(rescued)
    }

    async fn owner(&self, recording: RecordingId) -> Result<Option<NodeId>, StoreError> {
        traced(
            query_span!("db.recording.owner", recording_id = %recording),
            uploads::owner(&self.readers, recording),
        )
        .await
    }

    async fn lost_recordings(&self, silent_for: Duration) -> Result<Vec<LostRecording>, StoreError> {
        traced(query_span!("db.recording.lost"), lost::lost_recordings(&self.readers, silent_for)).await
    }

    async fn park_lost(
        &self,
        recording: RecordingId,
        silent_for: Duration,
        error: &str,
    ) -> Result<bool, StoreError> {
        let parked = traced(
            query_span!("db.recording.park_lost", recording_id = %recording),
            lost::park_lost(&self.writer, recording, silent_for, error),
        )
        .await?;
        if parked {
            self.changes.publish(Change::Recording(recording));
        }
        Ok(parked)
    }

    async fn unpark(&self, node: &NodeId, live: &[RecordingId]) -> Result<Vec<RecordingId>, StoreError> {
        let unparked = traced(
            query_span!("db.recording.unpark", node_id = %node),
            lost::unpark(&self.writer, node, live),
        )
        .await?;
        unparked.iter().for_each(|id| self.report_changed(*id));
        Ok(unparked)
    }

    async fn heartbeat(&self, id: &NodeId, grpc_address: &str, draining: bool) -> Result<(), StoreError> {
        traced(
            query_span!("db.node.heartbeat", node_id = %id),
            nodes::heartbeat(&self.writer, id, grpc_address, draining),
        )
        .await
    }

    async fn node(&self, id: &NodeId) -> Result<Node, StoreError> {
        traced(query_span!("db.node.get", node_id = %id), nodes::node(&self.readers, id)).await
    }

    async fn nodes_seen_within(&self, time: Duration) -> Result<Vec<Node>, StoreError> {
        traced(query_span!("db.node.list"), nodes::nodes_seen_within(&self.readers, time)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        traced(query_span!("db.ping"), nodes::ping(&self.readers)).await
    }
}
