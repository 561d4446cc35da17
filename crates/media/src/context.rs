//! What the tracks of a session share.

use std::time::{Duration, Instant};

use crate::{
    frame::{BufferPool, CodedFrame},
    pause::Pauses,
    sync::SenderClocks,
};

/// What tracks share.
#[derive(Debug, Clone)]
pub(crate) struct SessionContext {
    pub started: Instant,
    pub max_wait: Duration,
    pub senders: SenderClocks,
    pub pauses: Pauses,
    pub pool: BufferPool,
    /// Frames on their way from a stream to its track: empty between calls.
    pub frames: Vec<CodedFrame>,
}
