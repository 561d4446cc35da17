//! What capture writes, as the workers see it that send it on.

use std::sync::Arc;

use capture::Capture;
use jobs::{Growing, GrowingFile};
use model::{Recording, TenantId};

use crate::{config::WantedRendition, renditions};

/// The files of the live sessions.
pub(crate) struct LiveFiles {
    capture: Capture,
    base_path: String,
    /// Of whom, and the parameters.
    derived: Vec<(Option<TenantId>, Arc<str>)>,
}

impl LiveFiles {
    /// `base_path` is the first part of every object key. Of `wishes`, some are for files that grow.
    pub(crate) fn new(capture: Capture, base_path: String, wishes: &[WantedRendition]) -> Self {
        let early = wishes.iter().filter(|wish| wish.while_recording);
        let derived = early.filter_map(|wish| {
            Some((wish.tenant.clone(), renditions::parameters(&wish.rendition).ok()?.into()))
        });
        Self { capture, base_path, derived: derived.collect() }
    }

    /// What is made of a tenant's recordings while they go on.
    fn derived(&self, of: &TenantId) -> Arc<[Arc<str>]> {
        let mut derived: Vec<Arc<str>> = Vec::new();
        for (tenant, parameters) in &self.derived {
            if tenant.as_ref().is_none_or(|tenant| tenant == of) && !derived.contains(parameters) {
                derived.push(Arc::clone(parameters));
            }
        }
        derived.into()
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
            recorded: file.recorded,
            bytes: file.bytes,
            derived: self.derived(&file.recording.tenant),
        }
    }
}

impl Growing for LiveFiles {
    fn files(&self) -> Vec<GrowingFile> {
        self.capture.growing().into_iter().map(|file| self.growing(file)).collect()
    }
}
