mod answers;
mod mutation;
mod offers;

use rtp::{Codec, Encoding};

use crate::{Candidate, IceCredentials, OfferError, PeerConfig, Protocol, TransportTimeouts};

use super::{AnswerContext, Offer, Session, negotiate, write_answer};

const VP8: Encoding = Encoding::Codec(Codec::Vp8);
const VP9: Encoding = Encoding::Codec(Codec::Vp9);
const AV1: Encoding = Encoding::Codec(Codec::Av1);
const H264: Encoding = Encoding::Codec(Codec::H264);
const OPUS: Encoding = Encoding::Codec(Codec::Opus);
const PCMU: Encoding = Encoding::Codec(Codec::Pcmu);

fn config() -> PeerConfig {
    PeerConfig {
        candidates: vec![
            Candidate { protocol: Protocol::Udp, address: "192.0.2.1:4000".parse().unwrap() },
            Candidate { protocol: Protocol::Udp, address: "[2001:db8::1]:4000".parse().unwrap() },
            Candidate { protocol: Protocol::Tcp, address: "192.0.2.1:4443".parse().unwrap() },
        ],
        codecs: vec![VP9, VP8, H264, AV1, Encoding::Red, OPUS],
        timeouts: TransportTimeouts::default(),
        max_wait: std::time::Duration::from_secs(1),
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
