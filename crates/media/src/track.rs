//! One track of the session: its layers, its place on the timeline, its entries in the file.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::{
    Anchor, KeyframeReason, LayerId, MediaKind, NtpTime, RtpPacket, TrackConfig, TrackStatistics,
    TrackSummary,
    context::SessionContext,
    depacketize::codec,
    frame::{CodedFrame, FrameData},
    interleave::TimedFrame,
    layer::Layer,
    pause::Pauses,
    stream::{Stream, StreamCounters},
    sync::{Lateness, Observed, SenderClocks, StreamClock},
    time::{LocalNanos, MILLISECOND, RtpTicks, nanos_between},
};

/// Simulcast layers begin within this time of each other; a file that is not begun yet then begins with the best.
const LAYERS_BEGIN: Duration = Duration::from_millis(500);
/// Layers beyond these are not listened to.
const MAX_LAYERS: usize = 8;
/// A video frame without a successor is taken to be shown as long as the one before; what lies further apart than
/// this is a pause, and no frame's length.
const LONGEST_FRAME: i64 = 200 * MILLISECOND;

/// To which of two frames' ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rounding {
    Up,
    Nearest,
}

/// A frame that waits for its track to be placed.
#[derive(Debug, Clone)]
struct Unplaced {
    ticks: RtpTicks,
    /// Known already if the clock that it was told by is gone.
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
    /// The layer that is written, by its place in `layers`.
    selected: Option<usize>,
    unplaced: VecDeque<Unplaced>,
    unplaced_bytes: usize,
    /// When the first frame came that is not placed.
    waiting_since: Option<Instant>,
    placed: bool,
    pub(crate) ended: bool,
    /// Frames with their times, for the interleaver to take.
    pub(crate) timed: VecDeque<TimedFrame>,
    last: Option<(LocalNanos, i64)>,
    /// The newest frame's beginning and length on the session's clock, also in a pause.
    newest: Option<(LocalNanos, i64)>,
    /// Video of which a pause took a frame: nothing decodes before a keyframe.
    gated: bool,
    /// Frames of before the end of a pause that follow its first keyframe stand there.
    floor: LocalNanos,
    pub(crate) entries: Vec<Entry>,
    /// The entry of the last frame, by its place in `entries`.
    pub(crate) current: usize,
    pub(crate) frames: u64,
    pub(crate) frames_unwritten: u64,
    /// Frames that brought their time along.
    pushed: u64,
    size: (u32, u32),
}

impl Track {
    pub(crate) fn new(config: TrackConfig) -> Self {
        Self {
            config,
            layers: Vec::new(),
            selected: None,
            unplaced: VecDeque::new(),
            unplaced_bytes: 0,
            waiting_since: None,
            placed: false,
            ended: false,
            timed: VecDeque::new(),
            last: None,
            newest: None,
            gated: false,
            floor: LocalNanos::MIN,
            entries: Vec::new(),
            current: 0,
            frames: 0,
            frames_unwritten: 0,
            pushed: 0,
            size: (0, 0),
        }
    }

    /// Takes a packet in. Frames that come of it are in [`timed`](Self::timed), or wait to be placed.
    pub(crate) fn rtp(
        &mut self,
        layer: LayerId,
        arrival: Instant,
        packet: RtpPacket,
        shared: &mut SessionContext,
    ) {
        let Some(index) = self.layer(layer) else { return };
        let Some(layer) = self.layers.get_mut(index) else { return };
        self.ended = false;
        if !layer.accepts(arrival, &packet, &self.config) {
            return;
        }
        if !layer.is_from(packet.ssrc) {
            self.change_source(index, arrival, &packet, shared);
        }
        let asleep = self.is_of_no_use(index, arrival);
        let Some(stream) = self.layers.get_mut(index).and_then(|layer| layer.stream.as_mut()) else { return };
        if asleep {
            stream.sleep();
            return;
        }
        stream.push(arrival, packet, &self.config.formats, &mut shared.pool, &mut shared.frames);
        self.take_frames(index, arrival, shared);
    }

