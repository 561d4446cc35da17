mod answers;
mod mutation;
mod offers;

use crate::{
    Candidate, CodecPreference, IceCredentials, MediaKind, OfferError, PeerConfig, Protocol,
    TransportTimeouts,
};

use super::{AnswerContext, Offer, Session, negotiate, write_answer};

fn codec(kind: MediaKind, name: &str, clock_rate: u32) -> CodecPreference {
    CodecPreference { kind, encoding_name: name.to_owned(), clock_rate, required_fmtp: Vec::new() }
}

fn config() -> PeerConfig {
    PeerConfig {
        candidates: vec![
            Candidate { protocol: Protocol::Udp, address: "192.0.2.1:4000".parse().unwrap() },
            Candidate { protocol: Protocol::Udp, address: "[2001:db8::1]:4000".parse().unwrap() },
            Candidate { protocol: Protocol::Tcp, address: "192.0.2.1:4443".parse().unwrap() },
        ],
        codecs: vec![
            codec(MediaKind::Video, "VP9", 90_000),
            codec(MediaKind::Video, "vp8", 90_000),
            codec(MediaKind::Video, "H264", 90_000),
            codec(MediaKind::Video, "AV1", 90_000),
            codec(MediaKind::Audio, "red", 48_000),
            codec(MediaKind::Audio, "opus", 48_000),
        ],
        timeouts: TransportTimeouts::default(),
        max_offer_bytes: 64 * 1024,
        max_sections: 16,
    }
}

fn answer(sdp: &str, config: &PeerConfig) -> Result<(Session, String), OfferError> {
    let offer = Offer::parse(sdp, config)?;
    let session = negotiate(&offer, config, true)?;
    let credentials =
        IceCredentials { ufrag: "ours".to_owned(), password: "aPasswordThatIsLongEnough".to_owned() };
    let context = AnswerContext {
        session_id: 7,
        session_version: 1,
        credentials: &credentials,
        fingerprint: &[0xab; 32],
        candidates: &config.candidates,
        max_message_bytes: 1000,
    };
    let text = write_answer(&session, &context);
    Ok((session, text))
}
