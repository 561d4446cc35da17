//! One track of the session: its layers, its alignment, its entries in the file.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::{
    Anchor, Codec, KeyframeReason, LayerId, MediaKind, RtpPacket, RtpTimestamp, SenderReport, TrackConfig,
    TrackStatistics, TrackSummary,
    context::SessionContext,
    event_log::log_event,
    frame::{CodedFrame, FrameData},
    interleave::TimedFrame,
    layer::Layer,
    position::{Position, Positions, Rounding},
    stream::{Stream, StreamCounters},
    sync::{Lateness, Observed, SenderClocks, StreamClock},
    time::{LocalNanos, MILLISECOND, RtpTicks, nanos_between},
    webm::codec_delay,
};

/// Simulcast layers start within this time of each other. A file that has not begun by then begins with the best one.
const LAYERS_START: Duration = Duration::from_millis(500);
/// Packets of further layers are dropped and counted.
const MAX_LAYERS: usize = 8;

/// A frame that waits for its track's alignment.
#[derive(Debug, Clone)]
struct UnalignedFrame {
    ticks: RtpTicks,
    /// Its time, if the clock that determined it has been replaced, or if it came with its time.
    time: Option<LocalNanos>,
    frame: CodedFrame,
}

/// A TrackEntry of the file.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub channels: u8,
    pub rate: u32,
    pub summary: TrackSummary,
}

#[derive(Debug, Clone)]
pub(crate) struct Track {
    pub(crate) config: TrackConfig,
    layers: Vec<Layer>,
    /// The layer that is written: an index of `layers`.
    selected: Option<usize>,
    unaligned: VecDeque<UnalignedFrame>,
    unaligned_bytes: usize,
    /// When the first frame of `unaligned` was complete.
    waiting_since: Option<Instant>,
    aligned: bool,
    pub(crate) ended: bool,
    positions: Positions,
    /// Frames with their positions, for the interleaver.
    pub(crate) timed: VecDeque<TimedFrame>,
    pub(crate) entries: Vec<Entry>,
    /// The entry of the newest frame: an index of `entries`.
    pub(crate) current: usize,
    pub(crate) frames: u64,
    /// Frames dropped as the file's header had no room for the track's entry.
    pub(crate) frames_without_entry: u64,
    /// Frames that came with their times.
    timed_frames: u64,
    /// Timed frames dropped as the track has no audio format.
    unknown_format: u64,
    /// Packets dropped as they belong to layers beyond [`MAX_LAYERS`].
    excess_layers: u64,
    codec: Option<Codec>,
    size: (u32, u32),
}

impl Track {
    pub(crate) fn new(config: TrackConfig) -> Self {
        Self {
            config,
            layers: Vec::new(),
            selected: None,
            unaligned: VecDeque::new(),
            unaligned_bytes: 0,
            waiting_since: None,
            aligned: false,
            ended: false,
            positions: Positions::new(),
            timed: VecDeque::new(),
            entries: Vec::new(),
            current: 0,
            frames: 0,
            frames_without_entry: 0,
            timed_frames: 0,
            unknown_format: 0,
            excess_layers: 0,
            codec: None,
            size: (0, 0),
        }
    }

    /// Adds a packet. Frames that it completes are in [`timed`](Self::timed), or wait for alignment.
    pub(crate) fn rtp(
        &mut self,
        layer: LayerId,
        arrival: Instant,
        packet: RtpPacket,
        context: &mut SessionContext,
    ) {
        let Some(index) = self.layer_index(layer) else {
            self.excess_layers += 1;
            return;
        };
        self.ended = false;
        let Some(layer) = self.layers.get_mut(index) else {
            debug_assert!(false, "an index of `layers`");
            return;
        };
        if !layer.accepts(arrival, &packet, &self.config) {
            return;
        }
        if !layer.is_from(packet.ssrc) {
            self.change_source(index, arrival, &packet, context);
        }
        let inferior = self.is_inferior(index, arrival);
        let Some(stream) = self.layers.get_mut(index).and_then(|layer| layer.stream.as_mut()) else {
            debug_assert!(false, "a layer that accepts a packet has its stream");
            return;
        };
        if inferior {
            stream.suspend();
            return;
        }
        stream.push(arrival, packet, &self.config, context);
        self.take_frames(index, arrival, context);
    }

