//! Distributes the packets of the input to their tracks.

use std::{collections::VecDeque, path::Path};

use ffmpeg_next as ff;

use super::{Probe, Reader, Track, timestamp_filter::TimestampFilter};
use crate::{TranscodeError, libav, progress::Cancelled, time::Time};

/// Reads the input once, in the order of the file, and returns the packets of each track by time. A packet that its track
/// hasn't asked for yet is held in memory. The file's own disorder, which the probe has measured, bounds how many.
pub(crate) struct Demux<'a> {
    reader: Reader,
    lanes: Vec<Option<Lane>>,
    /// The latest time of all packets that were read.
    position: Time,
    skew: Time,
    ended: bool,
    /// The end of the last packet.
    end: Time,
    /// For an open file.
    filter: Option<TimestampFilter>,
    cancelled: Cancelled<'a>,
}

struct Lane {
    track: Track,
    queue: VecDeque<(Time, ff::Packet)>,
    last: Time,
    /// Whether it had a packet.
    seen: bool,
}

impl<'a> Demux<'a> {
    /// Opens the input again for packets of `tracks`.
    pub(crate) fn open(
        path: &Path,
        probe: &Probe,
        tracks: &[usize],
        cancelled: Cancelled<'a>,
    ) -> Result<Self, TranscodeError> {
        Ok(Self::new(Reader::open(path)?, probe, tracks, cancelled))
    }

    /// Continues at the position of `reader`.
    pub(crate) fn new(mut reader: Reader, probe: &Probe, tracks: &[usize], cancelled: Cancelled<'a>) -> Self {
        let streams = reader.input.streams().count();
        let lanes = (0..streams).map(|index| {
            let track = probe.track(index).filter(|_| tracks.contains(&index))?.clone();
            Some(Lane { last: track.start(), track, queue: VecDeque::new(), seen: false })
        });
        let lanes: Vec<Option<Lane>> = lanes.collect();
        for index in lanes.iter().enumerate().filter(|(_, lane)| lane.is_none()).map(|(index, _)| index) {
            libav::ffi::discard(&mut reader.input, index);
        }
        Self {
            reader,
            lanes,
            position: Time::ZERO,
            skew: probe.skew,
            ended: false,
            end: Time::ZERO,
            filter: probe.ahead.then(TimestampFilter::default),
            cancelled,
        }
    }

    /// The end of the last packet; `None` before the end of the input.
    pub(crate) fn end(&self) -> Option<Time> {
        self.ended.then_some(self.end)
    }

    /// Whether the track had a packet so far.
    pub(crate) fn has_seen(&self, track: usize) -> bool {
        self.lanes.get(track).and_then(Option::as_ref).is_some_and(|lane| lane.seen)
    }

    /// The next packet of the track with a decoding time of at most `until`; `None` if there is none.
    pub(crate) fn next(&mut self, track: usize, until: Time) -> Result<Option<ff::Packet>, TranscodeError> {
        loop {
            let Some(Some(lane)) = self.lanes.get_mut(track) else {
                debug_assert!(false, "the demuxer was opened for this track");
                return Ok(None);
            };
            if let Some((time, _)) = lane.queue.front() {
                let due = *time <= until;
                return Ok(if due { lane.queue.pop_front().map(|(_, packet)| packet) } else { None });
            }
            if self.ended || self.position > until + self.skew {
                return Ok(None);
            }
            self.read()?;
        }
    }

    /// Seeks to the last keyframe at or before `time`, by the index of the file.
    pub(crate) fn seek(&mut self, time: Time) {
        let target = time.to_ticks(ff::rescale::TIME_BASE);
        // Without an index, reading continues at the current position: slower, with the same result.
        if self.reader.input.seek(target, ..target.saturating_add(1)).is_ok() {
            for lane in self.lanes.iter_mut().flatten() {
                lane.queue.clear();
            }
            self.position = Time::ZERO;
            self.ended = false;
        }
    }

    fn read(&mut self) -> Result<(), TranscodeError> {
        let Some(packet) = self.reader.next(self.cancelled)? else {
            self.ended = true;
            if self.filter.as_mut().is_some_and(|filter| filter.end().is_none()) {
                let detail = "the file ends with a jump in time that nothing confirms".to_owned();
                return Err(TranscodeError::CantFollow { detail });
            }
            return self.place_accepted();
        };
        let Some(time) = self.time_of(&packet) else { return Ok(()) };
        match &mut self.filter {
            Some(filter) => {
                filter.push(time, packet);
                self.place_accepted()
            }
            None => {
                self.queue(time, packet);
                Ok(())
            }
        }
    }

    /// The decoding time; `None` if the timestamp is missing or damaged.
    fn time_of(&self, packet: &ff::Packet) -> Option<Time> {
        let lane = self.lanes.get(packet.stream())?.as_ref()?;
        let time = |ticks| Time::from_ticks(ticks, lane.track.time_base);
        let shown = packet.pts().or(packet.dts()).and_then(time);
        if shown.is_none_or(|time| lane.track.is_stray(time)) {
            return None;
        }
        Some(packet.dts().or(packet.pts()).and_then(time).unwrap_or(lane.last))
    }

    fn place_accepted(&mut self) -> Result<(), TranscodeError> {
        while let Some((time, packet)) = self.filter.as_mut().and_then(TimestampFilter::pop) {
            // The audio of this time has already been encoded.
            if time + self.skew < self.position {
                let late = (self.position - time).seconds();
                return Err(TranscodeError::CantFollow { detail: format!("a packet is {late:.1} s late") });
            }
            self.queue(time, packet);
        }
        Ok(())
    }

    fn queue(&mut self, time: Time, packet: ff::Packet) {
        let Some(Some(lane)) = self.lanes.get_mut(packet.stream()) else {
            debug_assert!(false, "packets of other tracks have no time here");
            return;
        };
        let base = lane.track.time_base;
        let end = packet.pts().or(packet.dts()).map(|ticks| ticks.saturating_add(packet.duration().max(0)));
        self.end = self.end.max(end.and_then(|ticks| Time::from_ticks(ticks, base)).unwrap_or_default());
        lane.last = time;
        lane.seen = true;
        self.position = self.position.max(time);
        lane.queue.push_back((time, packet));
    }
}
