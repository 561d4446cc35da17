//! Renditions as callers ask for them, and as they are made.

use std::time::Duration;

use proto::recorder::v1::{self as pb, rendition_spec::Kind};
use transcode::{
    AudioFormat, AudioOptions, FilmFormat, PeakBits, Preset, Rendition, StemFormat, VideoOptions, WebmCodec,
};

use crate::error::FieldViolation;

/// What a caller asks for, with every parameter checked. Zero is the default of its field.
pub(crate) fn rendition(spec: &pb::RenditionSpec) -> Result<Rendition, FieldViolation> {
    let Some(kind) = &spec.kind else {
        return Err(FieldViolation::new("spec", "names no kind of rendition"));
    };
    let name = field(kind);
    let rendition = read(kind).map_err(|problem| within(name, problem))?;
    match rendition.check() {
        Ok(()) => Ok(rendition),
        Err(bad) => Err(within(name, FieldViolation::new(bad.option, bad.reason))),
    }
}

fn within(kind: &str, problem: FieldViolation) -> FieldViolation {
    FieldViolation { field: format!("spec.{kind}.{}", problem.field), ..problem }
}

fn field(kind: &Kind) -> &'static str {
    match kind {
        Kind::Mp4(_) => "mp4",
        Kind::Webm(_) => "webm",
        Kind::Mp3(_) => "mp3",
        Kind::OggOpus(_) => "ogg_opus",
        Kind::Wav(_) => "wav",
        Kind::Thumbnail(_) => "thumbnail",
        Kind::ContactSheet(_) => "contact_sheet",
        Kind::Waveform(_) => "waveform",
        Kind::Mosaic(_) => "mosaic",
        Kind::Mix(_) => "mix",
        Kind::Stem(_) => "stem",
    }
}

fn read(kind: &Kind) -> Result<Rendition, FieldViolation> {
    Ok(match kind {
        Kind::Mp4(mp4) => {
            Rendition::Mp4 { video: video(mp4.video.as_ref())?, audio: audio(mp4.audio.as_ref())? }
        }
        Kind::Webm(webm) => Rendition::Webm {
            codec: match known("codec", webm.codec)? {
                pb::webm::VideoCodec::Unspecified | pb::webm::VideoCodec::Vp9 => WebmCodec::Vp9,
                pb::webm::VideoCodec::Av1 => WebmCodec::Av1,
            },
            video: video(webm.video.as_ref())?,
            audio: audio(webm.audio.as_ref())?,
        },
        Kind::Mp3(mp3) => Rendition::Mp3 { audio: audio(mp3.audio.as_ref())? },
        Kind::OggOpus(ogg) => Rendition::OggOpus { audio: audio(ogg.audio.as_ref())? },
        Kind::Wav(wav) => Rendition::Wav {
            sample_rate: number("sample_rate", wav.sample_rate)?,
            channels: number("channels", wav.channels)?,
        },
        Kind::Thumbnail(thumbnail) => Rendition::Thumbnail {
            at: thumbnail.at.map(|at| seconds("at", at)).transpose()?,
            width: number("width", thumbnail.width)?,
        },
        Kind::ContactSheet(sheet) => Rendition::ContactSheet {
            columns: number("columns", sheet.columns)?.unwrap_or(4),
            rows: number("rows", sheet.rows)?.unwrap_or(4),
            width: number("width", sheet.width)?,
        },
        Kind::Waveform(waveform) => Rendition::Waveform {
            pixels_per_second: number("pixels_per_second", waveform.pixels_per_second)?,
            samples_per_pixel: number("samples_per_pixel", waveform.samples_per_pixel)?,
            bits: match waveform.bits {
                0 | 8 => PeakBits::Eight,
                16 => PeakBits::Sixteen,
                _ => return Err(FieldViolation::new("bits", "must be 8 or 16")),
            },
        },
        Kind::Mosaic(mosaic) => Rendition::Mosaic {
            format: match known("format", mosaic.format)? {
                pb::FilmFormat::Unspecified | pb::FilmFormat::Mp4 => FilmFormat::Mp4,
                pb::FilmFormat::Webm => FilmFormat::Webm,
            },
            width: number("width", mosaic.width)?,
            height: number("height", mosaic.height)?,
            frame_rate: number("frame_rate", mosaic.frame_rate)?,
            video: video(mosaic.video.as_ref())?,
            audio: audio(mosaic.audio.as_ref())?,
        },
        Kind::Mix(mix) => Rendition::Mix {
            format: match known("format", mix.format)? {
                pb::AudioFormat::Unspecified | pb::AudioFormat::Mp3 => AudioFormat::Mp3,
                pb::AudioFormat::OggOpus => AudioFormat::OggOpus,
                pb::AudioFormat::Wav => AudioFormat::Wav,
            },
            channels: number("channels", mix.channels)?,
        },
        Kind::Stem(stem) => Rendition::Stem { track: track(stem.track)?, format: stem_format(stem.format)? },
    })
}

