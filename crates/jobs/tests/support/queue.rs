//! Recordings and jobs in memory, by tokio's clock, so that leases and waits pass in virtual time.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use chrono::{DateTime, Utc};
use model::{
    EndReason, Job, JobId, JobKind, JobState, NodeId, Progress, Recording, RecordingId, RecordingState,
    Rendition, RenditionId, Segment, SessionId, TenantId,
};
use store::{
    AuditEntry, Cancellation, Change, Changes, Created, Deletion, Expired, Expiry, FinalizeOutcome,
    FinalizedRecording, JobFilter, JobOutcome, LeasedJob, LostRecording, NewJob, NewRendition, Node, Page,
    RecordingFilter, Store, StoreError, Upload, UploadPart, UploadStatus,
};
use tokio::{
    sync::{Notify, broadcast},
    time::Instant,
};
use uuid::Uuid;

#[derive(Default)]
pub struct MemoryStore {
    state: Mutex<State>,
    changed: Notify,
    changes: Changes,
}

#[derive(Default)]
struct State {
    recordings: HashMap<RecordingId, Recording>,
    jobs: Vec<Row>,
    away: bool,
    leases: usize,
    renewals: usize,
    parked_from: HashMap<RecordingId, RecordingState>,
}

struct Row {
    job: Job,
    due: Instant,
    lease: Option<(Uuid, Instant)>,
}

impl MemoryStore {
    /// While it is away every call fails.
    pub fn set_away(&self, away: bool) {
        self.lock().away = away;
    }

    pub fn seal_now(&self, recording: &Recording) {
        let mut state = self.lock();
        state.recordings.insert(recording.id, recording.clone());
        let upload = NewJob { kind: JobKind::Upload, node: Some(recording.node.clone()), run_at: Utc::now() };
        state.add(recording, upload);
        self.changed.notify_waiters();
    }

    /// Changes a recording's row.
    pub fn edit(&self, id: RecordingId, change: impl FnOnce(&mut Recording)) {
        change(self.lock().recordings.get_mut(&id).unwrap());
    }

    pub fn recording_now(&self, id: RecordingId) -> Recording {
        self.lock().recordings[&id].clone()
    }

    pub fn job(&self, recording: RecordingId, kind: JobKind) -> Option<Job> {
        let state = self.lock();
        state
            .jobs
            .iter()
            .map(|row| &row.job)
            .find(|job| job.recording == recording && job.kind == kind)
            .cloned()
    }

    /// Another worker takes every job that is leased.
    pub fn steal_leases(&self) {
        for row in &mut self.lock().jobs {
            row.lease = row.lease.map(|(_, until)| (Uuid::new_v4(), until));
        }
    }

    pub fn is_leased(&self, recording: RecordingId, kind: JobKind) -> bool {
        self.lock()
            .jobs
            .iter()
            .any(|row| row.job.recording == recording && row.job.kind == kind && row.lease.is_some())
    }

    pub fn leases(&self) -> usize {
        self.lock().leases
    }

    pub fn renewals(&self) -> usize {
        self.lock().renewals
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn reach(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.lock();
        if state.away { Err(StoreError::Unavailable("away".into())) } else { Ok(state) }
    }
}

impl State {
    fn add(&mut self, recording: &Recording, new: NewJob) {
        let job = Job {
            id: JobId::new(),
            recording: recording.id,
            tenant: recording.tenant.clone(),
            rendition: None,
            kind: new.kind,
            state: JobState::Queued,
            node: new.node,
            attempts: 0,
            run_at: new.run_at,
            error: None,
            progress: None,
            created_at: Utc::now(),
            started_at: None,
            ended_at: None,
        };
        self.jobs.push(Row { job, due: Instant::now(), lease: None });
    }

    fn row(&mut self, leased: &LeasedJob) -> Result<&mut Row, StoreError> {
        let lost = StoreError::LeaseLost(leased.job.id);
        let row = self.jobs.iter_mut().find(|row| row.job.id == leased.job.id);
        row.filter(|row| row.lease.is_some_and(|(lease, _)| lease == leased.lease)).ok_or(lost)
    }
}

fn absent<T>() -> Result<T, StoreError> {
    Err(StoreError::Internal("not in this store".into()))
}

#[async_trait::async_trait]
impl Store for MemoryStore {
    async fn lease(
        &self,
        node: &NodeId,
        kinds: &[JobKind],
        length: Duration,
    ) -> Result<Option<LeasedJob>, StoreError> {
        let (mut state, now) = (self.reach()?, Instant::now());
        let row = state.jobs.iter_mut().find(|row| {
            let open = match row.job.state {
                JobState::Queued | JobState::Failed => row.due <= now,
                JobState::InProgress => row.lease.is_some_and(|(_, until)| until <= now),
                JobState::Done | JobState::Parked | JobState::Cancelled => false,
            };
            open && kinds.contains(&row.job.kind) && row.job.node.as_ref().is_none_or(|bound| bound == node)
        });
        let Some(row) = row else { return Ok(None) };
        let lease = Uuid::new_v4();
        row.lease = Some((lease, now + length));
        row.job.attempts += u32::from(row.job.state != JobState::InProgress);
        row.job.state = JobState::InProgress;
        let leased = LeasedJob { job: row.job.clone(), lease, until: Utc::now() + length };
        state.leases += 1;
        Ok(Some(leased))
    }

