//! Payload formats as they are negotiated.

use crate::{Codec, MediaKind, PayloadType};

/// What an RTP payload carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Frames of a codec.
    Codec(Codec),
    /// Redundant audio (RFC 2198). Its blocks name the payload types of the track's other formats.
    Red,
}

/// RED repeats Opus. RFC 2198 §2 gives it the clock of what it repeats.
const RED_CLOCK_RATE: u32 = 48_000;

/// A format parameter (`a=fmtp`) that decides whether a payload can be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FmtpRule {
    /// Its name, which is compared without regard to case.
    pub parameter: &'static str,
    /// The value that its specification gives it where the offer leaves it out.
    pub default: &'static str,
    /// The values that can be recorded, best first.
    pub accepted: &'static [&'static str],
}

impl Encoding {
    /// The encoding of that name in `a=rtpmap`, without regard to case. None if it can't be recorded.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|encoding| encoding.name().eq_ignore_ascii_case(name))
    }

    /// All that RTP can carry.
    pub fn all() -> impl Iterator<Item = Self> {
        Codec::all().filter(|codec| *codec != Codec::Pcm).map(Self::Codec).chain([Self::Red])
    }

    /// The codec of the frames; none for RED, which wraps others.
    #[must_use]
    pub fn codec(self) -> Option<Codec> {
        match self {
            Self::Codec(codec) => Some(codec),
            Self::Red => None,
        }
    }

    /// The encoding name of `a=rtpmap`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.codec().map_or("red", Codec::name)
    }

    /// Audio or video.
    #[must_use]
    pub fn kind(self) -> MediaKind {
        self.codec().map_or(MediaKind::Audio, Codec::kind)
    }

    /// RTP ticks a second; none for PCM.
    #[must_use]
    pub fn clock_rate(self) -> Option<u32> {
        self.codec().map_or(Some(RED_CLOCK_RATE), Codec::clock_rate)
    }

    /// The format parameters that decide whether a payload can be recorded.
    #[must_use]
    pub fn fmtp_rules(self) -> &'static [FmtpRule] {
        self.codec().map_or(&[], Codec::fmtp)
    }
}

impl From<Codec> for Encoding {
    fn from(codec: Codec) -> Self {
        Self::Codec(codec)
    }
}

/// A payload type of a track (`a=rtpmap` and `a=fmtp`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadFormat {
    /// The payload type.
    pub payload_type: PayloadType,
    /// What it carries.
    pub encoding: Encoding,
    /// RTP ticks a second.
    pub clock_rate: u32,
    /// Audio channels as the rtpmap states them, 1 where it states none; zero for video.
    pub channels: u8,
    /// The format parameters as sent; empty where there are none.
    pub fmtp: String,
}

/// The value of a parameter in `name=value; name=value`, names without regard to case.
#[must_use]
pub fn fmtp_parameter<'a>(fmtp: &'a str, name: &str) -> Option<&'a str> {
    fmtp.split(';').find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::{Encoding, fmtp_parameter};

    #[test]
    fn names_are_found_without_regard_to_case() {
        for encoding in Encoding::all() {
            assert_eq!(Encoding::from_name(encoding.name()), Some(encoding));
            assert_eq!(Encoding::from_name(&encoding.name().to_lowercase()), Some(encoding));
        }
        assert_eq!(Encoding::from_name("telephone-event"), None);
    }

    #[test]
    fn pcm_has_no_name_in_rtp() {
        assert_eq!(Encoding::from_name("PCM"), None);
    }

    #[test]
    fn a_parameter_is_found_among_others() {
        let fmtp = "level-asymmetry-allowed=1; Packetization-Mode = 1;profile-level-id=42e01f";
        assert_eq!(fmtp_parameter(fmtp, "packetization-mode"), Some("1"));
        assert_eq!(fmtp_parameter(fmtp, "profile"), None);
    }
}
