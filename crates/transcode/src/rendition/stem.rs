//! One track alone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Unfit,
    parameters::{About, FileType, Needs, Parameters},
};
use crate::{
    AudioFormat, AudioOptions, BadOption, MediaKind, StemFormat, TranscodeError, VideoOptions,
    progress::Meter,
    render::{Made, Pipeline, stem_codec},
    sink::{Container, PictureCodec},
};

/// One track alone, on the recording's timeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stem {
    /// The position of the track in the file, from 0. Users give the number instead, from 1:
    /// [`RequestedRendition`](super::RequestedRendition) converts it.
    #[schemars(description = "The number of a track, from 1, as `GetRecording` shows it.", range(min = 1))]
    pub track: u32,
    /// The file's format. Default: Ogg with Opus for an audio track, `WebM` for a video track.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<StemFormat>,
}

impl Stem {
    pub(super) const ABOUT: About = About {
        summary: "one track alone, on the recording's timeline",
        files: &[FileType::Mp3, FileType::Ogg, FileType::Wav, FileType::Mp4, FileType::Webm],
        needs: Needs::NamedTrack,
        while_recording: false,
    };

    /// The format that a stem of a track has if none is requested.
    pub(super) fn default_format(track: MediaKind) -> StemFormat {
        match track {
            MediaKind::Audio => StemFormat::OggOpus,
            MediaKind::Video => StemFormat::Webm,
        }
    }

    /// The format; of a track that isn't known, audio is assumed.
    fn format(&self) -> StemFormat {
        self.format.unwrap_or(Self::default_format(MediaKind::Audio))
    }

    pub(super) fn check_tracks(&self, tracks: &[MediaKind]) -> Result<(), Unfit> {
        let track = tracks.get(self.track as usize).ok_or(Unfit::NoTrack(self.track.saturating_add(1)))?;
        match (self.format(), track) {
            (StemFormat::Mp3 | StemFormat::OggOpus | StemFormat::Wav, MediaKind::Video) => {
                Err(Unfit::AudioFormat)
            }
            _ => Ok(()),
        }
    }
}

impl Parameters for Stem {
    fn check(&self) -> Result<(), BadOption> {
        Ok(())
    }

    fn file_type(&self) -> FileType {
        match self.format() {
            StemFormat::Mp3 => FileType::Mp3,
            StemFormat::OggOpus => FileType::Ogg,
            StemFormat::Wav => FileType::Wav,
            StemFormat::Mp4 => FileType::Mp4,
            StemFormat::Webm => FileType::Webm,
        }
    }

    fn render(&self, pipeline: &Pipeline<'_>, meter: &mut Meter<'_>) -> Result<Made, TranscodeError> {
        let only = self.track as usize;
        let Some(track) = pipeline.probe.track(only) else {
            let wanted = format!("track {} with media", only.saturating_add(1));
            return Err(TranscodeError::NoSuchTrack { wanted });
        };
        let (video, audio) = (VideoOptions::default(), AudioOptions::default());
        let film =
            |container, codec, meter| pipeline.film(container, codec, &video, &audio, Some(only), meter);
        let sound = |format, meter| pipeline.sound(format, &audio, Some(only), meter);
        match (self.format(), track.kind) {
            (StemFormat::Mp4, _) => film(Container::Mp4, PictureCodec::H264, meter),
            (StemFormat::Webm, _) => film(Container::Webm, stem_codec(track), meter),
            (_, MediaKind::Video) => Err(TranscodeError::BadOption(BadOption::new(
                "format",
                "of a stem of a video track must be mp4 or webm",
            ))),
            (StemFormat::Mp3, _) => sound(AudioFormat::Mp3, meter),
            (StemFormat::OggOpus, _) => sound(AudioFormat::OggOpus, meter),
            (StemFormat::Wav, _) => sound(AudioFormat::Wav, meter),
        }
    }
}