    pub(crate) fn sender_report(
        &mut self,
        layer: LayerId,
        arrival: Instant,
        report: SenderReport,
        context: &mut SessionContext,
    ) {
        let index = self.layer_index(layer);
        if let Some(layer) = index.and_then(|index| self.layers.get_mut(index)) {
            layer.sender_report(arrival, report, &self.config, context);
        }
    }

    /// Adds an audio frame that comes with its time, and returns when it ends. None, and counted, if the track's format
    /// is not one of audio.
    pub(crate) fn timed_frame(
        &mut self,
        time: LocalNanos,
        data: Bytes,
        now: Instant,
        context: &mut SessionContext,
    ) -> Option<LocalNanos> {
        let format = self.config.formats.first();
        let codec = format.and_then(|format| format.encoding.codec());
        let audio = format.zip(codec.filter(|codec| codec.kind() == MediaKind::Audio));
        let Some((format, codec)) = audio else {
            self.unknown_format += 1;
            return None;
        };
        let frame = CodedFrame {
            codec,
            channels: format.channels,
            timestamp: RtpTimestamp(0),
            clock_rate: format.clock_rate,
            arrival: now,
            keyframe: true,
            size: None,
            rotation: None,
            data: FrameData::Packet(data),
        };
        let end = time.saturating_add(frame.audio_duration());
        self.ended = false;
        self.timed_frames += 1;
        if self.aligned {
            self.emit(time, frame, context);
        } else if !context.pauses.precede_all_media() {
            self.hold(UnalignedFrame { ticks: RtpTicks(0), time: Some(time), frame }, now);
        }
        Some(end)
    }

    /// Gives up the holes whose wait is over.
    pub(crate) fn timeout(&mut self, now: Instant, context: &mut SessionContext) {
        self.each_stream(now, context, |stream, config, context| stream.pop(now, config, context));
    }

    /// Gives up all holes.
    pub(crate) fn drain(&mut self, now: Instant, context: &mut SessionContext) {
        self.each_stream(now, context, Stream::drain);
    }

    /// The track ended. It may send again later.
    pub(crate) fn finish(&mut self, now: Instant, context: &mut SessionContext) {
        self.ended = true;
        self.each_stream(now, context, Stream::finish);
    }

    /// Whether frames wait for alignment and their time is known as well as it will be soon.
    pub(crate) fn is_ready(&self) -> bool {
        !self.unaligned.is_empty() && (self.is_anchored() || self.config.anchor == Anchor::Arrival)
    }

    /// Whether a sender report anchors the layer that is written.
    fn is_anchored(&self) -> bool {
        let clock = self.selected().and_then(|layer| layer.stream.as_ref()).map(|stream| &stream.clock);
        clock.is_some_and(StreamClock::is_anchored)
    }

    /// Since when frames wait for alignment.
    pub(crate) fn waiting_since(&self) -> Option<Instant> {
        self.waiting_since
    }

    /// The time of the first frame that waits for alignment, less the decoder's delay, so that nothing is presented
    /// before zero.
    pub(crate) fn first_time(&self, senders: &SenderClocks) -> Option<LocalNanos> {
        let first = self.unaligned.front()?;
        Some(self.unaligned_time(first, senders) - codec_delay(first.frame.codec))
    }

    pub(crate) fn has_unaligned_frames(&self) -> bool {
        !self.unaligned.is_empty()
    }

    /// Decides the times of the frames that wait. Later corrections are slewed.
    pub(crate) fn align(&mut self, context: &mut SessionContext) {
        let waited = self.waiting_since.map(|since| context.now.saturating_duration_since(since));
        log_event!(
            context,
            track = %self.config.name,
            frames = self.unaligned.len(),
            waited_ms = waited.unwrap_or_default().as_millis(),
            by_sender_reports = self.is_anchored(),
            "track aligned"
        );
        self.aligned = true;
        self.waiting_since = None;
        if let Some(stream) = self.selected_stream_mut() {
            stream.clock.start_slewing();
        }
        for unaligned in std::mem::take(&mut self.unaligned) {
            let time = self.unaligned_time(&unaligned, &context.senders);
            self.emit(time, unaligned.frame, context);
        }
        self.unaligned_bytes = 0;
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.layers.iter().filter_map(|layer| layer.stream.as_ref()?.deadline()).min()
    }

