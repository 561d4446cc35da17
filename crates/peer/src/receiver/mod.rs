//! RTP and RTCP as they come: gate, decryption, RTX, statistics and feedback.

mod feedback;
mod reports;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::{Buf, BytesMut};
use rtp::{LayerId, Rotation, RtpPacket, Ssrc, TrackId};

use crate::{
    PeerEvent, TrackStatistics,
    demux::{Binding, Role, resolve},
    feedback::{nack::NackList, transport_cc::TransportCc},
    header::{Header, unpadded_length},
    rtx,
    sdp::Session,
    srtp::Srtp,
    stream::Stream,
    tracks::Tracks,
};

/// Sources at a time: 21 simulcast layers with RTX.
const MAX_STREAMS: usize = 64;
/// Sources that SRTP has a state for, over the life of the peer. The state has to outlive the stream: it counts the
/// wraps of the sequence number, and a source may come back.
const MAX_ADMITTED: usize = 1024;
/// What a packet goes with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) arrival: Instant,
    pub(crate) now: Instant,
}

/// Packets dropped, by cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    /// Not of any source that could be told.
    pub(crate) unknown: u64,
    pub(crate) not_authentic: u64,
    pub(crate) duplicate: u64,
}

#[derive(Debug)]
pub(crate) struct Receiver {
    srtp: Srtp,
    streams: Vec<Stream>,
    /// Where the last packet's stream was.
    last: usize,
    admitted: Vec<Ssrc>,
    /// Counters of streams that are gone.
    gone: Vec<(TrackId, TrackStatistics)>,
    transport_cc: TransportCc,
    round_trip: Option<Duration>,
    fir_number: u8,
    reduced_size: bool,
    pub(crate) dropped: Dropped,
}

impl Receiver {
    pub(crate) fn new(srtp: Srtp, session: &Session, round_trip: Option<Duration>) -> Self {
        let mut receiver = Self {
            srtp,
            streams: Vec::new(),
            last: 0,
            admitted: Vec::new(),
            gone: Vec::new(),
            transport_cc: TransportCc::default(),
            round_trip,
            fir_number: 0,
            reduced_size: false,
            dropped: Dropped::default(),
        };
        receiver.reduced_size = is_reduced_size(session);
        receiver
    }

