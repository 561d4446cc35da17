//! H.264 (RFC 6184), packetization modes 0 and 1. Browsers use no other.

use super::{DepacketizeError, Picture, Piece, bits::Bits, nal};

const SLICE: u8 = 1;
const IDR: u8 = 5;
const SEI: u8 = 6;
const SPS: u8 = 7;
const PPS: u8 = 8;
const DELIMITER: u8 = 9;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// The state of the open access unit, and the newest parameter sets.
#[derive(Debug, Clone, Default)]
pub(crate) struct H264 {
    fragment: nal::Fragment,
    sps: Vec<u8>,
    pps: Vec<u8>,
}

impl H264 {
    /// Reads parameter sets from `sprop-parameter-sets` (§8.1), for senders that do not send them in band.
    pub(super) fn new(fmtp: &str) -> Self {
        let mut h264 = Self::default();
        for set in nal::parameter(fmtp, "sprop-parameter-sets").into_iter().flat_map(|sets| sets.split(',')) {
            h264.remember(&nal::base64(set).unwrap_or_default());
        }
        h264
    }

    pub(super) fn push(&mut self, payload: &[u8], unit: &mut Vec<u8>) -> Result<Piece, DepacketizeError> {
        let (&first, rest) = payload.split_first().ok_or(DepacketizeError::Truncated)?;
        match first & 0x1f {
            1..=23 => {
                self.whole()?;
                nal::put(payload, unit);
                Ok(piece(payload))
            }
            STAP_A => {
                self.whole()?;
                let mut first_unit = None;
                nal::aggregated(rest, |each| {
                    first_unit.get_or_insert_with(|| piece(each));
                    nal::put(each, unit);
                })?;
                first_unit.ok_or(DepacketizeError::Truncated)
            }
            FU_A => {
                let (&fu, data) = rest.split_first().ok_or(DepacketizeError::Truncated)?;
                let (begins, ends) = (fu & 0x80 != 0, fu & 0x40 != 0);
                if data.is_empty() || (begins && ends) {
                    return Err(DepacketizeError::Invalid);
                }
                let header = first & 0xe0 | fu & 0x1f;
                self.fragment.push((begins, ends), &[header], data, unit)?;
                Ok(if begins {
                    piece(&[header, data[0]])
                } else {
                    Piece { first: Some(false), picture: None }
                })
            }
            _ => Err(DepacketizeError::Invalid),
        }
    }

    pub(super) fn finish(&mut self, unit: &mut Vec<u8>) -> Result<Option<Picture>, DepacketizeError> {
        self.whole()?;
        let (mut coded, mut idr, mut has_sps, mut has_pps) = (false, false, false, false);
        for each in nal::units(unit) {
            let kind = each.first().map_or(0, |first| first & 0x1f);
            coded |= (SLICE..=IDR).contains(&kind);
            idr |= kind == IDR;
            has_sps |= kind == SPS;
            has_pps |= kind == PPS;
            if kind == SPS || kind == PPS {
                self.remember(each);
            }
        }
        if !coded {
            return Ok(None);
        }
        if !idr || self.sps.is_empty() || self.pps.is_empty() {
            return Ok(Some(Picture::default()));
        }
        // Each keyframe gets its parameter sets, so that players can seek to it.
        if !has_sps || !has_pps {
            let mut sets = Vec::new();
            nal::put(&self.sps, &mut sets);
            nal::put(&self.pps, &mut sets);
            unit.splice(0..0, sets);
        }
        Ok(Some(Picture { keyframe: true, size: Some(Sps::parse(&self.sps)?.size) }))
    }

    pub(super) fn abandon(&mut self) {
        self.fragment.abandon();
    }

    fn whole(&self) -> Result<(), DepacketizeError> {
        if self.fragment.is_open() { Err(DepacketizeError::Invalid) } else { Ok(()) }
    }

    fn remember(&mut self, unit: &[u8]) {
        match unit.first().map(|first| first & 0x1f) {
            Some(SPS) => unit.clone_into(&mut self.sps),
            Some(PPS) => unit.clone_into(&mut self.pps),
            _ => {}
        }
    }
}

/// Whether an access unit begins with this NAL unit: one of the types that precede slices, or the first slice
/// (`first_mb_in_slice` is zero, coded as a set bit).
fn piece(unit: &[u8]) -> Piece {
    let first = match unit.first().map_or(0, |first| first & 0x1f) {
        SEI | SPS | PPS | DELIMITER => Some(true),
        SLICE..=IDR => unit.get(1).map(|slice| slice & 0x80 != 0),
        _ => None,
    };
    Piece { first, picture: None }
}

