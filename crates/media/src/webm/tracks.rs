//! Track entries: what a player needs to know of a track before its first block.

use super::{
    codec_private::CodecPrivate,
    ebml::{id, put, put_float, put_master, put_uint},
};
use crate::{Codec, MediaKind, Rotation, TrackId};

/// The look-ahead of libopus, 312 samples at 48 kHz, in nanoseconds.
pub(crate) const OPUS_DELAY: i64 = 6_500_000;
/// How much earlier than a seek's target an Opus decoder must start, in nanoseconds (RFC 7845 §4.6).
const OPUS_PRE_ROLL: u64 = 80_000_000;

/// A TrackEntry.
#[derive(Debug, Clone)]
pub(crate) struct TrackEntry {
    pub track: TrackId,
    /// From 1. Each block contains it.
    pub number: u8,
    pub name: String,
    pub codec: Codec,
    pub channels: u8,
    /// Samples a second of PCM; zero for other codecs, which imply theirs.
    pub rate: u32,
    /// Width and height in pixels; zero for audio.
    pub size: (u32, u32),
    pub rotation: Rotation,
    pub private: CodecPrivate,
}

/// CodecDelay in nanoseconds: audio that a decoder discards at the start.
pub(crate) fn codec_delay(codec: Codec) -> i64 {
    if codec == Codec::Opus { OPUS_DELAY } else { 0 }
}

fn sampling_frequency(codec: Codec, rate: u32) -> f64 {
    match codec {
        Codec::Pcm => f64::from(rate),
        Codec::Pcmu | Codec::Pcma => 8_000.0,
        Codec::G722 => 16_000.0,
        _ => 48_000.0,
    }
}

impl TrackEntry {
    /// The session's track id plus one, and the track number. Recovery reads the track id from it.
    fn uid(&self) -> u64 {
        (u64::from(self.track.0) + 1) << 8 | u64::from(self.number)
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_master(out, id::TRACK_ENTRY, |entry| {
            put_uint(entry, id::TRACK_NUMBER, u64::from(self.number));
            put_uint(entry, id::TRACK_UID, self.uid());
            put_uint(entry, id::TRACK_TYPE, if self.codec.kind() == MediaKind::Video { 1 } else { 2 });
            put_uint(entry, id::FLAG_LACING, 0);
            if !self.name.is_empty() {
                put(entry, id::NAME, self.name.as_bytes());
            }
            put(entry, id::LANGUAGE, b"und");
            put(entry, id::CODEC_ID, self.codec.matroska_id().as_bytes());
            if !self.private.0.is_empty() {
                put(entry, id::CODEC_PRIVATE, &self.private.0);
            }
            if self.codec == Codec::Opus {
                put_uint(entry, id::CODEC_DELAY, OPUS_DELAY.unsigned_abs());
                put_uint(entry, id::SEEK_PRE_ROLL, OPUS_PRE_ROLL);
            }
            match self.codec.kind() {
                MediaKind::Video => self.put_video(entry),
                MediaKind::Audio => self.put_audio(entry),
            }
        });
    }

    fn put_video(&self, entry: &mut Vec<u8>) {
        put_master(entry, id::VIDEO, |video| {
            put_uint(video, id::FLAG_INTERLACED, 2);
            put_uint(video, id::PIXEL_WIDTH, u64::from(self.size.0));
            put_uint(video, id::PIXEL_HEIGHT, u64::from(self.size.1));
            // A positive roll rotates the picture counter-clockwise (RFC 9559 §5.1.4.1.28.46).
            let roll = match self.rotation {
                Rotation::None => return,
                Rotation::Clockwise90 => -90.0,
                Rotation::UpsideDown => 180.0,
                Rotation::Clockwise270 => 90.0,
            };
            put_master(video, id::PROJECTION, |projection| {
                put_uint(projection, id::PROJECTION_TYPE, 0);
                put_float(projection, id::PROJECTION_POSE_ROLL, roll);
            });
        });
    }

    fn put_audio(&self, entry: &mut Vec<u8>) {
        put_master(entry, id::AUDIO, |audio| {
            put_float(audio, id::SAMPLING_FREQUENCY, sampling_frequency(self.codec, self.rate));
            put_uint(audio, id::CHANNELS, u64::from(self.channels));
            match self.codec {
                Codec::Pcmu | Codec::Pcma => put_uint(audio, id::BIT_DEPTH, 8),
                Codec::G722 => put_uint(audio, id::BIT_DEPTH, 4),
                Codec::Pcm => put_uint(audio, id::BIT_DEPTH, 16),
                _ => {}
            }
        });
    }
}
