//! Frames of all tracks in the order of their time.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::{frame::CodedFrame, time::LocalNanos};

/// A frame with its place on the session's clock.
#[derive(Debug, Clone)]
pub(crate) struct TimedFrame {
    pub time: LocalNanos,
    /// Nanoseconds that it is shown or heard; for video what the frame before it took.
    pub duration: i64,
    pub frame: CodedFrame,
}

/// What a queued frame costs beside its bytes.
const FRAME_BYTES: usize = size_of::<TimedFrame>();

#[derive(Debug, Clone, Default)]
struct Queue {
    frames: VecDeque<(Instant, TimedFrame)>,
    /// When its last frame came. None: it is not waited for.
    active: Option<Instant>,
}

/// Merges tracks by time. A frame waits for the other tracks for at most the configured time, and never for a track
/// that has sent nothing for as long.
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

    /// Bytes of frames that wait.
    pub(crate) fn held_bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a frame of the track at this place in the recorder's list. A track's frames come in order.
    pub(crate) fn push(&mut self, track: usize, frame: TimedFrame, now: Instant) {
        while self.queues.len() <= track {
            self.queues.push(Queue::default());
        }
        let Some(queue) = self.queues.get_mut(track) else { return };
        self.bytes += frame.frame.data.as_ref().len() + FRAME_BYTES;
        queue.active = Some(now);
        queue.frames.push_back((now, frame));
    }

    /// The track sends nothing more.
    pub(crate) fn end(&mut self, track: usize) {
        if let Some(queue) = self.queues.get_mut(track) {
            queue.active = None;
        }
    }

    /// The next frame, if none that belongs before it can still be expected.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(usize, TimedFrame)> {
        let track = self.earliest()?;
        let since = self.queues.get(track)?.frames.front()?.0;
        if now.saturating_duration_since(since) < self.max_wait && self.awaited(now) {
            return None;
        }
        self.take(track)
    }

    /// The next frame, waiting for nothing.
    pub(crate) fn pop_anyway(&mut self) -> Option<(usize, TimedFrame)> {
        let track = self.earliest()?;
        self.take(track)
    }

    /// When [`pop`](Self::pop) will have something, if no more frames come.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let track = self.earliest()?;
        let since = self.queues.get(track)?.frames.front()?.0;
        let last_active =
            self.queues.iter().filter(|queue| queue.frames.is_empty()).filter_map(|queue| queue.active);
        let patience = last_active.max().map_or(since, |active| active + self.max_wait);
        Some(patience.min(since + self.max_wait))
    }

    fn awaited(&self, now: Instant) -> bool {
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
    use crate::{Codec, frame::FrameData};

    struct Bench {
        interleaver: Interleaver,
        start: Instant,
    }

    impl Bench {
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
                timestamp: 0,
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
    fn a_frame_goes_when_none_before_it_can_come() {
        let mut bench = Bench::new();
        bench.push(0, 0, 10);
        assert_eq!(bench.pop(0), [10]);
        bench.push(1, 1, 5);
        bench.push(2, 1, 25);
        // Track 0 is awaited now.
        assert_eq!(bench.pop(2), []);
        bench.push(3, 0, 20);
        assert_eq!(bench.pop(3), [5, 20]);
        bench.push(4, 0, 30);
        assert_eq!(bench.pop(4), [25]);
    }

    #[test]
    fn a_silent_track_is_awaited_no_longer_than_configured() {
        let mut bench = Bench::new();
        bench.push(0, 0, 1);
        bench.push(0, 1, 2);
        bench.push(500, 1, 3);
        assert_eq!(bench.pop(500), [1]);
        // Track 0 spoke at 0, so it is not waited for after 1000.
        assert_eq!(bench.interleaver.deadline(), Some(bench.at(1_000)));
        assert_eq!(bench.pop(999), []);
        assert_eq!(bench.pop(1_000), [2, 3]);
        assert_eq!(bench.interleaver.held_bytes(), 0);
    }

    #[test]
    fn a_track_that_ended_is_not_awaited() {
        let mut bench = Bench::new();
        bench.push(0, 0, 1);
        bench.push(0, 1, 2);
        assert_eq!(bench.pop(0), [1]);
        bench.interleaver.end(0);
        assert_eq!(bench.pop(0), [2]);
    }
}