/// Fields of a sequence parameter set (H.264 §7.3.2.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sps {
    size: (u32, u32),
    chroma_format: u32,
    luma_depth: u32,
    chroma_depth: u32,
}

impl Sps {
    fn parse(unit: &[u8]) -> Result<Self, DepacketizeError> {
        let bytes = nal::unescape(unit.get(1..).unwrap_or_default());
        let mut bits = Bits::new(&bytes);
        let profile = bits.read(8)?;
        bits.skip(16)?;
        bits.exp_golomb()?;
        let mut sps = Self { size: (0, 0), chroma_format: 1, luma_depth: 0, chroma_depth: 0 };
        let mut separate_planes = false;
        if has_chroma_format(profile) {
            sps.chroma_format = bits.exp_golomb()?;
            separate_planes = sps.chroma_format == 3 && bits.bit()?;
            (sps.luma_depth, sps.chroma_depth) = (bits.exp_golomb()?, bits.exp_golomb()?);
            bits.skip(1)?;
            if bits.bit()? {
                skip_scaling_lists(&mut bits, if sps.chroma_format == 3 { 12 } else { 8 })?;
            }
        }
        bits.exp_golomb()?;
        skip_picture_order(&mut bits)?;
        bits.exp_golomb()?;
        bits.skip(1)?;
        let (width, height) = (bits.exp_golomb()?, bits.exp_golomb()?);
        let frames_only = bits.bit()?;
        bits.skip(if frames_only { 1 } else { 2 })?;
        let mut crop = [0; 4];
        if bits.bit()? {
            for side in &mut crop {
                *side = bits.exp_golomb()?;
            }
        }
        let fields = if frames_only { 1 } else { 2 };
        let (unit_x, unit_y) = match sps.chroma_format {
            _ if separate_planes => (1, 1),
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        let side = |blocks: u32, scale: u32, crop: [u32; 2], unit: u32| {
            let cut = crop[0].checked_add(crop[1])?.checked_mul(unit)?;
            blocks.checked_add(1)?.checked_mul(16 * scale)?.checked_sub(cut).filter(|side| *side > 0)
        };
        let width = side(width, 1, [crop[0], crop[1]], unit_x);
        let height = side(height, fields, [crop[2], crop[3]], unit_y * fields);
        sps.size = width.zip(height).ok_or(DepacketizeError::Invalid)?;
        Ok(sps)
    }
}

/// Whether the parameter sets of a profile contain the chroma format.
fn has_chroma_format(profile: u32) -> bool {
    matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135)
}

fn skip_scaling_lists(bits: &mut Bits<'_>, lists: usize) -> Result<(), DepacketizeError> {
    for list in 0..lists {
        if !bits.bit()? {
            continue;
        }
        let (mut last, mut next) = (8_i64, 8_i64);
        for _ in 0..if list < 6 { 16 } else { 64 } {
            if next != 0 {
                next = (last + bits.signed_exp_golomb()?).rem_euclid(256);
            }
            last = if next == 0 { last } else { next };
        }
    }
    Ok(())
}

