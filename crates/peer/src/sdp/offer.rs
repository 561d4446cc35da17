//! Parses an offer into checked types.

use std::io::Cursor;

use rtc_sdp::{MediaDescription, SessionDescription, description::common::Attribute};
use rtp::{MediaKind, PayloadType, Ssrc};

use super::attribute::{
    Feedback, RtpMap, note_extmap, parse_payload_type, sha256_fingerprint, simulcast_send, split_payload_type,
};
use crate::{OfferError, PeerConfig, header::ExtensionIds};

/// The most layers of a track. Clients send fewer; further ones are not accepted.
const MAX_RIDS: usize = 8;
/// The most sources of a section. A section with all layers has fewer: primary, RTX and FEC of each.
const MAX_SSRCS: usize = 64;

/// The SHA-256 of the client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(pub(crate) [u8; 32]);

/// An offer, as far as it concerns us. All sections share one transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offer {
    /// `sess-version` of the `o=` line.
    pub(super) version: u64,
    /// The mids of the first `a=group:BUNDLE`; none without that line.
    pub(super) bundle: Option<Vec<String>>,
    pub(super) extmap_allow_mixed: bool,
    pub(crate) ufrag: String,
    pub(crate) fingerprint: Fingerprint,
    pub(super) sections: Vec<OfferedSection>,
}

/// One `m=` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OfferedSection {
    /// First word of the `m=` line.
    pub(super) media: String,
    pub(super) protocol: String,
    /// The formats of the `m=` line as they stand there.
    pub(super) formats: Vec<String>,
    /// None where the offer has no `a=mid`.
    pub(super) mid: Option<String>,
    /// Port 0 and not merely bundle-only (RFC 8843 §6).
    pub(super) rejected: bool,
    pub(super) sends: bool,
    pub(super) kind: Option<MediaKind>,
    /// In the order of the `m=` line.
    pub(super) codecs: Vec<OfferedCodec>,
    pub(super) extension_ids: ExtensionIds,
    /// The extmap lines that we understand, as offered.
    pub(super) extensions: Vec<(u8, String)>,
    pub(super) rtcp_mux: bool,
    pub(super) rtcp_rsize: bool,
    pub(super) ssrcs: Vec<Ssrc>,
    /// `a=ssrc-group:FID`: (primary, RTX).
    pub(super) repairs: Vec<(Ssrc, Ssrc)>,
    pub(super) rids: Vec<String>,
    /// `webrtc-datachannel` in an application section.
    pub(super) data_channel: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OfferedCodec {
    pub(super) map: RtpMap,
    pub(super) fmtp: String,
    pub(super) feedback: Feedback,
}

impl Offer {
    /// Parses and checks what every usable offer has.
    pub(crate) fn parse(sdp: &str, config: &PeerConfig) -> Result<Self, OfferError> {
        if sdp.len() > config.max_offer_bytes {
            return Err(OfferError::TooLarge { bytes: sdp.len(), limit: config.max_offer_bytes });
        }
        let description = SessionDescription::unmarshal(&mut Cursor::new(sdp.as_bytes()))
            .map_err(|error| malformed(format!("it is no SDP ({error})")))?;
        let media = &description.media_descriptions;
        if media.is_empty() {
            return Err(OfferError::NoMedia);
        }
        if media.len() > config.max_sections {
            return Err(malformed(format!(
                "it has {} media sections, more than the {} allowed",
                media.len(),
                config.max_sections
            )));
        }
        let session = &description.attributes[..];
        if value(session, "ice-lite").is_some() {
            return Err(malformed("the client is ICE-lite like us, so that nobody would check connectivity"));
        }
        let sections: Vec<_> =
            media.iter().map(|media| OfferedSection::parse(media, session)).collect::<Result<_, _>>()?;
        let bundle = session.iter().find_map(bundle_group);
        check_mids(&sections)?;
        // All that is accepted shares the transport of the first section in the group.
        let tagged = transport_section(&sections, bundle.as_deref());
        let transport = media.get(tagged).map_or(&[][..], |media| &media.attributes);
        Ok(Self {
            version: description.origin.session_version,
            extmap_allow_mixed: value(session, "extmap-allow-mixed").is_some(),
            ufrag: ice_ufrag(transport, session)?,
            fingerprint: fingerprint(transport, session)?,
            bundle,
            sections,
        })
    }
}

