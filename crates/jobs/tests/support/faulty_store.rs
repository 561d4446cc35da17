//! SQLite that fails on request.

use std::{
    collections::HashSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

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
use store_sqlite::SqliteStore;
use tokio::sync::broadcast;
use uuid::Uuid;

/// Forwards every call to SQLite, unless the store is away or the call's lease was taken.
pub struct FaultyStore {
    sqlite: SqliteStore,
    away: AtomicBool,
    /// Leases that are given now.
    current: Mutex<HashSet<Uuid>>,
    /// Leases that another worker seems to have.
    taken: Mutex<HashSet<Uuid>>,
    leases: AtomicUsize,
    renewals: AtomicUsize,
}

impl FaultyStore {
    pub fn new(sqlite: SqliteStore) -> Self {
        Self {
            sqlite,
            away: AtomicBool::default(),
            current: Mutex::default(),
            taken: Mutex::default(),
            leases: AtomicUsize::default(),
            renewals: AtomicUsize::default(),
        }
    }

    /// The store itself, which is never away.
    pub fn sqlite(&self) -> &SqliteStore {
        &self.sqlite
    }

    /// While the store is away every call fails.
    pub fn set_away(&self, away: bool) {
        self.away.store(away, SeqCst);
    }

    /// As if another worker had taken every leased job: until its lease runs out in the database nobody can run it.
    pub fn take_leases(&self) {
        self.taken.lock().unwrap().extend(self.current.lock().unwrap().iter());
    }

    /// Leases given.
    pub fn leases(&self) -> usize {
        self.leases.load(SeqCst)
    }

    /// Leases renewed.
    pub fn renewals(&self) -> usize {
        self.renewals.load(SeqCst)
    }

    fn reach(&self) -> Result<&SqliteStore, StoreError> {
        if self.away.load(SeqCst) { Err(StoreError::Unavailable("away".into())) } else { Ok(&self.sqlite) }
    }

    fn reach_with(&self, leased: &LeasedJob) -> Result<&SqliteStore, StoreError> {
        if self.taken.lock().unwrap().contains(&leased.lease) {
            return Err(StoreError::LeaseLost(leased.job.id));
        }
        self.reach()
    }
}

/// Implements [`Store`]: the methods of the first block as they stand, those of the second by calling SQLite's.
macro_rules! forward {
    ({ $($special:item)* } $(fn $name:ident($($argument:ident: $type:ty),*) -> $output:ty;)*) => {
        #[async_trait::async_trait]
        impl Store for FaultyStore {
            $($special)*
            $(async fn $name(&self, $($argument: $type),*) -> Result<$output, StoreError> {
                self.reach()?.$name($($argument),*).await
            })*
        }
    };
}

forward! {
    {
        async fn lease(
            &self,
            node: &NodeId,
            kinds: &[JobKind],
            length: Duration,
        ) -> Result<Option<LeasedJob>, StoreError> {
            let leased = self.reach()?.lease(node, kinds, length).await?;
            if let Some(leased) = &leased {
                self.leases.fetch_add(1, SeqCst);
                self.current.lock().unwrap().insert(leased.lease);
            }
            Ok(leased)
        }

        async fn renew(&self, leased: &LeasedJob, length: Duration) -> Result<DateTime<Utc>, StoreError> {
            let until = self.reach_with(leased)?.renew(leased, length).await?;
            self.renewals.fetch_add(1, SeqCst);
            Ok(until)
        }

        async fn finish(&self, leased: &LeasedJob, outcome: JobOutcome) -> Result<(), StoreError> {
            self.reach_with(leased)?.finish(leased, outcome).await?;
            self.current.lock().unwrap().remove(&leased.lease);
            Ok(())
        }

        async fn set_progress(&self, leased: &LeasedJob, progress: &Progress) -> Result<(), StoreError> {
            self.reach_with(leased)?.set_progress(leased, progress).await
        }

        fn changes(&self) -> broadcast::Receiver<Change> {
            self.sqlite.changes()
        }

        async fn wait_for_jobs(&self, at_most: Duration) {
            self.sqlite.wait_for_jobs(at_most).await;
        }
    }
    fn begin(recording: &Recording) -> ();
    fn set_paused(tenant: &TenantId, id: SessionId, paused: bool) -> ();
    fn finalize(recording: &FinalizedRecording) -> FinalizeOutcome;
    fn session(tenant: &TenantId, id: SessionId) -> (NodeId, Option<EndReason>);
    fn recording(tenant: &TenantId, id: RecordingId) -> Recording;
    fn list_recordings(
        tenant: &TenantId,
        filter: &RecordingFilter,
        after: Option<(DateTime<Utc>, RecordingId)>,
        limit: u32
    ) -> Page;
    fn set_sha256(id: RecordingId, sha256: &str) -> ();
    fn create_rendition(tenant: &TenantId, recording: RecordingId, new: &NewRendition) -> Created;
    fn rendition(tenant: &TenantId, id: RenditionId) -> Rendition;
    fn renditions_of(tenant: &TenantId, recording: RecordingId) -> Vec<Rendition>;
    fn write_segment(segment: &Segment) -> ();
    fn requeue_segments(recording: RecordingId, parameters: &str, error: Option<&str>) -> ();
    fn segments_of(tenant: &TenantId, recording: RecordingId) -> Vec<Segment>;
    fn delete_segments(recording: RecordingId, parameters: &str) -> ();
    fn delete_old_segments(before: DateTime<Utc>) -> u64;
    fn delete_recording(tenant: &TenantId, id: RecordingId, actor: &str) -> Deletion;
    fn delete_rendition(tenant: &TenantId, id: RenditionId, actor: &str) -> Deletion;
    fn expired(expiry: &Expiry, limit: u32) -> Vec<Expired>;
    fn audit_of(tenant: &TenantId, recording: RecordingId) -> Vec<AuditEntry>;
    fn claim_run(task: &str, every: Duration) -> bool;
    fn jobs_of(recording: RecordingId) -> Vec<Job>;
    fn job(tenant: &TenantId, id: JobId) -> Job;
    fn list_jobs(tenant: &TenantId, filter: &JobFilter, before: Option<JobId>, limit: u32) -> Vec<Job>;
    fn retry(tenant: &TenantId, job: JobId) -> ();
    fn cancel(tenant: &TenantId, job: JobId) -> Cancellation;
    fn count_jobs() -> Vec<(JobKind, JobState, u64)>;
    fn begin_upload(upload: &Upload) -> ();
    fn write_part(recording: RecordingId, upload_id: &str, part: &UploadPart) -> ();
    fn upload_of(recording: RecordingId) -> Option<(Upload, Vec<UploadPart>)>;
    fn delete_upload(recording: RecordingId, upload_id: &str) -> ();
    fn uploads_on(node: &NodeId) -> Vec<UploadStatus>;
    fn lost_uploads(silent_for: Duration) -> Vec<UploadStatus>;
    fn rescue(upload: &Upload, bytes: u64, error: Option<&str>, renditions: &[NewRendition]) -> bool;
    fn owner(recording: RecordingId) -> Option<NodeId>;
    fn lost_recordings(silent_for: Duration) -> Vec<LostRecording>;
    fn park_lost(recording: RecordingId, silent_for: Duration, error: &str) -> bool;
    fn unpark(node: &NodeId, live: &[RecordingId]) -> Vec<RecordingId>;
    fn heartbeat(id: &NodeId, grpc_address: &str, draining: bool) -> ();
    fn node(id: &NodeId) -> Node;
    fn nodes_seen_within(time: Duration) -> Vec<Node>;
    fn ping() -> ();
}
