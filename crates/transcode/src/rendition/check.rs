//! Whether parameters are within what encoders and players take.

use std::{fmt::Display, ops::RangeInclusive};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    AudioOptions, FilmFormat, Rendition, VideoOptions, WebmCodec,
    sink::{PictureCodec, SoundCodec},
};

/// A parameter that can't be honoured.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("{option} {reason}")]
pub struct BadOption {
    /// Which.
    pub option: String,
    /// What it must be, and what it was.
    pub reason: String,
}

impl BadOption {
    pub(crate) fn new(option: &str, reason: impl Into<String>) -> Self {
        Self { option: option.to_owned(), reason: reason.into() }
    }
}

/// Pixels of a side. The least is what every encoder here takes.
const SIDE: RangeInclusive<u32> = 64..=7_680;
const CHANNELS: RangeInclusive<u8> = 1..=2;

impl Rendition {
    /// Whether every parameter can be honoured. To be asked when a rendition is requested, so that the mistake is told
    /// to whoever made it; [`run()`](crate::run()) asks again.
    ///
    /// # Errors
    /// The first parameter that can't.
    pub fn check(&self) -> Result<(), BadOption> {
        match self {
            Self::Mp4 { video, audio } => {
                video.check(PictureCodec::H264)?;
                audio.check(SoundCodec::Aac)
            }
            Self::Webm { video, audio, codec } => {
                let is_av1 = *codec == WebmCodec::Av1;
                video.check(if is_av1 { PictureCodec::Av1 } else { PictureCodec::Vp9 })?;
                audio.check(SoundCodec::Opus)
            }
            Self::Mp3 { audio } => audio.check(SoundCodec::Mp3),
            Self::OggOpus { audio } => audio.check(SoundCodec::Opus),
            Self::Wav { sample_rate, channels } => {
                within("sample_rate", *sample_rate, WAV_RATES)?;
                within("channels", *channels, CHANNELS)
            }
            Self::Thumbnail { at, width } => {
                if at.is_some_and(|at| !(0.0..=1e6).contains(&at)) {
                    return Err(BadOption::new("at", "must be a number of seconds from 0 on"));
                }
                within("width", *width, 16..=*SIDE.end())
            }
            Self::ContactSheet { columns, rows, width } => check_sheet(*columns, *rows, *width),
            Self::Waveform { pixels_per_second, samples_per_pixel, .. } => {
                if pixels_per_second.is_some() && samples_per_pixel.is_some() {
                    return Err(BadOption::new("samples_per_pixel", "can't be given with pixels_per_second"));
                }
                within("pixels_per_second", *pixels_per_second, 1..=1_000)?;
                within("samples_per_pixel", *samples_per_pixel, 48..=48_000)
            }
            Self::Mosaic { width, height, frame_rate, video, audio, format } => {
                within("width", *width, SIDE)?;
                within("height", *height, SIDE)?;
                within("frame_rate", *frame_rate, 1..=60)?;
                if video.width.or(video.height).or(video.frame_rate).is_some() {
                    return Err(BadOption::new("video", "of a mosaic takes no size and no rate of its own"));
                }
                let webm = *format == FilmFormat::Webm;
                video.check(if webm { PictureCodec::Vp9 } else { PictureCodec::H264 })?;
                audio.check(if webm { SoundCodec::Opus } else { SoundCodec::Aac })
            }
            Self::Mix { channels, .. } => within("channels", *channels, CHANNELS),
            Self::Stem { .. } => Ok(()),
        }
    }
}

pub(crate) const WAV_RATES: RangeInclusive<u32> = 8_000..=192_000;

impl VideoOptions {
    fn check(&self, codec: PictureCodec) -> Result<(), BadOption> {
        within("video.width", self.width, SIDE)?;
        within("video.height", self.height, SIDE)?;
        within("video.frame_rate", self.frame_rate, 1..=120)?;
        within("video.bit_rate", self.bit_rate, codec.bit_rates())?;
        within("video.crf", self.crf, codec.qualities())?;
        if self.crf.is_some() && self.bit_rate.is_some() {
            return Err(BadOption::new("video.crf", "can't be given with bit_rate"));
        }
        Ok(())
    }
}