    /// Takes over a renegotiated session: streams of tracks that are gone go.
    pub(crate) fn configure(&mut self, session: &Session, tracks: &Tracks) {
        self.reduced_size = is_reduced_size(session);
        let (kept, gone): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.streams).into_iter().partition(|stream| {
                (0..session.sections.len()).any(|place| tracks.of_section(place) == Some(stream.track))
            });
        self.streams = kept;
        for stream in gone {
            self.retire(&stream);
        }
        for (place, section) in session.sections.iter().enumerate() {
            let (Some(media), Some(track)) = (section.media(), tracks.of_section(place)) else { continue };
            for stream in self.streams.iter_mut().filter(|stream| stream.track == track) {
                stream.configure(media);
            }
        }
        let known: Vec<TrackId> = tracks.ids().collect();
        self.gone.retain(|(track, _)| known.contains(track));
    }

    /// Takes an SRTP packet. True if it is authentic.
    pub(crate) fn handle_rtp(
        &mut self,
        packet: &[u8],
        times: Times,
        session: &Session,
        tracks: &mut Tracks,
        events: &mut VecDeque<PeerEvent>,
    ) -> bool {
        let Some(header) = Header::parse(packet) else { return false };
        let Some(place) =
            self.find(header.ssrc).or_else(|| self.admit(packet, &header, session, tracks, times))
        else {
            return false;
        };
        let decrypted = match self.srtp.decrypt_rtp(packet, &header) {
            Ok(decrypted) => decrypted,
            Err(crate::srtp::Rejected::Replayed) => {
                self.dropped.duplicate += 1;
                return false;
            }
            Err(crate::srtp::Rejected::NotAuthentic) => {
                self.dropped.not_authentic += 1;
                return false;
            }
        };
        self.last = place;
        let Some(stream) = self.streams.get_mut(place) else { return false };
        if stream.said_bye {
            stream.said_bye = false;
            tracks.resume(stream.track, events);
        }
        let new = stream.note_packet(&header, times.arrival, times.now);
        let extensions = ReadExtensions::of(&header, stream);
        if let Some(number) = extensions.transport_cc {
            self.transport_cc.packet(number, header.ssrc, times.arrival, times.now);
        }
        if !new {
            self.dropped.duplicate += 1;
        } else if stream.accepts(header.payload_type) {
            self.deliver(place, &header, extensions, decrypted, times, events);
        }
        true
    }

    fn find(&self, ssrc: Ssrc) -> Option<usize> {
        if self.streams.get(self.last).is_some_and(|stream| stream.ssrc == ssrc) {
            return Some(self.last);
        }
        self.streams.iter().position(|stream| stream.ssrc == ssrc)
    }

    /// Lets a new source in if it can be told where it belongs, and then only if it is authentic.
    fn admit(
        &mut self,
        packet: &[u8],
        header: &Header<'_>,
        session: &Session,
        tracks: &Tracks,
        times: Times,
    ) -> Option<usize> {
        let bound = resolve(session, header).and_then(|binding| {
            let track = tracks.of_section(binding.section)?;
            let media = session.sections.get(binding.section)?.media()?;
            Some((binding, track, media))
        });
        let Some((Binding { layer, role, .. }, track, media)) = bound else {
            self.dropped.unknown += 1;
            return None;
        };
        let admitted = self.admitted.contains(&header.ssrc);
        if !admitted {
            if self.admitted.len() >= MAX_ADMITTED {
                self.dropped.unknown += 1;
                return None;
            }
            if !self.srtp.is_authentic(packet, header) {
                self.dropped.not_authentic += 1;
                return None;
            }
            self.admitted.push(header.ssrc);
        }
        if self.streams.len() >= MAX_STREAMS {
            // The longest silent one has most likely been replaced by this.
            let silent =
                self.streams.iter().enumerate().min_by_key(|(_, stream)| stream.reception.last_arrival())?.0;
            let stream = self.streams.remove(silent);
            self.retire(&stream);
        }
        self.streams.push(Stream::new(header, track, layer, role, media, times.now));
        Some(self.streams.len() - 1)
    }

    fn deliver(
        &mut self,
        place: usize,
        header: &Header<'_>,
        extensions: ReadExtensions,
        mut decrypted: BytesMut,
        times: Times,
        events: &mut VecDeque<PeerEvent>,
    ) {
        let Some(payload) = decrypted.get(header.length..) else { return };
        // Padding alone is delivered too: it has a place in the sequence that must not look like a loss.
        let Some(length) = unpadded_length(payload, header.padding) else { return };
        let payload = &payload[..length];
        let Some(stream) = self.streams.get(place) else { return };
        let (place, payload_type, sequence_number, skip) = match stream.role {
            Role::Primary => (place, header.payload_type, header.sequence_number, 0),
            Role::Repair { of } => {
                let Some((original, _)) = rtx::unwrap(payload) else { return };
                let Some(payload_type) = stream.repaired_payload_type(header.payload_type) else { return };
                let Some(primary) = self.primary_of(stream, of) else { return };
                (primary, payload_type, original, rtx::ORIGINAL_SEQUENCE_LENGTH)
            }
        };
        let resent = skip > 0;
        let Some(stream) = self.streams.get_mut(place) else { return };
        if resent {
            let (new, round_trip) = stream.note_repaired(sequence_number, times.now);
            if let Some(sample) = round_trip {
                let smoothed = self.round_trip.map_or(sample, |known| (known * 7 + sample) / 8);
                self.round_trip = Some(smoothed);
            }
            if !new {
                self.dropped.duplicate += 1;
                return;
            }
        }
        decrypted.truncate(header.length + length);
        decrypted.advance(header.length + skip);
        let payload = decrypted.freeze();
        // Padding alone keeps its place in the sequence and is no media.
        stream.statistics.packets += u64::from(!payload.is_empty());
        stream.statistics.bytes += payload.len() as u64;
        events.push_back(PeerEvent::Rtp {
            track: stream.track,
            layer: stream.layer,
            arrival: times.arrival,
            packet: RtpPacket {
                ssrc: stream.ssrc,
                payload_type,
                sequence_number,
                timestamp: header.timestamp,
                marker: header.marker,
                rotation: extensions.rotation,
                resent,
                payload,
            },
        });
    }

    /// The stream that a repair stream resends: the one that the offer named, else the latest of the same layer.
    fn primary_of(&self, repair: &Stream, of: Option<Ssrc>) -> Option<usize> {
        if let Some(place) = of.and_then(|ssrc| self.streams.iter().position(|stream| stream.ssrc == ssrc)) {
            return Some(place);
        }
        self.streams
            .iter()
            .enumerate()
            .filter(|(_, stream)| {
                stream.role == Role::Primary && stream.track == repair.track && stream.layer == repair.layer
            })
            .max_by_key(|(_, stream)| stream.reception.last_arrival())
            .map(|(place, _)| place)
    }

    /// Asks for a keyframe of a layer, at its latest source.
    pub(crate) fn request_keyframe(&mut self, track: TrackId, layer: LayerId, now: Instant) {
        let latest = self
            .streams
            .iter_mut()
            .filter(|stream| stream.track == track && stream.layer == layer && stream.keyframe_by.is_some())
            .max_by_key(|stream| stream.reception.last_arrival());
        if let Some(stream) = latest {
            stream.keyframes.ask(now);
        }
    }

    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// The counters of a track, over all its sources.
    pub(crate) fn statistics(&self, track: TrackId) -> TrackStatistics {
        let mut total = self
            .gone
            .iter()
            .find(|(gone, _)| *gone == track)
            .map_or_else(TrackStatistics::default, |(_, statistics)| statistics.clone());
        let mut most = 0;
        for stream in self.streams.iter().filter(|stream| stream.track == track) {
            if stream.role == Role::Primary && stream.statistics.packets >= most {
                most = stream.statistics.packets;
                total.jitter = stream.reception.jitter();
            }
            add(&mut total, stream);
        }
        total
    }

    /// Drops a stream but not its counters.
    fn retire(&mut self, stream: &Stream) {
        let place = self.gone.iter().position(|(track, _)| *track == stream.track).unwrap_or_else(|| {
            self.gone.push((stream.track, TrackStatistics::default()));
            self.gone.len() - 1
        });
        if let Some((_, total)) = self.gone.get_mut(place) {
            add(total, stream);
        }
    }
}

fn add(total: &mut TrackStatistics, stream: &Stream) {
    total.packets += stream.statistics.packets;
    total.bytes += stream.statistics.bytes;
    total.resent += stream.statistics.resent;
    total.nacked += stream.nack.as_ref().map_or(0, NackList::asked);
    total.lost += stream.nack.as_ref().map_or(0, NackList::given_up);
    total.plis += stream.keyframes.sent();
}

/// RFC 5506: only if every section allows it, as all share the transport.
fn is_reduced_size(session: &Session) -> bool {
    session.media().all(|(_, media)| media.rtcp_rsize)
}

/// The header extensions that an event or the feedback needs.
#[derive(Debug, Clone, Copy, Default)]
struct ReadExtensions {
    transport_cc: Option<u16>,
    rotation: Option<Rotation>,
}

impl ReadExtensions {
    fn of(header: &Header<'_>, stream: &Stream) -> Self {
        let ids = &stream.extension_ids;
        let mut read = Self::default();
        for (id, value) in header.extensions() {
            let id = Some(id);
            if id == ids.transport_cc {
                read.transport_cc = value.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
            } else if id == ids.orientation {
                read.rotation = value.first().map(|byte| Rotation::from_cvo(*byte));
            }
        }
        read
    }
}
