//! Who makes renditions.

use std::{path::Path, time::Duration};

use model::Progress;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A rendition to be made.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
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

/// Makes renditions. Whatever becomes of an order, the output is a whole file or is not there.
#[async_trait::async_trait]
pub trait Renderer: Send + Sync {
    /// Makes one, telling how far it is. To give up, cancel the token and await the return.
    ///
    /// # Errors
    /// [`RenderError`].
    async fn render(
        &self,
        order: Order<'_>,
        cancel: &CancellationToken,
        progress: &watch::Sender<Progress>,
    ) -> Result<Rendered, RenderError>;
}
