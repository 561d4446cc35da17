//! Renditions: requested and rendered.

use std::time::Duration;

use model::{JobId, Rendition};

/// A rendition to insert.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRendition {
    /// Its kind, such as `mp4`.
    pub kind: String,
    /// All its parameters, as JSON in a canonical form. They identify it within its recording.
    pub parameters: String,
    /// The object key of its file.
    pub object_key: String,
    /// The file's media type.
    pub content_type: String,
}

/// The error of a render job that was cancelled because its lost node returned with the whole file. A new job renders
/// the whole recording.
pub const REQUEUED: &str = "the whole recording has arrived: a new job renders it";

/// The file that a render job has stored.
#[derive(Debug, Clone, PartialEq)]
pub struct RenderedFile {
    /// The file's size in bytes.
    pub bytes: u64,
    /// The media duration.
    pub duration: Duration,
    /// Picture width in pixels; zero for audio.
    pub width: u32,
    /// Picture height in pixels; zero for audio.
    pub height: u32,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
}

/// The result of [`Store::create_rendition`](crate::Store::create_rendition).
#[derive(Debug, Clone, PartialEq)]
pub struct Created {
    /// The rendition.
    pub rendition: Rendition,
    /// The job that was inserted; none if the rendition existed.
    pub job: Option<JobId>,
}