/// Tracks of the API are numbered from 1, as in the file; those of a rendition are places, from 0. Whoever knows the
/// recording looks for the place of the number ([`in_place`](crate::renditions::in_place)).
fn track(number: i32) -> Result<u32, FieldViolation> {
    let place = number.checked_sub(1).and_then(|place| u32::try_from(place).ok());
    place.ok_or_else(|| FieldViolation::new("track", "must be the number of a track, from 1"))
}

/// The format of a stem that names none depends on its track; sound is what most stems are of.
fn stem_format(format: i32) -> Result<StemFormat, FieldViolation> {
    Ok(match known("format", format)? {
        pb::StemFormat::Unspecified | pb::StemFormat::OggOpus => StemFormat::OggOpus,
        pb::StemFormat::Mp3 => StemFormat::Mp3,
        pb::StemFormat::Wav => StemFormat::Wav,
        pb::StemFormat::Mp4 => StemFormat::Mp4,
        pb::StemFormat::Webm => StemFormat::Webm,
    })
}

fn video(options: Option<&pb::VideoOptions>) -> Result<VideoOptions, FieldViolation> {
    let Some(options) = options else { return Ok(VideoOptions::default()) };
    let crf = options.crf.map(|crf| {
        u8::try_from(crf)
            .map_err(|_| FieldViolation::new("video.crf", "must be from 1 to 63, of VP9 from 0 on"))
    });
    Ok(VideoOptions {
        width: number("video.width", options.width)?,
        height: number("video.height", options.height)?,
        frame_rate: number("video.frame_rate", options.frame_rate)?,
        bit_rate: number("video.bit_rate", options.bit_rate)?,
        crf: crf.transpose()?,
        preset: match known("video.preset", options.preset)? {
            pb::Preset::Unspecified => None,
            pb::Preset::Ultrafast => Some(Preset::Ultrafast),
            pb::Preset::Superfast => Some(Preset::Superfast),
            pb::Preset::Veryfast => Some(Preset::Veryfast),
            pb::Preset::Faster => Some(Preset::Faster),
            pb::Preset::Fast => Some(Preset::Fast),
            pb::Preset::Medium => Some(Preset::Medium),
            pb::Preset::Slow => Some(Preset::Slow),
            pb::Preset::Slower => Some(Preset::Slower),
        },
    })
}

fn audio(options: Option<&pb::AudioOptions>) -> Result<AudioOptions, FieldViolation> {
    let Some(options) = options else { return Ok(AudioOptions::default()) };
    Ok(AudioOptions {
        bit_rate: number("audio.bit_rate", options.bit_rate)?,
        channels: number("audio.channels", options.channels)?,
        sample_rate: number("audio.sample_rate", options.sample_rate)?,
    })
}

/// Zero is none.
fn number<T: TryFrom<i32>>(field: &str, value: i32) -> Result<Option<T>, FieldViolation> {
    if value == 0 {
        return Ok(None);
    }
    T::try_from(value).map(Some).map_err(|_| FieldViolation::new(field, format!("{value} is out of range")))
}

fn known<T: TryFrom<i32>>(field: &str, value: i32) -> Result<T, FieldViolation> {
    T::try_from(value).map_err(|_| FieldViolation::new(field, format!("{value} stands for nothing")))
}

fn seconds(field: &str, duration: prost_types::Duration) -> Result<f64, FieldViolation> {
    let duration = Duration::try_from(duration)
        .map_err(|_| FieldViolation::new(field, "must be a duration from 0 on"))?;
    Ok(duration.as_secs_f64())
}

