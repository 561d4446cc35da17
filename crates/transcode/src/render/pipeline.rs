//! From a rendition to tracks, codecs and lanes.

use std::path::Path;

use ffmpeg_next::codec::Id;

use super::{
    Made,
    copy::{self, CopyLane},
    lane::{self, Lane},
    mosaic_lane::{self, MosaicLane},
    picture_lane::{PictureLane, size_for},
    sound_lane::SoundLane,
    still, waveform,
};
use crate::{
    AudioFormat, AudioOptions, BadOption, FilmFormat, Plan, Rendition, StemFormat, TranscodeError,
    VideoOptions, WebmCodec, libav,
    progress::Meter,
    rendition::WAV_RATES,
    sink::{Container, Mux, PictureCodec, PictureSpec, SoundCodec, SoundSpec},
    source::{Kind, Measured, Probe, Rotation, Track, measure},
};

/// Makes the plan's rendition at `output`.
pub(crate) fn make(plan: &Plan, output: &Path, meter: &mut Meter<'_>) -> Result<Made, TranscodeError> {
    let probe = Probe::of(&plan.input, meter.cancelled())?;
    let work = Work { input: &plan.input, output, probe };
    match &plan.rendition {
        Rendition::Mp4 { video, audio } => {
            work.film(Container::Mp4, PictureCodec::H264, video, audio, None, meter)
        }
        Rendition::Webm { codec, video, audio } => {
            let codec = match codec {
                WebmCodec::Vp9 => PictureCodec::Vp9,
                WebmCodec::Av1 => PictureCodec::Av1,
            };
            work.film(Container::Webm, codec, video, audio, None, meter)
        }
        Rendition::Mp3 { .. } | Rendition::OggOpus { .. } | Rendition::Wav { .. } | Rendition::Mix { .. } => {
            let (format, audio) = plan.rendition.sound().unwrap_or_default();
            work.sound(format, &audio, None, meter)
        }
        Rendition::Stem { track, format } => work.stem(*track, *format, meter),
        Rendition::Thumbnail { at, width } => {
            still::thumbnail(work.input, output, &work.probe, *at, *width, meter)
        }
        Rendition::ContactSheet { columns, rows, width } => {
            still::contact_sheet(work.input, output, &work.probe, (*columns, *rows), *width, meter)
        }
        Rendition::Waveform { pixels_per_second, samples_per_pixel, bits } => {
            let resolution = (*pixels_per_second, *samples_per_pixel);
            waveform::make(work.input, output, &work.probe, resolution, *bits, meter)
        }
        Rendition::Mosaic { format, width, height, frame_rate, video, audio } => {
            let shape = mosaic_lane::Shape::new(*width, *height, *frame_rate);
            work.mosaic(*format, shape, video, audio, meter)
        }
    }
}

struct Work<'a> {
    input: &'a Path,
    output: &'a Path,
    probe: Probe,
}

