//! How far each open file is final, for uploads and renditions that start before the recording ends.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use model::{Container, Recording};

use crate::{RecordingDirectory, convert, queue::Queue};

/// An open file. The bytes from `from` to `until` are final bytes, and durable: nothing changes them any more, neither
/// the recorder nor a repair after a crash.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenFile {
    /// The recording as it began.
    pub recording: Arc<Recording>,
    /// The file's path. Finishing the file renames it.
    pub path: PathBuf,
    /// The container so far. A codec that WebM lacks makes it Matroska.
    pub container: Container,
    /// Bytes of the header, which still changes.
    pub from: u64,
    /// The end of the final bytes.
    pub until: u64,
    /// All media before this time of the recording lies before `until`.
    pub time: Duration,
    /// Track entries in the header. The header has changed whenever this has.
    pub entries: usize,
    /// The recording's length so far, final or not.
    pub recorded: Duration,
    /// Bytes in the file, final or not.
    pub bytes: u64,
}

#[derive(Debug)]
struct Entry {
    recording: Arc<Recording>,
    path: PathBuf,
    queue: Weak<Queue>,
}

/// The open files of a node.
#[derive(Debug, Default)]
pub struct OpenFiles {
    files: Mutex<Vec<Entry>>,
}

impl OpenFiles {
    /// Adds a file. It is listed as long as its queue lives.
    pub fn add(&self, begun: &Recording, directory: &RecordingDirectory, queue: &Arc<Queue>) {
        let entry = Entry {
            recording: Arc::new(begun.clone()),
            path: directory.media_part(),
            queue: Arc::downgrade(queue),
        };
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        // `list` may never be called.
        files.retain(|entry| entry.queue.strong_count() > 0);
        files.push(entry);
    }

    /// The files that have final bytes.
    #[must_use]
    pub fn list(&self) -> Vec<OpenFile> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|entry| entry.queue.strong_count() > 0);
        let open_file = |entry: &Entry| {
            let queue = entry.queue.upgrade()?;
            let durable = queue.durable()?;
            let (recorded, bytes) = queue.recorded();
            Some(OpenFile {
                recording: Arc::clone(&entry.recording),
                path: entry.path.clone(),
                container: convert::container(durable.container),
                from: durable.from,
                until: durable.until,
                time: durable.time,
                entries: durable.entries,
                recorded,
                bytes,
            })
        };
        files.iter().filter_map(open_file).collect()
    }
}