    pub(crate) fn sender_report(
        &mut self,
        layer: LayerId,
        ssrc: u32,
        arrival: Instant,
        ntp: NtpTime,
        rtp_timestamp: u32,
        shared: &mut SessionContext,
    ) {
        let Some(layer) = self.layer(layer).and_then(|index| self.layers.get_mut(index)) else { return };
        layer.sender_report(ssrc, arrival, ntp, rtp_timestamp, shared);
    }

    pub(crate) fn timeout(&mut self, now: Instant, shared: &mut SessionContext) {
        for index in 0..self.layers.len() {
            if let Some(stream) = self.layers.get_mut(index).and_then(|layer| layer.stream.as_mut()) {
                stream.pop(now, &self.config.formats, &mut shared.pool, &mut shared.frames);
            }
            self.take_frames(index, now, shared);
        }
    }

    /// Nothing that is missing is waited for any more.
    pub(crate) fn drain(&mut self, now: Instant, shared: &mut SessionContext) {
        for index in 0..self.layers.len() {
            if let Some(stream) = self.layers.get_mut(index).and_then(|layer| layer.stream.as_mut()) {
                stream.drain(&self.config.formats, &mut shared.pool, &mut shared.frames);
            }
            self.take_frames(index, now, shared);
        }
    }

    /// The track is over, until it sends again.
    pub(crate) fn finish(&mut self, now: Instant, shared: &mut SessionContext) {
        self.ended = true;
        for index in 0..self.layers.len() {
            if let Some(stream) = self.layers.get_mut(index).and_then(|layer| layer.stream.as_mut()) {
                stream.finish(&self.config.formats, &mut shared.pool, &mut shared.frames);
            }
            self.take_frames(index, now, shared);
        }
    }

    /// Frames are there, and it is known where they belong as well as it will be soon.
    pub(crate) fn is_ready(&self) -> bool {
        let clock = self.selected().and_then(|layer| layer.stream.as_ref()).map(|stream| &stream.clock);
        let tied = clock.is_some_and(StreamClock::is_tied);
        !self.unplaced.is_empty() && (tied || self.config.anchor == Anchor::Arrival)
    }

    /// Since when a frame waits for the track to be placed.
    pub(crate) fn waiting_since(&self) -> Option<Instant> {
        self.waiting_since
    }

    /// When its first frame would be placed, the decoder's delay taken off, so that nothing is before zero.
    pub(crate) fn first_time(&self, senders: &SenderClocks) -> Option<LocalNanos> {
        let first = self.unplaced.front()?;
        Some(self.unplaced_time(first, senders) - first.frame.codec.delay())
    }

    pub(crate) fn first_unplaced(&self) -> Option<&CodedFrame> {
        self.unplaced.front().map(|unplaced| &unplaced.frame)
    }

    /// Fixes the times of the frames that wait; later corrections are slewed.
    pub(crate) fn place(&mut self, shared: &mut SessionContext) {
        self.placed = true;
        self.waiting_since = None;
        if let Some(stream) = self.selected_mut().and_then(|layer| layer.stream.as_mut()) {
            stream.clock.place();
        }
        for unplaced in std::mem::take(&mut self.unplaced) {
            let time = self.unplaced_time(&unplaced, &shared.senders);
            self.emit(time, unplaced.frame, shared);
        }
        self.unplaced_bytes = 0;
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.layers.iter().filter_map(|layer| layer.stream.as_ref()?.deadline()).min()
    }

    pub(crate) fn held_bytes(&self) -> usize {
        let streams = self.layers.iter().filter_map(|layer| layer.stream.as_ref());
        self.unplaced_bytes + streams.map(Stream::held_bytes).sum::<usize>()
    }

    /// A layer to ask for a keyframe now, and why.
    pub(crate) fn keyframe_wanted(&mut self, now: Instant) -> Option<(LayerId, KeyframeReason)> {
        let selected = self.selected;
        self.layers.iter_mut().enumerate().find_map(|(index, layer)| {
            if !layer.is_alive(now) {
                return None;
            }
            let reason = layer.stream.as_mut()?.keyframe_wanted(now)?;
            let other = selected.is_some_and(|selected| selected != index);
            Some((layer.id, if other { KeyframeReason::LayerSwitch } else { reason }))
        })
    }

