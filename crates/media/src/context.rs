//! What the tracks of a session share.

use std::time::{Duration, Instant};

use crate::{
    event_log::EventLog,
    frame::{BufferPool, CodedFrame},
    pause::Pauses,
    sync::SenderClocks,
};

/// State that every track of the session reads or changes. The recorder owns it and lends it with each call.
#[derive(Debug, Clone)]
pub(crate) struct SessionContext {
    pub started: Instant,
    /// The time of the newest input.
    pub now: Instant,
    pub max_wait: Duration,
    pub senders: SenderClocks,
    pub pauses: Pauses,
    pub pool: BufferPool,
    /// Complete frames on their way from a stream to its track. Empty between calls of the recorder.
    pub frames: Vec<CodedFrame>,
    pub log: EventLog,
}
