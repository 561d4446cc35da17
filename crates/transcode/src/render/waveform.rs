//! Peaks of sound, for drawing it.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use super::{Made, sound_lane::Mix};
use crate::{
    PeakBits, TranscodeError, libav,
    progress::Meter,
    source::{Demux, Kind, Probe, Track},
    time::Time,
};

const RATE: u32 = 48_000;
/// Of media that is read between two looks at the clock.
const STEP: Time = Time::from_millis(1_000);

/// Writes the peaks of all sound. `resolution` is pixels a second, or samples a pixel.
pub(super) fn make(
    input: &Path,
    output: &Path,
    probe: &Probe,
    resolution: (Option<u32>, Option<u32>),
    bits: PeakBits,
    meter: &mut Meter<'_>,
) -> Result<Made, TranscodeError> {
    let per_pixel = resolution.1.unwrap_or(RATE / resolution.0.unwrap_or(20));
    let tracks: Vec<&Track> = probe.of_kind(Kind::Audio).collect();
    if tracks.is_empty() {
        return Err(TranscodeError::NoSuchTrack { wanted: "track of audio".to_owned() });
    }
    let indices: Vec<usize> = tracks.iter().map(|track| track.index).collect();
    let mut mix = Mix::open(&tracks, RATE, Some(1))?;
    let mut demux = Demux::open(input, probe, &indices, meter.cancelled())?;
    let mut peaks = Peaks::create(output, per_pixel, bits).map_err(|error| failed(&error))?;
    let end = tracks.iter().map(|track| track.end()).max().unwrap_or_default();
    let mut until = Time::ZERO;
    while until <= end {
        until = until + STEP;
        peaks.push(&mix.advance(&mut demux, until)?).map_err(|error| failed(&error))?;
        meter.at(until, end)?;
    }
    peaks.push(&mix.finish()?).map_err(|error| failed(&error))?;
    if !mix.heard() {
        return Err(TranscodeError::Unreadable { detail: libav::with_log("no sound in it can be decoded") });
    }
    let samples = peaks.finish().map_err(|error| failed(&error))?;
    Ok(Made { end: Time::from_samples(samples, RATE), size: (0, 0) })
}

fn failed(error: &io::Error) -> TranscodeError {
    TranscodeError::io("writing the waveform", error)
}

/// Writes version 2 of audiowaveform's JSON: least and greatest value of each pixel, as whole numbers. They are written
/// as they come, and their number, which isn't known before, behind them.
struct Peaks {
    file: BufWriter<File>,
    per_pixel: u32,
    bits: PeakBits,
    /// Of the pixel that isn't full yet.
    least: f32,
    greatest: f32,
    held: u32,
    pixels: u64,
    samples: i64,
}

impl Peaks {
    fn create(output: &Path, per_pixel: u32, bits: PeakBits) -> io::Result<Self> {
        let mut file = BufWriter::new(File::create(output)?);
        let (rate, depth) = (RATE, u8::from(bits));
        write!(file, "{{\"version\":2,\"channels\":1,\"sample_rate\":{rate},")?;
        write!(file, "\"samples_per_pixel\":{per_pixel},\"bits\":{depth},\"data\":[")?;
        Ok(Self { file, per_pixel, bits, least: 1.0, greatest: -1.0, held: 0, pixels: 0, samples: 0 })
    }

    fn push(&mut self, samples: &[f32]) -> io::Result<()> {
        self.samples += samples.len() as i64;
        for sample in samples {
            self.least = self.least.min(*sample);
            self.greatest = self.greatest.max(*sample);
            self.held += 1;
            if self.held == self.per_pixel {
                self.write_pixel()?;
            }
        }
        Ok(())
    }

    fn write_pixel(&mut self) -> io::Result<()> {
        let full = match self.bits {
            PeakBits::Eight => 128.0,
            PeakBits::Sixteen => 32_768.0,
        };
        let whole = |value: f32| (value * full).round().clamp(-full, full - 1.0) as i32;
        let comma = if self.pixels == 0 { "" } else { "," };
        write!(self.file, "{comma}{},{}", whole(self.least), whole(self.greatest))?;
        self.pixels += 1;
        (self.least, self.greatest, self.held) = (1.0, -1.0, 0);
        Ok(())
    }

    /// Tells how many samples there were.
    fn finish(mut self) -> io::Result<i64> {
        if self.held > 0 {
            self.write_pixel()?;
        }
        writeln!(self.file, "],\"length\":{}}}", self.pixels)?;
        self.file.flush()?;
        Ok(self.samples)
    }
}
