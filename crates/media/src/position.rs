//! Positions of a track's frames in the file: without the pauses, and never running backwards.
//!
//! The method: `docs/time.md`, "Pauses".

use crate::{
    MediaKind,
    frame::CodedFrame,
    pause::Pauses,
    time::{LocalNanos, MILLISECOND},
};

/// A video frame's duration is taken from the frame before it. Frames further apart than this have a pause between
/// them, which is no frame's duration.
const LONGEST_FRAME: i64 = 200 * MILLISECOND;
/// The duration of a first video frame: 30 frames a second.
const FIRST_FRAME: i64 = 1_000 * MILLISECOND / 30;

/// In which direction [`Positions::boundary`] looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rounding {
    Up,
    Nearest,
}

/// Where a frame belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    /// At this time of the session's clock, pauses taken out. Both in nanoseconds.
    At { time: LocalNanos, duration: i64 },
    /// Nowhere: a pause cuts it out.
    InPause,
    /// Nowhere: a pause cut out a frame that it refers to. The next keyframe continues the video.
    NeedsKeyframe,
}

/// Assigns positions to the frames of one track, in the order they were sent.
#[derive(Debug, Clone)]
pub(crate) struct Positions {
    /// Position and duration of the newest frame in the file.
    last: Option<(LocalNanos, i64)>,
    /// Time and duration of the newest audio frame on the session's clock, also of one in a pause.
    newest_audio: Option<(LocalNanos, i64)>,
    /// A pause cut out a video frame: nothing decodes before a keyframe.
    needs_keyframe: bool,
    /// The end of the newest pause, once a keyframe has continued the video. Later frames that were captured before it
    /// are moved there.
    earliest: LocalNanos,
}

impl Positions {
    pub(crate) fn new() -> Self {
        Self { last: None, newest_audio: None, needs_keyframe: false, earliest: LocalNanos::MIN }
    }

    /// Whether video needs a keyframe to continue after a pause.
    pub(crate) fn needs_keyframe(&self) -> bool {
        self.needs_keyframe
    }

    /// A pause cut out a video frame that has no position yet.
    pub(crate) fn require_keyframe(&mut self) {
        self.needs_keyframe = true;
    }

    /// The position of the next frame. Positions of a track increase by at least 1 ms, as players reject others.
    pub(crate) fn next(&mut self, time: LocalNanos, frame: &CodedFrame, pauses: &Pauses) -> Position {
        let position = match frame.codec.kind() {
            MediaKind::Audio => self.audio(time, frame, pauses).ok_or(Position::InPause),
            MediaKind::Video => self.video(time, frame, pauses),
        };
        let time = match position {
            Ok(time) => self.last.map_or(time, |(last, _)| time.max(last + MILLISECOND)),
            Err(nowhere) => return nowhere,
        };
        let duration = match (frame.codec.kind(), self.last) {
            (MediaKind::Audio, _) => frame.audio_duration(),
            (_, Some((last, _))) if time - last <= LONGEST_FRAME => time - last,
            (_, Some((_, duration))) => duration,
            (_, None) => FIRST_FRAME,
        };
        self.last = Some((time, duration));
        Position::At { time, duration }
    }

    /// A time near `time` at which one audio frame of the track ends and the next begins. None if it has no audio.
    pub(crate) fn boundary(&self, time: LocalNanos, rounding: Rounding) -> Option<LocalNanos> {
        let (start, duration) = self.newest_audio.filter(|(_, duration)| *duration > 0)?;
        let up = match rounding {
            Rounding::Up => duration - 1,
            Rounding::Nearest => duration / 2,
        };
        let frames = time.saturating_sub(start).saturating_add(up).div_euclid(duration);
        // Frames that have a position already can't be cut.
        Some(start.saturating_add(frames.max(1).saturating_mul(duration)))
    }

    /// An audio frame belongs to where its middle is. The edges of pauses are edges of frames, so that rounding of
    /// timestamps does not decide.
    fn audio(&mut self, time: LocalNanos, frame: &CodedFrame, pauses: &Pauses) -> Option<LocalNanos> {
        let duration = frame.audio_duration();
        self.newest_audio = Some((time, duration));
        pauses.shift(time.saturating_add(duration / 2)).map(|shift| time.saturating_sub(shift))
    }

    /// Once a pause cut out a frame, only a keyframe that arrives after the pause continues the video. If it was captured a
    /// little before the pause's end, as coding takes time, it is moved to the end.
    fn video(
        &mut self,
        time: LocalNanos,
        frame: &CodedFrame,
        pauses: &Pauses,
    ) -> Result<LocalNanos, Position> {
        let time = time.max(self.earliest);
        let shift = pauses.shift(time);
        if let (Some(shift), false) = (shift, self.needs_keyframe) {
            return Ok(time.saturating_sub(shift));
        }
        self.needs_keyframe = true;
        let Some(resumed) = pauses.resumed_before(frame.arrival) else { return Err(Position::InPause) };
        if !frame.keyframe {
            return Err(Position::NeedsKeyframe);
        }
        self.needs_keyframe = false;
        self.earliest = resumed;
        let time = time.max(resumed);
        pauses.shift(time).map(|shift| time.saturating_sub(shift)).ok_or(Position::InPause)
    }
}
