//! Finds the section and layer of a new source (RFC 8843 §9.2, RFC 8852).

use rtp::{LayerId, PayloadType, Ssrc};

use crate::{
    header::Header,
    sdp::{MediaSection, Section, Session},
};

/// Whether a source sends media or resends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Primary,
    /// RTX. `of`: the source that it resends, if the offer names it.
    Repair {
        of: Option<Ssrc>,
    },
}

/// The section and layer of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Binding {
    /// The index of its section in the session.
    pub(crate) section: usize,
    pub(crate) layer: LayerId,
    pub(crate) role: Role,
}

/// Finds the section and layer of an unknown source by the header of its packet, which is not encrypted. None if the
/// header does not determine them: simulcast without a restriction id, a payload type of several sections, or a source
/// that is none of the client's.
pub(crate) fn resolve(session: &Session, header: &Header<'_>) -> Option<Binding> {
    let (index, media) = find_section(session, header)?;
    let ids = &media.extension_ids;
    let repair = media.repairs.iter().any(|repair| repair.payload_type() == header.payload_type);
    if !repair && !accepts(media, header.payload_type) {
        return None;
    }
    let role = if repair {
        let of = media.repair_ssrcs.iter().find(|(_, repair)| *repair == header.ssrc);
        Role::Repair { of: of.map(|(primary, _)| *primary) }
    } else {
        Role::Primary
    };
    if media.rids.is_empty() {
        return Some(Binding { section: index, layer: LayerId(0), role });
    }
    let id = if repair { ids.repaired_rid } else { ids.rid };
    let rid = header.extension(id)?;
    let layer = media.rids.iter().position(|known| known.as_bytes() == rid)?;
    Some(Binding { section: index, layer: LayerId(u8::try_from(layer).ok()?), role })
}

/// By MID, else by `a=ssrc`, else by a payload type that only one section has.
fn find_section<'a>(session: &'a Session, header: &Header<'_>) -> Option<(usize, &'a MediaSection)> {
    let sending = || sending(session).map(|(index, _, media)| (index, media));
    let mut names_mid = false;
    for (index, section, media) in self::sending(session) {
        if let Some(mid) = header.extension(media.extension_ids.mid) {
            names_mid = true;
            if mid == section.mid.as_bytes() {
                return Some((index, media));
            }
        }
    }
    // The MID is of a section that was never offered, or that is not offered any more.
    if names_mid {
        return None;
    }
    if let Some(found) = sending().find(|(_, media)| declares(media, header.ssrc)) {
        return Some(found);
    }
    let mut by_payload_type = sending().filter(|(_, media)| knows(media, header.payload_type));
    by_payload_type.next().filter(|_| by_payload_type.next().is_none())
}

fn sending(session: &Session) -> impl Iterator<Item = (usize, &Section, &MediaSection)> {
    session.sections.iter().enumerate().filter_map(|(index, section)| {
        section.media().filter(|media| media.sends).map(|media| (index, section, media))
    })
}

fn declares(media: &MediaSection, ssrc: Ssrc) -> bool {
    media.ssrcs.contains(&ssrc) || media.repair_ssrcs.iter().any(|(_, repair)| *repair == ssrc)
}

fn accepts(media: &MediaSection, payload_type: PayloadType) -> bool {
    media.formats.iter().any(|format| format.payload.payload_type == payload_type)
}

fn knows(media: &MediaSection, payload_type: PayloadType) -> bool {
    accepts(media, payload_type) || media.repairs.iter().any(|repair| repair.payload_type() == payload_type)
}

#[cfg(test)]
mod tests;
