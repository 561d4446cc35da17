//! AV1 (AV1 RTP payload specification 1.0).

use super::{DepacketizeError, Picture, Piece, bits::Bits};

const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;
const FRAME_HEADER: u8 = 3;
const FRAME: u8 = 6;
const HAS_EXTENSION: u8 = 0x04;
const HAS_SIZE: u8 = 0x02;
/// Bytes reserved for the size of an OBU in fragments: enough for [`super::MAX_PICTURE`].
const SIZE_ROOM: usize = 4;

/// The state of the open temporal unit.
#[derive(Debug, Clone, Default)]
pub(crate) struct Av1 {
    /// Offset of the size of an OBU whose last fragment has not been received.
    open: Option<usize>,
}

impl Av1 {
    /// Appends a packet's OBUs (§4.4), each with its size, as Matroska stores them. Temporal delimiters are left out.
    pub(super) fn push(&mut self, payload: &[u8], unit: &mut Vec<u8>) -> Result<Piece, DepacketizeError> {
        let (&header, mut rest) = payload.split_first().ok_or(DepacketizeError::Truncated)?;
        let (continues, continued) = (header & 0x80 != 0, header & 0x40 != 0);
        let count = header >> 4 & 0x03;
        if continues != self.open.is_some() {
            return Err(if continues { DepacketizeError::Orphan } else { DepacketizeError::Invalid });
        }
        let mut index = 0;
        while !rest.is_empty() {
            index += 1;
            let element = if count == index {
                std::mem::take(&mut rest)
            } else {
                let length = leb128(&mut rest)?;
                let (element, tail) = rest.split_at_checked(length).ok_or(DepacketizeError::Truncated)?;
                rest = tail;
                element
            };
            self.element(element, rest.is_empty() && continued, unit)?;
        }
        if index == 0 || (count != 0 && index != count) {
            return Err(DepacketizeError::Truncated);
        }
        // The N bit: a new coded video sequence begins. Otherwise the beginning follows from the packet before.
        let first = if continues { Some(false) } else { (header & 0x08 != 0).then_some(true) };
        Ok(Piece { first, picture: None })
    }

