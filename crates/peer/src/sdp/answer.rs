//! Writes the answer.

use std::{fmt, fmt::Write as _, net::IpAddr};

use rtp::PayloadType;

use super::{
    attribute::{Feedback, RtpMap},
    negotiate::{Content, MediaSection, Section, Session},
};
use crate::{Candidate, IceCredentials, Protocol};

/// The SCTP port is a formality over DTLS (RFC 8841 §5); the message size is what we reassemble at most.
const SCTP_PORT: u16 = 5000;

/// The parts of an answer that the session does not have.
pub(crate) struct AnswerContext<'a> {
    /// `sess-id` of the `o=` line: the same for all answers of a peer.
    pub(crate) session_id: u64,
    /// `sess-version`: one more each time.
    pub(crate) session_version: u64,
    pub(crate) credentials: &'a IceCredentials,
    pub(crate) fingerprint: &'a [u8; 32],
    pub(crate) candidates: &'a [Candidate],
    pub(crate) max_message_bytes: usize,
}

/// Writes the answer to what was negotiated.
pub(crate) fn write_answer(session: &Session, context: &AnswerContext<'_>) -> String {
    let mut text = String::with_capacity(4096);
    // Writing to a String can't fail.
    let _ = write_session(&mut text, session, context);
    text
}

fn write_session(out: &mut String, session: &Session, context: &AnswerContext<'_>) -> fmt::Result {
    write!(out, "v=0\r\no=- {} {} IN IP4 127.0.0.1\r\n", context.session_id, context.session_version)?;
    out.push_str("s=-\r\nt=0 0\r\na=ice-lite\r\n");
    if session.bundled {
        out.push_str("a=group:BUNDLE");
        for section in session.sections.iter().filter(|section| section.content != Content::Rejected) {
            write!(out, " {}", section.mid)?;
        }
        out.push_str("\r\n");
    }
    if session.extmap_allow_mixed {
        out.push_str("a=extmap-allow-mixed\r\n");
    }
    out.push_str("a=msid-semantic: WMS\r\n");
    let mut candidates = context.candidates;
    for section in &session.sections {
        match &section.content {
            Content::Rejected => write_rejected(out, section)?,
            Content::Data => {
                write_transport(out, section, &section.offered_formats.join(" "), context, candidates)?;
                write!(
                    out,
                    "a=sctp-port:{SCTP_PORT}\r\na=max-message-size:{}\r\n",
                    context.max_message_bytes
                )?;
            }
            Content::Media(media) => {
                write_transport(out, section, &payload_types(media), context, candidates)?;
                write_media(out, media)?;
            }
        }
        // The other sections share the transport of the first (RFC 8843 §9.1).
        if section.content != Content::Rejected {
            candidates = &[];
        }
    }
    Ok(())
}

fn write_rejected(out: &mut String, section: &Section) -> fmt::Result {
    write!(out, "m={} 0 {} {}\r\n", section.media, section.protocol, section.offered_formats.join(" "))?;
    out.push_str("c=IN IP4 0.0.0.0\r\n");
    write_mid(out, section)?;
    out.push_str("a=inactive\r\n");
    for codec in &section.refused {
        write_rtpmap(out, &codec.map)?;
        write_fmtp_and_feedback(out, codec.map.payload_type, &codec.fmtp, Feedback::default())?;
    }
    Ok(())
}

fn write_rtpmap(out: &mut String, map: &RtpMap) -> fmt::Result {
    write!(out, "a=rtpmap:{} {}/{}", map.payload_type, map.encoding_name, map.clock_rate)?;
    match map.channels {
        Some(channels) => write!(out, "/{channels}\r\n"),
        None => out.write_str("\r\n"),
    }
}

fn write_mid(out: &mut String, section: &Section) -> fmt::Result {
    if section.mid_offered { write!(out, "a=mid:{}\r\n", section.mid) } else { Ok(()) }
}

