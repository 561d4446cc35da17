//! The recorder: all tracks of a session into one file.

use std::{
    collections::VecDeque,
    time::{Instant, SystemTime},
};

use bytes::Bytes;

use crate::{
    FinalBytes, Input, LayerId, MediaKind, MediaTime, Output, RecorderConfig, RtpPacket, SenderReport,
    Statistics, TrackConfig, TrackId,
    context::SessionContext,
    event_log::{EventLog, log_event},
    file::RecordingFile,
    frame::BufferPool,
    interleave::{Interleaver, TimedFrame},
    pause::Pauses,
    position::Rounding,
    sync::SenderClocks,
    time::{LocalNanos, MILLISECOND, nanos_between},
    track::Track,
};

/// Times of [`Input::Frame`] are limited to this many nanoseconds from their origin: 36 years.
const MAX_FRAME_TIME: LocalNanos = 1 << 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Frames are held back until all tracks can be aligned. The file holds a draft at most.
    Aligning,
    Running,
    Finished,
}

/// Records the tracks of one session into one WebM or Matroska file.
///
/// The recorder reads no clock and writes no file. Its owner passes [`Input`]s with their times, and executes the
/// [`Output`]s. If the recorder is dropped before [`Input::Finish`], the bytes appended so far are a file that
/// [`recover`](crate::recover()) completes.
///
/// Memory is bounded by [`RecorderConfig::max_held_bytes`], plus one picture and the bytes that wait for
/// [`Output::Append`].
///
/// ```
/// use std::time::{Duration, Instant, SystemTime};
///
/// use bytes::Bytes;
/// use media::{
///     Anchor, Codec, Input, LayerId, MediaKind, Output, PayloadFormat, PayloadType, Recorder, RecorderConfig,
///     RtpPacket, RtpTimestamp, Ssrc, TrackConfig, TrackId,
/// };
///
/// let start = Instant::now();
/// let mut recorder = Recorder::new(RecorderConfig::default(), start, SystemTime::now());
/// let opus = PayloadFormat {
///     payload_type: PayloadType(111),
///     encoding: Codec::Opus.into(),
///     clock_rate: 48_000,
///     channels: 2,
///     fmtp: String::new(),
/// };
/// let track = TrackConfig {
///     id: TrackId(0),
///     name: "microphone".to_owned(),
///     kind: MediaKind::Audio,
///     formats: vec![opus],
///     anchor: Anchor::SenderReports,
/// };
/// recorder.handle_input(Input::AddTrack { track, at: start });
///
/// // A second of silence: 50 packets of 20 ms.
/// let mut now = start;
/// for number in 0..50_u16 {
///     let packet = RtpPacket {
///         ssrc: Ssrc(1),
///         payload_type: PayloadType(111),
///         sequence_number: number,
///         timestamp: RtpTimestamp(960 * u32::from(number)),
///         marker: false,
///         rotation: None,
///         resent: false,
///         payload: Bytes::from_static(&[0xf8, 0xff, 0xfe]),
///     };
///     now += Duration::from_millis(20);
///     recorder.handle_input(Input::Rtp { track: TrackId(0), layer: LayerId(0), arrival: now, packet });
/// }
/// recorder.handle_input(Input::Finish(now));
///
/// let mut file = Vec::new();
/// loop {
///     match recorder.poll_output() {
///         Output::Append(bytes) => file.extend_from_slice(&bytes),
///         Output::Patch { offset, bytes } => {
///             let start = usize::try_from(offset).unwrap();
///             file[start..start + bytes.len()].copy_from_slice(&bytes);
///         }
///         Output::Restart => file.clear(),
///         Output::Keyframe(track, layer, _) => println!("send a PLI for {track:?}, {layer:?}"),
///         Output::Finished(summary) => assert_eq!(summary.duration, Duration::from_secs(1)),
///         // In a live session: wait for the next packet, or until this time.
///         Output::Timeout(_) => break,
///     }
/// }
/// assert_eq!(file[..4], [0x1a, 0x45, 0xdf, 0xa3], "an EBML header");
/// ```
#[derive(Debug, Clone)]
pub struct Recorder {
    config: RecorderConfig,
    context: SessionContext,
    tracks: Vec<Track>,
    interleaver: Interleaver,
    file: RecordingFile,
    phase: Phase,
    /// When the first frame was complete.
    first_frame: Option<Instant>,
    /// While the beginning is held back: when the next draft is written.
    next_draft: Option<Instant>,
    /// Whether the file holds a draft.
    drafted: bool,
    /// Packets and frames of tracks that were not added.
    unknown_track: u64,
    /// When the newest [`Input::Frame`] ends. Such frames have a clock of their own.
    frames_end: Option<LocalNanos>,
    outputs: VecDeque<Output>,
}