    fn counters(&self) -> StreamCounters {
        let mut counters = StreamCounters::default();
        self.layers.iter().for_each(|layer| counters += layer.counters());
        counters
    }

    pub(crate) fn packets_lost(&self) -> u64 {
        self.counters().lost
    }

    /// How late its media arrives.
    pub(crate) fn lateness(&self) -> Option<Lateness> {
        self.selected()?.stream.as_ref()?.clock.lateness()
    }

    /// `reference`: the track that its A/V offset is from.
    pub(crate) fn statistics(&self, reference: Option<Lateness>) -> TrackStatistics {
        let counters = self.counters();
        TrackStatistics {
            packets: counters.packets + self.pushed,
            duplicates: counters.duplicates,
            late: counters.late,
            lost: counters.lost,
            corrupt: counters.corrupt,
            frames: self.frames,
            frames_dropped: counters.frames_dropped + self.frames_unwritten,
            layer: self.selected().map_or(LayerId::default(), |layer| layer.id),
            width: self.size.0,
            height: self.size.1,
            codec: self.entries.get(self.current).map(|entry| entry.summary.codec),
            av_offset: self.lateness().zip(reference).and_then(|(own, other)| own.beyond(other)),
        }
    }

    fn take_frames(&mut self, index: usize, now: Instant, shared: &mut SessionContext) {
        if shared.frames.is_empty() {
            return;
        }
        let mut frames = std::mem::take(&mut shared.frames);
        for frame in frames.drain(..) {
            self.frame(index, frame, now, shared);
        }
        shared.frames = frames;
    }

    fn frame(&mut self, index: usize, frame: CodedFrame, now: Instant, shared: &mut SessionContext) {
        let arrival = nanos_between(shared.started, frame.arrival);
        let Some(ticks) = self.observe(index, &frame, arrival, shared) else { return };
        if let (Some((width, height)), Some(layer)) = (frame.size, self.layers.get_mut(index)) {
            layer.area = u64::from(width) * u64::from(height);
        }
        if self.selected != Some(index) && !self.switch_to(index, &frame, now, &shared.senders) {
            return shared.pool.give_back(frame.data);
        }
        self.size = frame.size.unwrap_or(self.size);
        if shared.pauses.refuses_all() {
            self.gated |= frame.codec.kind() == MediaKind::Video;
            shared.pool.give_back(frame.data);
        } else if self.placed {
            let Some(stream) = self.selected_mut().and_then(|layer| layer.stream.as_mut()) else { return };
            stream.clock.place();
            let time = stream.clock.time(ticks, &shared.senders);
            self.emit(time, frame, shared);
        } else {
            self.wait(Unplaced { ticks, time: None, frame }, now);
        }
    }

    fn wait(&mut self, unplaced: Unplaced, now: Instant) {
        self.waiting_since.get_or_insert(now);
        self.unplaced_bytes += unplaced.frame.data.as_ref().len() + size_of::<Unplaced>();
        self.unplaced.push_back(unplaced);
    }

    /// Tells the layer's clock of a frame.
    fn observe(
        &mut self,
        index: usize,
        frame: &CodedFrame,
        arrival: LocalNanos,
        shared: &mut SessionContext,
    ) -> Option<RtpTicks> {
        let layer = self.layers.get_mut(index)?;
        let clock = &mut layer.stream.as_mut()?.clock;
        let begins = !clock.has_begun();
        match clock.observe(frame.timestamp, frame.clock_rate, arrival, &shared.senders) {
            Observed::Steady(ticks) => {
                if begins {
                    layer.take_early_report(shared);
                }
                Some(ticks)
            }
            Observed::Jumped(ticks) => {
                if self.selected == Some(index) {
                    self.fix_unplaced(&shared.senders);
                }
                let layer = self.layers.get_mut(index)?;
                layer.stream.as_mut()?.clock.reanchor(ticks, frame.clock_rate, arrival, &shared.senders);
                Some(ticks)
            }
        }
    }