    async fn renew(&self, leased: &LeasedJob, length: Duration) -> Result<DateTime<Utc>, StoreError> {
        let mut state = self.reach()?;
        let row = state.row(leased)?;
        row.lease = Some((leased.lease, Instant::now() + length));
        state.renewals += 1;
        Ok(Utc::now() + length)
    }

    async fn finish(&self, leased: &LeasedJob, outcome: JobOutcome) -> Result<(), StoreError> {
        let mut state = self.reach()?;
        let row = state.row(leased)?;
        row.lease = None;
        match outcome {
            JobOutcome::Done { recording_state, next } => {
                row.job.state = JobState::Done;
                let mut recording = state.recordings[&leased.job.recording].clone();
                recording.state = recording_state.unwrap_or(recording.state);
                next.into_iter().for_each(|new| state.add(&recording, new));
                state.recordings.insert(recording.id, recording);
            }
            JobOutcome::RetryAt { at, error } => {
                (row.job.state, row.job.error) = (JobState::Failed, Some(error));
                row.due = Instant::now() + (at - Utc::now()).to_std().unwrap_or_default();
            }
            JobOutcome::Parked { error } => {
                (row.job.state, row.job.error) = (JobState::Parked, Some(error.clone()));
                let State { recordings, parked_from, .. } = &mut *state;
                let recording = recordings.get_mut(&leased.job.recording).unwrap();
                parked_from.insert(recording.id, recording.state);
                (recording.state, recording.error) = (RecordingState::Parked, Some(error));
            }
            JobOutcome::Later { at } => {
                (row.job.state, row.job.attempts) = (JobState::Queued, row.job.attempts - 1);
                row.due = Instant::now() + (at - Utc::now()).to_std().unwrap_or_default();
            }
            JobOutcome::Rendered(_) => return absent(),
        }
        self.changed.notify_waiters();
        Ok(())
    }

    async fn jobs_of(&self, recording: RecordingId) -> Result<Vec<Job>, StoreError> {
        let state = self.reach()?;
        Ok(state.jobs.iter().map(|row| row.job.clone()).filter(|job| job.recording == recording).collect())
    }

    async fn job(&self, _tenant: &TenantId, _id: JobId) -> Result<Job, StoreError> {
        absent()
    }

    async fn list_jobs(
        &self,
        _tenant: &TenantId,
        _filter: &JobFilter,
        _before: Option<JobId>,
        _limit: u32,
    ) -> Result<Vec<Job>, StoreError> {
        absent()
    }

    async fn set_progress(&self, leased: &LeasedJob, progress: &Progress) -> Result<(), StoreError> {
        self.reach()?.row(leased)?.job.progress = Some(*progress);
        Ok(())
    }

