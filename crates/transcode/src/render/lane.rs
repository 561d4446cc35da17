//! Lanes, the streams of an output, and the loop that advances them together in time.

use std::path::Path;

use super::made::Made;
use crate::{
    TranscodeError,
    progress::Meter,
    sink::{Container, Mux},
    source::{Demux, Probe},
    time::Time,
};

/// Media time by which all lanes advance in a step. It bounds what a lane holds in memory.
pub(crate) const STEP: Time = Time::from_millis(200);

/// One stream of the output, and its sources.
pub(super) trait Lane {
    /// Reads packets up to `until`, and writes what follows from them.
    fn advance(
        &mut self,
        demux: &mut Demux<'_>,
        until: Time,
        mux: &mut Mux<'_>,
    ) -> Result<(), TranscodeError>;

    /// Writes what is still held back.
    fn finish(&mut self, mux: &mut Mux<'_>) -> Result<(), TranscodeError>;

    /// The size of its video; zero without video.
    fn size(&self) -> (u32, u32) {
        (0, 0)
    }
}

/// Opens lanes on a container before its start.
pub(super) type OpenLanes<'a> = dyn Fn(&mut Mux<'_>) -> Result<Vec<Box<dyn Lane>>, TranscodeError> + 'a;

/// Writes a file of the lanes that `open` opens. They read `tracks`.
pub(super) fn write(
    (input, output): (&Path, &Path),
    probe: &Probe,
    container: Container,
    tracks: &[usize],
    open: &OpenLanes<'_>,
    meter: &mut Meter<'_>,
) -> Result<Made, TranscodeError> {
    let mut mux = Mux::create(output, container, meter.cancelled())?;
    let mut lanes = open(&mut mux)?;
    mux.start()?;
    let mut demux = Demux::open(input, probe, tracks, meter.cancelled())?;
    let used = probe.tracks.iter().filter(|track| tracks.contains(&track.index));
    let end = used.map(crate::source::Track::end).max().unwrap_or_default();
    let mut until = Time::ZERO;
    loop {
        for lane in &mut lanes {
            lane.advance(&mut demux, until, &mut mux)?;
        }
        meter.at(until, end)?;
        if until > end {
            break;
        }
        until = until + STEP;
    }
    let mut size = (0, 0);
    for lane in &mut lanes {
        lane.finish(&mut mux)?;
        size = if lane.size() == (0, 0) { size } else { lane.size() };
    }
    Ok(Made { end: mux.finish()?, size })
}
