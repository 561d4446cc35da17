//! A client made by hand: OpenSSL for DTLS, STUN and SRTP from the component crates. For what an honest client
//! library can't be made to do.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use openssl::{
    asn1::Asn1Time,
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    rsa::Rsa,
    ssl::{Ssl, SslContext, SslMethod, SslOptions, SslStream, SslVerifyMode},
    x509::X509,
};
use peer::{Endpoint, Environment, Peer, PeerConfig, PeerEvent, Protocol};
use rtc_crypto::{RTCCryptoProvider, providers::RingProvider};
use rtc_srtp::{config::Config, context::Context, protection_profile::ProtectionProfile};
use rtc_stun::{
    attributes::{
        ATTR_ICE_CONTROLLED, ATTR_ICE_CONTROLLING, ATTR_PRIORITY, ATTR_USE_CANDIDATE, ATTR_USERNAME,
    },
    fingerprint::FINGERPRINT,
    integrity::MessageIntegrity,
    message::{BINDING_REQUEST, Message, Setter, TransactionId},
};

use super::{address, config, credentials};

/// A socket's stand-in: a read gives one datagram.
#[derive(Default)]
pub struct Datagrams {
    pub incoming: VecDeque<Vec<u8>>,
    pub outgoing: VecDeque<Vec<u8>>,
}

impl Read for Datagrams {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let datagram = self.incoming.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        buffer[..datagram.len()].copy_from_slice(&datagram);
        Ok(datagram.len())
    }
}

impl Write for Datagrams {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        self.outgoing.push_back(datagram.to_vec());
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    Ecdsa,
    Rsa,
}

pub struct RawClient {
    pub start: Instant,
    pub now: Instant,
    pub peer: Peer,
    pub tls: SslStream<Datagrams>,
    pub outbound: Option<Context>,
    pub source: SocketAddr,
    pub server: SocketAddr,
    pub events: Vec<PeerEvent>,
    pub received: Vec<Vec<u8>>,
    fingerprint: String,
}

pub const CLIENT_UFRAG: &str = "theirs";

pub fn crypto() -> Arc<dyn RTCCryptoProvider> {
    Arc::new(RingProvider::new())
}

fn self_signed(key: &PKey<Private>) -> X509 {
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(9).unwrap()).unwrap();
    builder.sign(key, MessageDigest::sha256()).unwrap();
    builder.build()
}

impl RawClient {
    pub fn new() -> Self {
        Self::with(Certificate::Ecdsa, "SRTP_AEAD_AES_128_GCM", config())
    }

    pub fn with(certificate: Certificate, srtp_profiles: &str, config: PeerConfig) -> Self {
        Self::with_ciphers(certificate, srtp_profiles, config, "DEFAULT")
    }

    #[allow(clippy::disallowed_methods, reason = "an origin for virtual time")]
    fn with_ciphers(
        certificate: Certificate,
        srtp_profiles: &str,
        config: PeerConfig,
        ciphers: &str,
    ) -> Self {
        let key = match certificate {
            Certificate::Ecdsa => {
                let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
                PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
            }
            Certificate::Rsa => PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap(),
        };
        let certificate = self_signed(&key);
        let digest = certificate.digest(MessageDigest::sha256()).unwrap();
        let fingerprint: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
        let mut builder = SslContext::builder(SslMethod::dtls_client()).unwrap();
        builder.set_certificate(&certificate).unwrap();
        builder.set_private_key(&key).unwrap();
        builder.set_options(SslOptions::NO_QUERY_MTU);
        builder.set_cipher_list(ciphers).unwrap();
        builder.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
        if !srtp_profiles.is_empty() {
            builder.set_tlsext_use_srtp(srtp_profiles).unwrap();
        }
        let mut ssl = Ssl::new(&builder.build()).unwrap();
        ssl.set_mtu(1200).unwrap();
        ssl.set_connect_state();
        let start = Instant::now();
        Self {
            start,
            now: start,
            peer: Peer::new(Arc::new(Environment::new().unwrap()), Arc::new(config), "session".to_owned()),
            tls: SslStream::new(ssl, Datagrams::default()).unwrap(),
            outbound: None,
            source: address("198.51.100.7:5000"),
            server: address("192.0.2.1:4000"),
            events: Vec::new(),
            received: Vec::new(),
            fingerprint: fingerprint.join(":"),
        }
    }

