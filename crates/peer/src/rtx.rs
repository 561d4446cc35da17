//! Retransmission payloads (RFC 4588 §4).

/// Splits an RTX payload into the original sequence number and the original payload. None for a packet that only probes
/// the bandwidth: padding, or a bare sequence number.
pub(crate) fn unwrap(payload: &[u8]) -> Option<(u16, &[u8])> {
    let (original, payload) = payload.split_first_chunk::<2>()?;
    (!payload.is_empty()).then_some((u16::from_be_bytes(*original), payload))
}

/// Bytes in front of the original payload.
pub(crate) const ORIGINAL_SEQUENCE_LENGTH: usize = 2;

#[cfg(test)]
mod tests {
    use super::unwrap;

    #[test]
    fn the_original_sequence_number_is_first_and_probes_have_no_payload() {
        assert_eq!(unwrap(&[0x12, 0x34, 7, 8]), Some((0x1234, &[7, 8][..])));
        assert_eq!(unwrap(&[0x12, 0x34]), None);
        assert_eq!(unwrap(&[0x12]), None);
        assert_eq!(unwrap(&[]), None);
    }
}
