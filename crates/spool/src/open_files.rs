//! The files that are being written, for whoever sends them on before they are whole.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use model::{Container, Recording};

use crate::{SessionDirectory, convert, queue::Queue};

/// A file that is being written. What lies between `from` and `until` is on disk and will not change, also if the
/// recorder dies now and the file is repaired.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenFile {
    /// The recording as it began.
    pub recording: Arc<Recording>,
    /// The file. When the recording is sealed it gets another name.
    pub path: PathBuf,
    /// The file format, as far as it can be told.
    pub container: Container,
    /// Bytes of its header, which still changes.
    pub from: u64,
    /// The end of what is final.
    pub until: u64,
    /// The time of the recording up to which all is before `until`.
    pub time: Duration,
    /// Entries in the header: with each new one it has changed.
    pub entries: usize,
    /// How long the recording is, final or not.
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

/// Each file that is being written.
#[derive(Debug, Default)]
pub struct OpenFiles {
    files: Mutex<Vec<Entry>>,
}

impl OpenFiles {
    /// Takes up a file, as long as its queue lives.
    pub fn add(&self, begun: &Recording, directory: &SessionDirectory, queue: &Arc<Queue>) {
        let entry = Entry {
            recording: Arc::new(begun.clone()),
            path: directory.media_part(),
            queue: Arc::downgrade(queue),
        };
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        // Here too: perhaps nobody asks for them.
        files.retain(|entry| entry.queue.strong_count() > 0);
        files.push(entry);
    }

    /// Those of which something is final.
    pub fn files(&self) -> Vec<OpenFile> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|entry| entry.queue.strong_count() > 0);
        let growing = |entry: &Entry| {
            let queue = entry.queue.upgrade()?;
            let (settled, (recorded, bytes)) = (queue.durable()?, queue.recorded());
            Some(OpenFile {
                recording: Arc::clone(&entry.recording),
                path: entry.path.clone(),
                container: convert::container(settled.container),
                from: settled.from,
                until: settled.until,
                time: settled.time,
                entries: settled.entries,
                recorded,
                bytes,
            })
        };
        files.iter().filter_map(growing).collect()
    }
}
