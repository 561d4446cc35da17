//! Renditions: what a back end does for them.

use std::time::Duration;

use model::{JobId, Rendition};

/// A rendition that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRendition {
    /// What it is, such as `mp4`.
    pub kind: String,
    /// Everything that it is made by, as JSON in its canonical form.
    pub parameters: String,
    /// Where its file will be.
    pub object_key: String,
    /// The file's media type.
    pub content_type: String,
}

/// What a job says that was to make a rendition of a file that another has taken the place of.
pub const REQUEUED: &str = "the rest of the recording has come: another job makes it of the whole";

/// What a run has made.
#[derive(Debug, Clone, PartialEq)]
pub struct RenderedFile {
    /// The file's size in bytes.
    pub bytes: u64,
    /// The media's duration.
    pub duration: Duration,
    /// Pixels; zero for sound.
    pub width: u32,
    /// Pixels; zero for sound.
    pub height: u32,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
}

/// What [`Store::create_rendition`](crate::Store::create_rendition) did.
#[derive(Debug, Clone, PartialEq)]
pub struct Created {
    /// The rendition, as it is now.
    pub rendition: Rendition,
    /// The job that was made now; none where the rendition was there already.
    pub job: Option<JobId>,
}
