//! VP9 (RFC 9628).

use super::{DepacketizeError, Picture, PictureId, Piece, bits::Bits, take};

/// The most frames of a superframe (VP9 bitstream, annex B.3).
const MAX_LAYERS: usize = 8;

/// The spatial layers of the open picture.
#[derive(Debug, Clone, Default)]
pub(crate) struct Vp9 {
    /// Offset of the present layer in the picture.
    layer_start: usize,
    layer_sizes: Vec<usize>,
    /// Size of the highest layer in the scalability structure, in pixels.
    size: Option<(u32, u32)>,
}

impl Vp9 {
    pub(super) fn push(&mut self, payload: &[u8], picture: &mut Vec<u8>) -> Result<Piece, DepacketizeError> {
        let (descriptor, data) = Descriptor::parse(payload)?;
        self.size = descriptor.size.or(self.size);
        if descriptor.begins_layer {
            self.layer_start = picture.len();
        }
        picture.extend_from_slice(data);
        if descriptor.ends_layer && self.layer_sizes.len() < MAX_LAYERS {
            self.layer_sizes.push(picture.len().saturating_sub(self.layer_start));
        }
        let begins = descriptor.begins_layer && descriptor.spatial == 0;
        Ok(Piece { first: Some(begins), picture: descriptor.picture })
    }

    pub(super) fn finish(&mut self, picture: &mut Vec<u8>) -> Result<Picture, DepacketizeError> {
        let mut found = uncompressed_header(picture)?;
        if found.keyframe {
            found.size = self.size.or(found.size);
        }
        if self.layer_sizes.len() > 1 {
            put_superframe_index(&self.layer_sizes, picture);
        }
        self.abandon();
        Ok(found)
    }

    pub(super) fn abandon(&mut self) {
        self.layer_sizes.clear();
        self.layer_start = 0;
        self.size = None;
    }
}

/// The payload descriptor (§4.2).
#[derive(Debug, Clone, Default)]
struct Descriptor {
    picture: Option<PictureId>,
    begins_layer: bool,
    ends_layer: bool,
    spatial: u8,
    size: Option<(u32, u32)>,
}

impl Descriptor {
    fn parse(payload: &[u8]) -> Result<(Self, &[u8]), DepacketizeError> {
        let mut rest = payload;
        let first = take(&mut rest)?;
        let has = |bit: u8| first & bit != 0;
        let (inter, flexible) = (has(0x40), has(0x10));
        let mut descriptor = Self { begins_layer: has(0x08), ends_layer: has(0x04), ..Self::default() };
        if has(0x80) {
            descriptor.picture = Some(PictureId::parse(&mut rest)?);
        }
        if has(0x20) {
            descriptor.spatial = take(&mut rest)? >> 1 & 0x07;
            if !flexible {
                take(&mut rest)?;
            }
        }
        if flexible && inter {
            // At most three reference indices.
            for index in 0..3 {
                if take(&mut rest)? & 1 == 0 {
                    break;
                }
                if index == 2 {
                    return Err(DepacketizeError::Invalid);
                }
            }
        }
        if has(0x02) {
            descriptor.size = scalability_structure(&mut rest)?;
        }
        if rest.is_empty() {
            return Err(DepacketizeError::Truncated);
        }
        Ok((descriptor, rest))
    }
}

/// Reads the scalability structure (§4.2.1). Returns the size of the highest layer.
fn scalability_structure(rest: &mut &[u8]) -> Result<Option<(u32, u32)>, DepacketizeError> {
    let flags = take(rest)?;
    let mut size = None;
    if flags & 0x10 != 0 {
        for _ in 0..=flags >> 5 {
            let (w, h) = ([take(rest)?, take(rest)?], [take(rest)?, take(rest)?]);
            size = Some((u32::from(u16::from_be_bytes(w)), u32::from(u16::from_be_bytes(h))));
        }
    }
    if flags & 0x08 != 0 {
        for _ in 0..take(rest)? {
            for _ in 0..take(rest)? >> 2 & 0x03 {
                take(rest)?;
            }
        }
    }
    Ok(size.filter(|(width, height)| *width > 0 && *height > 0))
}

