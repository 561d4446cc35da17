//! The peer under test.

#![allow(dead_code, reason = "each target uses a part")]

use std::{
    sync::{Arc, LazyLock},
    time::Instant,
};

use peer::{
    Candidate, Codec, Encoding, Endpoint, Environment, IceCredentials, Peer, PeerConfig, Protocol,
    TransportTimeouts,
};

pub static START: LazyLock<Instant> = LazyLock::new(Instant::now);

static ENVIRONMENT: LazyLock<Arc<Environment>> =
    LazyLock::new(|| Arc::new(Environment::new().expect("OpenSSL sets up")));

static CONFIG: LazyLock<Arc<PeerConfig>> = LazyLock::new(|| {
    Arc::new(PeerConfig {
        candidates: vec![Candidate { protocol: Protocol::Udp, address: ([192, 0, 2, 1], 4000).into() }],
        codecs: vec![
            Codec::Vp8.into(),
            Codec::H264.into(),
            Encoding::Red,
            Codec::Opus.into(),
        ],
        timeouts: TransportTimeouts::default(),
        max_wait: std::time::Duration::from_secs(1),
        max_offer_bytes: 64 * 1024,
        max_sections: 16,
    })
});

pub fn peer() -> Peer {
    Peer::new(Arc::clone(&ENVIRONMENT), Arc::clone(&CONFIG), "fuzz".to_owned())
}

pub fn credentials() -> IceCredentials {
    IceCredentials { ufrag: "ours".to_owned(), password: "aPasswordThatIsLongEnough".to_owned() }
}

/// A signed check with USE-CANDIDATE, for [`credentials`] and the user fragment of [`OFFER`].
pub const CHECK: [u8; 92] = [
    0x00, 0x01, 0x00, 0x48, 0x21, 0x12, 0xa4, 0x42, 0x07, 0x07, 0x07, 0x07, 0x07, 0x07, 0x07, 0x07, 0x07,
    0x07, 0x07, 0x07, 0x00, 0x06, 0x00, 0x0b, 0x6f, 0x75, 0x72, 0x73, 0x3a, 0x74, 0x68, 0x65, 0x69, 0x72,
    0x73, 0x00, 0x00, 0x24, 0x00, 0x04, 0x00, 0x00, 0x00, 0x01, 0x80, 0x2a, 0x00, 0x08, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x25, 0x00, 0x00, 0x00, 0x08, 0x00, 0x14, 0x33, 0x76, 0x27, 0x02,
    0x0f, 0x7e, 0xeb, 0x14, 0xf1, 0x7f, 0x74, 0x87, 0xf9, 0x3f, 0x88, 0x66, 0x5f, 0xb8, 0xfb, 0x48, 0x80,
    0x28, 0x00, 0x04, 0x86, 0x71, 0x44, 0x60,
];

pub const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:theirs\r\n\
a=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 \
00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00\r\n\
a=setup:actpass\r\na=mid:0\r\na=sendonly\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\n\
a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n\
m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\n";

pub fn client() -> Endpoint {
    Endpoint { protocol: Protocol::Udp, address: ([198, 51, 100, 7], 5000).into() }
}

pub fn drain(peer: &mut Peer) {
    while peer.poll_event().is_some() {}
    while peer.poll_transmit().is_some() {}
    let _ = peer.poll_timeout();
}
