//! The recorder: all tracks of a session into one file.

use std::{
    collections::VecDeque,
    time::{Instant, SystemTime},
};

use bytes::Bytes;

use crate::{
    FinalBytes, Input, LayerId, MediaKind, MediaTime, NtpTime, Output, RecorderConfig, RtpPacket, Statistics,
    TrackConfig, TrackId,
    context::SessionContext,
    file::File,
    frame::BufferPool,
    interleave::Interleaver,
    pause::Pauses,
    sync::SenderClocks,
    time::{LocalNanos, nanos_between},
    track::{Rounding, Track},
};

/// Frames that bring their time along stand within this of their origin: 36 years.
const FARTHEST: LocalNanos = 1 << 60;

/// Where a recording stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Frames wait until all tracks can be placed. Nothing is written yet.
    Settling,
    Running,
    Finished,
}

/// Records the tracks of one session into one file.
#[derive(Debug, Clone)]
pub struct Recorder {
    config: RecorderConfig,
    shared: SessionContext,
    tracks: Vec<Track>,
    interleaver: Interleaver,
    file: File,
    phase: Phase,
    now: Instant,
    /// When the first frame came.
    first_frame: Option<Instant>,
    /// While the beginning is held back: when it is next drafted.
    next_draft: Option<Instant>,
    /// Whether a draft is in the file.
    drafted: bool,
    /// Packets of tracks that were not added.
    strays: u64,
    /// Where the newest of the frames that bring their time along ends.
    frames_end: Option<LocalNanos>,
    outputs: VecDeque<Output>,
}

impl Recorder {
    /// A recorder whose session began at `started`, which was `wall` on the calendar (for the file's `DateUTC`).
    #[must_use]
    pub fn new(config: RecorderConfig, started: Instant, wall: SystemTime) -> Self {
        Self {
            shared: SessionContext {
                started,
                max_wait: config.max_wait,
                senders: SenderClocks::default(),
                pauses: Pauses::default(),
                pool: BufferPool::default(),
                frames: Vec::new(),
            },
            tracks: Vec::new(),
            interleaver: Interleaver::new(config.interleave),
            file: File::new(wall),
            phase: Phase::Settling,
            now: started,
            first_frame: None,
            next_draft: None,
            drafted: false,
            strays: 0,
            frames_end: None,
            outputs: VecDeque::new(),
            config,
        }
    }

    /// Takes an event. Drain [`poll_output`](Self::poll_output) afterwards. After [`Input::Finish`] every further
    /// input is ignored.
    pub fn handle_input(&mut self, input: Input) {
        if self.phase == Phase::Finished {
            return;
        }
        match input {
            Input::Rtp { track, layer, arrival, packet } => self.rtp(track, layer, arrival, packet),
            Input::SenderReport { track, layer, ssrc, arrival, ntp, rtp_timestamp } => {
                self.sender_report(track, layer, ssrc, arrival, ntp, rtp_timestamp);
            }
            Input::Frame { track, at, time, data } => self.frame(track, at, time, data),
            Input::Pause(at) => self.pause(at),
            Input::Resume(at) => self.resume(at),
            Input::Timeout(at) => self.timeout(at),
            Input::AddTrack { track, at } => self.add_track(track, at),
            Input::EndTrack { track, at } => self.end_track(track, at),
            Input::Finish(at) => self.finish(at),
        }
    }

    /// The next thing to do; [`Output::Timeout`] when there is nothing more.
    pub fn poll_output(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or_else(|| Output::Timeout(self.deadline()))
    }

    /// What of the file is final; none while its beginning is a draft. Ask when [`poll_output`](Self::poll_output) has
    /// nothing more.
    #[must_use]
    pub fn settled(&self) -> Option<FinalBytes> {
        if self.phase == Phase::Settling { None } else { self.file.settled() }
    }

    /// Where the newest frame written ends, as in [`Statistics`].
    #[must_use]
    pub fn position(&self) -> MediaTime {
        self.file.position()
    }

