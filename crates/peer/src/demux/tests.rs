use super::*;
use rtp::Codec;

use crate::{PeerConfig, TransportTimeouts, sdp};

const HEAD: &str = "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\na=group:BUNDLE a v w\na=ice-ufrag:abcd\n\
a=ice-pwd:0123456789012345678901\na=fingerprint:sha-256 \
00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00\n";
const AUDIO: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 111\nc=IN IP4 0.0.0.0\na=mid:a\na=rtcp-mux\n\
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\na=rtpmap:111 opus/48000/2\n";

fn video(mid: &str, extra: &str) -> String {
    format!(
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97\nc=IN IP4 0.0.0.0\na=mid:{mid}\na=rtcp-mux\n\
         a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\n\
         a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\n\
         a=extmap:11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id\n\
         a=rtpmap:96 VP8/90000\na=rtpmap:97 rtx/90000\na=fmtp:97 apt=96\n{extra}"
    )
}

fn session(sections: &str) -> Session {
    let config = PeerConfig {
        candidates: Vec::new(),
        codecs: vec![Codec::Vp8.into(), Codec::Opus.into()],
        timeouts: TransportTimeouts::default(),
        max_wait: std::time::Duration::from_secs(1),
        max_offer_bytes: 100_000,
        max_sections: 9,
    };
    let offer = sdp::Offer::parse(&format!("{HEAD}{sections}"), &config).unwrap();
    sdp::negotiate(&offer, &config, true).unwrap()
}

/// A packet with these one-byte extensions.
fn packet(payload_type: u8, ssrc: u32, extensions: &[(u8, &str)]) -> Vec<u8> {
    let mut elements = Vec::new();
    for (id, value) in extensions {
        elements.push(id << 4 | (value.len() as u8 - 1));
        elements.extend(value.as_bytes());
    }
    elements.resize(elements.len().next_multiple_of(4), 0);
    let mut packet = vec![0x90, payload_type, 0, 1, 0, 0, 0, 0];
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0xbe, 0xde, 0, (elements.len() / 4) as u8]);
    packet.extend(elements);
    packet
}

fn bound(
    session: &Session,
    payload_type: u8,
    ssrc: u32,
    extensions: &[(u8, &str)],
) -> Option<(usize, u8, Role)> {
    let packet = packet(payload_type, ssrc, extensions);
    resolve(session, &Header::parse(&packet).unwrap())
        .map(|binding| (binding.section, binding.layer.0, binding.role))
}

/// (payload type, ssrc, extensions, section).
type Row = (u8, u32, &'static [(u8, &'static str)], Option<usize>);

#[test]
fn mid_is_used_first_then_ssrc_then_a_payload_type_of_one_section() {
    let two = format!("{AUDIO}{}{}", video("v", "a=ssrc:5 cname:x\n"), video("w", "a=ssrc:6 cname:x\n"));
    let session = session(&two);
    let table: [Row; 8] = [
        (96, 9, &[(4, "w")], Some(2)),
        (96, 5, &[(4, "w")], Some(2)),
        (96, 5, &[], Some(1)),
        (96, 6, &[], Some(2)),
        (111, 9, &[], Some(0)),
        // Of two sections.
        (96, 9, &[], None),
        // Of no section; of a section without this payload type.
        (96, 5, &[(4, "q")], None),
        (96, 9, &[(4, "a")], None),
    ];
    for (payload_type, ssrc, extensions, expected) in table {
        let found = bound(&session, payload_type, ssrc, extensions);
        assert_eq!(found.map(|found| found.0), expected, "{payload_type} {ssrc} {extensions:?}");
    }
}

#[test]
fn a_repair_stream_is_found_by_its_payload_type_and_its_primary_by_fid() {
    let group = "a=ssrc-group:FID 5 7\na=ssrc:5 cname:x\na=ssrc:7 cname:x\n";
    let session = session(&format!("{AUDIO}{}", video("v", group)));
    assert_eq!(bound(&session, 97, 7, &[]), Some((1, 0, Role::Repair { of: Some(Ssrc(5)) })));
    assert_eq!(bound(&session, 97, 8, &[]), Some((1, 0, Role::Repair { of: None })));
    assert_eq!(bound(&session, 96, 5, &[]), Some((1, 0, Role::Primary)));
}

#[test]
fn a_layer_is_found_by_rid_and_its_repair_by_the_repaired_rid() {
    let layers = "a=rid:h send\na=rid:l send\na=simulcast:send h;l\n";
    let session = session(&video("v", layers));
    assert_eq!(bound(&session, 96, 9, &[(4, "v"), (10, "l")]), Some((0, 1, Role::Primary)));
    assert_eq!(bound(&session, 97, 9, &[(4, "v"), (11, "l")]), Some((0, 1, Role::Repair { of: None })));
    assert_eq!(bound(&session, 96, 9, &[(4, "v")]), None, "not yet");
    assert_eq!(bound(&session, 97, 9, &[(4, "v"), (10, "l")]), None, "RTX has the other extension");
    assert_eq!(bound(&session, 96, 9, &[(4, "v"), (10, "q")]), None);
}

#[test]
fn a_section_that_does_not_send_has_no_sources() {
    let session = session(&format!("{AUDIO}{}", video("v", "a=recvonly\n")));
    assert_eq!(bound(&session, 96, 9, &[(4, "v")]), None);
}
