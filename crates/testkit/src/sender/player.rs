//! One RTP stream's position in its clip.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use str0m::media::{Frequency, MediaTime, Mid, Pt, Rid};

use super::config::{Layer, Track};
use crate::signal::Frame;

/// A stream that is being played.
pub(super) struct Stream {
    pub mid: Mid,
    pub rid: Option<Rid>,
    /// Known once the answer has been accepted.
    pub pt: Option<Pt>,
    pub layer: Layer,
    pub sent: u64,
    /// From the session's origin to the stream's first frame.
    begin: Duration,
    /// From a frame's capture to the wire.
    lag: Duration,
    next: usize,
    /// Media time at which the current repetition of the clip began.
    round: Duration,
    /// Where RTP timestamps begin, in ticks.
    first_tick: u64,
}

impl Stream {
    /// The streams of a track whose media begins `begin` after the session's origin.
    pub fn of_track(mid: Mid, track: &Track, begin: Duration, first_tick: u32) -> Vec<Self> {
        let stream = |layer: &Layer| Self {
            mid,
            rid: layer.rid.map(Rid::from),
            pt: None,
            layer: layer.clone(),
            sent: 0,
            begin: begin + track.delay,
            lag: track.lag,
            next: 0,
            round: Duration::ZERO,
            first_tick: u64::from(first_tick),
        };
        track.layers.iter().map(stream).collect()
    }

    fn frame(&self) -> Option<&Frame> {
        self.layer.clip.frames.get(self.next)
    }

    /// Media time of the next frame from the session's origin.
    pub fn next_time(&self) -> Option<Duration> {
        Some(self.begin + self.round + self.frame()?.time)
    }

    /// When it is sent, from the session's origin. None if its media time isn't before `end`.
    pub fn next_due(&self, end: Duration) -> Option<Duration> {
        self.next_time().filter(|time| *time < end).map(|time| time.saturating_add(self.lag))
    }

    /// The next frame if it is due: its capture time, RTP timestamp and bytes.
    pub fn pop(&mut self, origin: Instant, now: Instant) -> Option<(Instant, MediaTime, Arc<[u8]>)> {
        let time = self.next_time()?;
        let captured = origin + time;
        if captured + self.lag > now {
            return None;
        }
        let data = self.frame()?.data.clone();
        let clock = if self.layer.clip.spec.codec.is_video() {
            Frequency::NINETY_KHZ
        } else {
            Frequency::FORTY_EIGHT_KHZ
        };
        // Times of frames are cut to whole nanoseconds; half of one more keeps the ticks from being one short.
        let ticks = (time.as_nanos() * u128::from(clock.get()) + 500_000_000) / 1_000_000_000;
        self.next += 1;
        if self.next == self.layer.clip.frames.len() {
            self.next = 0;
            self.round += self.layer.clip.duration;
        }
        self.sent += 1;
        Some((captured, MediaTime::new(self.first_tick + ticks as u64, clock), data))
    }
}
