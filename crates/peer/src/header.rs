//! The RTP header (RFC 3550 §5.1) and its extensions (RFC 8285), parsed without a copy.

use rtp::{PayloadType, RtpTimestamp, Ssrc};

/// The identifiers that a section assigned to the extensions that we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ExtensionIds {
    pub(crate) mid: Option<u8>,
    pub(crate) rid: Option<u8>,
    pub(crate) repaired_rid: Option<u8>,
    pub(crate) orientation: Option<u8>,
    pub(crate) transport_cc: Option<u8>,
}

/// The header of a packet. SRTP does not encrypt it, so it is the same before and after decryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header<'a> {
    pub(crate) payload_type: PayloadType,
    pub(crate) marker: bool,
    pub(crate) padding: bool,
    pub(crate) sequence_number: u16,
    pub(crate) timestamp: RtpTimestamp,
    pub(crate) ssrc: Ssrc,
    /// Bytes, contributing sources and extensions included; at least 12, a multiple of 4.
    pub(crate) length: usize,
    profile: u16,
    extensions: &'a [u8],
}

const ONE_BYTE_PROFILE: u16 = 0xbede;
const TWO_BYTE_PROFILE: u16 = 0x1000;

impl<'a> Header<'a> {
    /// None if the bytes are not an RTP header.
    pub(crate) fn parse(packet: &'a [u8]) -> Option<Self> {
        let (fixed, rest) = packet.split_first_chunk::<12>()?;
        if fixed[0] >> 6 != 2 {
            return None;
        }
        let mut length = 12 + 4 * usize::from(fixed[0] & 0x0f);
        let (mut profile, mut extensions) = (0, &[][..]);
        if fixed[0] & 0x10 != 0 {
            let (head, tail) = rest.get(length - 12..)?.split_first_chunk::<4>()?;
            profile = u16::from_be_bytes([head[0], head[1]]);
            extensions = tail.get(..4 * usize::from(u16::from_be_bytes([head[2], head[3]])))?;
            length += 4 + extensions.len();
        }
        (packet.len() >= length).then_some(Self {
            payload_type: PayloadType(fixed[1] & 0x7f),
            marker: fixed[1] & 0x80 != 0,
            padding: fixed[0] & 0x20 != 0,
            sequence_number: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: RtpTimestamp(u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]])),
            ssrc: Ssrc(u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]])),
            length,
            profile,
            extensions,
        })
    }

    /// The extension elements, in order: (identifier, bytes).
    pub(crate) fn extensions(&self) -> Extensions<'a> {
        let two_byte = self.profile & 0xfff0 == TWO_BYTE_PROFILE;
        let known = two_byte || self.profile == ONE_BYTE_PROFILE;
        Extensions { rest: if known { self.extensions } else { &[] }, two_byte }
    }

    pub(crate) fn extension(&self, id: Option<u8>) -> Option<&'a [u8]> {
        let id = id?;
        self.extensions().find(|element| element.0 == id).map(|element| element.1)
    }
}

/// Iterates over extension elements, up to the first that is longer than the rest.
#[derive(Debug, Clone)]
pub(crate) struct Extensions<'a> {
    rest: &'a [u8],
    two_byte: bool,
}

impl<'a> Iterator for Extensions<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (&first, rest) = self.rest.split_first()?;
            if first == 0 {
                self.rest = rest;
                continue;
            }
            let (id, length, rest) = if self.two_byte {
                let (&length, rest) = rest.split_first()?;
                (first, usize::from(length), rest)
            } else {
                // RFC 8285 §4.2: 15 is reserved and ends the elements.
                if first >> 4 == 15 {
                    return None;
                }
                (first >> 4, usize::from(first & 0x0f) + 1, rest)
            };
            let (value, rest) = rest.split_at_checked(length)?;
            self.rest = rest;
            return Some((id, value));
        }
    }
}

/// The payload's length without its padding (RFC 3550 §5.1). None if the padding count is impossible.
pub(crate) fn unpadded_length(payload: &[u8], padding: bool) -> Option<usize> {
    if !padding {
        return Some(payload.len());
    }
    let count = usize::from(*payload.last()?);
    if count == 0 { None } else { payload.len().checked_sub(count) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(first: u8, rest: &[u8]) -> Vec<u8> {
        let mut packet = vec![first, 0xe0, 0x12, 0x34, 0, 0, 0, 9, 0, 0, 0, 7];
        packet.extend_from_slice(rest);
        packet
    }

    #[test]
    fn one_byte_and_two_byte_elements_are_read_and_the_padding_between_them_is_skipped() {
        let one = packet(0x90, &[0xbe, 0xde, 0, 2, 0x12, 1, 2, 3, 0, 0x30, 9, 0, 0xaa]);
        let header = Header::parse(&one).unwrap();
        assert_eq!((header.payload_type, header.marker, header.length), (PayloadType(96), true, 24));
        assert_eq!(header.extensions().collect::<Vec<_>>(), [(1, &[1, 2, 3][..]), (3, &[9][..])]);
        let two = packet(0x90, &[0x10, 0, 0, 2, 1, 0, 0, 2, 3, 7, 8, 9]);
        let header = Header::parse(&two).unwrap();
        assert_eq!(header.extensions().collect::<Vec<_>>(), [(1, &[][..]), (2, &[7, 8, 9][..])]);
        assert_eq!(header.extension(Some(2)), Some(&[7, 8, 9][..]));
        assert_eq!(header.extension(None), None);
    }

    #[test]
    fn an_element_that_does_not_fit_ends_the_list() {
        let bytes = packet(0x90, &[0xbe, 0xde, 0, 1, 0x10, 5, 0x2f, 1]);
        assert_eq!(Header::parse(&bytes).unwrap().extensions().collect::<Vec<_>>(), [(1, &[5][..])]);
    }

    #[test]
    fn a_header_longer_than_the_packet_is_refused() {
        assert_eq!(Header::parse(&packet(0x81, &[])), None);
        assert_eq!(Header::parse(&packet(0x90, &[0xbe, 0xde, 0, 1])), None);
        assert_eq!(Header::parse(&packet(0x90, &[0xbe, 0xde])), None);
        assert_eq!(Header::parse(&packet(0x40, &[])), None);
        assert_eq!(Header::parse(&[0x80; 11]), None);
    }

    #[test]
    fn padding_is_removed_and_an_impossible_count_refused() {
        assert_eq!(unpadded_length(&[1, 2, 3], false), Some(3));
        assert_eq!(unpadded_length(&[1, 0, 2], true), Some(1));
        assert_eq!(unpadded_length(&[0, 2], true), Some(0));
        assert_eq!(unpadded_length(&[1, 0], true), None);
        assert_eq!(unpadded_length(&[1, 3], true), None);
        assert_eq!(unpadded_length(&[], true), None);
    }
}
