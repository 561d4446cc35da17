//! Recordings of nodes that are lost, of which the object store has nothing.

use model::{NodeId, RecordingId};

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
