//! What of a store these tests do without: calls that have their own tests against the databases.

use std::time::Duration;

use model::{EndReason, NodeId, Recording, RecordingId, Rendition, RenditionId, SessionId, TenantId};
use store::{
    AuditEntry, Created, Deletion, Deletions, Expired, Expiry, FinalizeOutcome, FinalizedRecording,
    LostRecording, LostRecordings, NewRendition, Node, Nodes, Renditions, Sessions, StoreError, Upload,
    UploadPart, UploadStatus, Uploads,
};

use super::{MemoryStore, absent};

#[async_trait::async_trait]
impl Sessions for MemoryStore {
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

    async fn live_on(&self, _node: &NodeId) -> Result<Vec<SessionId>, StoreError> {
        absent()
    }
}

/// No upload is begun before its file is sealed: the objects are in a directory.
#[async_trait::async_trait]
impl Uploads for MemoryStore {
    async fn begin_upload(&self, _upload: &Upload) -> Result<(), StoreError> {
        absent()
    }

    async fn note_part(&self, _: RecordingId, _: &str, _: &UploadPart) -> Result<(), StoreError> {
        absent()
    }

    async fn upload_of(&self, _: RecordingId) -> Result<Option<(Upload, Vec<UploadPart>)>, StoreError> {
        self.reach().map(|_| None)
    }

    async fn forget_upload(&self, _: RecordingId, _: &str) -> Result<(), StoreError> {
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
}

#[async_trait::async_trait]
impl LostRecordings for MemoryStore {
    async fn lost_recordings(&self, _: Duration) -> Result<Vec<LostRecording>, StoreError> {
        self.reach().map(|_| Vec::new())
    }

    async fn park_lost(&self, _: RecordingId, _: Duration, _: &str) -> Result<bool, StoreError> {
        absent()
    }

    async fn unpark(&self, _: &NodeId, _: &[RecordingId]) -> Result<Vec<RecordingId>, StoreError> {
        self.reach().map(|_| Vec::new())
    }
}

#[async_trait::async_trait]
impl Nodes for MemoryStore {
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
}

#[async_trait::async_trait]
impl Renditions for MemoryStore {
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
}

#[async_trait::async_trait]
impl Deletions for MemoryStore {
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
}
