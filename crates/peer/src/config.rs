//! The configuration of peers, and what they share.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rtc_crypto::{RTCCryptoProvider, providers::RingProvider};
use rtp::Encoding;

use crate::dtls::DtlsContext;

/// The transport under a candidate or an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// UDP.
    Udp,
    /// TCP with the framing of RFC 4571, passive on our side (RFC 6544). The caller does the framing: a peer handles whole
    /// datagrams.
    Tcp,
}

/// The source or the destination of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The transport.
    pub protocol: Protocol,
    /// The remote address.
    pub address: SocketAddr,
}

/// An address to announce in the answer. The first is preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// The transport.
    pub protocol: Protocol,
    /// A listen address of ours, or the public address in front of it.
    pub address: SocketAddr,
}

/// Our user fragment and password for one ICE generation (RFC 8839 §5.4). The caller makes them at random, and routes
/// datagrams by the user fragment.
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// 4 to 256 ICE characters.
    pub ufrag: String,
    /// 22 to 256 ICE characters.
    pub password: String,
}

impl std::fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceCredentials").field("ufrag", &self.ufrag).field("password", &"***").finish()
    }
}

/// How long the peer waits for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransportTimeouts {
    /// From the offer to the end of the DTLS handshake. Past it the peer closes with `ConnectTimeout`.
    pub connect: Duration,
    /// After this long without anything authentic the peer reports `Disconnected`. The session continues.
    pub disconnected: Duration,
    /// After this long without anything authentic the peer closes with `IceFailed`.
    pub failed: Duration,
}

impl Default for TransportTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            disconnected: Duration::from_secs(5),
            failed: Duration::from_secs(35),
        }
    }
}

/// What the peers of a shard share, apart from the cryptographic identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerConfig {
    /// The addresses to announce in answers, best first.
    pub candidates: Vec<Candidate>,
    /// The encodings to accept, in the order of preference in the answer. Which of their payload types can be recorded
    /// follows from the format parameters ([`Encoding::fmtp_rules`]).
    pub codecs: Vec<Encoding>,
    /// How long the peer waits for the client.
    pub timeouts: TransportTimeouts,
    /// How long a missing packet is requested by NACK, from the arrival of the packet behind the hole. Set it to the time
    /// that the recorder waits (`media::RecorderConfig::max_wait`): a packet that arrives later can't be used.
    pub max_wait: Duration,
    /// The largest offer, in bytes.
    pub max_offer_bytes: usize,
    /// The most media sections of an offer.
    pub max_sections: usize,
}

/// Our DTLS identity (an ECDSA P-256 certificate made at start) and the OpenSSL context, shared by all peers.
pub struct Environment {
    pub(crate) dtls: DtlsContext,
    pub(crate) crypto: Arc<dyn RTCCryptoProvider>,
}

/// OpenSSL could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("OpenSSL can't be set up for DTLS: {0}")]
pub struct EnvironmentError(pub(crate) String);

impl Environment {
    /// Makes a certificate and a context.
    ///
    /// # Errors
    /// If OpenSSL refuses one of its settings.
    pub fn new() -> Result<Self, EnvironmentError> {
        let dtls = DtlsContext::new().map_err(|error| EnvironmentError(error.to_string()))?;
        Ok(Self { dtls, crypto: Arc::new(RingProvider::new()) })
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment").finish_non_exhaustive()
    }
}
