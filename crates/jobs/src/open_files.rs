//! The files that are being written on this node, as the workers see them.

use std::{path::PathBuf, sync::Arc, time::Duration};

use model::{Container, RecordingId};

/// A file that is being written on this node.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenFile {
    /// The recording.
    pub recording: RecordingId,
    /// The key that its object will have, unless the file format changes.
    pub key: String,
    /// The file format so far.
    pub container: Container,
    /// The file.
    pub path: PathBuf,
    /// The size of the header in bytes, which can still change. Final bytes begin here.
    pub from: u64,
    /// The end of the final bytes that are durable, as an offset in the file.
    pub until: u64,
    /// The time of the recording up to which all media is before `until`.
    pub time: Duration,
    /// Track entries in the header. The header has changed whenever this has.
    pub entries: usize,
    /// The duration of the recording, including media that is not final.
    pub recorded: Duration,
    /// The size of the file in bytes, including bytes that are not final.
    pub bytes: u64,
    /// Parameters (JSON) of the renditions to make while the file is open.
    pub derived: Arc<[Arc<str>]>,
}

/// Lists the files that are being written on this node.
pub trait OpenFiles: Send + Sync + 'static {
    /// All open files. Called about once a second; it must not block.
    fn files(&self) -> Vec<OpenFile>;
}