fn skip_picture_order(bits: &mut Bits<'_>) -> Result<(), DepacketizeError> {
    match bits.exp_golomb()? {
        0 => {
            bits.exp_golomb()?;
        }
        1 => {
            bits.skip(1)?;
            bits.exp_golomb()?;
            bits.exp_golomb()?;
            let cycle = bits.exp_golomb()?;
            if cycle > 255 {
                return Err(DepacketizeError::Invalid);
            }
            for _ in 0..cycle {
                bits.exp_golomb()?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// The `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §5.3.3.1) of a keyframe's parameter sets.
pub(crate) fn decoder_configuration(keyframe: &[u8]) -> Option<Vec<u8>> {
    let of_kind =
        |kind| nal::units(keyframe).find(|unit| unit.first().map_or(0, |first| first & 0x1f) == kind);
    let (sps, pps) = (of_kind(SPS)?, of_kind(PPS)?);
    let &[_, profile, compatibility, level, ..] = sps else { return None };
    let mut out = vec![1, profile, compatibility, level, 0xff, 0xe1];
    out.extend(u16::try_from(sps.len()).ok()?.to_be_bytes());
    out.extend_from_slice(sps);
    out.push(1);
    out.extend(u16::try_from(pps.len()).ok()?.to_be_bytes());
    out.extend_from_slice(pps);
    if has_chroma_format(u32::from(profile)) {
        let parsed = Sps::parse(sps).ok()?;
        let low = |value: u32, mask: u8| u8::try_from(value).unwrap_or(0) & mask;
        let depths = [0xf8 | low(parsed.luma_depth, 7), 0xf8 | low(parsed.chroma_depth, 7), 0];
        out.push(0xfc | low(parsed.chroma_format, 3));
        out.extend(depths);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chrome's constrained baseline at 640 × 480, level 3.1.
    const SPS_640: &[u8] =
        &[0x67, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40, 0x50, 0x1e, 0x90, 0x0f, 0x08, 0x84, 0x6a];
    const PPS_640: &[u8] = &[0x68, 0xce, 0x3c, 0x80];

    #[test]
    fn single_units_aggregates_and_fragments_are_stored_with_lengths() {
        let mut h264 = H264::default();
        let mut unit = Vec::new();
        let stap = [&[24, 0, 14][..], SPS_640, &[0, 4], PPS_640].concat();
        assert_eq!(h264.push(&stap, &mut unit).unwrap().first, Some(true));
        assert_eq!(h264.push(&[0x7c, 0x85, 0x88, 1], &mut unit).unwrap().first, Some(true));
        assert_eq!(h264.push(&[0x7c, 0x05, 2], &mut unit).unwrap().first, Some(false));
        assert_eq!(h264.push(&[0x7c, 0x45, 3], &mut unit).unwrap().first, Some(false));
        let expected =
            [&[0, 0, 0, 14][..], SPS_640, &[0, 0, 0, 4], PPS_640, &[0, 0, 0, 5, 0x65, 0x88, 1, 2, 3]];
        assert_eq!(unit, expected.concat());
        let picture = h264.finish(&mut unit).unwrap().unwrap();
        assert_eq!(picture, Picture { keyframe: true, size: Some((640, 480)) });
        let private = decoder_configuration(&unit).unwrap();
        assert_eq!(private[..8], [1, 0x42, 0xc0, 0x1f, 0xff, 0xe1, 0, 14]);
    }

    #[test]
    fn a_keyframe_without_parameter_sets_gets_those_of_the_offer() {
        let fmtp = "packetization-mode=1; sprop-parameter-sets=Z0LAH4yNQFAekA8IhGo=,aM48gA==";
        let mut h264 = H264::new(fmtp);
        let mut unit = Vec::new();
        h264.push(&[0x65, 0x88, 1], &mut unit).unwrap();
        assert!(h264.finish(&mut unit).unwrap().unwrap().keyframe);
        assert_eq!(nal::units(&unit).map(|unit| unit[0] & 0x1f).collect::<Vec<_>>(), [7, 8, 5]);
    }

    #[test]
    fn parameter_sets_alone_are_no_picture_and_apply_to_the_next_one() {
        let mut h264 = H264::default();
        let mut unit = Vec::new();
        h264.push(SPS_640, &mut unit).unwrap();
        h264.push(PPS_640, &mut unit).unwrap();
        assert_eq!(h264.finish(&mut unit).unwrap(), None);
        unit.clear();
        h264.push(&[0x65, 0x88, 1], &mut unit).unwrap();
        assert!(h264.finish(&mut unit).unwrap().unwrap().keyframe);
    }

    #[test]
    fn malformed_payloads_are_refused() {
        for (payload, error) in [
            (&[][..], DepacketizeError::Truncated),
            (&[24], DepacketizeError::Truncated),
            (&[24, 0, 5, 1], DepacketizeError::Truncated),
            (&[24, 0, 0], DepacketizeError::Invalid),
            (&[0x7c], DepacketizeError::Truncated),
            (&[0x7c, 0x85], DepacketizeError::Invalid),
            (&[0x7c, 0xc5, 1], DepacketizeError::Invalid),
            (&[0x7c, 0x05, 1], DepacketizeError::Orphan),
            (&[29, 1, 2], DepacketizeError::Invalid),
            (&[0], DepacketizeError::Invalid),
        ] {
            assert_eq!(H264::default().push(payload, &mut Vec::new()), Err(error), "{payload:02x?}");
        }
    }

    #[test]
    fn a_parameter_set_cut_anywhere_is_refused() {
        for length in 0..9 {
            assert!(Sps::parse(&SPS_640[..length]).is_err(), "{length}");
        }
    }
}
