//! RTP payloads to coded pictures: one file for each payload format.

pub(crate) mod audio;
pub(crate) mod av1;
mod bits;
pub(crate) mod h264;
pub(crate) mod h265;
mod nal;
pub(crate) mod opus;
pub(crate) mod red;
mod vp8;
mod vp9;

use crate::{Codec, PayloadFormat};

/// A payload that breaks the rules of its format. The sender is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DepacketizeError {
    /// The payload ends in a header, or before a length that it states.
    #[error("the payload is too short")]
    Truncated,
    /// A header's fields contradict each other or the specification.
    #[error("the payload's header is not valid")]
    Invalid,
    /// A fragment without its beginning.
    #[error("a fragment has no beginning")]
    Orphan,
    /// The picture exceeds [`MAX_PICTURE`].
    #[error("the picture is too large")]
    TooLarge,
}

/// The largest coded picture in bytes: about twice an 8K keyframe of the highest quality.
pub(crate) const MAX_PICTURE: usize = 8 << 20;

/// The part of a picture that a packet contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Piece {
    /// Whether the picture begins with this packet. None if the payload format does not state it.
    pub first: Option<bool>,
    /// The picture id. The sender counts them one by one.
    pub picture: Option<PictureId>,
}

/// A picture id of VP8 or VP9, which wraps after 7 or 15 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PictureId {
    pub number: u16,
    pub wide: bool,
}

impl PictureId {
    /// Seven bits, or fifteen if the first bit is set (RFC 7741 §4.2, RFC 9628 §4.2).
    fn parse(rest: &mut &[u8]) -> Result<Self, DepacketizeError> {
        let high = take(rest)?;
        if high & 0x80 == 0 {
            return Ok(Self { number: u16::from(high), wide: false });
        }
        let low = take(rest)?;
        Ok(Self { number: u16::from(high & 0x7f) << 8 | u16::from(low), wide: true })
    }

    /// Whether no picture is between `before` and this one.
    pub(crate) fn follows(self, before: Self) -> bool {
        let mask = if self.wide { 0x7fff } else { 0x7f };
        self.wide == before.wide && self.number == before.number.wrapping_add(1) & mask
    }
}

/// Properties of a complete picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Picture {
    /// It decodes without any other picture.
    pub keyframe: bool,
    /// Width and height in pixels, if the picture states them. A keyframe always does.
    pub size: Option<(u32, u32)>,
}

/// The payload format of a video stream.
#[derive(Debug, Clone)]
pub(crate) enum Depacketizer {
    Vp8,
    Vp9(vp9::Vp9),
    Av1(av1::Av1),
    H264(h264::H264),
    H265(h265::H265),
}

impl Depacketizer {
    /// The depacketizer of a video format. None for audio, where each packet is a frame.
    pub(crate) fn new(format: &PayloadFormat) -> Option<Self> {
        match format.encoding.codec()? {
            Codec::Vp8 => Some(Self::Vp8),
            Codec::Vp9 => Some(Self::Vp9(vp9::Vp9::default())),
            Codec::Av1 => Some(Self::Av1(av1::Av1::default())),
            Codec::H264 => Some(Self::H264(h264::H264::new(&format.fmtp))),
            Codec::H265 => Some(Self::H265(h265::H265::new(&format.fmtp))),
            Codec::Opus | Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::Pcm => None,
        }
    }

    /// Appends a packet's part to its picture. After an error the picture is unusable.
    pub(crate) fn push(&mut self, payload: &[u8], picture: &mut Vec<u8>) -> Result<Piece, DepacketizeError> {
        if picture.len() + payload.len() > MAX_PICTURE {
            return Err(DepacketizeError::TooLarge);
        }
        match self {
            Self::Vp8 => vp8::push(payload, picture),
            Self::Vp9(vp9) => vp9.push(payload, picture),
            Self::Av1(av1) => av1.push(payload, picture),
            Self::H264(h264) => h264.push(payload, picture),
            Self::H265(h265) => h265.push(payload, picture),
        }
    }

    /// Ends a picture: its bytes become those of a block. None if it holds only parameter sets or the like.
    pub(crate) fn finish(&mut self, picture: &mut Vec<u8>) -> Result<Option<Picture>, DepacketizeError> {
        match self {
            Self::Vp8 => vp8::finish(picture).map(Some),
            Self::Vp9(vp9) => vp9.finish(picture).map(Some),
            Self::Av1(av1) => av1.finish(picture),
            Self::H264(h264) => h264.finish(picture),
            Self::H265(h265) => h265.finish(picture),
        }
    }

    /// Discards the state of the open picture.
    pub(crate) fn abandon(&mut self) {
        match self {
            Self::Vp8 => {}
            Self::Vp9(vp9) => vp9.abandon(),
            Self::Av1(av1) => av1.abandon(),
            Self::H264(h264) => h264.abandon(),
            Self::H265(h265) => h265.abandon(),
        }
    }
}

fn take(rest: &mut &[u8]) -> Result<u8, DepacketizeError> {
    let (&first, tail) = rest.split_first().ok_or(DepacketizeError::Truncated)?;
    *rest = tail;
    Ok(first)
}