    pub(super) fn finish(&mut self, unit: &[u8]) -> Result<Option<Picture>, DepacketizeError> {
        if self.open.take().is_some() {
            return Err(DepacketizeError::Truncated);
        }
        let mut sequence = None;
        for obu in obus(unit) {
            let (kind, data) = obu?;
            match kind {
                SEQUENCE_HEADER => sequence = Some(SequenceHeader::parse(data)?),
                FRAME | FRAME_HEADER => {
                    let Some(sequence) = sequence else { return Ok(Some(Picture::default())) };
                    // show_existing_frame, then frame_type: zero is a key frame (AV1 §5.9.2).
                    let keyframe = sequence.reduced || Bits::new(data).read(3)? == 0;
                    return Ok(Some(Picture { keyframe, size: Some(sequence.size) }));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    pub(super) fn abandon(&mut self) {
        self.open = None;
    }

    fn element(
        &mut self,
        element: &[u8],
        continued: bool,
        unit: &mut Vec<u8>,
    ) -> Result<(), DepacketizeError> {
        match self.open {
            Some(_) => unit.extend_from_slice(element),
            None => {
                let (&header, mut rest) = element.split_first().ok_or(DepacketizeError::Truncated)?;
                if header >> 3 & 0x0f == TEMPORAL_DELIMITER {
                    return if continued { Err(DepacketizeError::Invalid) } else { Ok(()) };
                }
                unit.push(header | HAS_SIZE);
                if header & HAS_EXTENSION != 0 {
                    unit.push(super::take(&mut rest)?);
                }
                // The size is written again, for the whole OBU.
                if header & HAS_SIZE != 0 {
                    leb128(&mut rest)?;
                }
                if !continued {
                    put_leb128(rest.len(), unit);
                    unit.extend_from_slice(rest);
                    return Ok(());
                }
                self.open = Some(unit.len());
                unit.extend([0; SIZE_ROOM]);
                unit.extend_from_slice(rest);
            }
        }
        if !continued && let Some(at) = self.open.take() {
            close(at, unit);
        }
        Ok(())
    }
}

/// Writes the size of an OBU from fragments into the reserved bytes, and removes those that it does not need.
fn close(at: usize, unit: &mut Vec<u8>) {
    let mut size = Vec::with_capacity(SIZE_ROOM);
    put_leb128(unit.len().saturating_sub(at + SIZE_ROOM), &mut size);
    unit.splice(at..at + SIZE_ROOM, size);
}

/// AV1 §4.10.5.
fn leb128(rest: &mut &[u8]) -> Result<usize, DepacketizeError> {
    let mut value = 0_u64;
    for index in 0..8 {
        let byte = super::take(rest)?;
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return usize::try_from(value).map_err(|_| DepacketizeError::Invalid);
        }
    }
    Err(DepacketizeError::Invalid)
}

fn put_leb128(mut value: usize, out: &mut Vec<u8>) {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Type and data of each OBU of a stored temporal unit.
fn obus(unit: &[u8]) -> impl Iterator<Item = Result<(u8, &[u8]), DepacketizeError>> {
    let mut rest = unit;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let parsed = obu(&mut rest);
        if parsed.is_err() {
            rest = &[];
        }
        Some(parsed)
    })
}

fn obu<'a>(rest: &mut &'a [u8]) -> Result<(u8, &'a [u8]), DepacketizeError> {
    let header = super::take(rest)?;
    if header & HAS_EXTENSION != 0 {
        super::take(rest)?;
    }
    let size = leb128(rest)?;
    let (data, tail) = rest.split_at_checked(size).ok_or(DepacketizeError::Truncated)?;
    *rest = tail;
    Ok((header >> 3 & 0x0f, data))
}

/// The `AV1CodecConfigurationRecord` of a keyframe's sequence header.
pub(crate) fn codec_configuration(keyframe: &[u8]) -> Option<Vec<u8>> {
    let data = obus(keyframe).find_map(|obu| obu.ok().filter(|(kind, _)| *kind == SEQUENCE_HEADER))?.1;
    let header = SequenceHeader::parse(data).ok()?;
    let mut out = vec![0x81, header.profile << 5 | header.level, header.color, 0];
    out.push(SEQUENCE_HEADER << 3 | HAS_SIZE);
    put_leb128(data.len(), &mut out);
    out.extend_from_slice(data);
    Some(out)
}

/// Fields of a sequence header OBU (AV1 §5.5).
#[derive(Debug, Clone, Copy)]
struct SequenceHeader {
    profile: u8,
    level: u8,
    /// The short form for still pictures: all frames are key frames.
    reduced: bool,
    size: (u32, u32),
    /// Tier, depth, subsampling: the third byte of the configuration record.
    color: u8,
}

impl SequenceHeader {
    fn parse(data: &[u8]) -> Result<Self, DepacketizeError> {
        let mut bits = Bits::new(data);
        let profile = bits.read(3)?;
        bits.skip(1)?;
        let reduced = bits.bit()?;
        let (level, tier) = if reduced { (bits.read(5)?, false) } else { operating_points(&mut bits)? };
        let (width_bits, height_bits) = (bits.read(4)? + 1, bits.read(4)? + 1);
        let size = (bits.read(width_bits)? + 1, bits.read(height_bits)? + 1);
        skip_tools(&mut bits, reduced)?;
        let color = u8::from(tier) << 7 | color_config(&mut bits, profile)?;
        let byte = |value: u32| u8::try_from(value).unwrap_or(0);
        Ok(Self { profile: byte(profile), level: byte(level), reduced, size, color })
    }
}

/// Returns level and tier of the first operating point.
fn operating_points(bits: &mut Bits<'_>) -> Result<(u32, bool), DepacketizeError> {
    let mut delay_length = None;
    if bits.bit()? {
        bits.skip(64)?;
        if bits.bit()? {
            bits.exp_golomb()?;
        }
        if bits.bit()? {
            delay_length = Some(bits.read(5)? as usize + 1);
            bits.skip(42)?;
        }
    }
    let display_delay = bits.bit()?;
    let mut first = None;
    for _ in 0..=bits.read(5)? {
        bits.skip(12)?;
        let level = bits.read(5)?;
        let tier = level > 7 && bits.bit()?;
        if let Some(length) = delay_length
            && bits.bit()?
        {
            bits.skip(2 * length + 1)?;
        }
        if display_delay && bits.bit()? {
            bits.skip(4)?;
        }
        first.get_or_insert((level, tier));
    }
    first.ok_or(DepacketizeError::Invalid)
}

/// From `frame_id_numbers_present_flag` up to the color configuration.
fn skip_tools(bits: &mut Bits<'_>, reduced: bool) -> Result<(), DepacketizeError> {
    if !reduced && bits.bit()? {
        bits.skip(7)?;
    }
    bits.skip(3)?;
    if !reduced {
        bits.skip(4)?;
        let order_hint = bits.bit()?;
        bits.skip(if order_hint { 2 } else { 0 })?;
        let screen_content = bits.bit()? || bits.bit()?;
        if screen_content && !bits.bit()? {
            bits.skip(1)?;
        }
        bits.skip(if order_hint { 3 } else { 0 })?;
    }
    bits.skip(3)
}

/// The color configuration (AV1 §5.5.2), as a byte of the configuration record.
fn color_config(bits: &mut Bits<'_>, profile: u32) -> Result<u8, DepacketizeError> {
    let high = bits.bit()?;
    let twelve = profile == 2 && high && bits.bit()?;
    let mono = profile != 1 && bits.bit()?;
    let description = if bits.bit()? { bits.read(24)? } else { 0x02_0202 };
    let (x, y) = if mono {
        bits.skip(1)?;
        (true, true)
    } else if description == 0x01_0d00 {
        (false, false)
    } else {
        bits.skip(1)?;
        match profile {
            0 => (true, true),
            1 => (false, false),
            _ if twelve => {
                let x = bits.bit()?;
                (x, x && bits.bit()?)
            }
            _ => (true, false),
        }
    };
    let position = if !mono && x && y { bits.read(2)? } else { 0 };
    let flag = |set: bool, shift: u8| u8::from(set) << shift;
    let position = u8::try_from(position).unwrap_or(0);
    Ok(flag(high, 6) | flag(twelve, 5) | flag(mono, 4) | flag(x, 3) | flag(y, 2) | position)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push_all(payloads: &[&[u8]]) -> Result<Vec<u8>, DepacketizeError> {
        let (mut av1, mut unit) = (Av1::default(), Vec::new());
        for payload in payloads {
            av1.push(payload, &mut unit)?;
        }
        Ok(unit)
    }

    #[test]
    fn elements_with_and_without_lengths_are_stored_with_sizes() {
        // A temporal delimiter, an OBU with a length, and a last one without.
        assert_eq!(
            push_all(&[&[0x30, 1, 0x10, 2, 0x30, 7, 0x30, 8, 9]]).unwrap(),
            [0x32, 1, 7, 0x32, 2, 8, 9]
        );
        // W = 0: all have lengths. An OBU with a size of its own is stored with one size.
        assert_eq!(push_all(&[&[0x00, 3, 0x32, 1, 7, 1, 0x30]]).unwrap(), [0x32, 1, 7, 0x32, 0]);
        // With an extension byte.
        assert_eq!(push_all(&[&[0x10, 0x34, 0x48, 7]]).unwrap(), [0x36, 0x48, 1, 7]);
    }

    #[test]
    fn fragments_become_one_obu() {
        let unit = push_all(&[&[0x50, 0x30, 1, 2], &[0xd0, 3], &[0xa0, 1, 4, 0x30, 5]]).unwrap();
        assert_eq!(unit, [0x32, 4, 1, 2, 3, 4, 0x32, 1, 5]);
        let big = [vec![0x50, 0x30], vec![1; 200]].concat();
        let unit = push_all(&[&big, &[0x90, 2]]).unwrap();
        assert_eq!((unit.len(), &unit[..4]), (204, &[0x32, 0xc9, 0x01, 1][..]));
    }

    #[test]
    fn malformed_payloads_are_refused() {
        for (payloads, error) in [
            (&[&[][..]][..], DepacketizeError::Truncated),
            (&[&[0x10]], DepacketizeError::Truncated),
            (&[&[0x20, 5, 1]], DepacketizeError::Truncated),
            (&[&[0x20, 2, 0x30, 1]], DepacketizeError::Truncated),
            (&[&[0x90, 1]], DepacketizeError::Orphan),
            (&[&[0x50, 0x30, 1], &[0x10, 0x30]], DepacketizeError::Invalid),
            (&[&[0x00, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80]], DepacketizeError::Invalid),
            (&[&[0x00, 0]], DepacketizeError::Truncated),
        ] {
            assert_eq!(push_all(payloads), Err(error), "{payloads:02x?}");
        }
    }

    #[test]
    fn only_the_first_packet_of_a_sequence_states_that_it_is_first() {
        let first = |payload: &[u8]| Av1::default().push(payload, &mut Vec::new()).unwrap().first;
        assert_eq!(first(&[0x18, 0x30]), Some(true));
        assert_eq!(first(&[0x10, 0x30]), None);
    }

    #[test]
    fn a_unit_without_an_end_is_refused() {
        let (mut av1, mut unit) = (Av1::default(), Vec::new());
        av1.push(&[0x50, 0x30, 1], &mut unit).unwrap();
        assert_eq!(av1.finish(&unit), Err(DepacketizeError::Truncated));
        assert_eq!(Av1::default().finish(&[0x32, 9]), Err(DepacketizeError::Truncated));
        assert_eq!(Av1::default().finish(&[]), Ok(None));
    }
}