impl Work<'_> {
    /// One video and all sound, or `only` one track.
    fn film(
        &self,
        container: Container,
        codec: PictureCodec,
        video: &VideoOptions,
        audio: &AudioOptions,
        only: Option<usize>,
        meter: &mut Meter<'_>,
    ) -> Result<Made, TranscodeError> {
        let wanted = |track: &&Track| only.is_none_or(|index| track.index == index);
        let sounds: Vec<&Track> = self.probe.of_kind(Kind::Audio).filter(wanted).collect();
        let mut picture = None;
        for track in self.probe.of_kind(Kind::Video).filter(wanted) {
            if let Some(measured) = measure(self.input, &self.probe, track, meter.cancelled())? {
                picture = Some((track, measured));
                break;
            }
        }
        if picture.is_none() && sounds.is_empty() {
            let detail = libav::with_log("no picture can be decoded");
            return Err(TranscodeError::Unreadable { detail });
        }
        let sound = (!sounds.is_empty()).then(|| sound_spec(sound_codec(container), audio, &sounds));
        let tracks: Vec<usize> =
            sounds.iter().map(|track| track.index).chain(picture.map(|(track, _)| track.index)).collect();
        let spec = picture_spec(codec, video);
        let open = |mux: &mut Mux<'_>| {
            let mut lanes: Vec<Box<dyn Lane>> = Vec::new();
            if let Some((track, measured)) = picture {
                let fits = track.codec == codec.id() || only.is_some() && fits_as_it_is(track, container);
                let copied = fits && video.allows_copy() && copies_picture(track, &measured, container);
                let natural = measured.size;
                lanes.push(if copied {
                    Box::new(CopyLane::open(track, natural, mux)?)
                } else {
                    let size = size_for(natural, video);
                    Box::new(PictureLane::open(track, size, measured.colour, &spec, mux)?)
                });
            }
            if let Some(spec) = &sound {
                lanes.push(sound_lane(&sounds, container, audio, spec, mux)?);
            }
            Ok(lanes)
        };
        lane::write((self.input, self.output), &self.probe, container, &tracks, &open, meter)
    }

    /// All sound, or `only` one track.
    fn sound(
        &self,
        format: AudioFormat,
        audio: &AudioOptions,
        only: Option<usize>,
        meter: &mut Meter<'_>,
    ) -> Result<Made, TranscodeError> {
        let wanted = |track: &&Track| only.is_none_or(|index| track.index == index);
        let sounds: Vec<&Track> = self.probe.of_kind(Kind::Audio).filter(wanted).collect();
        if sounds.is_empty() {
            return Err(TranscodeError::NoSuchTrack { wanted: "track of audio".to_owned() });
        }
        let container = sound_container(format);
        let tracks: Vec<usize> = sounds.iter().map(|track| track.index).collect();
        let spec = sound_spec(sound_codec(container), audio, &sounds);
        let open = |mux: &mut Mux<'_>| Ok(vec![sound_lane(&sounds, container, audio, &spec, mux)?]);
        lane::write((self.input, self.output), &self.probe, container, &tracks, &open, meter)
    }

    fn mosaic(
        &self,
        format: FilmFormat,
        shape: mosaic_lane::Shape,
        video: &VideoOptions,
        audio: &AudioOptions,
        meter: &mut Meter<'_>,
    ) -> Result<Made, TranscodeError> {
        let (container, codec) = match format {
            FilmFormat::Mp4 => (Container::Mp4, PictureCodec::H264),
            FilmFormat::Webm => (Container::Webm, PictureCodec::Vp9),
        };
        let videos: Vec<&Track> = self.probe.of_kind(Kind::Video).collect();
        if videos.is_empty() {
            return Err(TranscodeError::NoSuchTrack { wanted: "track of video".to_owned() });
        }
        let sounds: Vec<&Track> = self.probe.of_kind(Kind::Audio).collect();
        let tracks: Vec<usize> = videos.iter().chain(&sounds).map(|track| track.index).collect();
        let spec = picture_spec(codec, video);
        let open = |mux: &mut Mux<'_>| {
            let mut lanes: Vec<Box<dyn Lane>> =
                vec![Box::new(MosaicLane::open(&videos, &sounds, shape, &spec, mux)?)];
            if !sounds.is_empty() {
                let spec = sound_spec(sound_codec(container), audio, &sounds);
                lanes.push(sound_lane(&sounds, container, audio, &spec, mux)?);
            }
            Ok(lanes)
        };
        lane::write((self.input, self.output), &self.probe, container, &tracks, &open, meter)
    }

    fn stem(&self, track: u32, format: StemFormat, meter: &mut Meter<'_>) -> Result<Made, TranscodeError> {
        let index = track as usize;
        let Some(track) = self.probe.track(index) else {
            return Err(TranscodeError::NoSuchTrack {
                wanted: format!("track {} with media", index.saturating_add(1)),
            });
        };
        let (video, audio) = (VideoOptions::default(), AudioOptions::default());
        match (format, track.kind) {
            (StemFormat::Mp4, _) => {
                self.film(Container::Mp4, PictureCodec::H264, &video, &audio, Some(index), meter)
            }
            (StemFormat::Webm, _) => {
                self.film(Container::Webm, webm_codec(track), &video, &audio, Some(index), meter)
            }
            (_, Kind::Video) => Err(TranscodeError::BadOption(BadOption::new(
                "format",
                "of a stem of video must be mp4 or webm",
            ))),
            (StemFormat::Mp3, _) => self.sound(AudioFormat::Mp3, &audio, Some(index), meter),
            (StemFormat::OggOpus, _) => self.sound(AudioFormat::OggOpus, &audio, Some(index), meter),
            (StemFormat::Wav, _) => self.sound(AudioFormat::Wav, &audio, Some(index), meter),
        }
    }
}

