//! What each kind of rendition says of itself.

use crate::{
    AudioFormat, AudioOptions, BadOption, MediaKind, TranscodeError,
    progress::Meter,
    render::{Made, Pipeline},
};

/// A kind of rendition, the same for all renditions of it.
pub(crate) struct About {
    /// For the documentation: what it contains, without a full stop.
    pub(crate) summary: &'static str,
    /// The files that it can be.
    pub(crate) files: &'static [FileType],
    pub(crate) needs: Needs,
    /// Whether it can be made of a recording that is still open: see [`Parameters::audio_of_all`].
    pub(crate) while_recording: bool,
}

/// What a recording must contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Audio or video.
    AnyTrack,
    /// At least one track of this kind.
    Track(MediaKind),
    /// The track that the parameters name.
    NamedTrack,
}

/// The parameters of one rendition: its checks and its renderer.
pub(crate) trait Parameters {
    /// Whether every parameter is within its range.
    fn check(&self) -> Result<(), BadOption>;

    /// The file that it is. One of [`About::files`].
    fn file_type(&self) -> FileType;

    /// Format and encoding, if the file is nothing but the mix of all audio tracks. Such a rendition can be made while its
    /// recording is still open.
    fn audio_of_all(&self) -> Option<(AudioFormat, AudioOptions)> {
        None
    }

    /// Writes the output of `pipeline`.
    fn render(&self, pipeline: &Pipeline<'_>, meter: &mut Meter<'_>) -> Result<Made, TranscodeError>;
}

/// The type of a rendition's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum FileType {
    Mp4,
    Webm,
    Mp3,
    Ogg,
    Wav,
    Jpeg,
    Json,
}

impl FileType {
    /// The extension of its name, without the dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        self.names().0
    }

    /// Its media type. MP4 and `WebM` are called video even if they contain audio alone; players accept that.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        self.names().1
    }

    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Mp4 => ("mp4", "video/mp4"),
            Self::Webm => ("webm", "video/webm"),
            Self::Mp3 => ("mp3", "audio/mpeg"),
            Self::Ogg => ("ogg", "audio/ogg"),
            Self::Wav => ("wav", "audio/wav"),
            Self::Jpeg => ("jpg", "image/jpeg"),
            Self::Json => ("json", "application/json"),
        }
    }
}

impl From<AudioFormat> for FileType {
    fn from(format: AudioFormat) -> Self {
        match format {
            AudioFormat::Mp3 => Self::Mp3,
            AudioFormat::OggOpus => Self::Ogg,
            AudioFormat::Wav => Self::Wav,
        }
    }
}
