//! Which offered payload types we accept.

use rtp::{Encoding, MediaKind, PayloadFormat, PayloadType, fmtp_parameter};

use super::{
    attribute::{Feedback, RtpMap},
    offer::{OfferedCodec, OfferedSection},
};

/// An accepted payload type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) payload: PayloadFormat,
    pub(crate) feedback: Feedback,
    pub(super) map: RtpMap,
}

/// An accepted RTX payload type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repair {
    pub(super) map: RtpMap,
    /// The payload type that it resends.
    pub(crate) primary: PayloadType,
    pub(super) fmtp: String,
}

/// The accepted payload types in the order of preference, then of the offer.
pub(super) fn accepted_formats(
    section: &OfferedSection,
    kind: MediaKind,
    preferences: &[Encoding],
) -> Vec<Format> {
    let mut formats: Vec<Format> = Vec::new();
    for encoding in preferences.iter().filter(|encoding| encoding.kind() == kind) {
        let mut ranked: Vec<_> = section
            .codecs
            .iter()
            .filter(|codec| matches(codec, *encoding))
            .filter_map(|codec| Some((rank(codec, *encoding)?, codec)))
            .collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        for (_, codec) in ranked {
            if formats.iter().all(|format| format.payload.payload_type != codec.map.payload_type) {
                formats.push(format(codec, *encoding));
            }
        }
    }
    // RFC 2198: RED is of use only where what it wraps is accepted too.
    let plain: Vec<PayloadType> =
        formats.iter().filter(|format| !is_red(format)).map(|format| format.payload.payload_type).collect();
    formats.retain(|format| !is_red(format) || wraps_only(format, &plain));
    // RED alone carries nothing, and a payload type without its own codec can't be decoded.
    if plain.is_empty() { Vec::new() } else { formats }
}

/// The RTX payload types (RFC 4588 §8.6) of accepted ones.
pub(super) fn accepted_repairs(section: &OfferedSection, formats: &[Format]) -> Vec<Repair> {
    let accepted = |payload_type: &PayloadType| {
        formats.iter().any(|format| format.payload.payload_type == *payload_type)
    };
    section
        .codecs
        .iter()
        .filter(|codec| codec.map.encoding_name.eq_ignore_ascii_case("rtx"))
        .filter_map(|codec| {
            let primary =
                fmtp_parameter(&codec.fmtp, "apt")?.parse().ok().map(PayloadType).filter(accepted)?;
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

fn matches(codec: &OfferedCodec, encoding: Encoding) -> bool {
    codec.map.encoding_name.eq_ignore_ascii_case(encoding.name())
        && Some(codec.map.clock_rate) == encoding.clock_rate()
}

/// How far down the lists of accepted values its format parameters are, all added up. None if one is not accepted.
fn rank(codec: &OfferedCodec, encoding: Encoding) -> Option<usize> {
    encoding.fmtp_rules().iter().try_fold(0, |sum, rule| {
        let offered = fmtp_parameter(&codec.fmtp, rule.parameter).unwrap_or(rule.default);
        let rank = rule.accepted.iter().position(|accepted| accepted.eq_ignore_ascii_case(offered))?;
        Some(sum + rank)
    })
}

fn format(codec: &OfferedCodec, encoding: Encoding) -> Format {
    Format {
        payload: PayloadFormat {
            payload_type: codec.map.payload_type,
            encoding,
            clock_rate: codec.map.clock_rate,
            channels: match encoding.kind() {
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
    format.payload.encoding == Encoding::Red
}

/// `a=fmtp:63 111/111`. Video's RED names nothing, and wraps ULPFEC, which we don't take.
fn wraps_only(red: &Format, plain: &[PayloadType]) -> bool {
    !red.payload.fmtp.is_empty()
        && red
            .payload
            .fmtp
            .split('/')
            .all(|wrapped| wrapped.trim().parse().is_ok_and(|wrapped| plain.contains(&PayloadType(wrapped))))
}
