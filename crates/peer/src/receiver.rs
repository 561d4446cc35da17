//! Received RTP and RTCP: decryption, RTX, statistics, and the feedback to send.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes, BytesMut};
use rtp::{LayerId, Rotation, RtpPacket, Ssrc, TrackId};

use crate::{
    Drops, PeerEvent, TrackStatistics,
    demux::{Role, resolve},
    event_log::{EventLog, log_event},
    feedback::{nack::NackList, transport_cc::TransportCc},
    header::{Header, unpadded_length},
    rtcp::{self, Report, goodbye_ssrcs},
    rtx,
    sdp::Session,
    srtp::{Rejected, Srtp},
    stream::{KeyframeBy, Stream, Times},
    tracks::Tracks,
};

/// Sources at a time: 21 simulcast layers with RTX.
const MAX_STREAMS: usize = 64;
/// Sources that SRTP has a state for, over the life of the peer. The state has to outlive the stream: it counts the
/// wraps of the sequence number, and a source may return.
const MAX_ADMITTED: usize = 1024;
/// Unknown sources that are logged in a session. Anybody who knows the client's address can forge them.
const MAX_UNKNOWN_LOGGED: usize = 16;
/// Our own SSRC in what we send. libwebrtc's receive-only sides use it as well.
const OUR_SSRC: Ssrc = Ssrc(1);
/// Feedback of at most this many bytes goes into one datagram.
const MAX_COMPOUND: usize = 1150;
/// Reports that are due within this time are sent with those that are due now.
const REPORT_SLACK: Duration = Duration::from_millis(100);

/// The parts of the peer that a received packet concerns.
pub(crate) struct Context<'a> {
    pub(crate) session: &'a Session,
    pub(crate) tracks: &'a mut Tracks,
    pub(crate) events: &'a mut VecDeque<PeerEvent>,
    pub(crate) log: &'a mut EventLog,
}

#[derive(Debug)]
pub(crate) struct Receiver {
    srtp: Srtp,
    /// How long a missing packet is requested.
    max_wait: Duration,
    streams: Vec<Stream>,
    /// Index of the stream that received the last packet.
    last: usize,
    /// Sources that have authenticated once.
    admitted: Vec<Ssrc>,
    /// Unknown sources that have been logged.
    unknown_logged: Vec<Ssrc>,
    /// Counters of streams that have been removed.
    removed: Vec<(TrackId, TrackStatistics)>,
    transport_cc: TransportCc,
    round_trip: Option<Duration>,
    fir_number: u8,
    reduced_size: bool,
    drops: Drops,
}

impl Receiver {
    pub(crate) fn new(
        srtp: Srtp,
        session: &Session,
        round_trip: Option<Duration>,
        max_wait: Duration,
    ) -> Self {
        Self {
            srtp,
            max_wait,
            streams: Vec::new(),
            last: 0,
            admitted: Vec::new(),
            unknown_logged: Vec::new(),
            removed: Vec::new(),
            transport_cc: TransportCc::default(),
            round_trip,
            fir_number: 0,
            reduced_size: is_reduced_size(session),
            drops: Drops::default(),
        }
    }