fn malformed(message: impl Into<String>) -> OfferError {
    OfferError::Malformed(message.into())
}

/// The value of the first attribute of that name; empty for a flag.
fn value<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a str> {
    attributes
        .iter()
        .find(|attribute| attribute.key.trim() == name)
        .map(|attribute| attribute.value.as_deref().unwrap_or("").trim())
}

fn bundle_group(attribute: &Attribute) -> Option<Vec<String>> {
    let mut words = attribute.value.as_deref()?.split_ascii_whitespace();
    (attribute.key == "group" && words.next() == Some("BUNDLE"))
        .then(|| words.map(str::to_owned).collect::<Vec<_>>())
        .filter(|mids| !mids.is_empty())
}

fn check_mids(sections: &[OfferedSection]) -> Result<(), OfferError> {
    let mut seen: Vec<&str> = Vec::with_capacity(sections.len());
    for mid in sections.iter().filter_map(|section| section.mid.as_deref()) {
        if seen.contains(&mid) {
            return Err(malformed(format!("two sections have mid {mid:?}")));
        }
        seen.push(mid);
    }
    Ok(())
}

/// The section whose transport counts: the first of the group that isn't rejected, else the first that isn't.
fn transport_section(sections: &[OfferedSection], bundle: Option<&[String]>) -> usize {
    let bundled = bundle.into_iter().flatten().find_map(|mid| {
        sections.iter().position(|section| section.mid.as_ref() == Some(mid) && !section.rejected)
    });
    bundled.or_else(|| sections.iter().position(|section| !section.rejected)).unwrap_or(0)
}

fn ice_ufrag(transport: &[Attribute], session: &[Attribute]) -> Result<String, OfferError> {
    let ufrag = value(transport, "ice-ufrag").or_else(|| value(session, "ice-ufrag"));
    let password = value(transport, "ice-pwd").or_else(|| value(session, "ice-pwd"));
    match (ufrag, password) {
        (Some(ufrag), Some(password)) if ice_characters(ufrag, 4) && ice_characters(password, 22) => {
            Ok(ufrag.to_owned())
        }
        (Some(_), Some(_)) => Err(malformed("ice-ufrag or ice-pwd breaks RFC 8839 §5.4")),
        _ => Err(malformed("ice-ufrag or ice-pwd is missing")),
    }
}

/// RFC 8839 §5.4: `ice-char` is a letter, a digit, `+` or `/`; libwebrtc-based clients are known to send `-` and `_`.
fn ice_characters(text: &str, minimum: usize) -> bool {
    (minimum..=256).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_'))
}

fn fingerprint(transport: &[Attribute], session: &[Attribute]) -> Result<Fingerprint, OfferError> {
    let of = |attributes: &[Attribute]| {
        attributes
            .iter()
            .filter(|attribute| attribute.key == "fingerprint")
            .find_map(|attribute| sha256_fingerprint(attribute.value.as_deref()?))
    };
    match of(transport).or_else(|| of(session)) {
        Some(Ok(bytes)) => Ok(Fingerprint(bytes)),
        Some(Err(())) => Err(malformed("the SHA-256 fingerprint isn't 32 hexadecimal bytes")),
        None => Err(malformed("a=fingerprint:sha-256 is missing")),
    }
}

impl OfferedSection {
    fn parse(media: &MediaDescription, session: &[Attribute]) -> Result<Self, OfferError> {
        let name = &media.media_name;
        let own = &media.attributes[..];
        let rejected = name.port.value == 0 && value(own, "bundle-only").is_none();
        let setup = value(own, "setup").or_else(|| value(session, "setup"));
        if setup == Some("passive") && !rejected {
            return Err(malformed("a=setup:passive: the client has to open the DTLS connection"));
        }
        let kind = match name.media.as_str() {
            "audio" => Some(MediaKind::Audio),
            "video" => Some(MediaKind::Video),
            _ => None,
        };
        let mut section = Self {
            media: name.media.clone(),
            protocol: name.protos.join("/"),
            formats: name.formats.clone(),
            mid: value(own, "mid").filter(|mid| !mid.is_empty()).map(str::to_owned),
            rejected,
            sends: sends(own, session),
            kind: kind.filter(|_| name.protos.last().is_some_and(|last| last == "SAVPF" || last == "SAVP")),
            codecs: Vec::new(),
            extension_ids: ExtensionIds::default(),
            extensions: Vec::new(),
            rtcp_mux: value(own, "rtcp-mux").is_some(),
            rtcp_rsize: value(own, "rtcp-rsize").is_some(),
            ssrcs: Vec::new(),
            repairs: Vec::new(),
            rids: Vec::new(),
            data_channel: name.media == "application"
                && name.formats.iter().any(|format| format == "webrtc-datachannel"),
        };
        if section.kind.is_some() {
            section.read_media(own);
        }
        Ok(section)
    }

