//! The kinds of renditions: one list, from which everything else about them is read.
//!
//! A kind is a struct of its parameters. The struct has a constant `ABOUT` and implements [`Parameters`]; its line in
//! `kinds!` makes it a kind.

mod check;
mod contact_sheet;
mod film;
mod mosaic;
mod parameters;
mod requested;
mod sound;
mod stem;
mod still;
mod thumbnail;
mod waveform;

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    AudioFormat, AudioOptions, BadOption, MediaKind, TranscodeError,
    progress::Meter,
    render::{Made, Pipeline},
};
use parameters::{About, Parameters};

pub use contact_sheet::ContactSheet;
pub use film::{Mp4, Webm};
pub use mosaic::Mosaic;
pub use parameters::{FileType, Needs};
pub use requested::{RequestedRendition, TrackOfRecording};
pub use sound::{Mix, Mp3, OggOpus, Wav};
pub use stem::Stem;
pub use thumbnail::Thumbnail;
pub use waveform::Waveform;

/// Defines [`Rendition`] and [`RenditionKind`] from the structs of parameters and the names of the kinds.
macro_rules! kinds {
    ($($Kind:ident = $name:literal,)+) => {
        /// What to make of a recording, with every parameter.
        ///
        /// As JSON, this is what the store holds. A user's form of the same is [`RequestedRendition`].
        ///
        /// ```
        /// use transcode::{Mp4, Rendition, VideoOptions};
        ///
        /// let rendition: Rendition = serde_json::from_str(r#"{"kind": "mp4", "video": {"height": 720}}"#)?;
        /// let video = VideoOptions { height: Some(720), ..VideoOptions::default() };
        /// assert_eq!(rendition, Mp4 { video, ..Mp4::default() }.into());
        /// assert!(rendition.check().is_ok());
        /// assert_eq!(rendition.file_type().extension(), "mp4");
        /// # Ok::<(), serde_json::Error>(())
        /// ```
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "kind")]
        #[allow(missing_docs)]
        pub enum Rendition {
            $(#[serde(rename = $name)] $Kind($Kind),)+
        }

        /// A kind of renditions: `kind` in JSON and in the configuration, the field of `spec` in calls.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        #[allow(missing_docs)]
        pub enum RenditionKind {
            $(#[serde(rename = $name)] $Kind,)+
        }

        impl RenditionKind {
            /// All kinds, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$Kind),+];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$Kind => $name,)+
                }
            }

            const fn about(self) -> &'static About {
                match self {
                    $(Self::$Kind => &$Kind::ABOUT,)+
                }
            }

            /// Reads the parameters of a rendition of this kind.
            fn parse(self, parameters: Value) -> Result<Rendition, BadOption> {
                match self {
                    $(Self::$Kind => parse(parameters).map(Rendition::$Kind),)+
                }
            }
        }

        impl Rendition {
            /// Its kind.
            #[must_use]
            pub fn kind(&self) -> RenditionKind {
                match self {
                    $(Self::$Kind(_) => RenditionKind::$Kind,)+
                }
            }

            fn parameters(&self) -> &dyn Parameters {
                match self {
                    $(Self::$Kind(parameters) => parameters,)+
                }
            }
        }

        $(impl From<$Kind> for Rendition {
            fn from(parameters: $Kind) -> Self {
                Self::$Kind(parameters)
            }
        })+
    };
}

kinds! {
    Mp4 = "mp4",
    Webm = "webm",
    Mp3 = "mp3",
    OggOpus = "ogg_opus",
    Wav = "wav",
    Thumbnail = "thumbnail",
    ContactSheet = "contact_sheet",
    Waveform = "waveform",
    Mosaic = "mosaic",
    Mix = "mix",
    Stem = "stem",
}

fn parse<T: DeserializeOwned>(parameters: Value) -> Result<T, BadOption> {
    serde_path_to_error::deserialize(parameters)
        .map_err(|error| BadOption::new(&error.path().to_string(), error.inner().to_string()))
}

impl RenditionKind {
    /// What a rendition of this kind contains.
    #[must_use]
    pub fn summary(self) -> &'static str {
        self.about().summary
    }

    /// What a recording must contain.
    #[must_use]
    pub fn needs(self) -> Needs {
        self.about().needs
    }

    /// The files that a rendition of this kind can be.
    #[must_use]
    pub fn files(self) -> &'static [FileType] {
        self.about().files
    }

    /// Whether it can be made while the recording is still open: see [`Follow`](crate::Follow).
    #[must_use]
    pub fn while_recording(self) -> bool {
        self.about().while_recording
    }
}

impl fmt::Display for RenditionKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for RenditionKind {
    type Err = BadOption;

    fn from_str(name: &str) -> Result<Self, BadOption> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name).ok_or_else(|| {
            let all: Vec<&str> = Self::ALL.iter().map(|kind| kind.name()).collect();
            BadOption::new("kind", format!("must be one of {}, not {name:?}", all.join(", ")))
        })
    }
}

impl Rendition {
    /// Checks the range of every parameter. Call it when a rendition is requested, so that the caller sees the mistake;
    /// [`run()`](crate::run()) repeats it.
    ///
    /// # Errors
    /// The first parameter that is out of its range.
    pub fn check(&self) -> Result<(), BadOption> {
        self.parameters().check()
    }

    /// The file that it is.
    #[must_use]
    pub fn file_type(&self) -> FileType {
        self.parameters().file_type()
    }

    /// Checks that a recording with `tracks`, in the order of its file, has what the rendition is made of.
    ///
    /// # Errors
    /// What is missing.
    pub fn check_tracks(&self, tracks: &[MediaKind]) -> Result<(), Unfit> {
        match (self, self.kind().needs()) {
            (Self::Stem(stem), _) => stem.check_tracks(tracks),
            (_, Needs::Track(kind)) if !tracks.contains(&kind) => Err(Unfit::Lacks(kind)),
            (_, Needs::AnyTrack | Needs::Track(_) | Needs::NamedTrack) => Ok(()),
        }
    }

    pub(crate) fn audio_of_all(&self) -> Option<(AudioFormat, AudioOptions)> {
        self.parameters().audio_of_all()
    }

    pub(crate) fn render(
        &self,
        pipeline: &Pipeline<'_>,
        meter: &mut Meter<'_>,
    ) -> Result<Made, TranscodeError> {
        self.parameters().render(pipeline, meter)
    }
}

/// Why a rendition can't be made of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It has no track of this kind.
    Lacks(MediaKind),
    /// It has no track of this number, from 1.
    NoTrack(u32),
    /// The track is video, and the format of the stem holds audio alone.
    AudioFormat,
}

#[cfg(test)]
mod tests;
