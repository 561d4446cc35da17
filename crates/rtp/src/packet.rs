//! Packets after decryption.

use bytes::Bytes;

use crate::{NtpTime, PayloadType, RtpTimestamp, Ssrc};

/// How the picture has to be rotated to stand upright, from the header extension CVO (3GPP TS 26.114 §7.4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rotation {
    /// Not at all.
    #[default]
    None,
    /// 90 degrees clockwise.
    Clockwise90,
    /// 180 degrees.
    UpsideDown,
    /// 270 degrees clockwise.
    Clockwise270,
}

impl Rotation {
    /// From the extension's byte. Its low two bits count quarter turns clockwise; the others say which camera it is and
    /// whether the picture is flipped.
    #[must_use]
    pub fn from_cvo(byte: u8) -> Self {
        match byte & 0b11 {
            0 => Self::None,
            1 => Self::Clockwise90,
            2 => Self::UpsideDown,
            _ => Self::Clockwise270,
        }
    }
}

/// One RTP packet, authenticated and decrypted. A resent packet has its original form (RFC 4588).
#[derive(Debug, Clone)]
pub struct RtpPacket {
    /// Its source; of a resent packet the source that sent it first.
    pub ssrc: Ssrc,
    /// Its payload type; of a resent packet the original one.
    pub payload_type: PayloadType,
    /// Its sequence number as in the header; of a resent packet the original one.
    pub sequence_number: u16,
    /// Its media timestamp, in ticks of the format's clock.
    pub timestamp: RtpTimestamp,
    /// The marker bit: the last packet of a picture, or the first of a talkspurt.
    pub marker: bool,
    /// The picture's rotation where the packet states it, which usually only the last packet of a keyframe does.
    pub rotation: Option<Rotation>,
    /// Whether the packet arrived by retransmission.
    pub resent: bool,
    /// The payload without padding. Empty for a packet of padding alone, whose sequence number is not a loss.
    pub payload: Bytes,
}

/// A sender report (RFC 3550 §6.4.1): one instant on the sender's wall clock and on the media clock of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderReport {
    /// The source that the report describes.
    pub ssrc: Ssrc,
    /// The instant on the sender's wall clock.
    pub ntp: NtpTime,
    /// The same instant on the source's media clock.
    pub rtp_timestamp: RtpTimestamp,
}

#[cfg(test)]
mod tests {
    use super::Rotation;

    #[test]
    fn rotation_counts_quarter_turns_clockwise_and_ignores_the_other_bits() {
        assert_eq!(Rotation::from_cvo(0), Rotation::None);
        assert_eq!(Rotation::from_cvo(1), Rotation::Clockwise90);
        assert_eq!(Rotation::from_cvo(2), Rotation::UpsideDown);
        assert_eq!(Rotation::from_cvo(0b1011), Rotation::Clockwise270);
    }
}