    fn read_media(&mut self, attributes: &[Attribute]) {
        self.codecs = self
            .formats
            .iter()
            .filter_map(|format| offered_codec(parse_payload_type(format)?, attributes))
            .collect();
        let mut simulcast = Vec::new();
        let mut send_rids = Vec::new();
        for attribute in attributes {
            let Some(value) = attribute.value.as_deref() else { continue };
            match attribute.key.as_str() {
                "extmap" => self.extensions.extend(note_extmap(value, &mut self.extension_ids)),
                "ssrc" => self.note_ssrc(value),
                "ssrc-group" => self.note_ssrc_group(value),
                "rid" => send_rids.extend(send_rid(value)),
                "simulcast" => simulcast = simulcast_send(value),
                _ => {}
            }
        }
        simulcast.retain(|rid| send_rids.contains(&rid.as_str()));
        simulcast.truncate(MAX_RIDS);
        self.rids = simulcast;
    }

    fn note_ssrc(&mut self, value: &str) {
        let ssrc = value.split_ascii_whitespace().next().and_then(|ssrc| ssrc.parse().ok()).map(Ssrc);
        if let Some(ssrc) = ssrc.filter(|ssrc| self.ssrcs.len() < MAX_SSRCS && !self.ssrcs.contains(ssrc)) {
            self.ssrcs.push(ssrc);
        }
    }

    fn note_ssrc_group(&mut self, value: &str) {
        let mut words = value.split_ascii_whitespace();
        if words.next() != Some("FID") || self.repairs.len() >= MAX_SSRCS {
            return;
        }
        let mut ssrcs = words.map_while(|word| word.parse().ok()).map(Ssrc);
        if let (Some(primary), Some(repair)) = (ssrcs.next(), ssrcs.next()) {
            self.repairs.push((primary, repair));
        }
    }
}

/// RFC 8866 §6.7: no direction means sendrecv.
fn sends(own: &[Attribute], session: &[Attribute]) -> bool {
    let direction = |attributes: &[Attribute]| {
        attributes.iter().rev().find_map(|attribute| match attribute.key.trim() {
            "sendrecv" | "sendonly" => Some(true),
            "recvonly" | "inactive" => Some(false),
            _ => None,
        })
    };
    direction(own).or_else(|| direction(session)).unwrap_or(true)
}

/// The id of `a=rid:<id> send …`.
fn send_rid(value: &str) -> Option<&str> {
    let mut words = value.split_ascii_whitespace();
    let rid = words.next()?;
    (words.next()? == "send").then_some(rid)
}

fn offered_codec(payload_type: PayloadType, attributes: &[Attribute]) -> Option<OfferedCodec> {
    let of = |key: &'static str| {
        attributes
            .iter()
            .filter(move |attribute| attribute.key == key)
            .filter_map(|attribute| attribute.value.as_deref())
    };
    let map = of("rtpmap")
        .filter_map(RtpMap::parse)
        .find(|map| map.payload_type == payload_type)
        .or_else(|| RtpMap::fixed(payload_type))?;
    let fmtp = of("fmtp")
        .filter_map(split_payload_type)
        .find(|(of, _)| *of == payload_type)
        .map_or(String::new(), |(_, fmtp)| fmtp.to_owned());
    let mut feedback = Feedback::default();
    for value in of("rtcp-fb") {
        let Some((to, kind)) = value.trim().split_once(char::is_whitespace) else { continue };
        if to == "*" || parse_payload_type(to) == Some(payload_type) {
            feedback.add(kind);
        }
    }
    Some(OfferedCodec { map, fmtp, feedback })
}