    pub(crate) fn held_bytes(&self) -> usize {
        let streams = self.layers.iter().filter_map(|layer| layer.stream.as_ref());
        self.unaligned_bytes + streams.map(Stream::held_bytes).sum::<usize>()
    }

    /// A layer that needs a keyframe now, and why.
    pub(crate) fn keyframe_request(&mut self, now: Instant) -> Option<(LayerId, KeyframeReason)> {
        let selected = self.selected;
        self.layers.iter_mut().enumerate().find_map(|(index, layer)| {
            if !layer.is_active(now) {
                return None;
            }
            let reason = layer.stream.as_mut()?.keyframe_request(now)?;
            let other = selected.is_some_and(|selected| selected != index);
            Some((layer.id, if other { KeyframeReason::LayerSwitch } else { reason }))
        })
    }

    /// A time near `time` at which one audio frame of the track ends and the next begins. None if it has no audio.
    pub(crate) fn boundary(&self, time: LocalNanos, rounding: Rounding) -> Option<LocalNanos> {
        self.positions.boundary(time, rounding)
    }

    /// A pause ended. Video that lost frames in it requests a keyframe.
    pub(crate) fn resume(&mut self, context: &mut SessionContext) {
        if self.positions.needs_keyframe() {
            self.wait_for_keyframe(self.selected, KeyframeReason::Resume, context);
        }
    }

    /// How late the media of the layer that is written arrives.
    pub(crate) fn lateness(&self) -> Option<Lateness> {
        self.selected()?.stream.as_ref()?.clock.lateness()
    }

    pub(crate) fn packets_lost(&self) -> u64 {
        self.counters().lost
    }

    /// `reference` is the lateness of the track from which the A/V offset is measured.
    pub(crate) fn statistics(&self, reference: Option<Lateness>) -> TrackStatistics {
        let counters = self.counters();
        TrackStatistics {
            packets: counters.packets + self.timed_frames + self.excess_layers,
            duplicates: counters.duplicates,
            late: counters.late,
            lost: counters.lost,
            out_of_sequence: counters.out_of_sequence,
            malformed: counters.malformed,
            unknown_payload_type: counters.unknown_payload_type + self.unknown_format,
            excess_layers: self.excess_layers,
            frames: self.frames,
            frames_dropped: counters.frames_dropped,
            frames_without_entry: self.frames_without_entry,
            layer: self.selected().map_or(LayerId::default(), |layer| layer.id),
            width: self.size.0,
            height: self.size.1,
            codec: self.entries.get(self.current).map(|entry| entry.summary.codec),
            av_offset: self.lateness().zip(reference).and_then(|(own, other)| own.beyond(other)),
        }
    }

    fn counters(&self) -> StreamCounters {
        let mut counters = StreamCounters::default();
        self.layers.iter().for_each(|layer| counters += layer.counters());
        counters
    }

    /// Calls `act` for the stream of each layer and handles the frames that result.
    fn each_stream(
        &mut self,
        now: Instant,
        context: &mut SessionContext,
        act: impl Fn(&mut Stream, &TrackConfig, &mut SessionContext),
    ) {
        for index in 0..self.layers.len() {
            if let Some(stream) = self.layers.get_mut(index).and_then(|layer| layer.stream.as_mut()) {
                act(stream, &self.config, context);
            }
            self.take_frames(index, now, context);
        }
    }

    /// Handles the frames that a layer's stream has completed.
    fn take_frames(&mut self, index: usize, now: Instant, context: &mut SessionContext) {
        if context.frames.is_empty() {
            return;
        }
        let mut frames = std::mem::take(&mut context.frames);
        for frame in frames.drain(..) {
            self.frame(index, frame, now, context);
        }
        context.frames = frames;
    }

