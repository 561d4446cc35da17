//! Recordings of lost nodes of which nothing was uploaded.

use model::{NodeId, RecordingId};

/// A recording whose file is only on the disk of a node that has no heartbeat any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostRecording {
    /// The recording.
    pub id: RecordingId,
    /// The node with the file.
    pub node: NodeId,
    /// Whether it is finalized; otherwise its session was live.
    pub finalized: bool,
}