/// Whether the container can hold the track's pictures without coding them again.
fn fits_as_it_is(track: &Track, container: Container) -> bool {
    container == Container::Webm && matches!(track.codec, Id::VP8 | Id::VP9 | Id::AV1)
}

/// AV1 stays AV1 also where it must be coded again.
fn webm_codec(track: &Track) -> PictureCodec {
    if track.codec == Id::AV1 { PictureCodec::Av1 } else { PictureCodec::Vp9 }
}

/// Whether nothing is lost if the packets are copied.
fn copies_picture(track: &Track, measured: &Measured, container: Container) -> bool {
    // libav writes no rotation into WebM: there the pixels are turned.
    let upright = track.rotation == Rotation::None || container == Container::Mp4;
    // MP4 tells what decoders need once, for all pictures.
    let one_header = !measured.changes || container != Container::Mp4;
    upright && one_header && track.ordered && copy::has_header(track)
}

fn sound_lane(
    tracks: &[&Track],
    container: Container,
    options: &AudioOptions,
    spec: &SoundSpec,
    mux: &mut Mux<'_>,
) -> Result<Box<dyn Lane>, TranscodeError> {
    if let [track] = tracks
        && options.allows_copy()
        && copies_sound(track, container)
    {
        return Ok(Box::new(CopyLane::open(track, (0, 0), mux)?));
    }
    Ok(Box::new(SoundLane::open(tracks, spec, mux)?))
}

fn copies_sound(track: &Track, container: Container) -> bool {
    match container {
        Container::Webm => track.codec == Id::OPUS && track.ordered,
        // Ogg and MP3 have no timestamps that players follow through a hole; with AAC in MP4 they differ.
        Container::Ogg => track.codec == Id::OPUS && track.is_continuous(),
        Container::Mp3 => track.codec == Id::MP3 && track.is_continuous(),
        Container::Mp4 => track.codec == Id::AAC && track.is_continuous(),
        Container::Wav | Container::Matroska => false,
    }
}

pub(super) fn sound_container(format: AudioFormat) -> Container {
    match format {
        AudioFormat::Mp3 => Container::Mp3,
        AudioFormat::OggOpus => Container::Ogg,
        AudioFormat::Wav => Container::Wav,
    }
}

pub(super) fn sound_codec(container: Container) -> SoundCodec {
    match container {
        Container::Mp4 => SoundCodec::Aac,
        Container::Webm | Container::Ogg | Container::Matroska => SoundCodec::Opus,
        Container::Mp3 => SoundCodec::Mp3,
        Container::Wav => SoundCodec::Pcm,
    }
}

/// How `tracks` are coded.
pub(super) fn sound_spec(codec: SoundCodec, options: &AudioOptions, tracks: &[&Track]) -> SoundSpec {
    SoundSpec {
        codec,
        sample_rate: options.sample_rate.unwrap_or_else(|| natural_rate(codec, tracks)),
        channels: options.channels,
        bit_rate: options.bit_rate,
    }
}

/// PCM of samples that are all of one rate keeps it, so that it has the very samples; what else there is, is best at
/// 48 kHz.
fn natural_rate(codec: SoundCodec, tracks: &[&Track]) -> u32 {
    const USUAL: u32 = 48_000;
    let sampled = |track: &&Track| {
        matches!(track.codec, Id::PCM_S16LE | Id::PCM_MULAW | Id::PCM_ALAW | Id::ADPCM_G722)
            .then(|| libav::ffi::sample_rate(&track.parameters))
    };
    let mut rates = tracks.iter().map(sampled);
    match rates.next().flatten() {
        Some(rate) if codec == SoundCodec::Pcm && WAV_RATES.contains(&rate) => {
            if rates.all(|other| other == Some(rate)) { rate } else { USUAL }
        }
        _ => USUAL,
    }
}

fn picture_spec(codec: PictureCodec, options: &VideoOptions) -> PictureSpec {
    PictureSpec {
        codec,
        bit_rate: options.bit_rate,
        crf: options.crf,
        preset: options.preset,
        frame_rate: options.frame_rate,
    }
}
