//! The types of a recording that all crates share: recordings, tracks, renditions, segments, jobs, and their ids. They
//! are the rows of the database and the contents of a manifest. No I/O.

mod ids;
mod job;
mod named;
mod recording;
mod rendition;
mod segment;

pub use ids::{InvalidId, JobId, NodeId, RecordingId, RenditionId, SessionId, TenantId};
pub use job::{Job, JobKind, JobState, Progress};
pub use named::UnknownName;
pub use recording::{
    AudioResult, Channel, Codec, Container, EndReason, MediaKind, Recording, RecordingState, Source, Track,
};
pub use rendition::{Rendition, RenditionState};
pub use segment::{Segment, SegmentState};
