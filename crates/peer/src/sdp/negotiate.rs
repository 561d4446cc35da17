//! Chooses what to accept of an offer.

use rtp::{MediaKind, PayloadType, Ssrc};

use super::{
    attribute::Feedback,
    codec::{Format, Repair, accepted_formats, accepted_repairs, offered_names},
    offer::{Offer, OfferedCodec, OfferedSection},
};
use crate::{OfferError, PeerConfig, header::ExtensionIds};

/// A negotiated session: the sections in the order of the offer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Session {
    pub(super) offer_version: u64,
    pub(super) bundled: bool,
    pub(super) extmap_allow_mixed: bool,
    pub(crate) sections: Vec<Section>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Section {
    /// By the offer, else the section's index in decimal digits.
    pub(crate) mid: String,
    /// Whether the offer named it, so that the answer does.
    pub(super) mid_offered: bool,
    pub(super) media: String,
    pub(super) protocol: String,
    pub(super) offered_formats: Vec<String>,
    /// The codecs of a rejected section. Some clients expect an rtpmap for each payload type even there.
    pub(super) refused: Vec<OfferedCodec>,
    pub(crate) content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    Media(Box<MediaSection>),
    Data,
    Rejected,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MediaSection {
    pub(crate) kind: MediaKind,
    /// Whether the client sends on it.
    pub(crate) sends: bool,
    pub(crate) formats: Vec<Format>,
    pub(crate) repairs: Vec<Repair>,
    pub(crate) extension_ids: ExtensionIds,
    pub(super) extensions: Vec<(u8, String)>,
    pub(crate) rtcp_rsize: bool,
    pub(crate) ssrcs: Vec<Ssrc>,
    /// (primary, RTX).
    pub(crate) repair_ssrcs: Vec<(Ssrc, Ssrc)>,
    pub(crate) rids: Vec<String>,
}

impl Repair {
    pub(crate) fn payload_type(&self) -> PayloadType {
        self.map.payload_type
    }
}

impl Section {
    pub(crate) fn media(&self) -> Option<&MediaSection> {
        match &self.content {
            Content::Media(media) => Some(media),
            Content::Data | Content::Rejected => None,
        }
    }
}

impl MediaSection {
    /// The feedback that may be sent, over all its payload types.
    pub(crate) fn feedback(&self) -> Feedback {
        self.formats.iter().fold(Feedback::default(), |all, format| all.union(format.feedback))
    }
}

impl Session {
    pub(crate) fn media(&self) -> impl Iterator<Item = (&Section, &MediaSection)> {
        self.sections.iter().filter_map(|section| section.media().map(|media| (section, media)))
    }

    pub(crate) fn has_data(&self) -> bool {
        self.sections.iter().any(|section| section.content == Content::Data)
    }
}

/// Chooses what to accept. A first offer has to have a section that sends; a later one may pause all.
pub(crate) fn negotiate(offer: &Offer, config: &PeerConfig, first: bool) -> Result<Session, OfferError> {
    let mut transport_free = true;
    let sections = offer
        .sections
        .iter()
        .enumerate()
        .map(|(index, section)| {
            let shares = match (&offer.bundle, &section.mid) {
                (Some(bundle), Some(mid)) => bundle.contains(mid),
                (Some(_), None) => false,
                // Without BUNDLE each section needs its own transport. We have one: the first section gets it.
                (None, _) => transport_free,
            };
            let content =
                if shares && !section.rejected { accept(section, config) } else { Content::Rejected };
            transport_free &= content == Content::Rejected;
            Section {
                mid: section.mid.clone().unwrap_or_else(|| index.to_string()),
                mid_offered: section.mid.is_some(),
                media: section.media.clone(),
                protocol: section.protocol.clone(),
                offered_formats: section.formats.clone(),
                refused: if content == Content::Rejected { section.codecs.clone() } else { Vec::new() },
                content,
            }
        })
        .collect();
    let session = Session {
        offer_version: offer.version,
        bundled: offer.bundle.is_some(),
        extmap_allow_mixed: offer.extmap_allow_mixed,
        sections,
    };
    check_useful(offer, &session, config, first)?;
    Ok(session)
}

fn accept(section: &OfferedSection, config: &PeerConfig) -> Content {
    if section.data_channel {
        return Content::Data;
    }
    let Some(kind) = section.kind else { return Content::Rejected };
    let formats = accepted_formats(section, kind, &config.codecs);
    // RTP and RTCP share our one port (RFC 5761), and BUNDLE needs it anyway (RFC 8843 §9.3).
    if formats.is_empty() || !section.rtcp_mux {
        return Content::Rejected;
    }
    Content::Media(Box::new(MediaSection {
        kind,
        sends: section.sends,
        repairs: accepted_repairs(section, &formats),
        formats,
        extension_ids: section.extension_ids,
        extensions: section.extensions.clone(),
        rtcp_rsize: section.rtcp_rsize,
        ssrcs: section.ssrcs.clone(),
        repair_ssrcs: section.repairs.clone(),
        rids: section.rids.clone(),
    }))
}

fn check_useful(
    offer: &Offer,
    session: &Session,
    config: &PeerConfig,
    first: bool,
) -> Result<(), OfferError> {
    if session.has_data() || session.media().any(|(_, media)| media.sends) {
        return Ok(());
    }
    let sending = || {
        offer.sections.iter().filter(|section| section.kind.is_some() && section.sends && !section.rejected)
    };
    if session.media().next().is_none() && sending().next().is_some() {
        if sending().all(|section| !section.rtcp_mux) {
            return Err(OfferError::Malformed("a=rtcp-mux is missing".to_owned()));
        }
        return Err(OfferError::NoCommonCodec {
            offered: comma_separated(sending().flat_map(offered_names)),
            supported: comma_separated(config.codecs.iter().map(|encoding| encoding.name())),
        });
    }
    if first { Err(OfferError::NoMedia) } else { Ok(()) }
}

fn comma_separated<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut unique: Vec<&str> = Vec::new();
    for name in names {
        if unique.iter().all(|known| !known.eq_ignore_ascii_case(name)) {
            unique.push(name);
        }
    }
    unique.join(", ")
}
