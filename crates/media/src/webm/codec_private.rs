//! The CodecPrivate of each codec.

use bytes::BufMut;

use crate::{
    Codec,
    depacketize::{av1, h264, h265},
};

/// What a decoder needs before the first block. Empty for VP8, VP9 and PCM.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct CodecPrivate(pub Vec<u8>);

impl CodecPrivate {
    /// Made from the negotiated channels and the track's first frame, which is a keyframe if it is video.
    pub(crate) fn new(codec: Codec, channels: u8, first: &[u8]) -> Self {
        match codec {
            Codec::Av1 => Self(av1::codec_configuration(first).unwrap_or_default()),
            Codec::H264 => Self(h264::decoder_configuration(first).unwrap_or_default()),
            Codec::H265 => Self(h265::decoder_configuration(first).unwrap_or_default()),
            Codec::Opus => opus_head(channels),
            Codec::Pcmu | Codec::Pcma => wave_format(codec, channels, 8_000, 8_000, 8),
            Codec::G722 => wave_format(codec, channels, 16_000, 8_000, 4),
            Codec::Vp8 | Codec::Vp9 | Codec::Pcm => Self::default(),
        }
    }
}

/// OpusHead (RFC 7845 §5.1). The pre-skip is the look-ahead of libopus, which the sender's encoder added.
fn opus_head(channels: u8) -> CodecPrivate {
    let mut head = Vec::with_capacity(19);
    head.put_slice(b"OpusHead");
    head.put_u8(1);
    head.put_u8(channels);
    head.put_u16_le(312);
    head.put_u32_le(48_000);
    head.put_u16_le(0);
    head.put_u8(0);
    CodecPrivate(head)
}

/// WAVEFORMATEX.
fn wave_format(codec: Codec, channels: u8, rate: u32, bytes_per_second: u32, bits: u16) -> CodecPrivate {
    let mut format = Vec::with_capacity(18);
    format.put_u16_le(codec.wave_format_tag().unwrap_or_default());
    format.put_u16_le(u16::from(channels));
    format.put_u32_le(rate);
    format.put_u32_le(bytes_per_second * u32::from(channels));
    format.put_u16_le(u16::from(channels));
    format.put_u16_le(bits);
    format.put_u16_le(0);
    CodecPrivate(format)
}