/// The other way round; none for parameters of another version.
pub(super) fn spec(parameters: &str) -> Option<pb::RenditionSpec> {
    let rendition: Rendition = serde_json::from_str(parameters).ok()?;
    let kind = match rendition {
        Rendition::Mp4 { video, audio } => {
            Kind::Mp4(pb::Mp4 { video: show_video(&video), audio: show_audio(&audio) })
        }
        Rendition::Webm { codec, video, audio } => Kind::Webm(pb::Webm {
            codec: match codec {
                WebmCodec::Vp9 => pb::webm::VideoCodec::Vp9,
                WebmCodec::Av1 => pb::webm::VideoCodec::Av1,
            }
            .into(),
            video: show_video(&video),
            audio: show_audio(&audio),
        }),
        Rendition::Mp3 { audio } => Kind::Mp3(pb::Mp3 { audio: show_audio(&audio) }),
        Rendition::OggOpus { audio } => Kind::OggOpus(pb::OggOpus { audio: show_audio(&audio) }),
        Rendition::Wav { sample_rate, channels } => {
            Kind::Wav(pb::Wav { sample_rate: show(sample_rate), channels: show(channels) })
        }
        Rendition::Thumbnail { at, width } => {
            let at = at.and_then(|at| Duration::try_from_secs_f64(at).ok()).map(super::duration);
            Kind::Thumbnail(pb::Thumbnail { at, width: show(width) })
        }
        Rendition::ContactSheet { columns, rows, width } => Kind::ContactSheet(pb::ContactSheet {
            columns: super::count32(columns),
            rows: super::count32(rows),
            width: show(width),
        }),
        Rendition::Waveform { pixels_per_second, samples_per_pixel, bits } => Kind::Waveform(pb::Waveform {
            pixels_per_second: show(pixels_per_second),
            samples_per_pixel: show(samples_per_pixel),
            bits: u8::from(bits).into(),
        }),
        Rendition::Mosaic { format, width, height, frame_rate, video, audio } => Kind::Mosaic(pb::Mosaic {
            format: match format {
                FilmFormat::Mp4 => pb::FilmFormat::Mp4,
                FilmFormat::Webm => pb::FilmFormat::Webm,
            }
            .into(),
            width: show(width),
            height: show(height),
            frame_rate: show(frame_rate),
            video: show_video(&video),
            audio: show_audio(&audio),
        }),
        Rendition::Mix { format, channels } => Kind::Mix(pb::Mix {
            format: match format {
                AudioFormat::Mp3 => pb::AudioFormat::Mp3,
                AudioFormat::OggOpus => pb::AudioFormat::OggOpus,
                AudioFormat::Wav => pb::AudioFormat::Wav,
            }
            .into(),
            channels: show(channels),
        }),
        Rendition::Stem { track, format } => Kind::Stem(pb::Stem {
            track: super::count32(track).saturating_add(1),
            format: match format {
                StemFormat::Mp3 => pb::StemFormat::Mp3,
                StemFormat::OggOpus => pb::StemFormat::OggOpus,
                StemFormat::Wav => pb::StemFormat::Wav,
                StemFormat::Mp4 => pb::StemFormat::Mp4,
                StemFormat::Webm => pb::StemFormat::Webm,
            }
            .into(),
        }),
    };
    Some(pb::RenditionSpec { kind: Some(kind) })
}

fn show_video(options: &VideoOptions) -> Option<pb::VideoOptions> {
    let preset = options.preset.map_or(pb::Preset::Unspecified, |preset| match preset {
        Preset::Ultrafast => pb::Preset::Ultrafast,
        Preset::Superfast => pb::Preset::Superfast,
        Preset::Veryfast => pb::Preset::Veryfast,
        Preset::Faster => pb::Preset::Faster,
        Preset::Fast => pb::Preset::Fast,
        Preset::Medium => pb::Preset::Medium,
        Preset::Slow => pb::Preset::Slow,
        Preset::Slower => pb::Preset::Slower,
    });
    let shown = pb::VideoOptions {
        width: show(options.width),
        height: show(options.height),
        frame_rate: show(options.frame_rate),
        bit_rate: show(options.bit_rate),
        crf: options.crf.map(i32::from),
        preset: preset.into(),
    };
    Some(shown).filter(|shown| *shown != pb::VideoOptions::default())
}

fn show_audio(options: &AudioOptions) -> Option<pb::AudioOptions> {
    let shown = pb::AudioOptions {
        bit_rate: show(options.bit_rate),
        channels: show(options.channels),
        sample_rate: show(options.sample_rate),
    };
    Some(shown).filter(|shown| *shown != pb::AudioOptions::default())
}

