//! The two clocks of a sender: its media clock and its wall clock.

use std::fmt;

/// The timestamp of an RTP header: ticks of the format's clock from a random start, modulo 2³² (RFC 3550 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RtpTimestamp(pub u32);

impl RtpTimestamp {
    /// This many ticks earlier.
    #[must_use]
    pub fn minus_ticks(self, ticks: u32) -> Self {
        Self(self.0.wrapping_sub(ticks))
    }

    /// Ticks from `earlier` to here by the shorter way around: negative if `earlier` is in fact later.
    ///
    /// ```
    /// use rtp::RtpTimestamp;
    ///
    /// assert_eq!(RtpTimestamp(2).ticks_since(RtpTimestamp(u32::MAX)), 3);
    /// assert_eq!(RtpTimestamp(0).ticks_since(RtpTimestamp(90_000)), -90_000);
    /// ```
    #[must_use]
    pub fn ticks_since(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }
}

impl fmt::Display for RtpTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The wall clock of a sender report: seconds since 1900 in the upper half, fractions of 2⁻³² s in the lower
/// (RFC 3550 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// The middle 32 bits, by which a receiver report refers to a sender report (RFC 3550 §6.4.1, LSR).
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "only the middle 32 bits are used")]
    pub fn middle_bits(self) -> u32 {
        (self.0 >> 16) as u32
    }
}
