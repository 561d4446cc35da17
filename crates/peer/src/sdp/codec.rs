//! Which offered payload types we accept.

use super::{
    attribute::fmtp_parameter,
    negotiate::{Format, Repair},
    offer::{OfferedCodec, OfferedSection},
};
use crate::{CodecPreference, MediaKind, PayloadFormat};

/// The accepted payload types by preference, then in the order of the offer.
pub(super) fn accepted_formats(
    section: &OfferedSection,
    kind: MediaKind,
    preferences: &[CodecPreference],
) -> Vec<Format> {
    let mut formats: Vec<Format> = Vec::new();
    for preference in preferences.iter().filter(|preference| preference.kind == kind) {
        for codec in section.codecs.iter().filter(|codec| matches(codec, preference)) {
            if formats.iter().all(|format| format.payload.payload_type != codec.map.payload_type) {
                formats.push(format(codec, kind));
            }
        }
    }
    // RFC 2198: RED is of use only where what it wraps is accepted too.
    let plain: Vec<u8> =
        formats.iter().filter(|format| !is_red(format)).map(|format| format.payload.payload_type).collect();
    formats.retain(|format| !is_red(format) || wraps_only(format, &plain));
    // RED alone carries nothing, and a payload type without its own codec can't be decoded.
    if plain.is_empty() { Vec::new() } else { formats }
}

/// The RTX payload types (RFC 4588 §8.6) of accepted ones.
pub(super) fn accepted_repairs(section: &OfferedSection, formats: &[Format]) -> Vec<Repair> {
    let accepted =
        |payload_type: &u8| formats.iter().any(|format| format.payload.payload_type == *payload_type);
    section
        .codecs
        .iter()
        .filter(|codec| codec.map.encoding_name.eq_ignore_ascii_case("rtx"))
        .filter_map(|codec| {
            let primary = fmtp_parameter(&codec.fmtp, "apt")?.parse().ok().filter(accepted)?;
            Some(Repair { map: codec.map.clone(), primary, fmtp: codec.fmtp.clone() })
        })
        .collect()
}

/// Names what a section offers, without the payload types that only help others.
pub(super) fn offered_names(section: &OfferedSection) -> impl Iterator<Item = &str> {
    section.codecs.iter().map(|codec| codec.map.encoding_name.as_str()).filter(|name| {
        !["rtx", "ulpfec", "flexfec-03"].iter().any(|helper| name.eq_ignore_ascii_case(helper))
    })
}

fn matches(codec: &OfferedCodec, preference: &CodecPreference) -> bool {
    codec.map.encoding_name.eq_ignore_ascii_case(&preference.encoding_name)
        && codec.map.clock_rate == preference.clock_rate
        && preference.required_fmtp.iter().all(|(name, required)| {
            fmtp_parameter(&codec.fmtp, name)
                .or_else(|| default_parameter(&codec.map.encoding_name, name))
                .is_some_and(|offered| offered.eq_ignore_ascii_case(required))
        })
}

/// What a parameter means where the offer leaves it out: RFC 6184 §8.1, RFC 9628 §6.1, the AV1 payload format §7.2.
fn default_parameter(encoding_name: &str, parameter: &str) -> Option<&'static str> {
    let named = |name: &str, key: &str| {
        encoding_name.eq_ignore_ascii_case(name) && parameter.eq_ignore_ascii_case(key)
    };
    (named("H264", "packetization-mode") || named("VP9", "profile-id") || named("AV1", "profile"))
        .then_some("0")
}

fn format(codec: &OfferedCodec, kind: MediaKind) -> Format {
    Format {
        payload: PayloadFormat {
            payload_type: codec.map.payload_type,
            encoding_name: codec.map.encoding_name.clone(),
            clock_rate: codec.map.clock_rate,
            channels: match kind {
                MediaKind::Audio => codec.map.channels.unwrap_or(1),
                MediaKind::Video => 0,
            },
            fmtp: codec.fmtp.clone(),
        },
        feedback: codec.feedback,
        map: codec.map.clone(),
    }
}

fn is_red(format: &Format) -> bool {
    format.payload.encoding_name.eq_ignore_ascii_case("red")
}

/// `a=fmtp:63 111/111`. Video's RED names nothing, and wraps ULPFEC, which we don't take.
fn wraps_only(red: &Format, plain: &[u8]) -> bool {
    !red.payload.fmtp.is_empty()
        && red
            .payload
            .fmtp
            .split('/')
            .all(|wrapped| wrapped.trim().parse().is_ok_and(|wrapped| plain.contains(&wrapped)))
}
