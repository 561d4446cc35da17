//! Capture's ledger on the store: commits the rows and jobs of sessions.

use std::sync::Arc;

use capture::{Ledger, LedgerError};
use chrono::Utc;
use model::{JobKind, NodeId, Recording, RecordingState, SessionId, TenantId};
use store::{FinalizeOutcome, FinalizedRecording, NewJob, Store};

use crate::{config::DefaultRendition, renditions};

/// Commits sessions and finalized recordings to the store.
pub struct StoreLedger {
    store: Arc<dyn Store>,
    node: NodeId,
    default_renditions: Vec<DefaultRendition>,
}

impl StoreLedger {
    /// `node` has the files, so it runs the uploads. `default_renditions` are requested of every recording.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, node: NodeId, default_renditions: Vec<DefaultRendition>) -> Self {
        Self { store, node, default_renditions }
    }

    /// With media the file is uploaded; without, the recording is parked.
    fn entry(&self, recording: &Recording) -> FinalizedRecording {
        let mut recording = recording.clone();
        if recording.container.is_none() {
            recording.state = RecordingState::Parked;
            recording.error.get_or_insert_with(|| Recording::NO_MEDIA.to_owned());
            return FinalizedRecording { recording, jobs: Vec::new(), renditions: Vec::new() };
        }
        recording.state = RecordingState::Processing;
        let upload = NewJob { kind: JobKind::Upload, node: Some(self.node.clone()), run_at: Utc::now() };
        let renditions = renditions::of_recording(&recording, &self.default_renditions);
        FinalizedRecording { recording, jobs: vec![upload], renditions }
    }
}

#[async_trait::async_trait]
impl Ledger for StoreLedger {
    async fn began(&self, recording: &Recording) -> Result<(), LedgerError> {
        self.store.begin(recording).await.map_err(|error| LedgerError(error.to_string()))
    }

    async fn paused(&self, tenant: &TenantId, id: SessionId, paused: bool) -> Result<(), LedgerError> {
        self.store.set_paused(tenant, id, paused).await.map_err(|error| LedgerError(error.to_string()))
    }

    async fn finalized(&self, recording: &Recording) -> Result<(), LedgerError> {
        let finalized = self.entry(recording);
        let outcome =
            self.store.finalize(&finalized).await.map_err(|error| LedgerError(error.to_string()))?;
        if outcome == FinalizeOutcome::Written {
            for job in &finalized.jobs {
                jobs::count_enqueued(job.kind, 1);
            }
            jobs::count_enqueued(JobKind::Render, finalized.renditions.len() as u64);
        }
        Ok(())
    }
}
