//! One simulcast layer of a track: the stream that it receives now, and the counters of those before.

use std::time::{Duration, Instant};

use crate::{
    KeyframeReason, LayerId, RtpPacket, SenderReport, Ssrc, TrackConfig,
    context::SessionContext,
    event_log::log_event,
    stream::{Stream, StreamCounters},
    sync::ReportOutcome,
    time::{MILLISECOND, nanos_between},
};

/// A source that was replaced by another is accepted again only after the other has been silent for this long.
const SOURCE_RETURNS: Duration = Duration::from_secs(1);
/// A layer without packets for this long counts as stalled.
const STALLED: Duration = Duration::from_secs(1);

/// A sender report that arrived before the first packet of its source.
#[derive(Debug, Clone, Copy)]
struct EarlyReport {
    arrival: Instant,
    report: SenderReport,
}

#[derive(Debug, Clone)]
pub(crate) struct Layer {
    pub(crate) id: LayerId,
    pub(crate) stream: Option<Stream>,
    /// The source before the present one. Its late packets must not replace the present one.
    former_ssrc: Option<Ssrc>,
    newest_packet: Option<Instant>,
    early_report: Option<EarlyReport>,
    /// Pixels of its newest keyframe; zero before the first. The layer with the largest area is the best.
    pub(crate) area: u64,
    /// Of former streams, and of packets that no stream received.
    counters: StreamCounters,
}

impl Layer {
    pub(crate) fn new(id: LayerId) -> Self {
        Self {
            id,
            stream: None,
            former_ssrc: None,
            newest_packet: None,
            early_report: None,
            area: 0,
            counters: StreamCounters::default(),
        }
    }

    /// Whether packets arrived in the last second.
    pub(crate) fn is_active(&self, now: Instant) -> bool {
        self.newest_packet.is_some_and(|newest| now.saturating_duration_since(newest) < STALLED)
    }

    /// Whether the packet belongs to the present stream or begins another. False, and counted, for a late packet of the
    /// former source and for a first packet with an unknown payload type.
    pub(crate) fn accepts(&mut self, arrival: Instant, packet: &RtpPacket, track: &TrackConfig) -> bool {
        if self.is_from(packet.ssrc) {
            self.newest_packet = Some(arrival);
            return true;
        }
        let active = self
            .newest_packet
            .is_some_and(|newest| arrival.saturating_duration_since(newest) < SOURCE_RETURNS);
        if self.former_ssrc == Some(packet.ssrc) && active {
            self.counters.packets += 1;
            self.counters.late += 1;
            return false;
        }
        if !track.formats.iter().any(|format| format.payload_type == packet.payload_type) {
            self.counters.packets += 1;
            self.counters.unknown_payload_type += 1;
            return false;
        }
        self.newest_packet = Some(arrival);
        true
    }

    pub(crate) fn is_from(&self, ssrc: Ssrc) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.ssrc == ssrc)
    }

    /// Replaces the stream by one of this packet's source.
    pub(crate) fn change_source(
        &mut self,
        packet: &RtpPacket,
        track: &TrackConfig,
        context: &mut SessionContext,
    ) {
        if let Some(before) = self.stream.take() {
            log_event!(
                context,
                track = %track.name, layer = self.id.0, from = %before.ssrc, ssrc = %packet.ssrc,
                "source changed"
            );
            self.former_ssrc = Some(before.ssrc);
            self.counters += before.counters();
        }
        let format = track.formats.iter().find(|format| format.payload_type == packet.payload_type);
        debug_assert!(format.is_some(), "`accepts` has checked the payload type");
        let clock_rate = format.map_or(90_000, |format| format.clock_rate);
        self.stream = Some(Stream::new(packet.ssrc, clock_rate, track, context.max_wait));
    }

    /// Applies a report that arrived before the first packet.
    pub(crate) fn apply_early_report(&mut self, track: &TrackConfig, context: &mut SessionContext) {
        let Some(early) = self.early_report.filter(|early| self.is_from(early.report.ssrc)) else { return };
        self.early_report = None;
        self.sender_report(early.arrival, early.report, track, context);
    }

    pub(crate) fn sender_report(
        &mut self,
        arrival: Instant,
        report: SenderReport,
        track: &TrackConfig,
        context: &mut SessionContext,
    ) {
        let local = nanos_between(context.started, arrival);
        let outcome = match &mut self.stream {
            Some(stream) if stream.ssrc == report.ssrc && stream.clock.has_begun() => {
                stream.clock.observe_report(report, local, &mut context.senders)
            }
            _ => {
                self.early_report = Some(EarlyReport { arrival, report });
                return;
            }
        };
        let SenderReport { ssrc, rtp_timestamp, .. } = report;
        match outcome {
            ReportOutcome::Unchanged => {}
            ReportOutcome::FirstIgnored(reason) => {
                log_event!(context, track = %track.name, %ssrc, %rtp_timestamp, reason, "sender reports ignored");
            }
            ReportOutcome::NewSenderClock { correction } => {
                let correction_ms = correction / MILLISECOND;
                log_event!(
                    context,
                    track = %track.name, %ssrc, %rtp_timestamp, correction_ms, "anchored to the sender's clock"
                );
            }
            ReportOutcome::SlewBegins { correction } => {
                let correction_ms = correction / MILLISECOND;
                log_event!(context, track = %track.name, %ssrc, %rtp_timestamp, correction_ms, "timestamp slew begins");
            }
            ReportOutcome::GapLeft { nanos } => {
                let gap_ms = nanos / MILLISECOND;
                log_event!(context, track = %track.name, %ssrc, %rtp_timestamp, gap_ms, "timestamps moved forward");
            }
        }
    }

    /// Drops all frames up to the next keyframe, and requests one.
    pub(crate) fn wait_for_keyframe(
        &mut self,
        reason: KeyframeReason,
        track: &TrackConfig,
        context: &mut SessionContext,
    ) {
        if let Some(stream) = &mut self.stream {
            stream.wait_for_keyframe(reason, track, context);
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
