//! One RTP source that has proven authentic.

use std::time::{Duration, Instant};

use rtp::{LayerId, MediaKind, PayloadType, SeqNo, Ssrc, TrackId};

use crate::{
    Drops,
    demux::{Binding, Role},
    feedback::{keyframe::KeyframeRequests, nack::NackList, report::Reception},
    header::{ExtensionIds, Header},
    sdp::{Format, MediaSection},
    window::{Arrival, Window},
};

/// The times of a received packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// When the kernel received it.
    pub(crate) arrival: Instant,
    /// When the peer handles it.
    pub(crate) now: Instant,
}

/// A source, and what it needs of its section, copied so that a packet needs no look-up in the session.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) ssrc: Ssrc,
    pub(crate) track: TrackId,
    /// Names the track in log events.
    pub(crate) mid: String,
    pub(crate) layer: LayerId,
    pub(crate) role: Role,
    pub(crate) extension_ids: ExtensionIds,
    /// Bit n: payload type n is accepted. For a repair stream: payload type n carries RTX.
    accepted: u128,
    /// (RTX payload type, the payload type that it resends).
    repairs: Vec<(PayloadType, PayloadType)>,
    /// Of the source's own sequence numbers, and of those that RTX has resent.
    pub(crate) window: Window,
    pub(crate) reception: Reception,
    /// None where the section has no NACK, and for repair streams.
    pub(crate) nack: Option<NackList>,
    pub(crate) keyframes: KeyframeRequests,
    /// PLI, else FIR, else none.
    pub(crate) keyframe_by: Option<KeyframeBy>,
    pub(crate) statistics: StreamStatistics,
    pub(crate) said_bye: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyframeBy {
    Pli,
    Fir,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StreamStatistics {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) resent: u64,
    pub(crate) drops: Drops,
}

impl Stream {
    pub(crate) fn new(
        header: &Header<'_>,
        track: TrackId,
        mid: &str,
        Binding { layer, role, .. }: Binding,
        media: &MediaSection,
        max_wait: Duration,
        now: Instant,
    ) -> Self {
        let window = Window::new(header.sequence_number);
        let clock_rate = clock_rate(media, header.payload_type);
        let mut stream = Self {
            ssrc: header.ssrc,
            track,
            mid: mid.to_owned(),
            layer,
            role,
            extension_ids: media.extension_ids,
            accepted: 0,
            repairs: Vec::new(),
            reception: Reception::new(media.kind, clock_rate, SeqNo(window.highest().0 + 1), now),
            window,
            nack: None,
            keyframes: KeyframeRequests::default(),
            keyframe_by: None,
            statistics: StreamStatistics::default(),
            said_bye: false,
        };
        stream.configure(media, max_wait);
        stream
    }

    /// Applies what was negotiated. `max_wait`: how long a missing packet is requested.
    pub(crate) fn configure(&mut self, media: &MediaSection, max_wait: Duration) {
        self.extension_ids = media.extension_ids;
        let feedback = media.feedback();
        let primary = self.role == Role::Primary;
        let has_nack = primary && feedback.nack;
        if has_nack != self.nack.is_some() {
            self.nack = has_nack.then(|| NackList::new(max_wait));
        }
        self.keyframe_by = match media.kind {
            MediaKind::Video if primary && feedback.pli => Some(KeyframeBy::Pli),
            MediaKind::Video if primary && feedback.fir => Some(KeyframeBy::Fir),
            _ => None,
        };
        let bit = |payload_type: PayloadType| 1_u128 << (payload_type.0 & 0x7f);
        self.accepted = if primary {
            media.formats.iter().fold(0, |bits, format| bits | bit(format.payload.payload_type))
        } else {
            media.repairs.iter().fold(0, |bits, repair| bits | bit(repair.payload_type()))
        };
        self.repairs = media.repairs.iter().map(|repair| (repair.payload_type(), repair.primary)).collect();
    }

    pub(crate) fn accepts(&self, payload_type: PayloadType) -> bool {
        self.accepted >> (payload_type.0 & 0x7f) & 1 == 1
    }

    /// The payload type that an RTX payload type resends.
    pub(crate) fn repaired_payload_type(&self, payload_type: PayloadType) -> Option<PayloadType> {
        self.repairs.iter().find(|(repair, _)| *repair == payload_type).map(|(_, primary)| *primary)
    }

    /// Notes a packet that this source sent itself. Returns false if its sequence number was received before.
    pub(crate) fn note_packet(&mut self, header: &Header<'_>, times: Times) -> bool {
        let new = self.note_sequence_number(header.sequence_number, times).0;
        if new {
            self.reception.packet(header.timestamp, times.arrival);
        }
        new
    }

    /// Notes a packet that arrived by RTX. Returns whether its sequence number is new, and the round trip from the request
    /// to the resend, if there was one request.
    pub(crate) fn note_repaired(&mut self, sequence_number: u16, times: Times) -> (bool, Option<Duration>) {
        let (new, round_trip) = self.note_sequence_number(sequence_number, times);
        self.statistics.resent += u64::from(new);
        (new, round_trip)
    }

    fn note_sequence_number(&mut self, sequence_number: u16, times: Times) -> (bool, Option<Duration>) {
        let sequence = self.window.unwrap(sequence_number);
        match (self.window.note(sequence), &mut self.nack) {
            (Arrival::Newest { skipped }, Some(nack)) if skipped > 0 => {
                nack.add_hole(SeqNo(sequence.0 - skipped), sequence, times.arrival, times.now);
                (true, None)
            }
            (Arrival::Late, Some(nack)) => (true, nack.remove(sequence, times.now)),
            (arrival, _) => (arrival != Arrival::Duplicate, None),
        }
    }
}

fn clock_rate(media: &MediaSection, payload_type: PayloadType) -> u32 {
    let of = |format: &&Format| format.payload.payload_type == payload_type;
    media.formats.iter().find(of).or(media.formats.first()).map_or(90_000, |format| format.payload.clock_rate)
}
