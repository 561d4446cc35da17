//! What capture writes, as the workers see it that send it on.

use capture::Capture;
use jobs::{Growing, GrowingFile};
use model::Recording;

/// The files of the live sessions.
pub(crate) struct LiveFiles {
    capture: Capture,
    base_path: String,
}

impl LiveFiles {
    /// `base_path` is the first part of every object key.
    pub(crate) fn new(capture: Capture, base_path: String) -> Self {
        Self { capture, base_path }
    }

    fn growing(&self, file: capture::GrowingFile) -> GrowingFile {
        let Recording { id, started_at, .. } = *file.recording;
        GrowingFile {
            recording: id,
            key: Recording::object_key(&self.base_path, id, started_at, file.container),
            container: file.container,
            path: file.path,
            from: file.from,
            until: file.until,
            time: file.time,
            entries: file.entries,
        }
    }
}

impl Growing for LiveFiles {
    fn files(&self) -> Vec<GrowingFile> {
        self.capture.growing().into_iter().map(|file| self.growing(file)).collect()
    }
}