    /// An offer of one VP8 section with RTX, mid `0`, without any `a=ssrc`.
    pub fn offer(&self) -> String {
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
             m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:{CLIENT_UFRAG}\r\n\
             a=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 {}\r\na=setup:actpass\r\na=mid:0\r\n\
             a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
             a=extmap:2 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n\
             a=sendonly\r\na=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\n\
             a=rtcp-fb:96 nack pli\r\na=rtcp-fb:96 transport-cc\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n",
            self.fingerprint
        )
    }

    pub fn input(&mut self, datagram: &[u8]) {
        let source = Endpoint { protocol: Protocol::Udp, address: self.source };
        self.peer.handle_datagram(self.now, self.now, source, self.server, datagram);
        self.drain();
    }

    pub fn drain(&mut self) {
        while let Some(event) = self.peer.poll_event() {
            self.events.push(event);
        }
        while let Some(transmit) = self.peer.poll_transmit() {
            assert!(transmit.payload.len() <= 1200);
            self.received.push(transmit.payload.to_vec());
        }
    }

    pub fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.peer.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.peer.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// Offers, and makes the checks that open the way for DTLS.
    pub fn start_session(&mut self) {
        let offer = self.offer();
        self.peer.accept_offer(&offer, credentials(1), self.now).unwrap();
        self.input(&binding_request(true));
    }

    /// One exchange of what both sides have to send of DTLS.
    pub fn exchange(&mut self) {
        let _ = self.tls.do_handshake();
        let outgoing: Vec<_> = self.tls.get_mut().outgoing.drain(..).collect();
        for datagram in outgoing {
            self.input(&datagram);
        }
        for datagram in std::mem::take(&mut self.received) {
            if super::is_dtls(&datagram) {
                self.tls.get_mut().incoming.push_back(datagram);
            }
        }
    }

    /// Through the whole handshake; true if both sides are up.
    pub fn shake_hands(&mut self) -> bool {
        for _ in 0..8 {
            self.exchange();
        }
        let client = self.tls.do_handshake().is_ok();
        if client && self.tls.ssl().selected_srtp_profile().is_some() {
            self.derive_keys();
        }
        client && self.is_connected()
    }

    pub fn is_connected(&self) -> bool {
        self.events.iter().any(|event| matches!(event, PeerEvent::Connected { .. }))
    }

    fn derive_keys(&mut self) {
        let ssl = self.tls.ssl();
        let profile = match ssl.selected_srtp_profile().unwrap().id().as_raw() {
            1 => ProtectionProfile::Aes128CmHmacSha1_80,
            7 => ProtectionProfile::AeadAes128Gcm,
            _ => ProtectionProfile::AeadAes256Gcm,
        };
        let mut material = vec![0; 2 * (profile.key_len() + profile.salt_len())];
        ssl.export_keying_material(&mut material, "EXTRACTOR-dtls_srtp", None).unwrap();
        let mut config = Config { profile, ..Config::default() };
        config.set_session_keys_from_keying_material(&material, true).unwrap();
        let (key, salt) = (&config.keys.local_master_key, &config.keys.local_master_salt);
        self.outbound = Some(Context::new(key, salt, profile, None, None, crypto().crypto()).unwrap());
    }

    /// Connected and able to send media.
    pub fn connected() -> Self {
        Self::connected_with("DEFAULT")
    }

    /// As [`connected`](Self::connected), of a client that offers these cipher suites alone.
    pub fn connected_with(ciphers: &str) -> Self {
        let mut client = Self::with_ciphers(Certificate::Ecdsa, "SRTP_AEAD_AES_128_GCM", config(), ciphers);
        client.start_session();
        assert!(client.shake_hands(), "{:?}", client.events);
        client.events.clear();
        client.received.clear();
        client
    }

    pub fn encrypt(&mut self, packet: &[u8]) -> Vec<u8> {
        self.outbound.as_mut().unwrap().encrypt_rtp(packet).unwrap().to_vec()
    }

    pub fn encrypt_rtcp(&mut self, compound: &[u8]) -> Vec<u8> {
        self.outbound.as_mut().unwrap().encrypt_rtcp(compound).unwrap().to_vec()
    }

    /// Sends an authentic packet.
    pub fn send_rtp(&mut self, packet: &[u8]) {
        let encrypted = self.encrypt(packet);
        self.input(&encrypted);
    }

    pub fn rtp_sequence_numbers(&self) -> Vec<u16> {
        self.events
            .iter()
            .filter_map(|event| match event {
                PeerEvent::Rtp { packet, .. } => Some(packet.sequence_number),
                _ => None,
            })
            .collect()
    }

    /// Whether data still flows both ways over DTLS and SRTP.
    pub fn is_alive(&mut self, ssrc: u32, sequence_number: u16) -> bool {
        self.events.clear();
        self.send_rtp(&rtp(96, sequence_number, ssrc, &[1, 2, 3]));
        !self.peer.is_closed() && self.rtp_sequence_numbers() == [sequence_number]
    }
}

