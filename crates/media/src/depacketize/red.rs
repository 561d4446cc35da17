//! Redundant audio (RFC 2198).

use std::ops::Range;

use super::DepacketizeError;
use crate::PayloadType;

/// The most blocks of a packet. Browsers send up to nine.
const MAX_BLOCKS: usize = 32;

/// A block: one audio packet of a redundant one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RedBlock {
    pub payload_type: PayloadType,
    /// How many ticks its timestamp is before the packet's. Zero for the primary block.
    pub offset: u32,
    /// Its range in the payload.
    pub data: Range<usize>,
}

/// The blocks of a payload (§3), oldest first. The last one is the primary block.
pub(crate) fn blocks(payload: &[u8]) -> Result<Vec<RedBlock>, DepacketizeError> {
    let mut headers = Vec::new();
    let mut rest = payload;
    loop {
        let (&first, _) = rest.split_first().ok_or(DepacketizeError::Truncated)?;
        let payload_type = PayloadType(first & 0x7f);
        if first & 0x80 == 0 {
            headers.push((payload_type, 0, None));
            rest = &rest[1..];
            break;
        }
        let (header, tail) = rest.split_first_chunk::<4>().ok_or(DepacketizeError::Truncated)?;
        let fields = u32::from_be_bytes(*header);
        headers.push((payload_type, fields >> 10 & 0x3fff, Some((fields & 0x3ff) as usize)));
        rest = tail;
        if headers.len() == MAX_BLOCKS {
            return Err(DepacketizeError::Invalid);
        }
    }
    let mut start = payload.len() - rest.len();
    let mut blocks = Vec::with_capacity(headers.len());
    for (payload_type, offset, length) in headers {
        let end = length.map_or(payload.len(), |length| start + length);
        if end > payload.len() {
            return Err(DepacketizeError::Truncated);
        }
        blocks.push(RedBlock { payload_type, offset, data: start..end });
        start = end;
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_in_order_with_the_primary_one_last() {
        // Payload type 111 from 960 ticks ago with two bytes, then the present one.
        let payload = [0x80 | 111, 0x0f, 0x00, 0x02, 111, 1, 2, 3];
        let found = blocks(&payload).unwrap();
        assert_eq!(
            found,
            [
                RedBlock { payload_type: PayloadType(111), offset: 960, data: 5..7 },
                RedBlock { payload_type: PayloadType(111), offset: 0, data: 7..8 },
            ]
        );
        assert_eq!(blocks(&[111, 9]).unwrap()[0].data, 1..2);
    }

    #[test]
    fn malformed_payloads_are_refused() {
        for payload in [&[][..], &[0xef], &[0xef, 0, 0], &[0xef, 0, 0, 1], &[0xef, 0, 0, 2, 111, 1]] {
            assert_eq!(blocks(payload), Err(DepacketizeError::Truncated), "{payload:02x?}");
        }
        assert_eq!(blocks(&[0x80; 200]), Err(DepacketizeError::Invalid));
    }
}