    fn frame(&mut self, index: usize, frame: CodedFrame, now: Instant, context: &mut SessionContext) {
        let arrival = nanos_between(context.started, frame.arrival);
        let Some(ticks) = self.observe(index, &frame, arrival, context) else { return };
        if let (Some((width, height)), Some(layer)) = (frame.size, self.layers.get_mut(index)) {
            layer.area = u64::from(width) * u64::from(height);
        }
        if self.selected != Some(index) && !self.switch_to(index, &frame, now, context) {
            return context.pool.put(frame.data);
        }
        self.note_format(&frame, context);
        if context.pauses.precede_all_media() {
            if frame.codec.kind() == MediaKind::Video {
                self.positions.require_keyframe();
            }
            context.pool.put(frame.data);
        } else if self.aligned {
            let Some(stream) = self.selected_stream_mut() else {
                debug_assert!(false, "the frame is from the selected layer's stream");
                return;
            };
            stream.clock.start_slewing();
            let time = stream.clock.time(ticks, &context.senders);
            self.emit(time, frame, context);
        } else {
            self.hold(UnalignedFrame { ticks, time: None, frame }, now);
        }
    }

    /// Remembers the frame's codec and size, and logs when they change.
    fn note_format(&mut self, frame: &CodedFrame, context: &mut SessionContext) {
        let size = frame.size.unwrap_or(self.size);
        if self.codec == Some(frame.codec) && self.size == size {
            return;
        }
        log_event!(
            context,
            track = %self.config.name,
            codec = ?frame.codec,
            width = size.0,
            height = size.1,
            codec_before = ?self.codec,
            width_before = self.size.0,
            height_before = self.size.1,
            "codec or size changed"
        );
        self.codec = Some(frame.codec);
        self.size = size;
    }

    fn hold(&mut self, unaligned: UnalignedFrame, now: Instant) {
        self.waiting_since.get_or_insert(now);
        self.unaligned_bytes += unaligned.frame.data.as_ref().len() + size_of::<UnalignedFrame>();
        self.unaligned.push_back(unaligned);
    }

    /// Gives a frame its position and hands it to the interleaver, unless a pause cuts it out.
    fn emit(&mut self, time: LocalNanos, frame: CodedFrame, context: &mut SessionContext) {
        match self.positions.next(time, &frame, &context.pauses) {
            Position::At { time, duration } => self.timed.push_back(TimedFrame { time, duration, frame }),
            Position::InPause => context.pool.put(frame.data),
            Position::NeedsKeyframe => {
                context.pool.put(frame.data);
                self.wait_for_keyframe(self.selected, KeyframeReason::Resume, context);
            }
        }
    }

    /// Passes a frame's timestamp and arrival to its stream's clock, and returns the unwrapped timestamp.
    fn observe(
        &mut self,
        index: usize,
        frame: &CodedFrame,
        arrival: LocalNanos,
        context: &mut SessionContext,
    ) -> Option<RtpTicks> {
        let layer = self.layers.get_mut(index)?;
        let stream = layer.stream.as_mut()?;
        let first = !stream.clock.has_begun();
        match stream.clock.observe(frame.timestamp, frame.clock_rate, arrival, &context.senders) {
            Observed::Continuous(ticks) => {
                if first {
                    layer.apply_early_report(&self.config, context);
                }
                Some(ticks)
            }
            Observed::Jumped { ticks, lag } => {
                log_event!(
                    context,
                    track = %self.config.name,
                    ssrc = %stream.ssrc,
                    timestamp = %frame.timestamp,
                    lag_ms = lag / MILLISECOND,
                    "timestamp jumped: media clock anchored again"
                );
                if self.selected == Some(index) {
                    self.fix_unaligned_times(&context.senders);
                }
                let stream = self.layers.get_mut(index)?.stream.as_mut()?;
                stream.clock.reanchor(ticks, frame.clock_rate, arrival, &context.senders);
                Some(ticks)
            }
        }
    }

