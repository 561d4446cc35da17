//! Identifiers of sources, formats, tracks and layers.

use std::fmt;

/// Synchronization source: the number of an RTP source (RFC 3550 §3). Chosen at random by the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ssrc(pub u32);

impl fmt::Display for Ssrc {
    /// As Wireshark shows it: `0x0000cafe`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

/// The number in an RTP header that names the payload's format, 0 to 127 (RFC 3550 §5.1). Its meaning is negotiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayloadType(pub u8);

impl fmt::Display for PayloadType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A track of a session, numbered by the part that feeds the session. A number is never used for two tracks of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId(pub u32);

impl fmt::Display for TrackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A simulcast layer of a track (RFC 8853): its index in the offer's `a=simulcast:send` list. 0 without simulcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LayerId(pub u8);

impl fmt::Display for LayerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Audio or video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// Audio.
    Audio,
    /// Video.
    Video,
}

#[cfg(test)]
mod tests {
    use super::Ssrc;

    #[test]
    fn an_ssrc_is_shown_as_wireshark_shows_it() {
        assert_eq!(Ssrc(0xcafe).to_string(), "0x0000cafe");
    }
}
