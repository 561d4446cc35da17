//! The packets of one encoder, cut into a file for each interval.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use ffmpeg_next::{self as ff, Rational, codec};

use super::{Container, Mux, PacketSink, StreamId};
use crate::{Segment, TranscodeError, partial::Partial, progress::Cancelled, time::Time};

/// Packets that aren't as those before: at the end of the sound some encoders make one or two.
const MAX_ODD: usize = 64;

/// Cuts a stream at the first packet of each interval. A segment is a Matroska file of its own, whose time begins at
/// zero; what Matroska's milliseconds lose is remembered for all segments together.
pub(crate) struct Cutter<'a> {
    directory: &'a Path,
    interval: Time,
    report: &'a mut dyn FnMut(Segment),
    cancelled: Cancelled<'a>,
    coding: Option<(codec::Parameters, Rational)>,
    open: Option<Open<'a>>,
    /// Where the open segment ends.
    boundary: Time,
    pieces: Vec<u32>,
    rhythm: Rhythm,
}

/// The segment that is being written.
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

/// What was cut, for joining it again.
pub(crate) struct Pieces {
    pub(crate) directory: PathBuf,
    pub(crate) parameters: codec::Parameters,
    pub(crate) time_base: Rational,
    /// The number of packets of each segment.
    pub(crate) packets: Vec<u32>,
    pub(crate) rhythm: Rhythm,
}

/// The times of all packets: each as long as the first, with the exceptions.
#[derive(Default)]
pub(crate) struct Rhythm {
    start: i64,
    step: i64,
    count: u64,
    odd: Vec<(u64, ff::Packet)>,
}

impl<'a> Cutter<'a> {
    /// Writes segments of `interval` into `directory` and tells `report` of each that is whole.
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
            rhythm: Rhythm::default(),
        }
    }

    /// Closes the last segment. None if there was nothing at all.
    pub(crate) fn finish(mut self) -> Result<Option<Pieces>, TranscodeError> {
        self.close()?;
        let Some((parameters, time_base)) = self.coding.take().filter(|_| !self.pieces.is_empty()) else {
            return Ok(None);
        };
        let directory = self.directory.to_owned();
        Ok(Some(Pieces { directory, parameters, time_base, packets: self.pieces, rhythm: self.rhythm }))
    }

    fn open(&mut self, start: i64) -> Result<Open<'a>, TranscodeError> {
        let number = u32::try_from(self.pieces.len()).unwrap_or(u32::MAX);
        let path = segment_path(self.directory, number);
        let partial = Partial::new(&path);
        let mut mux = Mux::create(partial.path(), Container::Matroska, self.cancelled)?;
        let Some((parameters, time_base)) = &self.coding else { return Err(no_stream()) };
        let stream = mux.add_coded(parameters.clone(), *time_base)?;
        mux.start()?;
        Ok(Open { number, path, partial, mux, stream, start, end: start, packets: 0 })
    }

    fn close(&mut self) -> Result<(), TranscodeError> {
        let (Some(open), Some((_, time_base))) = (self.open.take(), &self.coding) else { return Ok(()) };
        open.mux.finish()?;
        let bytes = open.partial.name()?;
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
        // As the containers of sound alone, which the segments become.
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
        self.rhythm.note(&packet)?;
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

impl Rhythm {
    fn note(&mut self, packet: &ff::Packet) -> Result<(), TranscodeError> {
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

    /// The packet as the encoder made it, from its number and its bytes.
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

/// Where the segment of that number is.
pub(crate) fn segment_path(directory: &Path, number: u32) -> PathBuf {
    directory.join(format!("{number:06}.mka"))
}

fn no_stream() -> TranscodeError {
    let detail = "a packet before its stream".to_owned();
    TranscodeError::Libav { doing: "cutting sound".to_owned(), detail }
}
