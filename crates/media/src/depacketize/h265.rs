//! H.265 (RFC 7798), without decoding order numbers. Browsers do not use them.

use super::{DepacketizeError, Picture, Piece, bits::Bits, nal};

/// Slices of pictures that decode without earlier ones: BLA, IDR, CRA (H.265 table 7-1).
const IRAP: std::ops::RangeInclusive<u8> = 16..=21;
const VPS: u8 = 32;
const SPS: u8 = 33;
const PPS: u8 = 34;
const AGGREGATION: u8 = 48;
const FRAGMENTATION: u8 = 49;

/// The state of the open access unit, and the newest parameter sets: VPS, SPS, PPS.
#[derive(Debug, Clone, Default)]
pub(crate) struct H265 {
    fragment: nal::Fragment,
    sets: [Vec<u8>; 3],
}

fn kind(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |first| first >> 1 & 0x3f)
}

impl H265 {
    /// Reads parameter sets from `sprop-vps`, `sprop-sps` and `sprop-pps` (§7.1).
    pub(super) fn new(fmtp: &str) -> Self {
        let mut h265 = Self::default();
        for name in ["sprop-vps", "sprop-sps", "sprop-pps"] {
            let first = nal::parameter(fmtp, name).and_then(|sets| sets.split(',').next());
            h265.remember(&first.and_then(nal::base64).unwrap_or_default());
        }
        h265
    }

    pub(super) fn push(&mut self, payload: &[u8], unit: &mut Vec<u8>) -> Result<Piece, DepacketizeError> {
        let (header, rest) = payload.split_first_chunk::<2>().ok_or(DepacketizeError::Truncated)?;
        if rest.is_empty() {
            return Err(DepacketizeError::Truncated);
        }
        match kind(payload) {
            0..AGGREGATION => {
                self.whole()?;
                nal::put(payload, unit);
                Ok(piece(payload))
            }
            AGGREGATION => {
                self.whole()?;
                let mut first_unit = None;
                nal::aggregated(rest, |each| {
                    first_unit.get_or_insert_with(|| piece(each));
                    nal::put(each, unit);
                })?;
                first_unit.ok_or(DepacketizeError::Truncated)
            }
            FRAGMENTATION => {
                let (&fu, data) = rest.split_first().ok_or(DepacketizeError::Truncated)?;
                let (begins, ends) = (fu & 0x80 != 0, fu & 0x40 != 0);
                let Some(&slice) = data.first() else { return Err(DepacketizeError::Truncated) };
                if begins && ends {
                    return Err(DepacketizeError::Invalid);
                }
                let header = [header[0] & 0x81 | (fu & 0x3f) << 1, header[1]];
                self.fragment.push((begins, ends), &header, data, unit)?;
                let piece_of = piece(&[header[0], header[1], slice]);
                Ok(if begins { piece_of } else { Piece { first: Some(false), picture: None } })
            }
            _ => Err(DepacketizeError::Invalid),
        }
    }

    pub(super) fn finish(&mut self, unit: &mut Vec<u8>) -> Result<Option<Picture>, DepacketizeError> {
        self.whole()?;
        let (mut coded, mut key, mut present) = (false, false, [false; 3]);
        for each in nal::units(unit) {
            let kind = kind(each);
            coded |= kind < VPS;
            key |= IRAP.contains(&kind);
            if let Some(seen) = present.get_mut(usize::from(kind).wrapping_sub(usize::from(VPS))) {
                *seen = true;
                self.remember(each);
            }
        }
        if !coded {
            return Ok(None);
        }
        if !key || self.sets.iter().any(Vec::is_empty) {
            return Ok(Some(Picture::default()));
        }
        if present.contains(&false) {
            let mut sets = Vec::new();
            self.sets.iter().for_each(|set| nal::put(set, &mut sets));
            unit.splice(0..0, sets);
        }
        Ok(Some(Picture { keyframe: true, size: Some(Sps::parse(&self.sets[1])?.size) }))
    }

    pub(super) fn abandon(&mut self) {
        self.fragment.abandon();
    }

    fn whole(&self) -> Result<(), DepacketizeError> {
        if self.fragment.is_open() { Err(DepacketizeError::Invalid) } else { Ok(()) }
    }

    fn remember(&mut self, unit: &[u8]) {
        if let Some(set) = self.sets.get_mut(usize::from(kind(unit)).wrapping_sub(usize::from(VPS))) {
            unit.clone_into(set);
        }
    }
}

/// Whether an access unit begins with this NAL unit: one of the types that precede slices, or the first slice
/// (`first_slice_segment_in_pic_flag`).
fn piece(unit: &[u8]) -> Piece {
    let first = match kind(unit) {
        0..VPS => unit.get(2).map(|slice| slice & 0x80 != 0),
        VPS..=35 | 39 => Some(true),
        _ => None,
    };
    Piece { first, picture: None }
}

/// Fields of a sequence parameter set (H.265 §7.3.2.2.1).
#[derive(Debug, Clone)]
struct Sps {
    /// Profile, tier, compatibility, constraints and level, copied from the set.
    general: [u8; 12],
    layers: u8,
    nested: bool,
    chroma_format: u32,
    luma_depth: u32,
    chroma_depth: u32,
    size: (u32, u32),
}

