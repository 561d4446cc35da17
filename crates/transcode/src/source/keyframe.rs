//! The size of video, read from the headers of keyframes.

use ffmpeg_next::{self as ff, codec::Id};

use crate::libav::ffi;

/// Reads the keyframes of a track.
pub(super) struct Keyframes {
    codec: Id,
    /// For codecs whose headers can be in the container.
    parser: Option<ffi::Parser>,
}

impl Keyframes {
    pub(super) fn of(codec: Id, parameters: &ff::codec::Parameters) -> Self {
        let parsed = matches!(codec, Id::H264 | Id::HEVC | Id::AV1);
        Self { codec, parser: parsed.then(|| ffi::Parser::open(parameters)).flatten() }
    }

    /// Width and height in pixels that the keyframe declares.
    pub(super) fn size(&mut self, keyframe: &ff::Packet) -> Option<(u32, u32)> {
        match self.codec {
            Id::VP8 => vp8(keyframe.data()?),
            Id::VP9 => vp9(keyframe.data()?),
            _ => self.parser.as_mut()?.size(keyframe),
        }
    }
}

/// RFC 6386 §9.1: three bytes of frame tag, the start code, then two times 14 bits of size and 2 bits of scale.
fn vp8(data: &[u8]) -> Option<(u32, u32)> {
    let head: &[u8; 10] = data.first_chunk()?;
    if head[0] & 1 != 0 || head[3..6] != [0x9d, 0x01, 0x2a] {
        return None;
    }
    let side = |low: u8, high: u8| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    Some((side(head[6], head[7]), side(head[8], head[9])))
}

/// VP9 bitstream specification §6.2: uncompressed header of a keyframe, profiles 0 and 2.
fn vp9(data: &[u8]) -> Option<(u32, u32)> {
    let mut bits = Bits { data, at: 0 };
    if bits.take(2)? != 2 {
        return None;
    }
    let profile = bits.take(1)? | bits.take(1)? << 1;
    if profile % 2 == 1 {
        return None;
    }
    // show_existing_frame, frame_type, show_frame, error_resilient_mode, then the sync code.
    let existing_or_inter = bits.take(2)? != 0;
    bits.take(2)?;
    if existing_or_inter || bits.take(24)? != 0x49_83_42 {
        return None;
    }
    if profile == 2 {
        bits.take(1)?;
    }
    let rgb = bits.take(3)? == 7;
    if rgb {
        return None;
    }
    bits.take(1)?;
    Some((bits.take(16)? + 1, bits.take(16)? + 1))
}

struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.data.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }
}
