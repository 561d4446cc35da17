//! The codecs that can be configured, as preferences of the peer.

use peer::{CodecPreference, MediaKind};

use crate::ConfigError;

struct Known {
    name: &'static str,
    kind: MediaKind,
    /// Hz. For G722 it is 8000, although it samples at 16 kHz (RFC 3551 §4.5.2).
    clock_rate: u32,
    /// Each is a preference of its own: format parameters that an offer must have.
    variants: &'static [&'static [(&'static str, &'static str)]],
}

const ANY: &[&[(&str, &str)]] = &[&[]];

/// VP9 and AV1: the profile that every player decodes. H264: both packetization modes, first the one with aggregation and
/// fragmentation.
const KNOWN: &[Known] = &[
    Known { name: "VP8", kind: MediaKind::Video, clock_rate: 90_000, variants: ANY },
    Known { name: "VP9", kind: MediaKind::Video, clock_rate: 90_000, variants: &[&[("profile-id", "0")]] },
    Known { name: "AV1", kind: MediaKind::Video, clock_rate: 90_000, variants: &[&[("profile", "0")]] },
    Known {
        name: "H264",
        kind: MediaKind::Video,
        clock_rate: 90_000,
        variants: &[&[("packetization-mode", "1")], &[("packetization-mode", "0")]],
    },
    Known { name: "H265", kind: MediaKind::Video, clock_rate: 90_000, variants: ANY },
    Known { name: "opus", kind: MediaKind::Audio, clock_rate: 48_000, variants: ANY },
    Known { name: "red", kind: MediaKind::Audio, clock_rate: 48_000, variants: ANY },
    Known { name: "G722", kind: MediaKind::Audio, clock_rate: 8_000, variants: ANY },
    Known { name: "PCMU", kind: MediaKind::Audio, clock_rate: 8_000, variants: ANY },
    Known { name: "PCMA", kind: MediaKind::Audio, clock_rate: 8_000, variants: ANY },
];

/// The configured encoding names as preferences, in their order.
pub(crate) fn preferences(names: &[String]) -> Result<Vec<CodecPreference>, ConfigError> {
    let refuse = |problem: String| ConfigError { key: "webrtc.codecs", problem };
    if names.is_empty() {
        return Err(refuse("no codec is named".to_owned()));
    }
    let mut preferences = Vec::with_capacity(names.len());
    for name in names {
        let known = KNOWN.iter().find(|known| known.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
            let names: Vec<_> = KNOWN.iter().map(|known| known.name).collect();
            refuse(format!("{name:?} is not one of {}", names.join(", ")))
        })?;
        preferences.extend(known.variants.iter().map(|fmtp| CodecPreference {
            kind: known.kind,
            encoding_name: known.name.to_owned(),
            clock_rate: known.clock_rate,
            required_fmtp: fmtp.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect(),
        }));
    }
    Ok(preferences)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WebrtcConfig;

    #[test]
    fn the_default_codecs_are_all_known_and_stay_in_order() {
        let preferences = preferences(&WebrtcConfig::default().codecs).unwrap();
        let mut names: Vec<_> = preferences.iter().map(|codec| codec.encoding_name.as_str()).collect();
        names.dedup();
        assert_eq!(names, WebrtcConfig::DEFAULT_CODECS);
    }

    #[test]
    fn an_unknown_codec_is_refused_by_name() {
        let error = preferences(&["VP8".to_owned(), "theora".to_owned()]).unwrap_err();
        assert_eq!(error.key, "webrtc.codecs");
        assert!(error.problem.contains("theora"), "{error}");
    }
}