    /// Applies a renegotiated session. Streams of ended tracks are removed.
    pub(crate) fn configure(&mut self, session: &Session, tracks: &Tracks) {
        self.reduced_size = is_reduced_size(session);
        let (live, ended): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.streams).into_iter().partition(|stream| {
                (0..session.sections.len()).any(|index| tracks.of_section(index) == Some(stream.track))
            });
        self.streams = live;
        for stream in ended {
            self.retain_counters(&stream);
        }
        for (index, section) in session.sections.iter().enumerate() {
            let (Some(media), Some(track)) = (section.media(), tracks.of_section(index)) else { continue };
            for stream in self.streams.iter_mut().filter(|stream| stream.track == track) {
                stream.configure(media, self.max_wait);
            }
        }
        let known: Vec<TrackId> = tracks.ids().collect();
        self.removed.retain(|(track, _)| known.contains(track));
    }

    /// Receives an SRTP packet. Returns whether it is authentic.
    pub(crate) fn handle_rtp(&mut self, packet: &[u8], times: Times, context: &mut Context<'_>) -> bool {
        let Some(header) = Header::parse(packet) else {
            self.drops.malformed += 1;
            return false;
        };
        let Some(index) = self.find(header.ssrc).or_else(|| self.admit(packet, &header, times, context))
        else {
            return false;
        };
        let decrypted = self.srtp.decrypt_rtp(packet, &header);
        let Some(stream) = self.streams.get_mut(index) else {
            debug_assert!(false, "`find` and `admit` return the index of a stream");
            return false;
        };
        let decrypted = match decrypted {
            Ok(decrypted) => decrypted,
            Err(rejected) => {
                stream.statistics.drops.count_rejected(rejected);
                return false;
            }
        };
        self.last = index;
        if stream.said_bye {
            stream.said_bye = false;
            log_event!(context.log, times.now, ssrc = %stream.ssrc, mid = %stream.mid, "source sends again after BYE");
            context.tracks.resume(stream.track, context.events);
        }
        let new = stream.note_packet(&header, times);
        let extensions = ReadExtensions::of(&header, stream);
        if let Some(number) = extensions.transport_cc {
            self.transport_cc.packet(number, header.ssrc, times.arrival, times.now);
        }
        if !new {
            stream.statistics.drops.duplicate += 1;
        } else if stream.accepts(header.payload_type) {
            self.deliver(index, &header, extensions, decrypted, times, context.events);
        } else {
            stream.statistics.drops.unknown_payload_type += 1;
        }
        true
    }

    fn find(&self, ssrc: Ssrc) -> Option<usize> {
        if self.streams.get(self.last).is_some_and(|stream| stream.ssrc == ssrc) {
            return Some(self.last);
        }
        self.streams.iter().position(|stream| stream.ssrc == ssrc)
    }

    /// Adds a stream for a new source, if its section is known and the packet is authentic.
    fn admit(
        &mut self,
        packet: &[u8],
        header: &Header<'_>,
        times: Times,
        context: &mut Context<'_>,
    ) -> Option<usize> {
        let bound = resolve(context.session, header).and_then(|binding| {
            let track = context.tracks.of_section(binding.section)?;
            let section = context.session.sections.get(binding.section)?;
            Some((binding, track, section, section.media()?))
        });
        let Some((binding, track, section, media)) = bound else {
            self.drop_unknown(header, times.now, context.log);
            return None;
        };
        if !self.admitted.contains(&header.ssrc) {
            if self.admitted.len() >= MAX_ADMITTED {
                self.drop_unknown(header, times.now, context.log);
                return None;
            }
            if !self.srtp.is_authentic(packet, header) {
                self.drops.not_authentic += 1;
                return None;
            }
            self.admitted.push(header.ssrc);
        }
        if self.streams.len() >= MAX_STREAMS {
            // The source that has been silent longest has most likely been replaced by this one.
            let silent = self
                .streams
                .iter()
                .enumerate()
                .min_by_key(|(_, stream)| stream.reception.last_arrival())
                .map(|(index, _)| index)?;
            let stream = self.streams.remove(silent);
            self.retain_counters(&stream);
        }
        log_event!(
            context.log, times.now,
            ssrc = %header.ssrc, mid = %section.mid, layer = binding.layer.0, payload_type = %header.payload_type,
            seq = header.sequence_number, rtx = binding.role != Role::Primary, "source added"
        );
        self.streams.push(Stream::new(header, track, &section.mid, binding, media, self.max_wait, times.now));
        Some(self.streams.len() - 1)
    }

    fn drop_unknown(&mut self, header: &Header<'_>, now: Instant, log: &mut EventLog) {
        self.drops.unknown_ssrc += 1;
        if self.unknown_logged.len() < MAX_UNKNOWN_LOGGED && !self.unknown_logged.contains(&header.ssrc) {
            self.unknown_logged.push(header.ssrc);
            log_event!(
                log, now,
                ssrc = %header.ssrc, payload_type = %header.payload_type, seq = header.sequence_number,
                "packet of an unknown source dropped"
            );
        }
    }

    fn deliver(
        &mut self,
        index: usize,
        header: &Header<'_>,
        extensions: ReadExtensions,
        mut decrypted: BytesMut,
        times: Times,
        events: &mut VecDeque<PeerEvent>,
    ) {
        let Some(received) = self.streams.get(index) else {
            debug_assert!(false, "the index is that of the stream that received the packet");
            return;
        };
        let unpadded = decrypted
            .get(header.length..)
            .and_then(|payload| unpadded_length(payload, header.padding).map(|length| &payload[..length]));
        let Some(payload) = unpadded else {
            self.streams[index].statistics.drops.malformed += 1;
            return;
        };
        let length = payload.len();
        let (index, payload_type, sequence_number, skip) = match received.role {
            // Padding alone is delivered too: its sequence number must not look like a loss.
            Role::Primary => (index, header.payload_type, header.sequence_number, 0),
            Role::Repair { of } => {
                // A probe for bandwidth. Transport-wide feedback has counted it.
                let Some((original, _)) = rtx::unwrap(payload) else { return };
                let payload_type = received.repaired_payload_type(header.payload_type);
                let primary = self.primary_of(received, of);
                let (Some(payload_type), Some(primary)) = (payload_type, primary) else {
                    self.streams[index].statistics.drops.unmatched_resend += 1;
                    return;
                };
                (primary, payload_type, original, rtx::ORIGINAL_SEQUENCE_LENGTH)
            }
        };
        let resent = skip > 0;
        let Some(stream) = self.streams.get_mut(index) else {
            debug_assert!(false, "`primary_of` returns the index of a stream");
            return;
        };
        if resent {
            let (new, round_trip) = stream.note_repaired(sequence_number, times);
            if let Some(sample) = round_trip {
                let smoothed = self.round_trip.map_or(sample, |known| (known * 7 + sample) / 8);
                self.round_trip = Some(smoothed);
            }
            if !new {
                stream.statistics.drops.duplicate += 1;
                return;
            }
        }
        decrypted.truncate(header.length + length);
        decrypted.advance(header.length + skip);
        let payload = decrypted.freeze();
        // Padding alone is not media.
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

    /// The stream whose packets a repair stream resends: the one that the offer named, else the latest of the same
    /// layer.
    fn primary_of(&self, repair: &Stream, of: Option<Ssrc>) -> Option<usize> {
        if let Some(index) = of.and_then(|ssrc| self.streams.iter().position(|stream| stream.ssrc == ssrc)) {
            return Some(index);
        }
        self.streams
            .iter()
            .enumerate()
            .filter(|(_, stream)| {
                stream.role == Role::Primary && stream.track == repair.track && stream.layer == repair.layer
            })
            .max_by_key(|(_, stream)| stream.reception.last_arrival())
            .map(|(index, _)| index)
    }

    /// Receives an SRTCP packet. Returns whether it is authentic.
    pub(crate) fn handle_rtcp(&mut self, packet: &[u8], times: Times, context: &mut Context<'_>) -> bool {
        let Some(ssrc) = rtcp::first_ssrc(packet) else {
            self.drops.malformed += 1;
            return false;
        };
        // rtc-srtp makes a state for every source that it is shown. Only senders' RTCP matters to us.
        let declared = || context.session.media().any(|(_, media)| media.ssrcs.contains(&ssrc));
        if self.find(ssrc).is_none() && !declared() {
            self.drops.unknown_ssrc += 1;
            return false;
        }
        let compound = match self.srtp.decrypt_rtcp(packet, ssrc) {
            Ok(compound) => compound,
            Err(rejected) => {
                self.drops.count_rejected(rejected);
                return false;
            }
        };
        for report in rtcp::reports(&compound) {
            match report {
                Report::Sender(report) => {
                    let Some(stream) = self.streams.iter_mut().find(|stream| stream.ssrc == report.ssrc)
                    else {
                        continue;
                    };
                    stream.reception.sender_report(report.ntp, times.arrival);
                    if stream.role == Role::Primary {
                        context.events.push_back(PeerEvent::SenderReport {
                            track: stream.track,
                            layer: stream.layer,
                            arrival: times.arrival,
                            report,
                        });
                    }
                }
                Report::Goodbye(sources) => {
                    goodbye_ssrcs(sources).for_each(|ssrc| self.goodbye(ssrc, times.now, context));
                }
            }
        }
        true
    }

    fn goodbye(&mut self, ssrc: Ssrc, now: Instant, context: &mut Context<'_>) {
        let Some(stream) = self.streams.iter_mut().find(|stream| stream.ssrc == ssrc) else { return };
        if !stream.said_bye {
            log_event!(context.log, now, %ssrc, mid = %stream.mid, "source said BYE");
        }
        stream.said_bye = true;
        if let Some(nack) = &mut stream.nack {
            nack.clear();
        }
        let track = stream.track;
        let mut primaries =
            self.streams.iter().filter(|stream| stream.track == track && stream.role == Role::Primary);
        if primaries.all(|stream| stream.said_bye) {
            context.tracks.silence(track, context.events);
        }
    }

    /// Requests a keyframe of a layer, from its latest source.
    pub(crate) fn request_keyframe(&mut self, track: TrackId, layer: LayerId, now: Instant) {
        let latest = self
            .streams
            .iter_mut()
            .filter(|stream| stream.track == track && stream.layer == layer && stream.keyframe_by.is_some())
            .max_by_key(|stream| stream.reception.last_arrival());
        if let Some(stream) = latest {
            stream.keyframes.request(now);
        }
    }

    /// When feedback is due next.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let streams = self.streams.iter().flat_map(|stream| {
            [
                Some(stream.reception.due()),
                stream.nack.as_ref().and_then(NackList::due),
                stream.keyframes.due(),
            ]
        });
        streams.chain([self.transport_cc.due()]).flatten().min()
    }

    /// The encrypted feedback that is due, each a datagram.
    pub(crate) fn feedback(&mut self, now: Instant, log: &mut EventLog) -> Vec<Bytes> {
        let mut messages = Vec::new();
        self.write_reports(now, &mut messages);
        self.write_requests(now, log, &mut messages);
        self.transport_cc.write_due(now, OUR_SSRC, &mut messages);
        let mut datagrams = Vec::new();
        let mut compound = Vec::new();
        let count = messages.len();
        for (number, message) in messages.into_iter().enumerate() {
            if !compound.is_empty() && compound.len() + message.len() > MAX_COMPOUND {
                datagrams.extend(self.encrypt(&compound));
                compound.clear();
            }
            // Without RFC 5506 every compound begins with a report.
            if compound.is_empty() && !self.reduced_size && message.get(1) != Some(&201) {
                rtcp::write_receiver_report(&mut compound, OUR_SSRC, &[]);
            }
            compound.extend(message);
            if number + 1 == count {
                datagrams.extend(self.encrypt(&compound));
            }
        }
        datagrams
    }

    fn encrypt(&mut self, compound: &[u8]) -> Option<Bytes> {
        self.srtp.encrypt_rtcp(compound).map(BytesMut::freeze)
    }

    fn write_reports(&mut self, now: Instant, messages: &mut Vec<Vec<u8>>) {
        if self.streams.iter().all(|stream| stream.reception.due() > now) {
            return;
        }
        let blocks: Vec<_> = self
            .streams
            .iter_mut()
            .filter(|stream| stream.reception.due() <= now + REPORT_SLACK)
            .map(|stream| stream.reception.report(stream.ssrc, stream.window.highest(), now))
            .collect();
        for blocks in blocks.chunks(rtcp::MAX_REPORT_BLOCKS) {
            let mut message = Vec::new();
            rtcp::write_receiver_report(&mut message, OUR_SSRC, blocks);
            messages.push(message);
        }
    }

    fn write_requests(&mut self, now: Instant, log: &mut EventLog, messages: &mut Vec<Vec<u8>>) {
        let mut lost = Vec::new();
        for stream in &mut self.streams {
            let given_up =
                stream.nack.as_mut().and_then(|nack| nack.collect_due(now, self.round_trip, &mut lost));
            if let Some(given_up) = given_up {
                log_event!(
                    log, now,
                    ssrc = %stream.ssrc, mid = %stream.mid, seq = %given_up.first, count = given_up.count,
                    "missing packets given up"
                );
            }
            // 256 numbers take 1 KB at worst.
            for lost in lost.chunks(256) {
                let mut message = Vec::new();
                rtcp::write_nack(&mut message, OUR_SSRC, stream.ssrc, lost);
                messages.push(message);
            }
            lost.clear();
            if stream.keyframes.take(now) {
                log_event!(log, now, ssrc = %stream.ssrc, mid = %stream.mid, layer = stream.layer.0, "keyframe requested");
                let mut message = Vec::new();
                match stream.keyframe_by {
                    Some(KeyframeBy::Pli) => rtcp::write_pli(&mut message, OUR_SSRC, stream.ssrc),
                    Some(KeyframeBy::Fir) => {
                        rtcp::write_fir(&mut message, OUR_SSRC, stream.ssrc, self.fir_number);
                        self.fir_number = self.fir_number.wrapping_add(1);
                    }
                    // A renegotiation has removed both since the request.
                    None => continue,
                }
                messages.push(message);
            }
        }
    }

    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Packets dropped, of all tracks and of none.
    pub(crate) fn drops(&self) -> Drops {
        let mut drops = self.drops;
        self.removed.iter().for_each(|(_, statistics)| drops += statistics.drops);
        self.streams.iter().for_each(|stream| drops += stream.statistics.drops);
        drops
    }

    /// The counters of a track, over all its sources.
    pub(crate) fn statistics(&self, track: TrackId) -> TrackStatistics {
        let mut total = self
            .removed
            .iter()
            .find(|(removed, _)| *removed == track)
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

    /// Adds the counters of a stream that is removed to those of its track.
    fn retain_counters(&mut self, stream: &Stream) {
        let index = self.removed.iter().position(|(track, _)| *track == stream.track).unwrap_or_else(|| {
            self.removed.push((stream.track, TrackStatistics::default()));
            self.removed.len() - 1
        });
        if let Some((_, total)) = self.removed.get_mut(index) {
            add(total, stream);
        }
    }
}

impl Drops {
    fn count_rejected(&mut self, rejected: Rejected) {
        match rejected {
            Rejected::Replayed => self.replayed += 1,
            Rejected::NotAuthentic => self.not_authentic += 1,
        }
    }
}

fn add(total: &mut TrackStatistics, stream: &Stream) {
    total.packets += stream.statistics.packets;
    total.bytes += stream.statistics.bytes;
    total.resent += stream.statistics.resent;
    total.nacked += stream.nack.as_ref().map_or(0, NackList::requested);
    total.lost += stream.nack.as_ref().map_or(0, NackList::given_up);
    total.plis += stream.keyframes.sent();
    total.drops += stream.statistics.drops;
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
