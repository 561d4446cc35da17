//! Interleaves the frames of all tracks by their time.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::{frame::CodedFrame, time::LocalNanos};

/// A frame with its position, pauses taken out.
#[derive(Debug, Clone)]
pub(crate) struct TimedFrame {
    pub time: LocalNanos,
    /// Nanoseconds that it is presented. For video: the time since the frame before it.
    pub duration: i64,
    pub frame: CodedFrame,
}

/// Memory of a queued frame beside its bytes.
const FRAME_BYTES: usize = size_of::<TimedFrame>();

#[derive(Debug, Clone, Default)]
struct Queue {
    frames: VecDeque<(Instant, TimedFrame)>,
    /// When its last frame was pushed. None: other tracks do not wait for it.
    active: Option<Instant>,
}

/// Merges tracks by time. A frame waits for earlier frames of other tracks for at most the configured time, and never
/// for a track without a frame for as long.
#[derive(Debug, Clone)]
pub(crate) struct Interleaver {
    max_wait: Duration,
    queues: Vec<Queue>,
    bytes: usize,
}

impl Interleaver {
    pub(crate) fn new(max_wait: Duration) -> Self {
        Self { max_wait, queues: Vec::new(), bytes: 0 }
    }

    /// Memory of the frames that wait.
    pub(crate) fn held_bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a frame of the track with this index. The frames of a track must be in order.
    pub(crate) fn push(&mut self, track: usize, frame: TimedFrame, now: Instant) {
        while self.queues.len() <= track {
            self.queues.push(Queue::default());
        }
        let Some(queue) = self.queues.get_mut(track) else {
            debug_assert!(false, "the queue was added above");
            return;
        };
        self.bytes += frame.frame.data.as_ref().len() + FRAME_BYTES;
        queue.active = Some(now);
        queue.frames.push_back((now, frame));
    }

    /// The track ended: others do not wait for it.
    pub(crate) fn end(&mut self, track: usize) {
        if let Some(queue) = self.queues.get_mut(track) {
            queue.active = None;
        }
    }

    /// The next frame, if no earlier one can be expected.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(usize, TimedFrame)> {
        let track = self.earliest()?;
        let since = self.queues.get(track)?.frames.front()?.0;
        if now.saturating_duration_since(since) < self.max_wait && self.expects_earlier(now) {
            return None;
        }
        self.take(track)
    }

    /// The next frame, without waiting for earlier ones.
    pub(crate) fn pop_now(&mut self) -> Option<(usize, TimedFrame)> {
        let track = self.earliest()?;
        self.take(track)
    }

    /// When [`pop`](Self::pop) will return a frame if no more are pushed.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let track = self.earliest()?;
        let since = self.queues.get(track)?.frames.front()?.0;
        let last_active =
            self.queues.iter().filter(|queue| queue.frames.is_empty()).filter_map(|queue| queue.active);
        let others_time_out = last_active.max().map_or(since, |active| active + self.max_wait);
        Some(others_time_out.min(since + self.max_wait))
    }

    fn expects_earlier(&self, now: Instant) -> bool {
        self.queues.iter().any(|queue| {
            queue.frames.is_empty()
                && queue.active.is_some_and(|active| now.saturating_duration_since(active) < self.max_wait)
        })
    }

    fn earliest(&self) -> Option<usize> {
        let heads = self.queues.iter().enumerate();
        heads
            .filter_map(|(track, queue)| queue.frames.front().map(|(_, frame)| (frame.time, track)))
            .min()
            .map(|(_, track)| track)
    }

    fn take(&mut self, track: usize) -> Option<(usize, TimedFrame)> {
        let queue = self.queues.get_mut(track)?;
        let (_, frame) = queue.frames.pop_front()?;
        if queue.frames.is_empty() && queue.frames.capacity() > 64 {
            queue.frames = VecDeque::new();
        }
        self.bytes = self.bytes.saturating_sub(frame.frame.data.as_ref().len() + FRAME_BYTES);
        Some((track, frame))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{Codec, RtpTimestamp, frame::FrameData};

    struct Fixture {
        interleaver: Interleaver,
        start: Instant,
    }

    impl Fixture {
        fn new() -> Self {
            #[expect(clippy::disallowed_methods, reason = "an instant can't be made otherwise")]
            let start = Instant::now();
            Self { interleaver: Interleaver::new(Duration::from_millis(1_000)), start }
        }

        fn at(&self, milliseconds: u64) -> Instant {
            self.start + Duration::from_millis(milliseconds)
        }

        fn push(&mut self, now: u64, track: usize, time: LocalNanos) {
            let now = self.at(now);
            let frame = CodedFrame {
                codec: Codec::Opus,
                channels: 2,
                timestamp: RtpTimestamp(0),
                clock_rate: 48_000,
                arrival: now,
                keyframe: true,
                size: None,
                rotation: None,
                data: FrameData::Packet(Bytes::from_static(b"x")),
            };
            self.interleaver.push(track, TimedFrame { time, duration: 0, frame }, now);
        }

        fn pop(&mut self, now: u64) -> Vec<LocalNanos> {
            let now = self.at(now);
            std::iter::from_fn(|| self.interleaver.pop(now)).map(|(_, frame)| frame.time).collect()
        }
    }

    #[test]
    fn a_frame_is_released_once_no_earlier_one_can_follow() {
        let mut fixture = Fixture::new();
        fixture.push(0, 0, 10);
        assert_eq!(fixture.pop(0), [10]);
        fixture.push(1, 1, 5);
        fixture.push(2, 1, 25);
        // Track 0 may still send a frame before 25.
        assert_eq!(fixture.pop(2), []);
        fixture.push(3, 0, 20);
        assert_eq!(fixture.pop(3), [5, 20]);
        fixture.push(4, 0, 30);
        assert_eq!(fixture.pop(4), [25]);
    }

    #[test]
    fn a_silent_track_is_waited_for_no_longer_than_configured() {
        let mut fixture = Fixture::new();
        fixture.push(0, 0, 1);
        fixture.push(0, 1, 2);
        fixture.push(500, 1, 3);
        assert_eq!(fixture.pop(500), [1]);
        // Track 0 sent its last frame at 0, so nothing waits for it after 1000.
        assert_eq!(fixture.interleaver.deadline(), Some(fixture.at(1_000)));
        assert_eq!(fixture.pop(999), []);
        assert_eq!(fixture.pop(1_000), [2, 3]);
        assert_eq!(fixture.interleaver.held_bytes(), 0);
    }

    #[test]
    fn nothing_waits_for_a_track_that_ended() {
        let mut fixture = Fixture::new();
        fixture.push(0, 0, 1);
        fixture.push(0, 1, 2);
        assert_eq!(fixture.pop(0), [1]);
        fixture.interleaver.end(0);
        assert_eq!(fixture.pop(0), [2]);
    }
}