impl AudioOptions {
    fn check(&self, codec: SoundCodec) -> Result<(), BadOption> {
        within("audio.channels", self.channels, CHANNELS)?;
        let rates = codec.sample_rates();
        if let Some(rate) = self.sample_rate.filter(|rate| !rates.contains(rate)) {
            return Err(BadOption::new("audio.sample_rate", format!("must be one of {rates:?}, not {rate}")));
        }
        // How many channels the tracks have is known later.
        let (rate, channels) = (self.sample_rate.unwrap_or(48_000), self.channels.unwrap_or(*CHANNELS.end()));
        within("audio.bit_rate", self.bit_rate, codec.bit_rates(rate, channels))
    }
}

fn check_sheet(columns: u32, rows: u32, width: Option<u32>) -> Result<(), BadOption> {
    within("columns", Some(columns), 1..=20)?;
    within("rows", Some(rows), 1..=20)?;
    within("width", width, SIDE)?;
    // Each picture keeps at least 16 pixels, whatever its shape.
    within("columns", Some(columns), 1..=width.unwrap_or(1_280) / 16)
}

fn within<T: PartialOrd + Display>(
    option: &str,
    value: Option<T>,
    range: RangeInclusive<T>,
) -> Result<(), BadOption> {
    match value {
        Some(value) if !range.contains(&value) => {
            let (least, most) = range.into_inner();
            Err(BadOption::new(option, format!("must be from {least} to {most}, not {value}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Rendition, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn every_kind_can_be_asked_for_by_its_name_alone() {
        for name in [
            "mp4",
            "webm",
            "mp3",
            "ogg_opus",
            "wav",
            "thumbnail",
            "contact_sheet",
            "waveform",
            "mosaic",
            "mix",
        ] {
            let rendition = parse(&format!(r#"{{"kind": "{name}"}}"#)).unwrap();
            assert_eq!(rendition.name(), name);
            assert_eq!(rendition.check(), Ok(()));
            let again = parse(&serde_json::to_string(&rendition).unwrap()).unwrap();
            assert_eq!(again, rendition);
        }
        let stem = parse(r#"{"kind": "stem", "track": 2, "format": "ogg_opus"}"#).unwrap();
        assert_eq!((stem.name(), stem.extension(), stem.content_type()), ("stem", "ogg", "audio/ogg"));
    }

    #[test]
    fn unknown_kinds_and_fields_are_refused() {
        for json in [
            r#"{"kind": "gif"}"#,
            r#"{"kind": "mp4", "colour": 1}"#,
            r#"{"kind": "mp4", "video": {"hight": 720}}"#,
            r#"{"kind": "wav", "audio": {}}"#,
            r#"{"kind": "waveform", "bits": 12}"#,
            r#"{"kind": "stem", "track": 0}"#,
        ] {
            assert!(parse(json).is_err(), "{json}");
        }
    }

    #[test]
    fn bit_rates_at_the_ends_of_an_encoders_range_are_taken() {
        for json in [
            r#"{"kind": "mp3", "audio": {"bit_rate": 320000}}"#,
            r#"{"kind": "mp3", "audio": {"bit_rate": 32000}}"#,
            r#"{"kind": "mp3", "audio": {"bit_rate": 8000, "sample_rate": 24000}}"#,
            r#"{"kind": "mp3", "audio": {"bit_rate": 160000, "sample_rate": 16000}}"#,
            r#"{"kind": "ogg_opus", "audio": {"bit_rate": 512000}}"#,
            r#"{"kind": "ogg_opus", "audio": {"bit_rate": 256000, "channels": 1}}"#,
            r#"{"kind": "mp4", "audio": {"bit_rate": 288000, "channels": 1}}"#,
        ] {
            assert_eq!(parse(json).unwrap().check(), Ok(()), "{json}");
        }
        let bad = parse(r#"{"kind": "mp3", "audio": {"bit_rate": 500000}}"#).unwrap().check().unwrap_err();
        assert_eq!(bad.reason, "must be from 32000 to 320000, not 500000");
    }

    #[test]
    fn what_no_encoder_takes_is_told_by_name() {
        for (json, option) in [
            (r#"{"kind": "mp4", "video": {"width": 63}}"#, "video.width"),
            (r#"{"kind": "mp4", "video": {"crf": 52}}"#, "video.crf"),
            (r#"{"kind": "mp4", "video": {"crf": 0}}"#, "video.crf"),
            (r#"{"kind": "mosaic", "video": {"crf": 0}}"#, "video.crf"),
            (r#"{"kind": "webm", "codec": "av1", "video": {"crf": 0}}"#, "video.crf"),
            (r#"{"kind": "webm", "video": {"crf": 64}}"#, "video.crf"),
            (r#"{"kind": "webm", "codec": "av1", "video": {"bit_rate": 100000001}}"#, "video.bit_rate"),
            (r#"{"kind": "mp4", "video": {"bit_rate": 200000001}}"#, "video.bit_rate"),
            (r#"{"kind": "webm", "video": {"crf": 30, "bit_rate": 100000}}"#, "video.crf"),
            (r#"{"kind": "webm", "audio": {"sample_rate": 44100}}"#, "audio.sample_rate"),
            (r#"{"kind": "mp3", "audio": {"channels": 6}}"#, "audio.channels"),
            (r#"{"kind": "mp3", "audio": {"bit_rate": 500000}}"#, "audio.bit_rate"),
            (r#"{"kind": "mp3", "audio": {"bit_rate": 12345}}"#, "audio.bit_rate"),
            (r#"{"kind": "mp3", "audio": {"bit_rate": 300000, "sample_rate": 16000}}"#, "audio.bit_rate"),
            (r#"{"kind": "ogg_opus", "audio": {"bit_rate": 300000, "channels": 1}}"#, "audio.bit_rate"),
            (r#"{"kind": "mp4", "audio": {"bit_rate": 300000, "channels": 1}}"#, "audio.bit_rate"),
            (r#"{"kind": "mp4", "audio": {"bit_rate": 200000, "sample_rate": 16000}}"#, "audio.bit_rate"),
            (r#"{"kind": "wav", "sample_rate": 1}"#, "sample_rate"),
            (r#"{"kind": "thumbnail", "at": -1.0}"#, "at"),
            (r#"{"kind": "contact_sheet", "columns": 0}"#, "columns"),
            (r#"{"kind": "contact_sheet", "columns": 20, "width": 64}"#, "columns"),
            (
                r#"{"kind": "waveform", "samples_per_pixel": 256, "pixels_per_second": 20}"#,
                "samples_per_pixel",
            ),
            (r#"{"kind": "mosaic", "video": {"width": 640}}"#, "video"),
            (r#"{"kind": "mix", "channels": 0}"#, "channels"),
        ] {
            assert_eq!(parse(json).unwrap().check().unwrap_err().option, option, "{json}");
        }
    }

    #[test]
    fn qualities_and_bit_rates_at_the_ends_of_what_a_codec_takes_are_taken() {
        for json in [
            r#"{"kind": "mp4", "video": {"crf": 1}}"#,
            r#"{"kind": "mp4", "video": {"crf": 51}}"#,
            r#"{"kind": "webm", "video": {"crf": 0}}"#,
            r#"{"kind": "webm", "codec": "av1", "video": {"crf": 1}}"#,
            r#"{"kind": "webm", "codec": "av1", "video": {"bit_rate": 100000000}}"#,
            r#"{"kind": "mosaic", "format": "webm", "video": {"crf": 63}}"#,
        ] {
            assert_eq!(parse(json).unwrap().check(), Ok(()), "{json}");
        }
    }
}
