//! One track of the session: its source, its place on the timeline, its entries in the file.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::{
    Anchor, Codec, KeyframeReason, LayerId, NtpTime, RtpPacket, TrackConfig, TrackStatistics, TrackSummary,
    depacketize::audio,
    frame::{BufferPool, CodedFrame},
    interleave::TimedFrame,
    stream::{Stream, StreamCounters},
    sync::{Observed, SenderClocks},
    time::{LocalNanos, MILLISECOND, RtpTicks, nanos_between},
};

/// A video frame without a successor is taken to be shown as long as its predecessor was, but no longer than this.
const LONGEST_LAST_FRAME: i64 = 200 * MILLISECOND;
/// A source that was followed by another is listened to again only after the other has been silent this long.
const SOURCE_RETURNS: Duration = Duration::from_secs(1);

/// What tracks share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub started: Instant,
    pub max_wait: Duration,
    pub senders: SenderClocks,
    pub pool: BufferPool,
    /// Frames on their way from a stream to its track: empty between calls.
    pub frames: Vec<CodedFrame>,
}

/// A frame that waits for its track to be placed.
#[derive(Debug)]
struct Unplaced {
    ticks: RtpTicks,
    /// Known already if the clock that it was told by is gone.
    time: Option<LocalNanos>,
    frame: CodedFrame,
}

/// A TrackEntry of the file.
#[derive(Debug)]
pub(crate) struct Entry {
    pub channels: u8,
    pub summary: TrackSummary,
}

#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) config: TrackConfig,
    stream: Option<Stream>,
    layer: LayerId,
    /// The source before, whose stragglers must not bring it back.
    former: Option<(u32, Instant)>,
    newest: Option<Instant>,
    retired: StreamCounters,
    unplaced: VecDeque<Unplaced>,
    unplaced_bytes: usize,
    /// When the first frame came that is not placed.
    waiting_since: Option<Instant>,
    placed: bool,
    pub(crate) ended: bool,
    /// Frames with their times, for the interleaver to take.
    pub(crate) timed: VecDeque<TimedFrame>,
    last: Option<(LocalNanos, i64)>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) current: usize,
    pub(crate) frames: u64,
    pub(crate) frames_unwritten: u64,
    size: (u32, u32),
}

impl Track {
    pub(crate) fn new(config: TrackConfig) -> Self {
        Self {
            config,
            stream: None,
            layer: LayerId::default(),
            former: None,
            newest: None,
            retired: StreamCounters::default(),
            unplaced: VecDeque::new(),
            unplaced_bytes: 0,
            waiting_since: None,
            placed: false,
            ended: false,
            timed: VecDeque::new(),
            last: None,
            entries: Vec::new(),
            current: 0,
            frames: 0,
            frames_unwritten: 0,
            size: (0, 0),
        }
    }

    /// Takes a packet in. Returns whether frames may have come of it.
    pub(crate) fn rtp(&mut self, arrival: Instant, packet: RtpPacket, shared: &mut Shared) {
        if !self.accept_source(arrival, packet.ssrc, packet.payload_type, shared) {
            return;
        }
        self.newest = Some(arrival);
        let Some(stream) = &mut self.stream else { return };
        stream.push(arrival, packet, &self.config.formats, &mut shared.pool, &mut shared.frames);
        self.take_frames(arrival, shared);
    }

    pub(crate) fn sender_report(
        &mut self,
        ssrc: u32,
        arrival: Instant,
        ntp: NtpTime,
        rtp_timestamp: u32,
        shared: &mut Shared,
    ) {
        if let Some(stream) = self.stream.as_mut().filter(|stream| stream.ssrc == ssrc) {
            let arrival = nanos_between(shared.started, arrival);
            stream.clock.observe_report(ntp, rtp_timestamp, arrival, &mut shared.senders);
        }
    }

    pub(crate) fn timeout(&mut self, now: Instant, shared: &mut Shared) {
        let Some(stream) = &mut self.stream else { return };
        stream.pop(now, &self.config.formats, &mut shared.pool, &mut shared.frames);
        self.take_frames(now, shared);
    }

    /// Nothing that is missing is waited for any more.
    pub(crate) fn drain(&mut self, now: Instant, shared: &mut Shared) {
        let Some(stream) = &mut self.stream else { return };
        stream.drain(&self.config.formats, &mut shared.pool, &mut shared.frames);
        self.take_frames(now, shared);
    }

    /// The track is over.
    pub(crate) fn finish(&mut self, now: Instant, shared: &mut Shared) {
        self.ended = true;
        let Some(stream) = &mut self.stream else { return };
        stream.finish(&self.config.formats, &mut shared.pool, &mut shared.frames);
        self.take_frames(now, shared);
    }