pub fn rtp(payload_type: u8, sequence_number: u16, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend(sequence_number.to_be_bytes());
    packet.extend((u32::from(sequence_number) * 3000).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

/// With a transport-wide sequence number in extension 2.
pub fn rtp_with_transport_cc(
    payload_type: u8,
    sequence_number: u16,
    ssrc: u32,
    transport: u16,
    payload: &[u8],
) -> Vec<u8> {
    let mut packet = rtp(payload_type, sequence_number, ssrc, &[0xbe, 0xde, 0, 1, 0x21]);
    packet[0] |= 0x10;
    packet.extend(transport.to_be_bytes());
    packet.push(0);
    packet.extend(payload);
    packet
}

struct Raw(rtc_stun::attributes::AttrType, Vec<u8>);

impl Setter for Raw {
    fn add_to(&self, message: &mut Message) -> rtc_shared::error::Result<()> {
        message.add(self.0, &self.1);
        Ok(())
    }
}

/// A check with the credentials of the first generation.
pub fn binding_request(use_candidate: bool) -> Vec<u8> {
    let ours = credentials(1);
    binding_request_with(&format!("{}:{CLIENT_UFRAG}", ours.ufrag), &ours.password, use_candidate, false)
}

pub fn binding_request_with(
    username: &str,
    password: &str,
    use_candidate: bool,
    controlled: bool,
) -> Vec<u8> {
    let provider = crypto();
    let integrity = MessageIntegrity::new_raw_integrity_with_provider(password.as_bytes(), provider.crypto());
    let mut setters: Vec<Box<dyn Setter + '_>> = vec![
        Box::new(BINDING_REQUEST),
        Box::new(TransactionId([7; 12])),
        Box::new(Raw(ATTR_USERNAME, username.as_bytes().to_vec())),
        Box::new(Raw(ATTR_PRIORITY, vec![0, 0, 0, 1])),
        Box::new(Raw(if controlled { ATTR_ICE_CONTROLLED } else { ATTR_ICE_CONTROLLING }, vec![0; 8])),
    ];
    if use_candidate {
        setters.push(Box::new(Raw(ATTR_USE_CANDIDATE, Vec::new())));
    }
    setters.push(Box::new(integrity));
    setters.push(Box::new(FINGERPRINT));
    let mut message = Message::new();
    message.build(&setters).unwrap();
    message.raw
}

/// A DTLS record.
pub fn record(kind: u8, epoch: u16, number: u64, body: &[u8]) -> Vec<u8> {
    let mut record = vec![kind, 254, 253];
    record.extend(epoch.to_be_bytes());
    record.extend(&number.to_be_bytes()[2..]);
    record.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    record.extend(body);
    record
}

/// A fragment of a handshake message.
pub fn fragment(kind: u8, number: u16, length: u32, offset: u32, data: &[u8]) -> Vec<u8> {
    let mut fragment = vec![kind];
    fragment.extend(&length.to_be_bytes()[1..]);
    fragment.extend(number.to_be_bytes());
    fragment.extend(&offset.to_be_bytes()[1..]);
    fragment.extend(&u32::try_from(data.len()).unwrap().to_be_bytes()[1..]);
    fragment.extend(data);
    fragment
}