fn show(value: Option<impl Into<u32>>) -> i32 {
    value.map_or(0, |value| super::count32(value.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(kind: Kind) -> Result<Rendition, FieldViolation> {
        rendition(&pb::RenditionSpec { kind: Some(kind) })
    }

    fn kinds() -> Vec<Kind> {
        let video = pb::VideoOptions {
            width: 640,
            height: 360,
            frame_rate: 15,
            crf: Some(1),
            preset: pb::Preset::Slow.into(),
            ..Default::default()
        };
        let audio = pb::AudioOptions { bit_rate: 64_000, channels: 1, sample_rate: 48_000 };
        vec![
            Kind::Mp4(pb::Mp4 { video: Some(video), audio: Some(audio) }),
            Kind::Webm(pb::Webm { codec: pb::webm::VideoCodec::Av1.into(), ..Default::default() }),
            Kind::Mp3(pb::Mp3 { audio: Some(audio) }),
            Kind::OggOpus(pb::OggOpus { audio: None }),
            Kind::Wav(pb::Wav { sample_rate: 16_000, channels: 2 }),
            Kind::Thumbnail(pb::Thumbnail {
                at: Some(prost_types::Duration { seconds: 1, nanos: 500_000_000 }),
                width: 320,
            }),
            Kind::ContactSheet(pb::ContactSheet { columns: 3, rows: 2, width: 900 }),
            Kind::Waveform(pb::Waveform { pixels_per_second: 50, samples_per_pixel: 0, bits: 16 }),
            Kind::Mosaic(pb::Mosaic {
                format: pb::FilmFormat::Webm.into(),
                width: 640,
                ..Default::default()
            }),
            Kind::Mix(pb::Mix { format: pb::AudioFormat::Wav.into(), channels: 1 }),
            Kind::Stem(pb::Stem { track: 2, format: pb::StemFormat::Mp3.into() }),
        ]
    }

    #[test]
    fn every_kind_reads_back_from_what_is_stored() {
        for kind in kinds() {
            let stored = serde_json::to_string(&asked(kind).unwrap()).unwrap();
            let shown = spec(&stored).unwrap().kind.unwrap();
            match (kind, shown) {
                // A codec or format that was left out is shown as what it means.
                (Kind::Webm(_), Kind::Webm(shown)) => assert_eq!(shown.codec(), pb::webm::VideoCodec::Av1),
                (kind, shown) => assert_eq!(shown, kind),
            }
        }
    }

    #[test]
    fn an_empty_message_of_each_kind_has_defaults_but_a_stem_has_to_name_its_track() {
        for kind in [
            Kind::Mp4(pb::Mp4::default()),
            Kind::Webm(pb::Webm::default()),
            Kind::Mp3(pb::Mp3::default()),
            Kind::OggOpus(pb::OggOpus::default()),
            Kind::Wav(pb::Wav::default()),
            Kind::Thumbnail(pb::Thumbnail::default()),
            Kind::ContactSheet(pb::ContactSheet::default()),
            Kind::Waveform(pb::Waveform::default()),
            Kind::Mosaic(pb::Mosaic::default()),
            Kind::Mix(pb::Mix::default()),
        ] {
            let name = field(&kind);
            assert_eq!(asked(kind).unwrap().name(), name);
        }
        assert_eq!(asked(Kind::Stem(pb::Stem::default())).unwrap_err().field, "spec.stem.track");
    }

    #[test]
    fn a_parameter_that_can_not_be_used_is_named_by_its_path() {
        let video = |video| Kind::Mp4(pb::Mp4 { video: Some(video), audio: None });
        let audio = |audio| Kind::Mp3(pb::Mp3 { audio: Some(audio) });
        for (kind, want) in [
            (video(pb::VideoOptions { width: -1, ..Default::default() }), "spec.mp4.video.width"),
            (video(pb::VideoOptions { width: 9, ..Default::default() }), "spec.mp4.video.width"),
            (video(pb::VideoOptions { crf: Some(99), ..Default::default() }), "spec.mp4.video.crf"),
            (video(pb::VideoOptions { crf: Some(300), ..Default::default() }), "spec.mp4.video.crf"),
            (video(pb::VideoOptions { preset: 99, ..Default::default() }), "spec.mp4.video.preset"),
            (audio(pb::AudioOptions { channels: 6, ..Default::default() }), "spec.mp3.audio.channels"),
            (audio(pb::AudioOptions { sample_rate: 7, ..Default::default() }), "spec.mp3.audio.sample_rate"),
            (Kind::Waveform(pb::Waveform { bits: 12, ..Default::default() }), "spec.waveform.bits"),
            (
                Kind::ContactSheet(pb::ContactSheet { rows: 99, ..Default::default() }),
                "spec.contact_sheet.rows",
            ),
            (
                Kind::Thumbnail(pb::Thumbnail {
                    at: Some(prost_types::Duration { seconds: -1, nanos: 0 }),
                    width: 0,
                }),
                "spec.thumbnail.at",
            ),
            (Kind::Stem(pb::Stem { track: 1, format: 99 }), "spec.stem.format"),
        ] {
            assert_eq!(asked(kind).unwrap_err().field, want);
        }
        assert_eq!(rendition(&pb::RenditionSpec::default()).unwrap_err().field, "spec");
    }
}