    fn unplaced_time(&self, unplaced: &Unplaced, senders: &SenderClocks) -> LocalNanos {
        let stream = self.selected().and_then(|layer| layer.stream.as_ref());
        let by_clock = || stream.map_or(0, |stream| stream.clock.time(unplaced.ticks, senders));
        unplaced.time.unwrap_or_else(by_clock)
    }

    /// The clock is about to change: the frames that wait keep the times that it gave them.
    fn fix_unplaced(&mut self, senders: &SenderClocks) {
        let mut unplaced = std::mem::take(&mut self.unplaced);
        for waiting in &mut unplaced {
            waiting.time = Some(self.unplaced_time(waiting, senders));
        }
        self.unplaced = unplaced;
    }

    fn selected(&self) -> Option<&Layer> {
        self.layers.get(self.selected?)
    }

    fn selected_mut(&mut self) -> Option<&mut Layer> {
        self.layers.get_mut(self.selected?)
    }

    /// The place of a layer in the list, which it joins if it is new.
    fn layer(&mut self, id: LayerId) -> Option<usize> {
        let known = self.layers.iter().position(|layer| layer.id == id);
        if known.is_none() && self.layers.len() < MAX_LAYERS {
            self.layers.push(Layer::new(id));
            return Some(self.layers.len() - 1);
        }
        known
    }

    fn change_source(
        &mut self,
        index: usize,
        arrival: Instant,
        packet: &RtpPacket,
        shared: &mut SessionContext,
    ) {
        if let Some(before) = self.layers.get_mut(index).and_then(|layer| layer.stream.as_mut()) {
            before.finish(&self.config.formats, &mut shared.pool, &mut shared.frames);
            self.take_frames(index, arrival, shared);
        }
        if self.selected == Some(index) {
            self.fix_unplaced(&shared.senders);
        }
        if let Some(layer) = self.layers.get_mut(index) {
            layer.follow(packet, &self.config, shared);
        }
    }

    /// A layer that is known to be worse than the one that is written is not put together.
    fn is_of_no_use(&self, index: usize, now: Instant) -> bool {
        let (Some(selected), Some(layer)) = (self.selected(), self.layers.get(index)) else { return false };
        self.selected != Some(index)
            && layer.area > 0
            && layer.area <= selected.area
            && selected.is_alive(now)
    }

    /// Whether a frame of another layer becomes the next of the track: a keyframe of a better layer does, and one of the
    /// best that is left once the written one has stalled. Others are asked to send one where they would be better.
    fn switch_to(&mut self, index: usize, frame: &CodedFrame, now: Instant, senders: &SenderClocks) -> bool {
        let Some(layer) = self.layers.get(index) else { return false };
        let better = match self.selected() {
            None => true,
            Some(selected) if selected.is_alive(now) => layer.area > selected.area,
            Some(_) => !self.layers.iter().any(|other| other.is_alive(now) && other.area > layer.area),
        };
        if !better {
            return false;
        }
        if !frame.keyframe {
            if let Some(layer) = self.layers.get_mut(index) {
                layer.hold(KeyframeReason::LayerSwitch);
            }
            return false;
        }
        let just_begun =
            self.waiting_since.is_some_and(|since| now.saturating_duration_since(since) < LAYERS_BEGIN);
        if just_begun && self.selected.is_some() {
            self.unplaced.clear();
            self.unplaced_bytes = 0;
        }
        self.fix_unplaced(senders);
        self.selected = Some(index);
        true
    }