/// Reads the uncompressed header (VP9 bitstream §6.2) up to the size.
fn uncompressed_header(frame: &[u8]) -> Result<Picture, DepacketizeError> {
    let mut bits = Bits::new(frame);
    if bits.read(2)? != 2 {
        return Err(DepacketizeError::Invalid);
    }
    let profile = bits.read(1)? | bits.read(1)? << 1;
    if profile == 3 {
        bits.skip(1)?;
    }
    let show_existing = bits.bit()?;
    if show_existing || bits.bit()? {
        return Ok(Picture::default());
    }
    bits.skip(2)?;
    if bits.read(24)? != 0x49_8342 {
        return Err(DepacketizeError::Invalid);
    }
    if profile >= 2 {
        bits.skip(1)?;
    }
    // Color space 7 is sRGB: no range bit, and in profiles 1 and 3 no subsampling bits.
    let srgb = bits.read(3)? == 7;
    let subsampling = if profile & 1 == 1 { if srgb { 1 } else { 3 } } else { 0 };
    bits.skip(usize::from(!srgb) + subsampling)?;
    let (width, height) = (bits.read(16)? + 1, bits.read(16)? + 1);
    Ok(Picture { keyframe: true, size: Some((width, height)) })
}

/// Appends the index of a superframe: the size of each layer's frame (VP9 bitstream, annex B.3).
fn put_superframe_index(sizes: &[usize], picture: &mut Vec<u8>) {
    let frames = u8::try_from(sizes.len() - 1).unwrap_or(0) & 0x07;
    let marker = 0b1100_0000 | 0b11 << 3 | frames;
    picture.push(marker);
    for size in sizes {
        picture.extend(u32::try_from(*size).unwrap_or(0).to_le_bytes());
    }
    picture.push(marker);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_of_each_form_are_removed() {
        for (payload, first, number) in [
            (&[0x0c, 7][..], true, None),
            (&[0x04, 7], false, None),
            // A picture id of 15 bits, layer indices, non-flexible mode: TL0PICIDX follows.
            (&[0xa8, 0x92, 0x34, 0x00, 0x05, 7], true, Some(0x1234)),
            // The same in spatial layer 1.
            (&[0xa8, 0x92, 0x34, 0x02, 0x05, 7], false, Some(0x1234)),
            // Flexible mode with two reference indices.
            (&[0xd8, 0x11, 0x03, 0x02, 7], true, Some(0x11)),
            // A scalability structure: one layer with its size, and one picture with two references.
            (&[0x0a, 0x18, 0x01, 0x40, 0x00, 0xb4, 0x01, 0x08, 1, 2, 7], true, None),
        ] {
            let mut picture = Vec::new();
            let piece = Vp9::default().push(payload, &mut picture).unwrap();
            assert_eq!(
                (piece.first, piece.picture.map(|id| id.number)),
                (Some(first), number),
                "{payload:02x?}"
            );
            assert_eq!(picture, [7], "{payload:02x?}");
        }
    }

    #[test]
    fn a_payload_without_data_is_refused() {
        let whole = [0xfa, 0x92, 0x34, 0x00, 0x03, 0x02, 0x38, 1, 2, 3, 4, 1, 2, 3, 4, 1, 0x08, 1, 2, 7];
        assert!(Vp9::default().push(&whole, &mut Vec::new()).is_ok());
        for length in 0..whole.len() {
            assert!(Vp9::default().push(&whole[..length], &mut Vec::new()).is_err(), "{length}");
        }
    }

    #[test]
    fn spatial_layers_are_stored_as_a_superframe() {
        let mut vp9 = Vp9::default();
        let mut picture = Vec::new();
        let key = [0x82, 0x49, 0x83, 0x42, 0x20, 0x13, 0xf0, 0x0b, 0x30, 0];
        vp9.push(&[&[0x0c][..], &key].concat(), &mut picture).unwrap();
        vp9.push(&[0x2c, 0x02, 0, 0xa2, 1, 2], &mut picture).unwrap();
        let found = vp9.finish(&mut picture).unwrap();
        assert_eq!(found, Picture { keyframe: true, size: Some((320, 180)) });
        assert_eq!(picture[13..], [0xd9, 10, 0, 0, 0, 3, 0, 0, 0, 0xd9]);
    }

    #[test]
    fn keyframes_are_distinguished_by_their_headers() {
        assert_eq!(uncompressed_header(&[0x86, 0]).unwrap(), Picture::default());
        assert_eq!(uncompressed_header(&[0x00]), Err(DepacketizeError::Invalid));
        assert_eq!(uncompressed_header(&[0x82, 0, 0, 0, 0]), Err(DepacketizeError::Invalid));
        assert_eq!(uncompressed_header(&[]), Err(DepacketizeError::Truncated));
    }
}