    /// Whether it keeps nothing for now.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.shared.pauses.is_paused()
    }

    /// Counters, for a person who watches.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let audio = self.tracks.iter().find(|track| track.config.kind == MediaKind::Audio);
        let reference = audio.or(self.tracks.first()).and_then(Track::lateness);
        Statistics {
            bytes: self.file.bytes(),
            position: self.file.position(),
            held_bytes: self.held_bytes(),
            strays: self.strays,
            tracks: self.tracks.iter().map(|track| (track.config.id, track.statistics(reference))).collect(),
        }
    }

    fn rtp(&mut self, track: TrackId, layer: LayerId, arrival: Instant, packet: RtpPacket) {
        let now = self.advance(arrival);
        let Some(index) = self.index(track) else {
            self.strays += 1;
            return;
        };
        let Some(found) = self.tracks.get_mut(index) else { return };
        found.rtp(layer, now, packet, &mut self.shared);
        self.ask_for_keyframe(index);
        self.take_frames(index);
        self.bound_held();
        self.write_ready();
    }

    fn sender_report(
        &mut self,
        track: TrackId,
        layer: LayerId,
        ssrc: u32,
        arrival: Instant,
        ntp: NtpTime,
        rtp_timestamp: u32,
    ) {
        let now = self.advance(arrival);
        let Some(found) = self.index(track).and_then(|index| self.tracks.get_mut(index)) else { return };
        found.sender_report(layer, ssrc, now, ntp, rtp_timestamp, &mut self.shared);
        self.write_ready();
    }

    fn timeout(&mut self, at: Instant) {
        let now = self.advance(at);
        for index in 0..self.tracks.len() {
            if let Some(track) = self.tracks.get_mut(index) {
                track.timeout(now, &mut self.shared);
            }
            self.ask_for_keyframe(index);
            self.take_frames(index);
        }
        self.write_ready();
    }

    fn frame(&mut self, track: TrackId, at: Instant, time: MediaTime, data: Bytes) {
        let now = self.advance(at);
        let Some(index) = self.index(track) else {
            self.strays += 1;
            return;
        };
        let Some(found) = self.tracks.get_mut(index) else { return };
        let time = time.0.clamp(-FARTHEST, FARTHEST);
        let end = found.timed_frame(time, data, now, &mut self.shared);
        self.frames_end = self.frames_end.max(end);
        self.take_frames(index);
        self.bound_held();
        self.write_ready();
    }

    /// Hands on what a track asks for, though not in a pause: nothing of it would be kept.
    fn ask_for_keyframe(&mut self, index: usize) {
        let paused = self.is_paused();
        let Some(track) = self.tracks.get_mut(index).filter(|_| !paused) else { return };
        if let Some((layer, reason)) = track.keyframe_wanted(self.now) {
            self.outputs.push_back(Output::Keyframe(track.config.id, layer, reason));
        }
    }

    fn add_track(&mut self, config: TrackConfig, at: Instant) {
        self.advance(at);
        match self.index(config.id).and_then(|index| self.tracks.get_mut(index)) {
            Some(track) => track.config = config,
            None => self.tracks.push(Track::new(config)),
        }
    }

    fn end_track(&mut self, track: TrackId, at: Instant) {
        let now = self.advance(at);
        let Some(index) = self.index(track) else { return };
        self.end_track_at(index, now);
        self.write_ready();
    }

    fn end_track_at(&mut self, index: usize, now: Instant) {
        if let Some(track) = self.tracks.get_mut(index) {
            track.finish(now, &mut self.shared);
        }
        self.take_frames(index);
        self.interleaver.end(index);
    }

    fn finish(&mut self, at: Instant) {
        let now = self.advance(at);
        for index in 0..self.tracks.len() {
            self.end_track_at(index, now);
        }
        if self.phase == Phase::Settling {
            self.settle();
        }
        self.place_late_tracks(true);
        while let Some((index, frame)) = self.interleaver.pop_anyway() {
            self.write(index, frame);
        }
        self.phase = Phase::Finished;
        let summary = self.file.finish(&mut self.tracks, &mut self.outputs);
        self.outputs.push_back(Output::Finished(summary));
    }

    /// Moves the recorder's time on, never back.
    fn advance(&mut self, to: Instant) -> Instant {
        self.now = self.now.max(to);
        self.now
    }

    fn index(&self, track: TrackId) -> Option<usize> {
        self.tracks.iter().position(|known| known.config.id == track)
    }

    /// Moves frames that have their times to the interleaver.
    fn take_frames(&mut self, index: usize) {
        let Some(track) = self.tracks.get_mut(index) else { return };
        if self.first_frame.is_none() && track.waiting_since().is_some() {
            self.first_frame = Some(self.now);
            self.next_draft = Some(self.now + self.config.append_age);
        }
        while let Some(frame) = track.timed.pop_front() {
            self.interleaver.push(index, frame, self.now);
        }
    }

    /// Writes what is due and hands out what has gathered.
    fn write_ready(&mut self) {
        let drafted = self.drafted;
        match self.phase {
            Phase::Settling if self.is_settled() => self.settle(),
            Phase::Settling => return self.draft_if_due(),
            Phase::Finished => return,
            Phase::Running => self.place_late_tracks(false),
        }
        while let Some((index, frame)) = self.interleaver.pop(self.now) {
            self.write(index, frame);
        }
        let due =
            self.file.flush_deadline(self.config.append_age).is_some_and(|deadline| deadline <= self.now);
        // What takes the draft's place follows it at once.
        let replaced = drafted && !self.drafted;
        if due || replaced || self.file.buffered() >= self.config.append_bytes {
            self.file.flush(&mut self.outputs);
        }
    }

    fn write(&mut self, index: usize, frame: crate::interleave::TimedFrame) {
        let Some(track) = self.tracks.get_mut(index) else { return };
        self.file.write(track, &frame, self.now, &mut self.outputs);
        self.shared.pool.give_back(frame.frame.data);
    }

    fn held_bytes(&self) -> usize {
        self.interleaver.held_bytes() + self.tracks.iter().map(Track::held_bytes).sum::<usize>()
    }

    /// Past the limit order gives way to memory: the beginning settles early, then holes are given up, then frames
    /// are written though others may belong before them.
    fn bound_held(&mut self) {
        if self.held_bytes() <= self.config.max_held_bytes {
            return;
        }
        if self.phase == Phase::Settling {
            self.settle();
        }
        self.place_late_tracks(true);
        for index in 0..self.tracks.len() {
            if let Some(track) = self.tracks.get_mut(index) {
                track.drain(self.now, &mut self.shared);
            }
            self.take_frames(index);
        }
        while self.held_bytes() > self.config.max_held_bytes {
            let Some((index, frame)) = self.interleaver.pop_anyway() else { return };
            self.write(index, frame);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        if self.phase == Phase::Finished {
            return None;
        }
        let holes = self.tracks.iter().filter_map(Track::deadline).min();
        let settle = match (self.phase, self.first_frame) {
            (Phase::Settling, Some(first)) => {
                self.next_draft.into_iter().chain([first + self.config.settle]).min()
            }
            _ => None,
        };
        let placing = match self.phase {
            Phase::Running => self.tracks.iter().filter_map(Track::waiting_since).min(),
            _ => None,
        };
        let placing = placing.map(|since| since + self.config.interleave.min(self.config.settle));
        let interleave = self.interleaver.deadline();
        let flush = self.file.flush_deadline(self.config.append_age);
        [holes, settle, placing, interleave, flush].into_iter().flatten().min()
    }

    fn is_settled(&self) -> bool {
        let Some(first) = self.first_frame else { return false };
        self.now.saturating_duration_since(first) >= self.config.settle
            || self.tracks.iter().all(|track| track.ended || track.is_ready())
    }

    /// What is held back would be lost in a crash. So a draft of it goes to the file: what a finish just now would
    /// leave, a whole file by itself.
    fn draft_if_due(&mut self) {
        if self.next_draft.is_none_or(|due| due > self.now) {
            return;
        }
        self.next_draft = Some(self.now + self.config.append_age);
        let mut draft = self.clone();
        draft.outputs.clear();
        draft.drafted = false;
        draft.finish(self.now);
        if draft.file.bytes() == 0 {
            return;
        }
        self.drafted = true;
        self.outputs.push_back(Output::Restart);
        let is_write = |output: &Output| matches!(output, Output::Append(_) | Output::Patch { .. });
        self.outputs.extend(draft.outputs.into_iter().filter(is_write));
    }

    /// Fixes the recording's origin and begins the file.
    fn settle(&mut self) {
        let first = self.tracks.iter().filter_map(|track| track.first_time(&self.shared.senders)).min();
        let Some(origin) = first else { return };
        self.phase = Phase::Running;
        if std::mem::take(&mut self.drafted) {
            self.outputs.push_back(Output::Restart);
        }
        self.shared.senders.place();
        self.file.begin(origin, &self.config, self.now);
        for index in 0..self.tracks.len() {
            self.place(index);
        }
    }

    /// A track that joined later waits for its first sender report, though no longer than other tracks wait for it.
    fn place_late_tracks(&mut self, at_once: bool) {
        for index in 0..self.tracks.len() {
            let Some(track) = self.tracks.get(index) else { return };
            let Some(since) = track.waiting_since() else { continue };
            let patience = self.config.interleave.min(self.config.settle);
            let waited = self.now.saturating_duration_since(since) >= patience;
            if at_once || waited || track.ended || track.is_ready() {
                self.place(index);
            }
        }
    }

    fn place(&mut self, index: usize) {
        let Some(track) = self.tracks.get_mut(index) else { return };
        if track.first_unplaced().is_none() {
            return;
        }
        track.place(&mut self.shared);
        self.file.declare_first(track, &mut self.outputs);
        self.take_frames(index);
    }

    /// Nothing that was captured before waits any longer to be placed: what waits could not be told from what comes.
    fn pause(&mut self, at: Instant) {
        let now = self.advance(at);
        if self.is_paused() {
            return;
        }
        if self.phase == Phase::Settling {
            self.settle();
        }
        self.place_late_tracks(true);
        if self.phase == Phase::Running {
            let asked = self.clock(now);
            let edge = self.boundary(self.shared.pauses.due_begin(asked), Rounding::Up);
            self.shared.pauses.begin(asked, edge);
        } else {
            self.shared.pauses.begin_before_all();
        }
        self.write_ready();
    }

    fn resume(&mut self, at: Instant) {
        let now = self.advance(at);
        let asked = self.clock(now);
        let edge = self.boundary(self.shared.pauses.due_end(asked), Rounding::Nearest);
        self.shared.pauses.end(asked, edge, now);
        for index in 0..self.tracks.len() {
            if let Some(track) = self.tracks.get_mut(index) {
                track.resume();
            }
            self.ask_for_keyframe(index);
        }
    }

    /// The session's clock. Frames that bring their times along have a clock of their own, which stands where they end.
    fn clock(&self, now: Instant) -> LocalNanos {
        self.frames_end.unwrap_or_else(|| nanos_between(self.shared.started, now))
    }

    /// A moment where an audio frame ends: cut there, sound has neither a hole nor an overlap.
    fn boundary(&self, time: LocalNanos, rounding: Rounding) -> LocalNanos {
        if self.frames_end.is_some() {
            return time;
        }
        self.tracks.iter().find_map(|track| track.boundary(time, rounding)).unwrap_or(time)
    }
}
