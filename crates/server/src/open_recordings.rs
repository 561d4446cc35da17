//! The open files of live sessions, for the workers that upload and render them while recording.

use std::sync::Arc;

use capture::Capture;
use jobs::{OpenFile, OpenFiles};
use model::{AudioResult, Container, Recording, TenantId};

use crate::{config::DefaultRendition, renditions};

/// The files that capture is writing.
pub(crate) struct OpenRecordings {
    capture: Capture,
    base_path: String,
    /// Default renditions that are made while recording: of which tenant (None: of all), and the parameters.
    derived: Vec<(Option<TenantId>, Arc<str>)>,
}

impl OpenRecordings {
    /// `base_path` is the first part of every object key. Of the default renditions, those with `while_recording` count.
    pub(crate) fn new(capture: Capture, base_path: String, default_renditions: &[DefaultRendition]) -> Self {
        let early = default_renditions.iter().filter(|one| one.while_recording);
        let derived = early.filter_map(|one| {
            // A stem, which names a track, is never made early.
            let rendition = one.rendition.resolve(&[]).ok()?;
            Some((one.tenant.clone(), renditions::parameters(&rendition).ok()?.into()))
        });
        Self { capture, base_path, derived: derived.collect() }
    }

    /// The renditions to make of a recording while it is open: the default ones of its tenant, then the requested results
    /// of its source.
    fn derived(&self, file: &capture::OpenFile) -> Arc<[Arc<str>]> {
        let Recording { tenant: of, results, .. } = &*file.recording;
        let configured =
            self.derived.iter().filter(|(tenant, _)| tenant.as_ref().is_none_or(|one| one == of));
        let configured = configured.map(|(_, parameters)| Arc::clone(parameters));
        let asked = results.iter().filter(|result| is_made_early(**result, file.container));
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

    fn open_file(&self, file: capture::OpenFile) -> OpenFile {
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

/// Whether a result is made while recording. Opus in WebM is not: at the end it is copied into Ogg, quickly and without
/// loss.
fn is_made_early(result: AudioResult, container: Container) -> bool {
    renditions::of_source(result).kind().while_recording()
        && !(result == AudioResult::Opus && container == Container::Webm)
}

impl OpenFiles for OpenRecordings {
    fn files(&self) -> Vec<OpenFile> {
        self.capture.open_files().into_iter().map(|file| self.open_file(file)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_result_of_pushed_audio_is_made_early_except_a_copied_one() {
        use AudioResult::{Mp3, Opus, Wav};
        for (container, expected) in
            [(Container::Matroska, [true, true, true]), (Container::Webm, [true, false, true])]
        {
            assert_eq!(
                [Wav, Opus, Mp3].map(|result| is_made_early(result, container)),
                expected,
                "{container:?}"
            );
        }
    }
}
