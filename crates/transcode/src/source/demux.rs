//! Packets of some tracks, each track at its own pace.

use std::{collections::VecDeque, path::Path};

use ffmpeg_next as ff;

use super::{Probe, Reader, Track, timestamp_filter::TimestampFilter};
use crate::{TranscodeError, libav, progress::Cancelled, time::Time};

/// Reads the input once, in its own order, and hands out the packets of each track by time. What must wait for its
/// track's turn is held coded; that is at most the file's own disorder, which the probe has measured.
pub(crate) struct Demux<'a> {
    reader: Reader,
    lanes: Vec<Option<Lane>>,
    /// The latest time that has been read.
    position: Time,
    skew: Time,
    ended: bool,
    /// Where the last packet of the tracks ends.
    end: Time,
    /// Of a file that still grows.
    doubt: Option<TimestampFilter>,
    cancelled: Cancelled<'a>,
}

struct Lane {
    track: Track,
    queue: VecDeque<(Time, ff::Packet)>,
    last: Time,
    /// Whether there was a packet.
    seen: bool,
}

impl<'a> Demux<'a> {
    /// Opens the input again, for packets of `tracks` alone.
    pub(crate) fn open(
        path: &Path,
        probe: &Probe,
        tracks: &[usize],
        cancelled: Cancelled<'a>,
    ) -> Result<Self, TranscodeError> {
        Ok(Self::new(Reader::open(path)?, probe, tracks, cancelled))
    }

    /// Goes on where `reader` is.
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
            doubt: probe.ahead.then(TimestampFilter::default),
            cancelled,
        }
    }

    /// Where the last packet of the tracks ends, once the input was read to its end.
    pub(crate) fn end(&self) -> Option<Time> {
        self.ended.then_some(self.end)
    }

    /// Whether there was a packet of the track so far.
    pub(crate) fn has_seen(&self, track: usize) -> bool {
        self.lanes.get(track).and_then(Option::as_ref).is_some_and(|lane| lane.seen)
    }

    /// The track's next packet that is to be decoded at `until` or before; `None` if it has none up to there.
    pub(crate) fn next(&mut self, track: usize, until: Time) -> Result<Option<ff::Packet>, TranscodeError> {
        loop {
            let Some(Some(lane)) = self.lanes.get_mut(track) else { return Ok(None) };
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

    /// Goes to the last keyframe at `time` or before, as far as the file can tell where that is.
    pub(crate) fn seek(&mut self, time: Time) {
        let target = time.to_ticks(ff::rescale::TIME_BASE);
        // A file that can't seek is read on from where it is: slower, and the same pictures.
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
            if self.doubt.as_mut().is_some_and(|doubt| doubt.end().is_none()) {
                let detail = "it ends with a jump in time that nothing confirms".to_owned();
                return Err(TranscodeError::CantFollow { detail });
            }
            return self.place_believed();
        };
        let Some(time) = self.time_of(&packet) else { return Ok(()) };
        match &mut self.doubt {
            Some(doubt) => {
                doubt.push(time, packet);
                self.place_believed()
            }
            None => {
                self.place(time, packet);
                Ok(())
            }
        }
    }

    /// When it is to be decoded; None if it is of no use.
    fn time_of(&self, packet: &ff::Packet) -> Option<Time> {
        let lane = self.lanes.get(packet.stream())?.as_ref()?;
        let time = |ticks| Time::from_ticks(ticks, lane.track.time_base);
        let shown = packet.pts().or(packet.dts()).and_then(time);
        if shown.is_none_or(|time| lane.track.is_stray(time)) {
            return None;
        }
        Some(packet.dts().or(packet.pts()).and_then(time).unwrap_or(lane.last))
    }

    fn place_believed(&mut self) -> Result<(), TranscodeError> {
        while let Some((time, packet)) = self.doubt.as_mut().and_then(TimestampFilter::pop) {
            // Its sound belongs where something else was written already.
            if time + self.skew < self.position {
                let late = (self.position - time).seconds();
                return Err(TranscodeError::CantFollow {
                    detail: format!("a packet comes {late:.1} s late"),
                });
            }
            self.place(time, packet);
        }
        Ok(())
    }

    fn place(&mut self, time: Time, packet: ff::Packet) {
        let Some(Some(lane)) = self.lanes.get_mut(packet.stream()) else { return };
        let base = lane.track.time_base;
        let end = packet.pts().or(packet.dts()).map(|ticks| ticks.saturating_add(packet.duration().max(0)));
        self.end = self.end.max(end.and_then(|ticks| Time::from_ticks(ticks, base)).unwrap_or_default());
        lane.last = time;
        lane.seen = true;
        self.position = self.position.max(time);
        lane.queue.push_back((time, packet));
    }
}
