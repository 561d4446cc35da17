//! To which section and layer a new source belongs (RFC 8843 §9.2, RFC 8852).

use rtp::{LayerId, PayloadType, Ssrc};

use crate::{
    header::Header,
    sdp::{MediaSection, Section, Session},
};

/// What a source carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Primary,
    /// RTX, of this source if the offer said so.
    Repair {
        of: Option<Ssrc>,
    },
}

/// Where a source belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Binding {
    /// Its section's place in the session.
    pub(crate) section: usize,
    pub(crate) layer: LayerId,
    pub(crate) role: Role,
}

/// Finds the section and layer of an unknown source by what its packet says in the clear. None if it can't be told
/// yet: simulcast without a restriction id, a payload type of several sections, or a stranger.
pub(crate) fn resolve(session: &Session, header: &Header<'_>) -> Option<Binding> {
    let (place, media) = find_section(session, header)?;
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
        return Some(Binding { section: place, layer: LayerId(0), role });
    }
    let id = if repair { ids.repaired_rid } else { ids.rid };
    let rid = header.extension(id)?;
    let layer = media.rids.iter().position(|known| known.as_bytes() == rid)?;
    Some(Binding { section: place, layer: LayerId(u8::try_from(layer).ok()?), role })
}

/// By MID, else by `a=ssrc`, else by a payload type that only one section has.
fn find_section<'a>(session: &'a Session, header: &Header<'_>) -> Option<(usize, &'a MediaSection)> {
    let sending = || sending(session).map(|(place, _, media)| (place, media));
    let mut names_mid = false;
    for (place, section, media) in self::sending(session) {
        if let Some(mid) = header.extension(media.extension_ids.mid) {
            names_mid = true;
            if mid == section.mid.as_bytes() {
                return Some((place, media));
            }
        }
    }
    // A MID that no section has belongs to an offer that we haven't seen.
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
    session.sections.iter().enumerate().filter_map(|(place, section)| {
        section.media().filter(|media| media.sends).map(|media| (place, section, media))
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