    /// A frame that brings its time along; where it ends. None if the track's format is none of audio.
    pub(crate) fn timed_frame(
        &mut self,
        time: LocalNanos,
        data: Bytes,
        now: Instant,
        shared: &mut SessionContext,
    ) -> Option<LocalNanos> {
        let format = self.config.formats.first()?;
        let codec = codec(format.encoding).filter(|codec| codec.kind() == MediaKind::Audio)?;
        let frame = CodedFrame {
            codec,
            channels: format.channels,
            timestamp: 0,
            clock_rate: format.clock_rate,
            arrival: now,
            keyframe: true,
            size: None,
            rotation: None,
            data: FrameData::Packet(data),
        };
        let end = time.saturating_add(frame.sounds());
        self.ended = false;
        self.pushed += 1;
        if self.placed {
            self.emit(time, frame, shared);
        } else if !shared.pauses.refuses_all() {
            self.wait(Unplaced { ticks: RtpTicks(0), time: Some(time), frame }, now);
        }
        Some(end)
    }

    /// A moment near `time` where one of its audio frames ends and the next begins. None if it has none.
    pub(crate) fn boundary(&self, time: LocalNanos, rounding: Rounding) -> Option<LocalNanos> {
        let (start, duration) = self.newest.filter(|(_, duration)| *duration > 0)?;
        let up = match rounding {
            Rounding::Up => duration - 1,
            Rounding::Nearest => duration / 2,
        };
        let frames = time.saturating_sub(start).saturating_add(up).div_euclid(duration);
        // What has its place already is past.
        Some(start.saturating_add(frames.max(1).saturating_mul(duration)))
    }

    /// A pause is over: video that lost frames in it asks for a keyframe.
    pub(crate) fn resume(&mut self) {
        if self.gated
            && let Some(layer) = self.selected_mut()
        {
            layer.hold(KeyframeReason::Resume);
        }
    }

    /// Gives a frame its place in the file, unless a pause takes it. A track's times only grow: players reject what
    /// does not.
    fn emit(&mut self, time: LocalNanos, frame: CodedFrame, shared: &mut SessionContext) {
        let kept = match frame.codec.kind() {
            MediaKind::Audio => self.after_pauses(time, &frame, &shared.pauses),
            MediaKind::Video => self.picture_after_pauses(time, &frame, &shared.pauses),
        };
        let Some(time) = kept else { return shared.pool.give_back(frame.data) };
        let time = self.last.map_or(time, |(last, _)| time.max(last + MILLISECOND));
        let duration = match (frame.codec.kind(), self.last) {
            (MediaKind::Audio, _) => frame.sounds(),
            (_, Some((last, _))) if time - last <= LONGEST_FRAME => time - last,
            (_, Some((_, duration))) => duration,
            (_, None) => 1_000 * MILLISECOND / 30,
        };
        self.last = Some((time, duration));
        self.timed.push_back(TimedFrame { time, duration, frame });
    }

    /// Where a frame of audio stands. It belongs to where most of it is, so that rounding decides nothing where the
    /// edges of pauses are those of frames.
    fn after_pauses(&mut self, time: LocalNanos, frame: &CodedFrame, pauses: &Pauses) -> Option<LocalNanos> {
        let duration = frame.sounds();
        self.newest = Some((time, duration));
        pauses.shift(time.saturating_add(duration / 2)).map(|shift| time.saturating_sub(shift))
    }

    /// Where a picture stands. Once a pause took one, only a keyframe that came after the pause opens the way for others;
    /// captured a little before its end, as coding takes time, it stands there.
    fn picture_after_pauses(
        &mut self,
        time: LocalNanos,
        frame: &CodedFrame,
        pauses: &Pauses,
    ) -> Option<LocalNanos> {
        let time = time.max(self.floor);
        let shift = pauses.shift(time);
        if let (Some(shift), false) = (shift, self.gated) {
            return Some(time.saturating_sub(shift));
        }
        self.gated = true;
        let resumed = pauses.resumed_before(frame.arrival)?;
        if !frame.keyframe {
            if let Some(layer) = self.selected_mut() {
                layer.hold(KeyframeReason::Resume);
            }
            return None;
        }
        self.gated = false;
        self.floor = resumed;
        let time = time.max(resumed);
        pauses.shift(time).map(|shift| time.saturating_sub(shift))
    }
}