    /// Frames are there, and it is known where they belong as well as it will be soon.
    pub(crate) fn is_ready(&self) -> bool {
        let tied = self.stream.as_ref().is_some_and(|stream| stream.clock.is_tied());
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
    pub(crate) fn place(&mut self, senders: &SenderClocks) {
        self.placed = true;
        self.waiting_since = None;
        if let Some(stream) = &mut self.stream {
            stream.clock.place();
        }
        for unplaced in std::mem::take(&mut self.unplaced) {
            let time = self.unplaced_time(&unplaced, senders);
            self.emit(time, unplaced.frame);
        }
        self.unplaced_bytes = 0;
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.stream.as_ref()?.deadline()
    }

    pub(crate) fn held_bytes(&self) -> usize {
        self.unplaced_bytes + self.stream.as_ref().map_or(0, Stream::held_bytes)
    }

    pub(crate) fn keyframe_wanted(&mut self, now: Instant) -> Option<(LayerId, KeyframeReason)> {
        let reason = self.stream.as_mut()?.keyframe_wanted(now)?;
        Some((self.layer, reason))
    }

    fn counters(&self) -> StreamCounters {
        let mut counters = self.retired;
        if let Some(stream) = &self.stream {
            counters += stream.counters();
        }
        counters
    }

    pub(crate) fn packets_lost(&self) -> u64 {
        self.counters().lost
    }

    pub(crate) fn statistics(&self) -> TrackStatistics {
        let counters = self.counters();
        TrackStatistics {
            packets: counters.packets,
            duplicates: counters.duplicates,
            late: counters.late,
            lost: counters.lost,
            corrupt: counters.corrupt,
            frames: self.frames,
            frames_dropped: counters.frames_dropped + self.frames_unwritten,
            layer: self.layer,
            width: self.size.0,
            height: self.size.1,
        }
    }

    /// Makes `ssrc` the track's source if it is not yet. False for a straggler of the source before.
    fn accept_source(&mut self, arrival: Instant, ssrc: u32, payload_type: u8, shared: &mut Shared) -> bool {
        if self.stream.as_ref().is_some_and(|stream| stream.ssrc == ssrc) {
            return true;
        }
        if let (Some((former, _)), Some(newest)) = (self.former, self.newest)
            && former == ssrc
            && arrival.saturating_duration_since(newest) < SOURCE_RETURNS
        {
            self.retired.packets += 1;
            self.retired.late += 1;
            return false;
        }
        let format = self.config.formats.iter().find(|format| format.payload_type == payload_type);
        let Some(rate) = format.map(|format| format.clock_rate) else {
            self.retired.packets += 1;
            self.retired.corrupt += 1;
            return false;
        };
        if let Some(mut before) = self.stream.take() {
            before.finish(&self.config.formats, &mut shared.pool, &mut shared.frames);
            self.former = Some((before.ssrc, arrival));
            self.retired += before.counters();
            self.stream = Some(before);
            self.take_frames(arrival, shared);
            self.fix_unplaced(&shared.senders);
        }
        self.stream = Some(Stream::new(ssrc, shared.max_wait, self.config.anchor, rate));
        true
    }

    fn take_frames(&mut self, now: Instant, shared: &mut Shared) {
        if shared.frames.is_empty() {
            return;
        }
        let mut frames = std::mem::take(&mut shared.frames);
        for frame in frames.drain(..) {
            self.frame(frame, now, shared);
        }
        shared.frames = frames;
    }

    fn frame(&mut self, frame: CodedFrame, now: Instant, shared: &Shared) {
        let arrival = nanos_between(shared.started, frame.arrival);
        self.size = frame.size.unwrap_or(self.size);
        let Some(stream) = &mut self.stream else { return };
        let ticks = match stream.clock.observe(frame.timestamp, arrival, &shared.senders) {
            Observed::Steady(ticks) => ticks,
            Observed::Jumped(ticks) => {
                self.fix_unplaced(&shared.senders);
                let Some(stream) = &mut self.stream else { return };
                stream.clock.reanchor(ticks, arrival, &shared.senders);
                ticks
            }
        };
        if self.placed {
            let Some(stream) = &mut self.stream else { return };
            stream.clock.place();
            let time = stream.clock.time(ticks, &shared.senders);
            self.emit(time, frame);
        } else {
            self.waiting_since.get_or_insert(now);
            self.unplaced_bytes += frame.data.as_ref().len() + size_of::<Unplaced>();
            self.unplaced.push_back(Unplaced { ticks, time: None, frame });
        }
    }

    fn unplaced_time(&self, unplaced: &Unplaced, senders: &SenderClocks) -> LocalNanos {
        let by_clock = || self.stream.as_ref().map_or(0, |stream| stream.clock.time(unplaced.ticks, senders));
        unplaced.time.unwrap_or_else(by_clock)
    }

    /// The clock is about to change: the frames that wait keep the times that it gave them.
    fn fix_unplaced(&mut self, senders: &SenderClocks) {
        let Some(stream) = &self.stream else { return };
        for unplaced in &mut self.unplaced {
            unplaced.time.get_or_insert_with(|| stream.clock.time(unplaced.ticks, senders));
        }
    }

    /// A track's times only grow: players reject what does not.
    fn emit(&mut self, time: LocalNanos, frame: CodedFrame) {
        let time = self.last.map_or(time, |(last, _)| time.max(last + MILLISECOND));
        let duration = match (frame.codec, self.last) {
            (codec @ (Codec::Opus | Codec::Pcmu | Codec::Pcma | Codec::G722), _) => {
                audio::duration(codec, frame.channels, frame.data.as_ref())
            }
            (_, Some((last, _))) => (time - last).min(LONGEST_LAST_FRAME),
            (_, None) => 1_000 * MILLISECOND / 30,
        };
        self.last = Some((time, duration));
        self.timed.push_back(TimedFrame { time, duration, frame });
    }
}
