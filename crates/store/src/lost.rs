//! Recordings of nodes that are lost, of which the object store has nothing.

use std::time::Duration;

use model::{NodeId, RecordingId};

use crate::StoreError;

/// A recording that nobody but its node can finish, which says nothing any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostRecording {
    /// The recording.
    pub id: RecordingId,
    /// The node that has the file.
    pub node: NodeId,
    /// Whether it is sealed.
    pub sealed: bool,
}

/// Recordings whose nodes are lost.
#[async_trait::async_trait]
pub trait LostRecordings: Send + Sync {
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
}
