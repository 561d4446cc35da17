//! Chooses the tracks of the input, and copies or encodes them.

use std::path::Path;

use ffmpeg_next::codec::Id;

use super::{
    copy::{self, CopyLane},
    lane::{self, Lane},
    made::Made,
    mosaic_lane::{Grid, MosaicLane},
    picture_lane::{PictureLane, size_for},
    sound_lane::SoundLane,
};
use crate::{
    AudioFormat, AudioOptions, MediaKind, TranscodeError, VideoOptions, libav,
    picture::Rotation,
    progress::Meter,
    sink::{Container, Mux, PictureCodec, PictureSpec, SoundCodec, SoundSpec, WAV_RATES},
    source::{Measured, Probe, Track, measure},
};

/// The input of a rendition and where its output goes.
pub(crate) struct Pipeline<'a> {
    pub(crate) input: &'a Path,
    pub(crate) output: &'a Path,
    pub(crate) probe: Probe,
}

impl<'a> Pipeline<'a> {
    /// Reads the whole input once.
    pub(crate) fn open(input: &'a Path, output: &'a Path, meter: &Meter<'_>) -> Result<Self, TranscodeError> {
        Ok(Self { input, output, probe: Probe::of(input, meter.cancelled())? })
    }

    /// The first video track and the mix of all audio tracks, or `only` one track.
    pub(crate) fn film(
        &self,
        container: Container,
        codec: PictureCodec,
        video: &VideoOptions,
        audio: &AudioOptions,
        only: Option<usize>,
        meter: &mut Meter<'_>,
    ) -> Result<Made, TranscodeError> {
        let selected = |track: &&Track| only.is_none_or(|index| track.index == index);
        let sounds: Vec<&Track> = self.probe.of_kind(MediaKind::Audio).filter(selected).collect();
        let mut picture = None;
        for track in self.probe.of_kind(MediaKind::Video).filter(selected) {
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
                let fits = track.codec == codec.id() || only.is_some() && holds_codec_of(track, container);
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

    /// The mix of all audio tracks, or `only` one track.
    pub(crate) fn sound(
        &self,
        format: AudioFormat,
        audio: &AudioOptions,
        only: Option<usize>,
        meter: &mut Meter<'_>,
    ) -> Result<Made, TranscodeError> {
        let selected = |track: &&Track| only.is_none_or(|index| track.index == index);
        let sounds: Vec<&Track> = self.probe.of_kind(MediaKind::Audio).filter(selected).collect();
        if sounds.is_empty() {
            return Err(TranscodeError::NoSuchTrack { wanted: "track of audio".to_owned() });
        }
        let container = sound_container(format);
        let tracks: Vec<usize> = sounds.iter().map(|track| track.index).collect();
        let spec = sound_spec(sound_codec(container), audio, &sounds);
        let open = |mux: &mut Mux<'_>| Ok(vec![sound_lane(&sounds, container, audio, &spec, mux)?]);
        lane::write((self.input, self.output), &self.probe, container, &tracks, &open, meter)
    }

    /// All video tracks in a grid, and the mix of all audio tracks.
    pub(crate) fn mosaic(
        &self,
        (container, codec): (Container, PictureCodec),
        grid: Grid,
        video: &VideoOptions,
        audio: &AudioOptions,
        meter: &mut Meter<'_>,
    ) -> Result<Made, TranscodeError> {
        let videos: Vec<&Track> = self.probe.of_kind(MediaKind::Video).collect();
        if videos.is_empty() {
            return Err(TranscodeError::NoSuchTrack { wanted: "track of video".to_owned() });
        }
        let sounds: Vec<&Track> = self.probe.of_kind(MediaKind::Audio).collect();
        let tracks: Vec<usize> = videos.iter().chain(&sounds).map(|track| track.index).collect();
        let spec = picture_spec(codec, video);
        let open = |mux: &mut Mux<'_>| {
            let mut lanes: Vec<Box<dyn Lane>> =
                vec![Box::new(MosaicLane::open(&videos, &sounds, grid, &spec, mux)?)];
            if !sounds.is_empty() {
                let spec = sound_spec(sound_codec(container), audio, &sounds);
                lanes.push(sound_lane(&sounds, container, audio, &spec, mux)?);
            }
            Ok(lanes)
        };
        lane::write((self.input, self.output), &self.probe, container, &tracks, &open, meter)
    }
}

/// Whether the container can hold the codec of the track.
fn holds_codec_of(track: &Track, container: Container) -> bool {
    container == Container::Webm && matches!(track.codec, Id::VP8 | Id::VP9 | Id::AV1)
}

/// The video codec of a stem in `WebM`: AV1 stays AV1 also where it must be encoded.
pub(crate) fn stem_codec(track: &Track) -> PictureCodec {
    if track.codec == Id::AV1 { PictureCodec::Av1 } else { PictureCodec::Vp9 }
}

/// Whether the packets can be copied without loss.
fn copies_picture(track: &Track, measured: &Measured, container: Container) -> bool {
    // libav can't write a rotation into WebM, so the pixels are rotated.
    let upright = track.rotation == Rotation::None || container == Container::Mp4;
    // MP4 has one header for all frames.
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
        // In Ogg and MP3, players don't follow timestamps through a gap; for AAC in MP4 they behave differently.
        Container::Ogg => track.codec == Id::OPUS && track.is_continuous(),
        Container::Mp3 => track.codec == Id::MP3 && track.is_continuous(),
        Container::Mp4 => track.codec == Id::AAC && track.is_continuous(),
        Container::Wav | Container::Matroska => false,
    }
}

pub(crate) fn sound_container(format: AudioFormat) -> Container {
    match format {
        AudioFormat::Mp3 => Container::Mp3,
        AudioFormat::OggOpus => Container::Ogg,
        AudioFormat::Wav => Container::Wav,
    }
}

pub(crate) fn sound_codec(container: Container) -> SoundCodec {
    match container {
        Container::Mp4 => SoundCodec::Aac,
        Container::Webm | Container::Ogg | Container::Matroska => SoundCodec::Opus,
        Container::Mp3 => SoundCodec::Mp3,
        Container::Wav => SoundCodec::Pcm,
    }
}

/// How the mix of `tracks` is encoded.
pub(crate) fn sound_spec(codec: SoundCodec, options: &AudioOptions, tracks: &[&Track]) -> SoundSpec {
    SoundSpec {
        codec,
        sample_rate: options.sample_rate.unwrap_or_else(|| natural_rate(codec, tracks)),
        channels: options.channels,
        bit_rate: options.bit_rate,
    }
}

/// The default sample rate. PCM of tracks with one common rate has that rate, so that the samples are not changed. All other
/// audio has 48 kHz.
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
