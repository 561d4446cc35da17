//! The nouns of a recording and their ids: what the database, the object store, the live sessions and the
//! API all speak of. No I/O.

mod ids;
mod job;
mod recording;
mod rendition;
mod segment;

pub use ids::{InvalidId, JobId, NodeId, RecordingId, RenditionId, SessionId, TenantId};
pub use job::{Job, JobKind, JobState, Progress};
pub use recording::{
    AudioResult, Channel, Codec, Container, EndReason, MediaKind, Recording, RecordingState, Source, Track,
    UnknownName,
};
pub use rendition::{Rendition, RenditionState};
pub use segment::{Segment, SegmentState};
