//! Cuts the packets of one encoder into a file for each interval.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use ffmpeg_next::{self as ff, Rational, codec};

use super::{Container, Mux, PacketSink, StreamId};
use crate::{Segment, TranscodeError, partial::Partial, progress::Cancelled, time::Time};

/// The most packets with irregular times. Some encoders write one or two at the end.
const MAX_ODD: usize = 64;

/// Cuts a stream at the first packet of each interval. A segment is a Matroska file whose time begins at zero. Matroska
/// rounds timestamps to milliseconds, so the exact ones are stored in memory for all segments together.
pub(crate) struct Cutter<'a> {
    directory: &'a Path,
    interval: Time,
    report: &'a mut dyn FnMut(Segment),
    cancelled: Cancelled<'a>,
    coding: Option<(codec::Parameters, Rational)>,
    open: Option<Open<'a>>,
    /// The end of the interval of the open segment.
    boundary: Time,
    pieces: Vec<u32>,
    timing: Timing,
}

/// The segment that is written now.
struct Open<'a> {
    number: u32,
    path: PathBuf,
    partial: Partial,
    mux: Mux<'a>,
    stream: StreamId,
    /// In units of the encoder's time base.
    start: i64,
    end: i64,
    packets: u32,
}

/// All segments, for joining them.
pub(crate) struct Pieces {
    pub(crate) directory: PathBuf,
    pub(crate) parameters: codec::Parameters,
    pub(crate) time_base: Rational,
    /// The number of packets of each segment.
    pub(crate) packets: Vec<u32>,
    pub(crate) timing: Timing,
}

/// The timestamps of all packets: a constant duration, with exceptions.
#[derive(Default)]
pub(crate) struct Timing {
    start: i64,
    step: i64,
    count: u64,
    odd: Vec<(u64, ff::Packet)>,
}

impl<'a> Cutter<'a> {
    /// Writes segments of `interval` into `directory`. Calls `report` with each segment that is complete.
    pub(crate) fn new(
        directory: &'a Path,
        interval: Duration,
        cancelled: Cancelled<'a>,
        report: &'a mut dyn FnMut(Segment),
    ) -> Self {
        let interval = Time::from_seconds(interval.as_secs_f64());
        Self {
            directory,
            interval,
            report,
            cancelled,
            coding: None,
            open: None,
            boundary: interval,
            pieces: Vec::new(),
            timing: Timing::default(),
        }
    }

    /// Closes the last segment. `None` if there was no packet.
    pub(crate) fn finish(mut self) -> Result<Option<Pieces>, TranscodeError> {
        self.close()?;
        let Some((parameters, time_base)) = self.coding.take().filter(|_| !self.pieces.is_empty()) else {
            return Ok(None);
        };
        let directory = self.directory.to_owned();
        Ok(Some(Pieces { directory, parameters, time_base, packets: self.pieces, timing: self.timing }))
    }

    fn open(&mut self, start: i64) -> Result<Open<'a>, TranscodeError> {
        let number = u32::try_from(self.pieces.len()).unwrap_or(u32::MAX);
        let path = segment_path(self.directory, number);
        let partial = Partial::new(&path);
        let mut mux = Mux::create(partial.path(), Container::Matroska, self.cancelled)?;
        let Some((parameters, time_base)) = &self.coding else {
            debug_assert!(false, "the stream was added before its packets");
            return Err(no_stream());
        };
        let stream = mux.add_coded(parameters.clone(), *time_base)?;
        mux.start()?;
        Ok(Open { number, path, partial, mux, stream, start, end: start, packets: 0 })
    }

    fn close(&mut self) -> Result<(), TranscodeError> {
        let (Some(open), Some((_, time_base))) = (self.open.take(), &self.coding) else { return Ok(()) };
        open.mux.finish()?;
        let bytes = open.partial.rename()?;
        self.pieces.push(open.packets);
        let time = |ticks| Time::from_ticks(ticks, *time_base).unwrap_or_default().duration();
        let start = time(open.start);
        let duration = time(open.end).saturating_sub(start);
        (self.report)(Segment { number: open.number, path: open.path, start, duration, bytes });
        Ok(())
    }
}

impl PacketSink for Cutter<'_> {
    fn wants_global_header(&self) -> bool {
        // The containers that the segments are joined in have none.
        false
    }

    fn add_encoded(
        &mut self,
        encoder: &codec::encoder::Encoder,
        time_base: Rational,
    ) -> Result<StreamId, TranscodeError> {
        self.coding = Some((encoder.into(), time_base));
        Ok(StreamId(0))
    }

    fn write(
        &mut self,
        _stream: StreamId,
        mut packet: ff::Packet,
        time_base: Rational,
    ) -> Result<(), TranscodeError> {
        let pts = packet.pts().unwrap_or_default();
        self.timing.add(&packet)?;
        while Time::from_ticks(pts, time_base).is_some_and(|time| time >= self.boundary) {
            self.close()?;
            self.boundary = self.boundary + self.interval;
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.open(pts)?,
        };
        open.end = open.end.max(pts.saturating_add(packet.duration()));
        open.packets += 1;
        packet.set_pts(Some(pts - open.start));
        packet.set_dts(Some(pts - open.start));
        open.mux.write(open.stream, packet, time_base)?;
        self.open = Some(open);
        Ok(())
    }
}

impl Timing {
    fn add(&mut self, packet: &ff::Packet) -> Result<(), TranscodeError> {
        if self.count == 0 {
            (self.start, self.step) = (packet.pts().unwrap_or_default(), packet.duration());
        }
        let due = Some(self.time_of(self.count));
        let plain = packet.side_data().next().is_none() && packet.is_key();
        if !plain || (packet.pts(), packet.dts(), packet.duration()) != (due, due, self.step) {
            if self.odd.len() >= MAX_ODD {
                let detail = "the encoder's packets are irregular".to_owned();
                return Err(TranscodeError::CantFollow { detail });
            }
            self.odd.push((self.count, packet.clone()));
        }
        self.count += 1;
        Ok(())
    }

    fn time_of(&self, number: u64) -> i64 {
        self.start.saturating_add(self.step.saturating_mul(number.cast_signed()))
    }

    /// The packet of the encoder, restored from its number and its bytes.
    pub(crate) fn restore(&self, number: u64, data: &[u8]) -> ff::Packet {
        if let Ok(at) = self.odd.binary_search_by_key(&number, |(number, _)| *number)
            && let Some((_, packet)) = self.odd.get(at)
        {
            return packet.clone();
        }
        let mut packet = ff::Packet::copy(data);
        packet.set_pts(Some(self.time_of(number)));
        packet.set_dts(Some(self.time_of(number)));
        packet.set_duration(self.step);
        packet.set_flags(ff::packet::Flags::KEY);
        packet
    }
}

/// The path of a segment.
pub(crate) fn segment_path(directory: &Path, number: u32) -> PathBuf {
    directory.join(format!("{number:06}.mka"))
}

fn no_stream() -> TranscodeError {
    let detail = "a packet before its stream".to_owned();
    TranscodeError::Libav { doing: "cutting sound".to_owned(), detail }
}
