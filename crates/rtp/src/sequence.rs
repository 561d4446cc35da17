//! Sequence numbers that do not wrap.

use std::fmt;

/// A packet's position in the sequence of its source, extended past 65,535 (RFC 3550 §A.1). Positions of one source
/// compare with `<`; positions of two sources have nothing to do with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeqNo(pub u64);

impl SeqNo {
    /// The position of a source's first packet. One cycle of numbers lies below it, for packets that it overtook.
    #[must_use]
    pub fn first(sequence_number: u16) -> Self {
        Self(0x1_0000 | u64::from(sequence_number))
    }

    /// The position that is closest to this one and has these low 16 bits.
    ///
    /// ```
    /// use rtp::SeqNo;
    ///
    /// let newest = SeqNo::first(65_534);
    /// assert_eq!(newest.nearest(1), SeqNo(newest.0 + 3));
    /// assert_eq!(newest.nearest(65_530), SeqNo(newest.0 - 4));
    /// ```
    #[must_use]
    pub fn nearest(self, sequence_number: u16) -> Self {
        let step = sequence_number.wrapping_sub(self.low_bits()).cast_signed();
        Self(self.0.saturating_add_signed(i64::from(step)))
    }

    /// The sequence number as it is in the RTP header.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the header has the low 16 bits")]
    pub fn low_bits(self) -> u16 {
        self.0 as u16
    }
}

impl fmt::Display for SeqNo {
    /// As it is in the RTP header, so that the packet can be found in a capture.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.low_bits().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::SeqNo;

    #[test]
    fn the_nearest_position_is_found_across_the_wrap_in_both_directions() {
        let base = SeqNo::first(65_534);
        for (number, offset) in [(65_535, 1), (0, 2), (65_533, -1), (32_765, 32_767), (32_766, -32_768)] {
            assert_eq!(base.nearest(number).0.cast_signed() - base.0.cast_signed(), offset, "{number}");
            assert_eq!(base.nearest(number).low_bits(), number);
        }
    }

    #[test]
    fn half_a_cycle_lies_below_the_first_packet() {
        assert_eq!(SeqNo::first(0).0 - SeqNo::first(0).nearest(32_768).0, 32_768);
    }
}
