//! Counters of a peer and its tracks.

use std::ops::AddAssign;

use rtp::TrackId;

/// Counters of a session.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PeerStatistics {
    /// Everything that was dropped, of all tracks and of none.
    pub drops: Drops,
    /// Each track that has not been forgotten.
    pub tracks: Vec<(TrackId, TrackStatistics)>,
}

/// Counters of a track.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrackStatistics {
    /// Media packets received, resent ones included, packets of padding alone not.
    pub packets: u64,
    /// Payload bytes received.
    pub bytes: u64,
    /// Packets received by RTX.
    pub resent: u64,
    /// Sequence numbers in NACKs, repeated requests included.
    pub nacked: u64,
    /// Missing packets that were given up. Counted where NACK was negotiated.
    pub lost: u64,
    /// Interarrival jitter in seconds (RFC 3550 §6.4.1), of the layer with the most packets.
    pub jitter: f64,
    /// Keyframe requests sent: PLI, or FIR where only that was negotiated.
    pub plis: u64,
    /// Packets of its sources that were dropped. Only the counters of RTP apply.
    pub drops: Drops,
}

/// Counters of dropped datagrams and packets, by cause. None of them is evidence of a fault of ours: anybody who can
/// spoof the client's address can raise all but `duplicate`, `unknown_payload_type` and `unmatched_resend`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drops {
    /// Datagrams while events or datagrams of ours waited to be polled in excess of the limit.
    pub queue_full: u64,
    /// Datagrams of none of our protocols by their first byte (RFC 7983 §7), and DTLS from an address without a
    /// successful ICE check.
    pub unexpected: u64,
    /// STUN messages that are not an authentic binding request.
    pub stun: u64,
    /// Datagrams with DTLS records that no honest client sends.
    pub dtls: u64,
    /// RTP and RTCP before the DTLS handshake has provided the keys.
    pub before_keys: u64,
    /// Packets with an impossible header or padding.
    pub malformed: u64,
    /// RTP and RTCP of a source whose track is not known, or of one source too many.
    pub unknown_ssrc: u64,
    /// Packets that failed SRTP's or SRTCP's authentication.
    pub not_authentic: u64,
    /// Packets that SRTP or SRTCP has received before (RFC 3711 §3.3.2), or that are too old to tell.
    pub replayed: u64,
    /// Authentic packets whose sequence number was received before: usually both the original and its resend arrived.
    pub duplicate: u64,
    /// Authentic packets with a payload type that was not negotiated for their section.
    pub unknown_payload_type: u64,
    /// Resent packets whose original source or payload type is not known.
    pub unmatched_resend: u64,
}

impl AddAssign for Drops {
    fn add_assign(&mut self, other: Self) {
        let Self {
            queue_full,
            unexpected,
            stun,
            dtls,
            before_keys,
            malformed,
            unknown_ssrc,
            not_authentic,
            replayed,
            duplicate,
            unknown_payload_type,
            unmatched_resend,
        } = other;
        self.queue_full += queue_full;
        self.unexpected += unexpected;
        self.stun += stun;
        self.dtls += dtls;
        self.before_keys += before_keys;
        self.malformed += malformed;
        self.unknown_ssrc += unknown_ssrc;
        self.not_authentic += not_authentic;
        self.replayed += replayed;
        self.duplicate += duplicate;
        self.unknown_payload_type += unknown_payload_type;
        self.unmatched_resend += unmatched_resend;
    }
}
