//! Single `a=` values.

use rtp::PayloadType;

use crate::header::ExtensionIds;

/// `a=rtpmap` (RFC 8866 §6.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RtpMap {
    pub(super) payload_type: PayloadType,
    pub(super) encoding_name: String,
    pub(super) clock_rate: u32,
    /// As written; none where the line has no third part.
    pub(super) channels: Option<u8>,
}

impl RtpMap {
    pub(super) fn parse(value: &str) -> Option<Self> {
        let (payload_type, encoding) = split_payload_type(value)?;
        let mut parts = encoding.trim().split('/');
        let encoding_name = parts.next().filter(|name| !name.is_empty())?.to_owned();
        let clock_rate = parts.next()?.trim().parse().ok().filter(|rate| *rate > 0)?;
        let channels = parts.next().and_then(|count| count.trim().parse().ok());
        Some(Self { payload_type, encoding_name, clock_rate, channels })
    }

    /// The assignments of RFC 3551 §6 that need no rtpmap and that clients still use so.
    pub(super) fn fixed(payload_type: PayloadType) -> Option<Self> {
        let encoding_name = match payload_type.0 {
            0 => "PCMU",
            8 => "PCMA",
            9 => "G722",
            _ => return None,
        };
        Some(Self {
            payload_type,
            encoding_name: encoding_name.to_owned(),
            clock_rate: 8000,
            channels: Some(1),
        })
    }
}

/// Splits `96 the rest` into 96 and `the rest`.
pub(super) fn split_payload_type(value: &str) -> Option<(PayloadType, &str)> {
    let (payload_type, rest) = value.trim().split_once(char::is_whitespace)?;
    Some((parse_payload_type(payload_type)?, rest.trim()))
}

pub(super) fn parse_payload_type(text: &str) -> Option<PayloadType> {
    text.parse().ok().filter(|payload_type| *payload_type < 128).map(PayloadType)
}

/// The kinds of `a=rtcp-fb` that we accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Feedback {
    /// Generic NACK (RFC 4585 §6.2.1).
    pub(crate) nack: bool,
    /// Picture loss indication (RFC 4585 §6.3.1).
    pub(crate) pli: bool,
    /// Full intra request (RFC 5104 §4.3.1).
    pub(crate) fir: bool,
    /// Transport-wide congestion control (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    pub(crate) transport_cc: bool,
}

impl Feedback {
    /// Notes the part of an `a=rtcp-fb` value after the payload type.
    pub(super) fn add(&mut self, kind: &str) {
        let mut words = kind.split_ascii_whitespace();
        match (words.next(), words.next()) {
            (Some("nack"), None) => self.nack = true,
            (Some("nack"), Some("pli")) => self.pli = true,
            (Some("ccm"), Some("fir")) => self.fir = true,
            (Some("transport-cc"), None) => self.transport_cc = true,
            _ => {}
        }
    }

    pub(super) fn union(self, other: Self) -> Self {
        Self {
            nack: self.nack || other.nack,
            pli: self.pli || other.pli,
            fir: self.fir || other.fir,
            transport_cc: self.transport_cc || other.transport_cc,
        }
    }

    /// In the words of `a=rtcp-fb`.
    pub(super) fn names(self) -> impl Iterator<Item = &'static str> {
        [
            (self.nack, "nack"),
            (self.pli, "nack pli"),
            (self.fir, "ccm fir"),
            (self.transport_cc, "transport-cc"),
        ]
        .into_iter()
        .filter_map(|(set, name)| set.then_some(name))
    }
}

/// `a=extmap` (RFC 8285 §8): notes the identifier of a header extension that we read. Returns the line to answer with, if we
/// accept the extension.
pub(super) fn note_extmap(value: &str, ids: &mut ExtensionIds) -> Option<(u8, String)> {
    let mut words = value.split_ascii_whitespace();
    // `1/sendonly`: the direction does not matter, as we only receive.
    let id: u8 = words.next()?.split('/').next()?.parse().ok().filter(|id| *id > 0)?;
    let uri = words.next()?;
    let slot = match uri {
        "urn:ietf:params:rtp-hdrext:sdes:mid" => &mut ids.mid,
        "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id" => &mut ids.rid,
        "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id" => &mut ids.repaired_rid,
        "urn:3gpp:video-orientation" => &mut ids.orientation,
        "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01" => &mut ids.transport_cc,
        // Not read. A sender uses them only if the answer has them.
        "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
        | "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
        | "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time" => {
            return Some((id, uri.to_owned()));
        }
        _ => return None,
    };
    if slot.is_some() {
        return None;
    }
    *slot = Some(id);
    Some((id, uri.to_owned()))
}

/// The restriction ids of `a=simulcast:send` (RFC 8853 §5.1), in order; of alternatives the first; `~` (paused at
/// first) removed.
pub(super) fn simulcast_send(value: &str) -> Vec<String> {
    let mut words = value.split_ascii_whitespace();
    while let Some(direction) = words.next() {
        let Some(list) = words.next() else { break };
        if direction == "send" {
            return list
                .split(';')
                .filter_map(|layer| layer.split(',').next())
                .map(|rid| rid.trim_start_matches('~').to_owned())
                .filter(|rid| !rid.is_empty())
                .collect();
        }
    }
    Vec::new()
}

/// The SHA-256 value of `a=fingerprint:sha-256 AB:CD:…` (RFC 8122 §5); none for another hash.
pub(super) fn sha256_fingerprint(value: &str) -> Option<Result<[u8; 32], ()>> {
    let (hash, digits) = value.trim().split_once(char::is_whitespace)?;
    if !hash.eq_ignore_ascii_case("sha-256") {
        return None;
    }
    let mut bytes = [0; 32];
    let mut parts = digits.trim().split(':');
    for byte in &mut bytes {
        let Some(Ok(value)) =
            parts.next().filter(|part| part.len() == 2).map(|part| u8::from_str_radix(part, 16))
        else {
            return Some(Err(()));
        };
        *byte = value;
    }
    Some(if parts.next().is_none() { Ok(bytes) } else { Err(()) })
}
