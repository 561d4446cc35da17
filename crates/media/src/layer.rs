//! One layer of a track: the source that sends it now, and those before.

use std::time::{Duration, Instant};

use crate::{
    KeyframeReason, LayerId, NtpTime, RtpPacket, TrackConfig,
    context::SessionContext,
    stream::{Stream, StreamCounters},
    time::nanos_between,
};

/// A source that was followed by another is listened to again only after the other has been silent this long.
const SOURCE_RETURNS: Duration = Duration::from_secs(1);
/// A layer that has sent nothing for this long is not there.
const STALLED: Duration = Duration::from_secs(1);

/// A sender report that came before the first packet of its source.
#[derive(Debug, Clone, Copy)]
struct EarlyReport {
    ssrc: u32,
    arrival: Instant,
    ntp: NtpTime,
    rtp_timestamp: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct Layer {
    pub(crate) id: LayerId,
    pub(crate) stream: Option<Stream>,
    /// The source before, whose stragglers must not bring it back.
    former: Option<u32>,
    newest: Option<Instant>,
    early_report: Option<EarlyReport>,
    /// Of its newest keyframe, in pixels; zero before. What makes one layer better than another.
    pub(crate) area: u64,
    counters: StreamCounters,
}

impl Layer {
    pub(crate) fn new(id: LayerId) -> Self {
        Self {
            id,
            stream: None,
            former: None,
            newest: None,
            early_report: None,
            area: 0,
            counters: StreamCounters::default(),
        }
    }

    /// It sends.
    pub(crate) fn is_alive(&self, now: Instant) -> bool {
        self.newest.is_some_and(|newest| now.saturating_duration_since(newest) < STALLED)
    }

    /// Whether a packet of this source is to be taken in. False for a straggler of the source before, and for a format
    /// that the track does not have.
    pub(crate) fn accepts(&mut self, arrival: Instant, packet: &RtpPacket, track: &TrackConfig) -> bool {
        if self.is_from(packet.ssrc) {
            self.newest = Some(arrival);
            return true;
        }
        let straggler = self.former == Some(packet.ssrc)
            && self.newest.is_some_and(|newest| arrival.saturating_duration_since(newest) < SOURCE_RETURNS);
        if straggler {
            self.counters.packets += 1;
            self.counters.late += 1;
            return false;
        }
        if !track.formats.iter().any(|format| format.payload_type == packet.payload_type) {
            self.counters.packets += 1;
            self.counters.corrupt += 1;
            return false;
        }
        self.newest = Some(arrival);
        true
    }

    pub(crate) fn is_from(&self, ssrc: u32) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.ssrc == ssrc)
    }

    /// Begins anew with another source.
    pub(crate) fn follow(&mut self, packet: &RtpPacket, track: &TrackConfig, shared: &mut SessionContext) {
        if let Some(before) = self.stream.take() {
            self.former = Some(before.ssrc);
            self.counters += before.counters();
        }
        let format = track.formats.iter().find(|format| format.payload_type == packet.payload_type);
        let rate = format.map_or(90_000, |format| format.clock_rate);
        self.stream = Some(Stream::new(packet.ssrc, shared.max_wait, track.anchor, rate));
    }

    /// A report from before the first packet, now that there is a clock that it can tell something.
    pub(crate) fn take_early_report(&mut self, shared: &mut SessionContext) {
        let Some(early) = self.early_report.filter(|early| self.is_from(early.ssrc)) else { return };
        self.early_report = None;
        self.sender_report(early.ssrc, early.arrival, early.ntp, early.rtp_timestamp, shared);
    }

    pub(crate) fn sender_report(
        &mut self,
        ssrc: u32,
        arrival: Instant,
        ntp: NtpTime,
        rtp_timestamp: u32,
        shared: &mut SessionContext,
    ) {
        let local = nanos_between(shared.started, arrival);
        match &mut self.stream {
            Some(stream) if stream.ssrc == ssrc && stream.clock.has_begun() => {
                stream.clock.observe_report(ntp, rtp_timestamp, local, &mut shared.senders);
            }
            _ => self.early_report = Some(EarlyReport { ssrc, arrival, ntp, rtp_timestamp }),
        }
    }

    /// Frames up to the next keyframe are of no use.
    pub(crate) fn hold(&mut self, reason: KeyframeReason) {
        if let Some(stream) = &mut self.stream {
            stream.hold(reason);
        }
    }

    pub(crate) fn counters(&self) -> StreamCounters {
        let mut counters = self.counters;
        if let Some(stream) = &self.stream {
            counters += stream.counters();
        }
        counters
    }
}