    async fn cancel(&self, _tenant: &TenantId, _job: JobId) -> Result<Cancellation, StoreError> {
        absent()
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    async fn retry(&self, _tenant: &TenantId, job: JobId) -> Result<(), StoreError> {
        let mut state = self.reach()?;
        let row = state.jobs.iter_mut().find(|row| row.job.id == job);
        let row = row.ok_or(StoreError::NotFound { what: "job" })?;
        (row.job.state, row.job.attempts, row.due) = (JobState::Queued, 0, Instant::now());
        let id = row.job.recording;
        if let Some(before) = state.parked_from.remove(&id) {
            state.recordings.get_mut(&id).unwrap().state = before;
        }
        self.changed.notify_waiters();
        Ok(())
    }

    async fn count_jobs(&self) -> Result<Vec<(JobKind, JobState, u64)>, StoreError> {
        self.reach().map(|_| Vec::new())
    }

    async fn wait_for_jobs(&self, at_most: Duration) {
        let _ = tokio::time::timeout(at_most, self.changed.notified()).await;
    }

    async fn recording(&self, tenant: &TenantId, id: RecordingId) -> Result<Recording, StoreError> {
        let found =
            self.reach()?.recordings.get(&id).filter(|recording| recording.tenant == *tenant).cloned();
        found.ok_or(StoreError::NotFound { what: "recording" })
    }

    async fn list_recordings(
        &self,
        _tenant: &TenantId,
        _filter: &RecordingFilter,
        _after: Option<(DateTime<Utc>, RecordingId)>,
        _limit: u32,
    ) -> Result<Page, StoreError> {
        absent()
    }

    async fn set_sha256(&self, id: RecordingId, sha256: &str) -> Result<(), StoreError> {
        if let Some(recording) = self.reach()?.recordings.get_mut(&id) {
            recording.sha256.get_or_insert_with(|| sha256.to_owned());
        }
        Ok(())
    }

    async fn begin(&self, _recording: &Recording) -> Result<(), StoreError> {
        absent()
    }

    async fn finalize(&self, _sealed: &FinalizedRecording) -> Result<FinalizeOutcome, StoreError> {
        absent()
    }

    async fn set_paused(&self, _: &TenantId, _: SessionId, _: bool) -> Result<(), StoreError> {
        absent()
    }

    async fn session(
        &self,
        _tenant: &TenantId,
        _id: SessionId,
    ) -> Result<(NodeId, Option<EndReason>), StoreError> {
        absent()
    }

    // No upload is begun before its file is sealed: the objects are in a directory.
    async fn begin_upload(&self, _upload: &Upload) -> Result<(), StoreError> {
        absent()
    }

    async fn write_part(&self, _: RecordingId, _: &str, _: &UploadPart) -> Result<(), StoreError> {
        absent()
    }

    async fn upload_of(&self, _: RecordingId) -> Result<Option<(Upload, Vec<UploadPart>)>, StoreError> {
        self.reach().map(|_| None)
    }

    async fn delete_upload(&self, _: RecordingId, _: &str) -> Result<(), StoreError> {
        absent()
    }

    async fn uploads_on(&self, _: &NodeId) -> Result<Vec<UploadStatus>, StoreError> {
        self.reach().map(|_| Vec::new())
    }

    async fn lost_uploads(&self, _: Duration) -> Result<Vec<UploadStatus>, StoreError> {
        self.reach().map(|_| Vec::new())
    }

    async fn rescue(
        &self,
        _: &Upload,
        _: u64,
        _: Option<&str>,
        _: &[NewRendition],
    ) -> Result<bool, StoreError> {
        absent()
    }

    async fn owner(&self, id: RecordingId) -> Result<Option<NodeId>, StoreError> {
        Ok(self.reach()?.recordings.get(&id).map(|recording| recording.node.clone()))
    }

    async fn lost_recordings(&self, _: Duration) -> Result<Vec<LostRecording>, StoreError> {
        self.reach().map(|_| Vec::new())
    }

    async fn park_lost(&self, _: RecordingId, _: Duration, _: &str) -> Result<bool, StoreError> {
        absent()
    }

    async fn unpark(&self, _: &NodeId, _: &[RecordingId]) -> Result<Vec<RecordingId>, StoreError> {
        self.reach().map(|_| Vec::new())
    }

    async fn heartbeat(&self, _id: &NodeId, _grpc_address: &str, _draining: bool) -> Result<(), StoreError> {
        absent()
    }

    async fn node(&self, _id: &NodeId) -> Result<Node, StoreError> {
        absent()
    }

    async fn nodes_seen_within(&self, _time: Duration) -> Result<Vec<Node>, StoreError> {
        absent()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.reach().map(drop)
    }

    async fn create_rendition(
        &self,
        _tenant: &TenantId,
        _recording: RecordingId,
        _new: &NewRendition,
    ) -> Result<Created, StoreError> {
        absent()
    }

    async fn rendition(&self, _tenant: &TenantId, _id: RenditionId) -> Result<Rendition, StoreError> {
        absent()
    }

    async fn renditions_of(
        &self,
        _tenant: &TenantId,
        _recording: RecordingId,
    ) -> Result<Vec<Rendition>, StoreError> {
        Ok(Vec::new())
    }

    async fn delete_recording(
        &self,
        _tenant: &TenantId,
        _id: RecordingId,
        _actor: &str,
    ) -> Result<Deletion, StoreError> {
        absent()
    }

    async fn delete_rendition(
        &self,
        _tenant: &TenantId,
        _id: RenditionId,
        _actor: &str,
    ) -> Result<Deletion, StoreError> {
        absent()
    }

    async fn expired(&self, _expiry: &Expiry, _limit: u32) -> Result<Vec<Expired>, StoreError> {
        absent()
    }

    async fn audit_of(
        &self,
        _tenant: &TenantId,
        _recording: RecordingId,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        absent()
    }

    async fn claim_run(&self, _task: &str, _every: Duration) -> Result<bool, StoreError> {
        absent()
    }

    async fn write_segment(&self, _: &Segment) -> Result<(), StoreError> {
        Ok(())
    }

    async fn requeue_segments(&self, _: RecordingId, _: &str, _: Option<&str>) -> Result<(), StoreError> {
        Ok(())
    }

    async fn segments_of(&self, _: &TenantId, _: RecordingId) -> Result<Vec<Segment>, StoreError> {
        Ok(Vec::new())
    }

    async fn delete_segments(&self, _: RecordingId, _: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn delete_old_segments(&self, _: DateTime<Utc>) -> Result<u64, StoreError> {
        Ok(0)
    }
}
