//! RTP senders: payloads to packets with counted sequence numbers.

use std::time::Duration;

use bytes::Bytes;
use media::{
    Anchor, Codec, Encoding, MediaKind, PayloadFormat, PayloadType, RtpPacket, RtpTimestamp, Ssrc,
    TrackConfig, TrackId,
};

pub const AUDIO: TrackId = TrackId(0);
pub const VIDEO: TrackId = TrackId(1);

pub fn format(
    payload_type: u8,
    encoding: impl Into<Encoding>,
    clock_rate: u32,
    channels: u8,
) -> PayloadFormat {
    let (payload_type, encoding) = (PayloadType(payload_type), encoding.into());
    PayloadFormat { payload_type, encoding, clock_rate, channels, fmtp: String::new() }
}

pub fn track(id: TrackId, kind: MediaKind, formats: Vec<PayloadFormat>) -> TrackConfig {
    TrackConfig { id, name: format!("t{}", id.0), kind, formats, anchor: Anchor::SenderReports }
}

pub fn opus_track() -> TrackConfig {
    track(AUDIO, MediaKind::Audio, vec![format(111, Codec::Opus, 48_000, 2)])
}

pub fn vp8_track() -> TrackConfig {
    track(VIDEO, MediaKind::Video, vec![format(96, Codec::Vp8, 90_000, 0)])
}

/// One RTP source.
#[derive(Debug, Clone)]
pub struct Source {
    pub ssrc: u32,
    pub payload_type: u8,
    pub clock_rate: u32,
    pub sequence_number: u16,
    /// The timestamp of media time zero.
    pub base: u32,
    /// By how many parts per million the media clock is fast.
    pub skew_ppm: i64,
}

impl Source {
    pub fn new(ssrc: u32, payload_type: u8, clock_rate: u32) -> Self {
        // Near their wraps, so that each test crosses them.
        Self {
            ssrc,
            payload_type,
            clock_rate,
            sequence_number: 65_500,
            base: u32::MAX - 100_000,
            skew_ppm: 0,
        }
    }

    pub fn opus() -> Self {
        Self::new(0xA0D10, 111, 48_000)
    }

    pub fn vp8() -> Self {
        Self::new(0x51DE0, 96, 90_000)
    }

    /// The timestamp of media captured at this media time.
    pub fn timestamp(&self, at: Duration) -> u32 {
        let ticks = i128::try_from(at.as_nanos()).unwrap() * i128::from(self.clock_rate);
        let ticks = ticks * (1_000_000 + i128::from(self.skew_ppm)) / 1_000_000;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "timestamps wrap")]
        let ticks = ((ticks + 500_000_000) / 1_000_000_000) as u32;
        self.base.wrapping_add(ticks)
    }

    /// The packets of a frame captured at `at`.
    pub fn frame(&mut self, at: Duration, payloads: Vec<Vec<u8>>) -> Vec<RtpPacket> {
        let timestamp = self.timestamp(at);
        let last = payloads.len().saturating_sub(1);
        let packets = payloads.into_iter().enumerate();
        packets.map(|(index, payload)| self.packet(timestamp, index == last, payload)).collect()
    }

    pub fn packet(&mut self, timestamp: u32, marker: bool, payload: Vec<u8>) -> RtpPacket {
        let sequence_number = self.sequence_number;
        self.sequence_number = sequence_number.wrapping_add(1);
        RtpPacket {
            ssrc: Ssrc(self.ssrc),
            payload_type: PayloadType(self.payload_type),
            sequence_number,
            timestamp: RtpTimestamp(timestamp),
            marker,
            rotation: None,
            resent: false,
            payload: Bytes::from(payload),
        }
    }
}
