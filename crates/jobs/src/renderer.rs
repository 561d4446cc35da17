//! Who makes renditions.

use std::{path::Path, time::Duration};

use model::Progress;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A rendition to be made.
#[derive(Debug, Clone, Copy)]
pub struct RenderRequest<'a> {
    /// The recording's file. It isn't changed.
    pub input: &'a Path,
    /// Where the rendition goes.
    pub output: &'a Path,
    /// What to make, as JSON.
    pub parameters: &'a str,
}

/// What was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rendered {
    /// The media's duration.
    pub duration: Duration,
    /// Pixels; zero for sound.
    pub width: u32,
    /// Pixels; zero for sound.
    pub height: u32,
}

/// Why nothing was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The same order would fail again: the recording has nothing to make it of, or can't be read.
    #[error("{0}")]
    Permanent(String),
    /// It may succeed later, or elsewhere.
    #[error("{0}")]
    Transient(String),
    /// It was told to stop.
    #[error("cancelled")]
    Cancelled,
}

/// A rendition to be made while its recording goes on.
#[derive(Debug, Clone, Copy)]
pub struct FollowRequest<'a> {
    /// The recording's file, which grows.
    pub input: &'a Path,
    /// A directory for segments.
    pub segments: &'a Path,
    /// How long segments are.
    pub interval: Duration,
    /// What to make, as JSON.
    pub parameters: &'a str,
}

/// A segment that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowedSegment {
    /// Its place, from 0; none is left out.
    pub number: u32,
    /// Where it begins on the recording's timeline.
    pub start: Duration,
    /// How long it is.
    pub duration: Duration,
    /// The size of its file.
    pub bytes: u64,
}

/// What a follower has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    /// A segment.
    Segment(FollowedSegment),
    /// The rendition, of all segments. Nothing comes after it.
    Rendered(Rendered),
}

/// Follows a recording that goes on. Dropped, it stops at once. After an error it is of no use.
#[async_trait::async_trait]
pub trait Following: Send {
    /// The file's first `until` bytes are on disk and final, but for the header.
    ///
    /// # Errors
    /// [`RenderError`].
    async fn grown(&mut self, until: u64) -> Result<(), RenderError>;

    /// The recording has ended with so many bytes: what is left is made, and all segments are joined into `output`.
    ///
    /// # Errors
    /// [`RenderError`].
    async fn end(&mut self, bytes: u64, output: &Path) -> Result<(), RenderError>;

    /// What was made since. A caller that stops waiting misses nothing.
    ///
    /// # Errors
    /// [`RenderError`].
    async fn next(&mut self) -> Result<Followed, RenderError>;
}

/// Makes renditions. Whatever becomes of an order, the output is a whole file or is not there.
#[async_trait::async_trait]
pub trait Renderer: Send + Sync {
    /// Makes one, telling how far it is. To give up, cancel the token and await the return.
    ///
    /// # Errors
    /// [`RenderError`].
    async fn render(
        &self,
        order: RenderRequest<'_>,
        cancel: &CancellationToken,
        progress: &watch::Sender<Progress>,
    ) -> Result<Rendered, RenderError>;

    /// Begins to make one while its recording goes on.
    ///
    /// # Errors
    /// [`RenderError`].
    async fn follow(&self, order: FollowRequest<'_>) -> Result<Box<dyn Following>, RenderError>;
}
