//! NAL units of H.264 and H.265, each stored with its length in front (ISO/IEC 14496-15).

use super::DepacketizeError;

/// Bytes of a stored length.
const LENGTH: usize = 4;

/// Appends a whole NAL unit.
pub(super) fn put(unit: &[u8], picture: &mut Vec<u8>) {
    picture.extend(u32::try_from(unit.len()).unwrap_or(0).to_be_bytes());
    picture.extend_from_slice(unit);
}

/// A NAL unit that arrives in fragments.
#[derive(Debug, Clone, Default)]
pub(super) struct Fragment {
    /// Offset of its length in the picture, from its first fragment to its last.
    start: Option<usize>,
}

impl Fragment {
    /// Appends a fragment. `header` is the unit's header, which its first fragment writes.
    pub(super) fn push(
        &mut self,
        (begins, ends): (bool, bool),
        header: &[u8],
        data: &[u8],
        picture: &mut Vec<u8>,
    ) -> Result<(), DepacketizeError> {
        if begins {
            if self.start.is_some() {
                return Err(DepacketizeError::Invalid);
            }
            self.start = Some(picture.len());
            picture.extend([0; LENGTH]);
            picture.extend_from_slice(header);
        } else if self.start.is_none() {
            return Err(DepacketizeError::Orphan);
        }
        picture.extend_from_slice(data);
        if ends && let Some(start) = self.start.take() {
            let length = u32::try_from(picture.len().saturating_sub(start + LENGTH)).unwrap_or(0);
            match picture.get_mut(start..start + LENGTH) {
                Some(reserved) => reserved.copy_from_slice(&length.to_be_bytes()),
                None => debug_assert!(false, "the first fragment reserved the length"),
            }
        }
        Ok(())
    }

    pub(super) fn is_open(&self) -> bool {
        self.start.is_some()
    }

    pub(super) fn abandon(&mut self) {
        self.start = None;
    }
}

/// The NAL units of a picture.
pub(super) fn units(picture: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = picture;
    std::iter::from_fn(move || {
        let (length, tail) = rest.split_first_chunk::<LENGTH>()?;
        let (unit, tail) = tail.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        rest = tail;
        Some(unit)
    })
}

/// Calls `each` for the units of an aggregation packet. Each has its length in two bytes in front.
pub(super) fn aggregated(mut rest: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), DepacketizeError> {
    while !rest.is_empty() {
        let (length, tail) = rest.split_first_chunk::<2>().ok_or(DepacketizeError::Truncated)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (unit, tail) = tail.split_at_checked(length).ok_or(DepacketizeError::Truncated)?;
        if unit.is_empty() {
            return Err(DepacketizeError::Invalid);
        }
        each(unit);
        rest = tail;
    }
    Ok(())
}

/// Removes the emulation prevention bytes (H.264 §7.4.1).
pub(super) fn unescape(unit: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(unit.len());
    let mut zeros = 0;
    for &byte in unit {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

/// Decodes base64 of `sprop-` parameters (RFC 4648 §4). None if it is invalid.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
        }
    }
    Some(out)
}

/// The value of a format parameter (`a=fmtp`).
pub(super) fn parameter<'a>(fmtp: &'a str, name: &str) -> Option<&'a str> {
    let pairs = fmtp.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emulation_prevention_is_removed() {
        assert_eq!(unescape(&[0, 0, 3, 1, 0, 0, 3, 0, 0, 3]), [0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(unescape(&[0, 3, 0, 0, 4]), [0, 3, 0, 0, 4]);
    }

    #[test]
    fn base64_is_decoded_or_refused() {
        assert_eq!(base64("Z0IACpZTBYmI").unwrap(), [0x67, 0x42, 0, 0x0a, 0x96, 0x53, 5, 0x89, 0x88]);
        assert_eq!(base64("aMljiA==").unwrap(), [0x68, 0xc9, 0x63, 0x88]);
        assert_eq!(base64("a*"), None);
    }

    #[test]
    fn a_truncated_list_of_units_ends_before_the_incomplete_one() {
        let mut picture = Vec::new();
        put(&[1, 2], &mut picture);
        put(&[3], &mut picture);
        assert_eq!(units(&picture).collect::<Vec<_>>(), [&[1, 2][..], &[3]]);
        assert_eq!(units(&picture[..9]).count(), 1);
        assert_eq!(units(&[0xff; 6]).count(), 0);
    }
}