    fn unaligned_time(&self, unaligned: &UnalignedFrame, senders: &SenderClocks) -> LocalNanos {
        let stream = self.selected().and_then(|layer| layer.stream.as_ref());
        let by_clock = || stream.map_or(0, |stream| stream.clock.time(unaligned.ticks, senders));
        unaligned.time.unwrap_or_else(by_clock)
    }

    /// The clock is about to be replaced: the frames that wait get their times from it now.
    fn fix_unaligned_times(&mut self, senders: &SenderClocks) {
        let mut unaligned = std::mem::take(&mut self.unaligned);
        for waiting in &mut unaligned {
            waiting.time = Some(self.unaligned_time(waiting, senders));
        }
        self.unaligned = unaligned;
    }

    fn selected(&self) -> Option<&Layer> {
        self.layers.get(self.selected?)
    }

    fn selected_stream_mut(&mut self) -> Option<&mut Stream> {
        self.layers.get_mut(self.selected?)?.stream.as_mut()
    }

    /// The index of a layer, which is added if it is new. None if there are [`MAX_LAYERS`] others.
    fn layer_index(&mut self, id: LayerId) -> Option<usize> {
        let known = self.layers.iter().position(|layer| layer.id == id);
        if known.is_none() && self.layers.len() < MAX_LAYERS {
            self.layers.push(Layer::new(id));
            return Some(self.layers.len() - 1);
        }
        known
    }

    /// Drops a layer's frames up to its next keyframe, and requests one.
    fn wait_for_keyframe(
        &mut self,
        layer: Option<usize>,
        reason: KeyframeReason,
        context: &mut SessionContext,
    ) {
        if let Some(layer) = layer.and_then(|index| self.layers.get_mut(index)) {
            layer.wait_for_keyframe(reason, &self.config, context);
        }
    }

    /// Ends a layer's stream and begins that of the packet.
    fn change_source(
        &mut self,
        index: usize,
        arrival: Instant,
        packet: &RtpPacket,
        context: &mut SessionContext,
    ) {
        if let Some(before) = self.layers.get_mut(index).and_then(|layer| layer.stream.as_mut()) {
            before.finish(&self.config, context);
            self.take_frames(index, arrival, context);
        }
        if self.selected == Some(index) {
            self.fix_unaligned_times(&context.senders);
        }
        if let Some(layer) = self.layers.get_mut(index) {
            layer.change_source(packet, &self.config, context);
        }
    }

    /// Whether a layer's size is known not to exceed that of the layer that is written. Its packets are not assembled.
    fn is_inferior(&self, index: usize, now: Instant) -> bool {
        let (Some(selected), Some(layer)) = (self.selected(), self.layers.get(index)) else { return false };
        self.selected != Some(index)
            && layer.area > 0
            && layer.area <= selected.area
            && selected.is_active(now)
    }

    /// Selects the layer of a frame if the frame is a keyframe and the layer is better: larger than the selected one, or
    /// the largest active one if the selected one has stalled. Returns whether the layer is selected now. Requests a
    /// keyframe if only that is missing.
    fn switch_to(
        &mut self,
        index: usize,
        frame: &CodedFrame,
        now: Instant,
        context: &mut SessionContext,
    ) -> bool {
        let Some(layer) = self.layers.get(index) else {
            debug_assert!(false, "an index of `layers`");
            return false;
        };
        let better = match self.selected() {
            None => true,
            Some(selected) if selected.is_active(now) => layer.area > selected.area,
            Some(_) => !self.layers.iter().any(|other| other.is_active(now) && other.area > layer.area),
        };
        if !better {
            return false;
        }
        if !frame.keyframe {
            self.wait_for_keyframe(Some(index), KeyframeReason::LayerSwitch, context);
            return false;
        }
        if let Some(before) = self.selected() {
            log_event!(
                context,
                track = %self.config.name,
                from = before.id.0,
                layer = layer.id.0,
                "simulcast layer selected"
            );
            let just_begun =
                self.waiting_since.is_some_and(|since| now.saturating_duration_since(since) < LAYERS_START);
            if just_begun {
                self.unaligned.clear();
                self.unaligned_bytes = 0;
            }
        }
        self.fix_unaligned_times(&context.senders);
        self.selected = Some(index);
        true
    }
}