impl Recorder {
    /// A recorder of a session that began at `started`. `wall` is the same instant on the wall clock, for the file's
    /// `DateUTC`.
    #[must_use]
    pub fn new(config: RecorderConfig, started: Instant, wall: SystemTime) -> Self {
        Self {
            context: SessionContext {
                started,
                now: started,
                max_wait: config.max_wait,
                senders: SenderClocks::default(),
                pauses: Pauses::default(),
                pool: BufferPool::default(),
                frames: Vec::new(),
                log: EventLog::default(),
            },
            tracks: Vec::new(),
            interleaver: Interleaver::new(config.interleave_wait),
            file: RecordingFile::new(wall),
            phase: Phase::Aligning,
            first_frame: None,
            next_draft: None,
            drafted: false,
            unknown_track: 0,
            frames_end: None,
            outputs: VecDeque::new(),
            config,
        }
    }

    /// Handles an event. Call [`poll_output`](Self::poll_output) afterwards until it returns [`Output::Timeout`]. After
    /// [`Input::Finish`] further inputs are ignored.
    pub fn handle_input(&mut self, input: Input) {
        if self.phase == Phase::Finished {
            return;
        }
        match input {
            Input::Rtp { track, layer, arrival, packet } => self.rtp(track, layer, arrival, packet),
            Input::SenderReport { track, layer, arrival, report } => {
                self.sender_report(track, layer, arrival, report);
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

    /// The next output, in the order in which they must be executed. [`Output::Timeout`] if there is none.
    pub fn poll_output(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or_else(|| Output::Timeout(self.deadline()))
    }

    /// The part of the file that is final. None while the file holds a draft or nothing. Call it when
    /// [`poll_output`](Self::poll_output) has returned [`Output::Timeout`].
    #[must_use]
    pub fn final_bytes(&self) -> Option<FinalBytes> {
        if self.phase == Phase::Aligning { None } else { self.file.final_bytes() }
    }

    /// When the newest frame in the file ends, as in [`Statistics`].
    #[must_use]
    pub fn position(&self) -> MediaTime {
        self.file.position()
    }

    /// Whether the recording is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.context.pauses.is_paused()
    }

    /// Counters of the session and of each track.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let audio = self.tracks.iter().find(|track| track.config.kind == MediaKind::Audio);
        let reference = audio.or(self.tracks.first()).and_then(Track::lateness);
        Statistics {
            bytes: self.file.bytes(),
            position: self.file.position(),
            held_bytes: self.held_bytes(),
            unknown_track: self.unknown_track,
            tracks: self.tracks.iter().map(|track| (track.config.id, track.statistics(reference))).collect(),
        }
    }

    fn rtp(&mut self, track: TrackId, layer: LayerId, arrival: Instant, packet: RtpPacket) {
        let now = self.advance(arrival);
        let Some(index) = self.index(track) else { return self.count_unknown_track(track) };
        if let Some(found) = self.tracks.get_mut(index) {
            found.rtp(layer, now, packet, &mut self.context);
        }
        self.request_keyframe(index);
        self.take_frames(index);
        self.bound_held_bytes();
        self.write_ready();
    }

    fn sender_report(&mut self, track: TrackId, layer: LayerId, arrival: Instant, report: SenderReport) {
        let now = self.advance(arrival);
        let Some(found) = self.index(track).and_then(|index| self.tracks.get_mut(index)) else { return };
        found.sender_report(layer, now, report, &mut self.context);
        self.write_ready();
    }

    fn frame(&mut self, track: TrackId, at: Instant, time: MediaTime, data: Bytes) {
        let now = self.advance(at);
        let Some(index) = self.index(track) else { return self.count_unknown_track(track) };
        if let Some(found) = self.tracks.get_mut(index) {
            let time = time.0.clamp(-MAX_FRAME_TIME, MAX_FRAME_TIME);
            let end = found.timed_frame(time, data, now, &mut self.context);
            self.frames_end = self.frames_end.max(end);
        }
        self.take_frames(index);
        self.bound_held_bytes();
        self.write_ready();
    }

    fn timeout(&mut self, at: Instant) {
        let now = self.advance(at);
        for index in 0..self.tracks.len() {
            if let Some(track) = self.tracks.get_mut(index) {
                track.timeout(now, &mut self.context);
            }
            self.request_keyframe(index);
            self.take_frames(index);
        }
        self.write_ready();
    }

    fn add_track(&mut self, config: TrackConfig, at: Instant) {
        self.advance(at);
        match self.index(config.id).and_then(|index| self.tracks.get_mut(index)) {
            Some(track) => track.config = config,
            None => {
                log_event!(self.context, track = %config.name, kind = ?config.kind, "track added");
                self.tracks.push(Track::new(config));
            }
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
            log_event!(
                self.context,
                track = %track.config.name, frames = track.frames, packets_lost = track.packets_lost(),
                "track ended"
            );
            track.finish(now, &mut self.context);
        }
        self.take_frames(index);
        self.interleaver.end(index);
    }

    fn finish(&mut self, at: Instant) {
        let now = self.advance(at);
        for index in 0..self.tracks.len() {
            self.end_track_at(index, now);
        }
        if self.phase == Phase::Aligning {
            self.begin("session ended");
        }
        self.align_late_tracks(true);
        while let Some((index, frame)) = self.interleaver.pop_now() {
            self.write(index, frame);
        }
        self.phase = Phase::Finished;
        let summary = self.file.finish(&mut self.tracks, &mut self.outputs);
        self.outputs.push_back(Output::Finished(summary));
    }

    /// Advances the recorder's time, never backwards.
    fn advance(&mut self, to: Instant) -> Instant {
        self.context.now = self.context.now.max(to);
        self.context.now
    }

    fn index(&self, track: TrackId) -> Option<usize> {
        self.tracks.iter().position(|known| known.config.id == track)
    }

    fn count_unknown_track(&mut self, track: TrackId) {
        if self.unknown_track == 0 {
            log_event!(self.context, track_id = track.0, "packets of an unknown track dropped");
        }
        self.unknown_track += 1;
    }

    /// Passes on a track's request for a keyframe. Not in a pause, which would cut the keyframe out.
    fn request_keyframe(&mut self, index: usize) {
        if self.is_paused() {
            return;
        }
        let now = self.context.now;
        let Some(track) = self.tracks.get_mut(index) else {
            debug_assert!(false, "an index of `tracks`");
            return;
        };
        if let Some((layer, reason)) = track.keyframe_request(now) {
            log_event!(
                self.context,
                track = %track.config.name, layer = layer.0, ?reason, "keyframe requested"
            );
            self.outputs.push_back(Output::Keyframe(track.config.id, layer, reason));
        }
    }

    /// Moves a track's frames that have positions to the interleaver.
    fn take_frames(&mut self, index: usize) {
        let now = self.context.now;
        let Some(track) = self.tracks.get_mut(index) else {
            debug_assert!(false, "an index of `tracks`");
            return;
        };
        if self.first_frame.is_none() && track.waiting_since().is_some() {
            self.first_frame = Some(now);
            self.next_draft = Some(now + self.config.append_age);
        }
        while let Some(frame) = track.timed.pop_front() {
            self.interleaver.push(index, frame, now);
        }
    }

    /// Writes the frames that are due, and returns the buffered bytes if they are due.
    fn write_ready(&mut self) {
        let drafted = self.drafted;
        match self.phase {
            Phase::Aligning => match self.alignment_decided_by() {
                Some(reason) => self.begin(reason),
                None => return self.write_draft_if_due(),
            },
            Phase::Finished => return,
            Phase::Running => self.align_late_tracks(false),
        }
        while let Some((index, frame)) = self.interleaver.pop(self.context.now) {
            self.write(index, frame);
        }
        let deadline = self.file.flush_deadline(self.config.append_age);
        let due = deadline.is_some_and(|deadline| deadline <= self.context.now);
        // The file without its draft must not be left empty on disk.
        let replaced_draft = drafted && !self.drafted;
        if due || replaced_draft || self.file.buffered() >= self.config.append_bytes {
            self.file.flush(&mut self.outputs);
        }
    }

    fn write(&mut self, index: usize, frame: TimedFrame) {
        let Some(track) = self.tracks.get_mut(index) else {
            debug_assert!(false, "a frame of track {index} of {}", self.tracks.len());
            return;
        };
        let entries = track.entries.len();
        let without_entry = track.frames_without_entry;
        self.file.write(track, &frame, self.context.now, &mut self.outputs);
        if track.entries.len() > entries {
            log_event!(self.context, track = %track.config.name, entries = entries + 1, "track entry written");
        }
        if without_entry == 0 && track.frames_without_entry > 0 {
            log_event!(
                self.context,
                track = %track.config.name, "frames dropped: the file's header has no room for the track"
            );
        }
        self.context.pool.put(frame.frame.data);
    }

    fn held_bytes(&self) -> usize {
        self.interleaver.held_bytes() + self.tracks.iter().map(Track::held_bytes).sum::<usize>()
    }

    /// Past the limit memory takes precedence over order: tracks are aligned early, then holes are given up, then frames
    /// are written though earlier ones may follow.
    fn bound_held_bytes(&mut self) {
        let held_bytes = self.held_bytes();
        if held_bytes <= self.config.max_held_bytes {
            return;
        }
        log_event!(self.context, held_bytes, "held bytes over the limit: holes given up");
        if self.phase == Phase::Aligning {
            self.begin("held bytes over the limit");
        }
        self.align_late_tracks(true);
        for index in 0..self.tracks.len() {
            if let Some(track) = self.tracks.get_mut(index) {
                track.drain(self.context.now, &mut self.context);
            }
            self.take_frames(index);
        }
        while self.held_bytes() > self.config.max_held_bytes {
            let Some((index, frame)) = self.interleaver.pop_now() else { return };
            self.write(index, frame);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        if self.phase == Phase::Finished {
            return None;
        }
        let holes = self.tracks.iter().filter_map(Track::deadline).min();
        let alignment = match (self.phase, self.first_frame) {
            (Phase::Aligning, Some(first)) => {
                self.next_draft.into_iter().chain([first + self.config.alignment_wait]).min()
            }
            _ => None,
        };
        let late_track = match self.phase {
            Phase::Running => self.tracks.iter().filter_map(Track::waiting_since).min(),
            _ => None,
        };
        let late_track =
            late_track.map(|since| since + self.config.interleave_wait.min(self.config.alignment_wait));
        let interleave = self.interleaver.deadline();
        let flush = self.file.flush_deadline(self.config.append_age);
        [holes, alignment, late_track, interleave, flush].into_iter().flatten().min()
    }
}

/// The beginning: frames are held back until the tracks can be aligned, and drafts of the file are written meanwhile.
impl Recorder {
    /// Why the tracks can be aligned now. None if waiting may still improve their times.
    fn alignment_decided_by(&self) -> Option<&'static str> {
        let first = self.first_frame?;
        if self.tracks.iter().all(|track| track.ended || track.is_ready()) {
            return Some("all tracks ready");
        }
        let waited = self.context.now.saturating_duration_since(first) >= self.config.alignment_wait;
        waited.then_some("wait over")
    }

    /// A crash would lose the frames that are held back. So a draft goes to the file: the complete file that a finish at
    /// this moment would write.
    fn write_draft_if_due(&mut self) {
        let now = self.context.now;
        if self.next_draft.is_none_or(|due| due > now) {
            return;
        }
        self.next_draft = Some(now + self.config.append_age);
        let mut draft = self.clone();
        draft.context.log.mute();
        draft.outputs.clear();
        draft.drafted = false;
        draft.finish(now);
        if draft.file.bytes() == 0 {
            return;
        }
        self.drafted = true;
        self.outputs.push_back(Output::Restart);
        let is_write = |output: &Output| matches!(output, Output::Append(_) | Output::Patch { .. });
        self.outputs.extend(draft.outputs.into_iter().filter(is_write));
    }

    /// Decides the recording's origin, begins the file and aligns all tracks. Does nothing if no frame is held back.
    fn begin(&mut self, reason: &'static str) {
        let first = self.tracks.iter().filter_map(|track| track.first_time(&self.context.senders)).min();
        let Some(origin) = first else { return };
        log_event!(self.context, reason, origin_ms = origin / MILLISECOND, "recording begins");
        self.phase = Phase::Running;
        if std::mem::take(&mut self.drafted) {
            self.outputs.push_back(Output::Restart);
        }
        self.context.senders.start_slewing();
        self.file.begin(origin, &self.config, self.context.now);
        for index in 0..self.tracks.len() {
            self.align(index);
        }
    }

    /// Aligns tracks that joined after the beginning. Each waits for its first sender report, but no longer than other
    /// tracks wait for its frames. With `at_once` none waits.
    fn align_late_tracks(&mut self, at_once: bool) {
        for index in 0..self.tracks.len() {
            let Some(track) = self.tracks.get(index) else { return };
            let Some(since) = track.waiting_since() else { continue };
            let max_wait = self.config.interleave_wait.min(self.config.alignment_wait);
            let waited = self.context.now.saturating_duration_since(since) >= max_wait;
            if at_once || waited || track.ended || track.is_ready() {
                self.align(index);
            }
        }
    }

    fn align(&mut self, index: usize) {
        let Some(track) = self.tracks.get_mut(index) else {
            debug_assert!(false, "an index of `tracks`");
            return;
        };
        if !track.has_unaligned_frames() {
            return;
        }
        track.align(&mut self.context);
        self.file.declare_first(track, &mut self.outputs);
        self.take_frames(index);
    }
}

/// Pause and resume: where on the session's clock the cut begins and ends.
impl Recorder {
    /// Aligns all tracks first: frames from before the pause could not be distinguished from later ones otherwise.
    fn pause(&mut self, at: Instant) {
        let now = self.advance(at);
        if self.is_paused() {
            return;
        }
        if self.phase == Phase::Aligning {
            self.begin("pause");
        }
        self.align_late_tracks(true);
        if self.phase == Phase::Running {
            let requested = self.clock(now);
            let edge = self.boundary(self.context.pauses.begin_target(requested), Rounding::Up);
            self.context.pauses.begin(requested, edge);
            log_event!(
                self.context,
                requested_ms = requested / MILLISECOND,
                cut_from_ms = edge / MILLISECOND,
                "paused"
            );
        } else {
            self.context.pauses.begin_before_media();
            log_event!(self.context, "paused before the first frame");
        }
        self.write_ready();
    }

