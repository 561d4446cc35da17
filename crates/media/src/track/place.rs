//! Where a track's frames stand in the file: after what pauses took, and never running back.

use std::time::Instant;

use bytes::Bytes;

use super::{Shared, Track, Unplaced};
use crate::{
    KeyframeReason, MediaKind,
    depacketize::codec,
    frame::{CodedFrame, FrameData},
    interleave::TimedFrame,
    pause::Pauses,
    time::{LocalNanos, MILLISECOND, RtpTicks},
};

/// A video frame without a successor is taken to be shown as long as the one before; what lies further apart than
/// this is a pause, and no frame's length.
const LONGEST_FRAME: i64 = 200 * MILLISECOND;

/// To which of two frames' ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rounding {
    Up,
    Nearest,
}

impl Track {
    /// A frame that brings its time along; where it ends. None if the track's format is none of audio.
    pub(crate) fn timed_frame(
        &mut self,
        time: LocalNanos,
        data: Bytes,
        now: Instant,
        shared: &mut Shared,
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
    pub(super) fn emit(&mut self, time: LocalNanos, frame: CodedFrame, shared: &mut Shared) {
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
