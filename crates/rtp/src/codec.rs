//! The table of codecs: a new codec begins with a row here.

use std::fmt;

use crate::{FmtpRule, MediaKind};

/// A codec that can be recorded.
///
/// ```
/// use rtp::{Codec, Container, Encoding, MediaKind};
///
/// let codec = Encoding::from_name("opus").and_then(Encoding::codec);
/// assert_eq!(codec, Some(Codec::Opus));
/// assert_eq!(Codec::Opus.kind(), MediaKind::Audio);
/// assert_eq!(Codec::Opus.clock_rate(), Some(48_000));
/// assert_eq!(Codec::Opus.matroska_id(), "A_OPUS");
/// assert_eq!(Codec::Opus.container(), Container::Webm);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// VP8: RFC 7741.
    Vp8,
    /// VP9: RFC 9628.
    Vp9,
    /// AV1: the AV1 RTP payload specification, version 1.0.
    Av1,
    /// H.264: RFC 6184.
    H264,
    /// H.265: RFC 7798.
    H265,
    /// Opus: RFC 7587.
    Opus,
    /// G.711 µ-law: RFC 3551 §4.5.14.
    Pcmu,
    /// G.711 A-law: RFC 3551 §4.5.14.
    Pcma,
    /// G.722: RFC 3551 §4.5.2.
    G722,
    /// Signed 16-bit little-endian samples. Pushed audio only: RTP's L16 is big-endian.
    Pcm,
}

/// A file's DocType. A file is WebM as long as WebM allows the codecs of all its tracks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Container {
    /// VP8, VP9, AV1 and Opus only.
    Webm,
    /// Any codec.
    Matroska,
}

struct Row {
    codec: Codec,
    name: &'static str,
    kind: MediaKind,
    clock_rate: Option<u32>,
    matroska_id: &'static str,
    wave_format_tag: Option<u16>,
    container: Container,
    fmtp: &'static [FmtpRule],
}

/// In the order of [`Codec`].
const TABLE: [Row; 10] = [
    Row {
        codec: Codec::Vp8,
        name: "VP8",
        kind: MediaKind::Video,
        clock_rate: Some(90_000),
        matroska_id: "V_VP8",
        wave_format_tag: None,
        container: Container::Webm,
        fmtp: &[],
    },
    Row {
        codec: Codec::Vp9,
        name: "VP9",
        kind: MediaKind::Video,
        clock_rate: Some(90_000),
        matroska_id: "V_VP9",
        wave_format_tag: None,
        container: Container::Webm,
        // RFC 9628 §6.1. Players decode profile 0 everywhere, the others not.
        fmtp: &[FmtpRule { parameter: "profile-id", default: "0", accepted: &["0"] }],
    },
    Row {
        codec: Codec::Av1,
        name: "AV1",
        kind: MediaKind::Video,
        clock_rate: Some(90_000),
        matroska_id: "V_AV1",
        wave_format_tag: None,
        container: Container::Webm,
        // AV1 RTP payload specification §7.2.
        fmtp: &[FmtpRule { parameter: "profile", default: "0", accepted: &["0"] }],
    },
    Row {
        codec: Codec::H264,
        name: "H264",
        kind: MediaKind::Video,
        clock_rate: Some(90_000),
        matroska_id: "V_MPEG4/ISO/AVC",
        wave_format_tag: None,
        container: Container::Matroska,
        // RFC 6184 §8.1. Mode 1, with aggregation and fragmentation, is preferred.
        fmtp: &[FmtpRule { parameter: "packetization-mode", default: "0", accepted: &["1", "0"] }],
    },
    Row {
        codec: Codec::H265,
        name: "H265",
        kind: MediaKind::Video,
        clock_rate: Some(90_000),
        matroska_id: "V_MPEGH/ISO/HEVC",
        wave_format_tag: None,
        container: Container::Matroska,
        fmtp: &[],
    },
    Row {
        codec: Codec::Opus,
        name: "opus",
        kind: MediaKind::Audio,
        clock_rate: Some(48_000),
        matroska_id: "A_OPUS",
        wave_format_tag: None,
        container: Container::Webm,
        fmtp: &[],
    },
    Row {
        codec: Codec::Pcmu,
        name: "PCMU",
        kind: MediaKind::Audio,
        clock_rate: Some(8_000),
        matroska_id: "A_MS/ACM",
        wave_format_tag: Some(0x0007),
        container: Container::Matroska,
        fmtp: &[],
    },
    Row {
        codec: Codec::Pcma,
        name: "PCMA",
        kind: MediaKind::Audio,
        clock_rate: Some(8_000),
        matroska_id: "A_MS/ACM",
        wave_format_tag: Some(0x0006),
        container: Container::Matroska,
        fmtp: &[],
    },
    Row {
        codec: Codec::G722,
        name: "G722",
        kind: MediaKind::Audio,
        // Sampled at 16 kHz; RFC 3551 §4.5.2 retains the rate of an earlier error.
        clock_rate: Some(8_000),
        matroska_id: "A_MS/ACM",
        wave_format_tag: Some(0x028f),
        container: Container::Matroska,
        fmtp: &[],
    },
    Row {
        codec: Codec::Pcm,
        name: "PCM",
        kind: MediaKind::Audio,
        clock_rate: None,
        matroska_id: "A_PCM/INT/LIT",
        wave_format_tag: None,
        container: Container::Matroska,
        fmtp: &[],
    },
];

impl Codec {
    /// All codecs.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.codec)
    }

    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// The encoding name of `a=rtpmap`, which is compared without regard to case.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Audio or video.
    #[must_use]
    pub fn kind(self) -> MediaKind {
        self.row().kind
    }

    /// RTP ticks a second; none for PCM, whose format states its rate.
    #[must_use]
    pub fn clock_rate(self) -> Option<u32> {
        self.row().clock_rate
    }

    /// The Matroska CodecID.
    #[must_use]
    pub fn matroska_id(self) -> &'static str {
        self.row().matroska_id
    }

    /// The `wFormatTag` of WAVEFORMATEX, the CodecPrivate of `A_MS/ACM`; none for other CodecIDs.
    #[must_use]
    pub fn wave_format_tag(self) -> Option<u16> {
        self.row().wave_format_tag
    }

    /// The most restricted container that allows it.
    #[must_use]
    pub fn container(self) -> Container {
        self.row().container
    }

    pub(crate) fn fmtp(self) -> &'static [FmtpRule] {
        self.row().fmtp
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::{Codec, Container, TABLE};

    #[test]
    fn every_codec_has_the_row_of_its_own_position() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.codec as usize, index, "{}", row.name);
        }
    }

    #[test]
    fn a_codec_id_and_a_format_tag_name_one_codec() {
        for codec in Codec::all() {
            let same = Codec::all().filter(|other| {
                (other.matroska_id(), other.wave_format_tag())
                    == (codec.matroska_id(), codec.wave_format_tag())
            });
            assert_eq!(same.count(), 1, "{codec}");
            assert_eq!(codec.wave_format_tag().is_some(), codec.matroska_id() == "A_MS/ACM", "{codec}");
        }
    }

    #[test]
    fn webm_allows_only_its_four_codecs() {
        let webm: Vec<_> = Codec::all().filter(|codec| codec.container() == Container::Webm).collect();
        assert_eq!(webm, [Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::Opus]);
    }
}