impl Sps {
    fn parse(unit: &[u8]) -> Result<Self, DepacketizeError> {
        let bytes = nal::unescape(unit.get(2..).unwrap_or_default());
        let (first, rest) = bytes.split_first().ok_or(DepacketizeError::Truncated)?;
        let general = *rest.first_chunk::<12>().ok_or(DepacketizeError::Truncated)?;
        let sub_layers = first >> 1 & 0x07;
        let mut bits = Bits::new(&rest[12..]);
        skip_sub_layers(&mut bits, sub_layers)?;
        bits.exp_golomb()?;
        let chroma_format = bits.exp_golomb()?;
        if chroma_format == 3 {
            bits.skip(1)?;
        }
        let (mut width, mut height) = (bits.exp_golomb()?, bits.exp_golomb()?);
        if bits.bit()? {
            let unit_x = if matches!(chroma_format, 1 | 2) { 2 } else { 1 };
            let unit_y = if chroma_format == 1 { 2 } else { 1 };
            let mut cut = |unit: u32| {
                let (before, after) = (bits.exp_golomb()?, bits.exp_golomb()?);
                let sum = before.checked_add(after).and_then(|sum| sum.checked_mul(unit));
                sum.ok_or(DepacketizeError::Invalid)
            };
            width = width.saturating_sub(cut(unit_x)?);
            height = height.saturating_sub(cut(unit_y)?);
        }
        if width == 0 || height == 0 {
            return Err(DepacketizeError::Invalid);
        }
        let (luma_depth, chroma_depth) = (bits.exp_golomb()?, bits.exp_golomb()?);
        Ok(Self {
            general,
            layers: sub_layers + 1,
            nested: first & 1 == 1,
            chroma_format,
            luma_depth,
            chroma_depth,
            size: (width, height),
        })
    }
}

fn skip_sub_layers(bits: &mut Bits<'_>, count: u8) -> Result<(), DepacketizeError> {
    if count == 0 {
        return Ok(());
    }
    let mut present = [(false, false); 8];
    for flags in &mut present {
        *flags = (bits.bit()?, bits.bit()?);
    }
    for (profile, level) in present.into_iter().take(usize::from(count)) {
        bits.skip(if profile { 88 } else { 0 } + if level { 8 } else { 0 })?;
    }
    Ok(())
}

/// The `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §8.3.3.1) of a keyframe's parameter sets.
pub(crate) fn decoder_configuration(keyframe: &[u8]) -> Option<Vec<u8>> {
    let of_kind = |set| nal::units(keyframe).find(|unit| kind(unit) == set);
    let sets = [of_kind(VPS)?, of_kind(SPS)?, of_kind(PPS)?];
    let sps = Sps::parse(sets[1]).ok()?;
    let low = |value: u32, mask: u8| u8::try_from(value).unwrap_or(0) & mask;
    let mut out = vec![1];
    out.extend(sps.general);
    out.extend([0xf0, 0, 0xfc, 0xfc | low(sps.chroma_format, 3)]);
    out.extend([0xf8 | low(sps.luma_depth, 7), 0xf8 | low(sps.chroma_depth, 7), 0, 0]);
    out.push((sps.layers & 7) << 3 | u8::from(sps.nested) << 2 | 3);
    out.push(3);
    for set in sets {
        out.push(kind(set));
        out.extend([0, 1]);
        out.extend(u16::try_from(set.len()).ok()?.to_be_bytes());
        out.extend_from_slice(set);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_units_aggregates_and_fragments_are_stored_with_lengths() {
        let mut h265 = H265::default();
        let mut unit = Vec::new();
        assert_eq!(
            h265.push(&[0x60, 1, 0, 3, 0x40, 1, 7, 0, 3, 0x42, 1, 8], &mut unit).unwrap().first,
            Some(true)
        );
        assert_eq!(h265.push(&[0x44, 1, 9], &mut unit).unwrap().first, Some(true));
        assert_eq!(h265.push(&[0x62, 1, 0x93, 0x80], &mut unit).unwrap().first, Some(true));
        assert_eq!(h265.push(&[0x62, 1, 0x53, 5], &mut unit).unwrap().first, Some(false));
        let expected = [
            &[0, 0, 0, 3, 0x40, 1, 7, 0, 0, 0, 3, 0x42, 1, 8][..],
            &[0, 0, 0, 3, 0x44, 1, 9, 0, 0, 0, 4, 0x26, 1, 0x80, 5],
        ];
        assert_eq!(unit, expected.concat());
        // A sequence parameter set of one byte is too short.
        assert_eq!(h265.finish(&mut unit), Err(DepacketizeError::Truncated));
    }

    #[test]
    fn malformed_payloads_are_refused() {
        for (payload, error) in [
            (&[][..], DepacketizeError::Truncated),
            (&[0x40, 1], DepacketizeError::Truncated),
            (&[0x60, 1, 0, 5, 1], DepacketizeError::Truncated),
            (&[0x60, 1, 0], DepacketizeError::Truncated),
            (&[0x62, 1, 0x93], DepacketizeError::Truncated),
            (&[0x62, 1, 0xd3, 1], DepacketizeError::Invalid),
            (&[0x62, 1, 0x13, 1], DepacketizeError::Orphan),
            (&[0x64, 1, 1], DepacketizeError::Invalid),
        ] {
            assert_eq!(H265::default().push(payload, &mut Vec::new()), Err(error), "{payload:02x?}");
        }
    }
}