fn write_transport(
    out: &mut String,
    section: &Section,
    formats: &str,
    context: &AnswerContext<'_>,
    candidates: &[Candidate],
) -> fmt::Result {
    write!(out, "m={} 9 {} {formats}\r\nc=IN IP4 0.0.0.0\r\n", section.media, section.protocol)?;
    for (index, candidate) in candidates.iter().enumerate() {
        write_candidate(out, index, candidate)?;
    }
    if !candidates.is_empty() {
        out.push_str("a=end-of-candidates\r\n");
    }
    let IceCredentials { ufrag, password } = context.credentials;
    write!(out, "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\na=fingerprint:sha-256 ")?;
    for (index, byte) in context.fingerprint.iter().enumerate() {
        write!(out, "{}{byte:02X}", if index == 0 { "" } else { ":" })?;
    }
    out.push_str("\r\na=setup:passive\r\n");
    write_mid(out, section)
}

/// RFC 8839 §5.1 with the priorities of RFC 8445 §5.1.2.1; TCP by RFC 6544 §4.5.
fn write_candidate(out: &mut String, index: usize, candidate: &Candidate) -> fmt::Result {
    // Type preference 126 (host). The local preference falls with the index in the list, and TCP's are all below
    // UDP's: its direction preference 4 of passive candidates in the upper three bits.
    let index = u32::try_from(index).unwrap_or(u32::MAX).min(8000);
    let local_preference = match candidate.protocol {
        Protocol::Udp => 65535 - index,
        Protocol::Tcp => (4 << 13) + (8191 - index),
    };
    let priority = (126 << 24) + (local_preference << 8) + 255;
    let (transport, suffix) = match candidate.protocol {
        Protocol::Udp => ("udp", ""),
        Protocol::Tcp => ("tcp", " tcptype passive"),
    };
    let address: IpAddr = candidate.address.ip();
    write!(
        out,
        "a=candidate:{} 1 {transport} {priority} {address} {} typ host{suffix}\r\n",
        index + 1,
        candidate.address.port()
    )
}

fn payload_types(media: &MediaSection) -> String {
    let mut list = String::new();
    for format in &media.formats {
        let payload_type = format.payload.payload_type;
        let repairs = media.repairs.iter().filter(|repair| repair.primary == payload_type);
        for payload_type in std::iter::once(payload_type).chain(repairs.map(|repair| repair.map.payload_type))
        {
            let _ = write!(list, "{}{payload_type}", if list.is_empty() { "" } else { " " });
        }
    }
    list
}

fn write_media(out: &mut String, media: &MediaSection) -> fmt::Result {
    for (id, uri) in &media.extensions {
        write!(out, "a=extmap:{id} {uri}\r\n")?;
    }
    out.push_str(if media.sends { "a=recvonly\r\n" } else { "a=inactive\r\n" });
    out.push_str("a=rtcp-mux\r\n");
    if media.rtcp_rsize {
        out.push_str("a=rtcp-rsize\r\n");
    }
    for format in &media.formats {
        let payload = &format.payload;
        write_rtpmap(out, &format.map)?;
        write_fmtp_and_feedback(out, payload.payload_type, &payload.fmtp, format.feedback)?;
        for repair in media.repairs.iter().filter(|repair| repair.primary == payload.payload_type) {
            write_rtpmap(out, &repair.map)?;
            write_fmtp_and_feedback(out, repair.map.payload_type, &repair.fmtp, Feedback::default())?;
        }
    }
    if !media.rids.is_empty() {
        for rid in &media.rids {
            write!(out, "a=rid:{rid} recv\r\n")?;
        }
        write!(out, "a=simulcast:recv {}\r\n", media.rids.join(";"))?;
    }
    Ok(())
}

fn write_fmtp_and_feedback(
    out: &mut String,
    payload_type: PayloadType,
    fmtp: &str,
    feedback: Feedback,
) -> fmt::Result {
    if !fmtp.is_empty() {
        write!(out, "a=fmtp:{payload_type} {fmtp}\r\n")?;
    }
    for name in feedback.names() {
        write!(out, "a=rtcp-fb:{payload_type} {name}\r\n")?;
    }
    Ok(())
}