    fn resume(&mut self, at: Instant) {
        let now = self.advance(at);
        let requested = self.clock(now);
        let edge = self.boundary(self.context.pauses.end_target(requested), Rounding::Nearest);
        if self.is_paused() {
            log_event!(
                self.context,
                requested_ms = requested / MILLISECOND,
                cut_to_ms = edge / MILLISECOND,
                "resumed"
            );
        }
        self.context.pauses.end(requested, edge, now);
        for index in 0..self.tracks.len() {
            if let Some(track) = self.tracks.get_mut(index) {
                track.resume(&mut self.context);
            }
            self.request_keyframe(index);
        }
    }

    /// The present time of the session's clock. A session of [`Input::Frame`]s has a clock of its own, which stands where
    /// the newest frame ends.
    fn clock(&self, now: Instant) -> LocalNanos {
        self.frames_end.unwrap_or_else(|| nanos_between(self.context.started, now))
    }

    /// A time near `time` at which an audio frame ends: a cut there leaves neither a hole nor an overlap in the audio.
    fn boundary(&self, time: LocalNanos, rounding: Rounding) -> LocalNanos {
        if self.frames_end.is_some() {
            return time;
        }
        self.tracks.iter().find_map(|track| track.boundary(time, rounding)).unwrap_or(time)
    }
}
