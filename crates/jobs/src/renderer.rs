//! The interface of what makes renditions.

use std::{path::Path, time::Duration};

use model::Progress;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A rendition to make of a finished file.
#[derive(Debug, Clone, Copy)]
pub struct RenderRequest<'a> {
    /// The recording's file. It is only read.
    pub input: &'a Path,
    /// Where to write the rendition.
    pub output: &'a Path,
    /// The parameters of the rendition, as JSON (`transcode::Rendition`).
    pub parameters: &'a str,
}

/// A rendition that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rendered {
    /// Its duration.
    pub duration: Duration,
    /// Its width in pixels; 0 for audio.
    pub width: u32,
    /// Its height in pixels; 0 for audio.
    pub height: u32,
}

/// Why no rendition was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The same request would fail again: the recording lacks the media for it, or can't be read.
    #[error("{0}")]
    Permanent(String),
    /// A retry may succeed, also on another node.
    #[error("{0}")]
    Transient(String),
    /// The token was cancelled.
    #[error("cancelled")]
    Cancelled,
}

/// A rendition to make of an open file.
#[derive(Debug, Clone, Copy)]
pub struct FollowRequest<'a> {
    /// The open file.
    pub input: &'a Path,
    /// The directory for the segments.
    pub segments: &'a Path,
    /// The length of a segment.
    pub interval: Duration,
    /// The parameters of the rendition, as JSON (`transcode::Rendition`).
    pub parameters: &'a str,
}

/// A finished segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowedSegment {
    /// Its number. They count from 0 without a gap.
    pub number: u32,
    /// Its start on the recording's timeline.
    pub start: Duration,
    /// Its duration.
    pub duration: Duration,
    /// The size of its file in bytes.
    pub bytes: u64,
}

/// A result of a follower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    /// A segment.
    Segment(FollowedSegment),
    /// The rendition, joined of all segments. It is the last result.
    Rendered(Rendered),
}

/// A running follower. Dropping it stops it at once. After an error it can only be dropped.
#[async_trait::async_trait]
pub trait Following: Send {
    /// Reports that the file's first `until` bytes, except the header, are final and durable.
    ///
    /// # Errors
    /// [`RenderError`].
    async fn advance(&mut self, until: u64) -> Result<(), RenderError>;

    /// Reports that the recording has ended, with a file of `bytes` bytes: the last segments are made, and all are joined into
    /// `output`. [`next`](Self::next) returns the results.
    ///
    /// # Errors
    /// [`RenderError`].
    async fn end(&mut self, bytes: u64, output: &Path) -> Result<(), RenderError>;

    /// Waits for the next result. Cancel safe: dropping the future loses no result.
    ///
    /// # Errors
    /// [`RenderError`].
    async fn next(&mut self) -> Result<Followed, RenderError>;
}

/// Makes renditions. After every call the output is a whole file, or there is none.
#[async_trait::async_trait]
pub trait Renderer: Send + Sync {
    /// Makes a rendition and reports progress. To cancel, cancel the token and await the return.
    ///
    /// # Errors
    /// [`RenderError`].
    async fn render(
        &self,
        request: RenderRequest<'_>,
        cancel: &CancellationToken,
        progress: &watch::Sender<Progress>,
    ) -> Result<Rendered, RenderError>;

    /// Starts to make a rendition of an open file.
    ///
    /// # Errors
    /// [`RenderError`].
    async fn follow(&self, request: FollowRequest<'_>) -> Result<Box<dyn Following>, RenderError>;
}
