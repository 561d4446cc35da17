//! What capture writes, as the workers see it that send it on.

use std::sync::Arc;

use capture::Capture;
use jobs::{OpenFile, OpenFiles};
use model::{AudioResult, Container, Recording, TenantId};

use crate::{config::DefaultRendition, renditions};

/// The files of the live sessions.
pub(crate) struct OpenRecordings {
    capture: Capture,
    base_path: String,
    /// Of whom, and the parameters.
    derived: Vec<(Option<TenantId>, Arc<str>)>,
}

impl OpenRecordings {
    /// `base_path` is the first part of every object key. Of `wishes`, some are for files that grow.
    pub(crate) fn new(capture: Capture, base_path: String, wishes: &[DefaultRendition]) -> Self {
        let early = wishes.iter().filter(|wish| wish.while_recording);
        let derived = early.filter_map(|wish| {
            // A stem, which names a track, is never made early.
            let rendition = wish.rendition.resolve(&[]).ok()?;
            Some((wish.tenant.clone(), renditions::parameters(&rendition).ok()?.into()))
        });
        Self { capture, base_path, derived: derived.collect() }
    }

    /// What is made of a recording while it goes on: what the configuration wants early of its tenant's, then what its source
    /// asked for.
    fn derived(&self, file: &capture::OpenFile) -> Arc<[Arc<str>]> {
        let Recording { tenant: of, results, .. } = &*file.recording;
        let configured =
            self.derived.iter().filter(|(tenant, _)| tenant.as_ref().is_none_or(|one| one == of));
        let configured = configured.map(|(_, parameters)| Arc::clone(parameters));
        let asked = results.iter().filter(|result| early(**result, file.container));
        let asked = asked
            .filter_map(|result| Some(renditions::parameters(&renditions::of_source(*result)).ok()?.into()));
        let mut derived: Vec<Arc<str>> = Vec::new();
        for parameters in configured.chain(asked) {
            if !derived.contains(&parameters) {
                derived.push(parameters);
            }
        }
        derived.into()
    }

    fn growing(&self, file: capture::OpenFile) -> OpenFile {
        let Recording { id, started_at, .. } = *file.recording;
        let derived = self.derived(&file);
        OpenFile {
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
            derived,
        }
    }
}

/// Opus that is pushed, of which WebM is made, is copied into Ogg at the end, at once and without loss.
fn early(result: AudioResult, container: Container) -> bool {
    renditions::of_source(result).kind().while_recording()
        && !(result == AudioResult::Opus && container == Container::Webm)
}

impl OpenFiles for OpenRecordings {
    fn files(&self) -> Vec<OpenFile> {
        self.capture.growing().into_iter().map(|file| self.growing(file)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_push_asks_for_is_made_early_but_what_is_copied() {
        use AudioResult::{Mp3, Opus, Wav};
        for (container, expected) in
            [(Container::Matroska, [true, true, true]), (Container::Webm, [true, false, true])]
        {
            assert_eq!([Wav, Opus, Mp3].map(|result| early(result, container)), expected, "{container:?}");
        }
    }
}
