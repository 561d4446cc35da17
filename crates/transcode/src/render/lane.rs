//! A file of picture, sound or both: lanes that are driven side by side through time.

use std::path::Path;

use super::Made;
use crate::{
    TranscodeError,
    progress::Meter,
    sink::{Container, Mux},
    source::{Demux, Probe},
    time::Time,
};

/// How far all lanes are driven before the next step. What a lane holds is bounded by it.
pub(super) const STEP: Time = Time::from_millis(200);

/// One stream of the output and all that it is made of.
pub(super) trait Lane {
    /// Reads and writes what is due at `until` or before.
    fn advance(
        &mut self,
        demux: &mut Demux<'_>,
        until: Time,
        mux: &mut Mux<'_>,
    ) -> Result<(), TranscodeError>;

    /// Writes what is held back.
    fn finish(&mut self, mux: &mut Mux<'_>) -> Result<(), TranscodeError>;

    /// Size of the picture, if it has one.
    fn size(&self) -> (u32, u32) {
        (0, 0)
    }
}

/// Opens lanes on a container that hasn't started.
pub(super) type OpenLanes<'a> = dyn Fn(&mut Mux<'_>) -> Result<Vec<Box<dyn Lane>>, TranscodeError> + 'a;

/// Writes a file of the given lanes, which read `tracks`.
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
