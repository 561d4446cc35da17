//! Peaks of sound, for drawing it.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    check::within,
    parameters::{About, FileType, Needs, Parameters},
};
use crate::{
    BadOption, MediaKind, PeakBits, TranscodeError, libav,
    progress::Meter,
    render::{Made, MixedTracks, Pipeline},
    source::{Demux, Track},
    time::Time,
};

const RATE: u32 = 48_000;
/// Media that is read between two reports of progress.
const STEP: Time = Time::from_millis(1_000);

/// Peaks of the mix of all audio tracks in mono, as JSON in version 2 of audiowaveform's format.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Waveform {
    /// Pairs of minimum and maximum a second. Default 20.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pixels_per_second: Option<u32>,
    /// The same resolution as a number of samples at 48 kHz. Not with `pixels_per_second`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples_per_pixel: Option<u32>,
    /// Bits of each value: 8 or 16. Default 8.
    pub bits: PeakBits,
}

impl Waveform {
    pub(super) const ABOUT: About = About {
        summary: "peaks of the mix of all audio tracks in mono; audiowaveform's JSON, version 2",
        files: &[FileType::Json],
        needs: Needs::Track(MediaKind::Audio),
        while_recording: false,
    };
}

impl Parameters for Waveform {
    fn check(&self) -> Result<(), BadOption> {
        if self.pixels_per_second.is_some() && self.samples_per_pixel.is_some() {
            return Err(BadOption::new("samples_per_pixel", "can't be given with pixels_per_second"));
        }
        within("pixels_per_second", self.pixels_per_second, 1..=1_000)?;
        within("samples_per_pixel", self.samples_per_pixel, 48..=48_000)
    }

    fn file_type(&self) -> FileType {
        FileType::Json
    }

    fn render(&self, pipeline: &Pipeline<'_>, meter: &mut Meter<'_>) -> Result<Made, TranscodeError> {
        let per_pixel = self.samples_per_pixel.unwrap_or(RATE / self.pixels_per_second.unwrap_or(20));
        let tracks: Vec<&Track> = pipeline.probe.of_kind(MediaKind::Audio).collect();
        if tracks.is_empty() {
            return Err(TranscodeError::NoSuchTrack { wanted: "track of audio".to_owned() });
        }
        let indices: Vec<usize> = tracks.iter().map(|track| track.index).collect();
        let mut mix = MixedTracks::open(&tracks, RATE, Some(1))?;
        let mut demux = Demux::open(pipeline.input, &pipeline.probe, &indices, meter.cancelled())?;
        let mut peaks =
            Peaks::create(pipeline.output, per_pixel, self.bits).map_err(|error| failed(&error))?;
        let end = tracks.iter().map(|track| track.end()).max().unwrap_or_default();
        let mut until = Time::ZERO;
        while until <= end {
            until = until + STEP;
            peaks.push(&mix.advance(&mut demux, until)?).map_err(|error| failed(&error))?;
            meter.at(until, end)?;
        }
        peaks.push(&mix.finish()?).map_err(|error| failed(&error))?;
        if !mix.heard() {
            return Err(TranscodeError::Unreadable {
                detail: libav::with_log("no sound in it can be decoded"),
            });
        }
        let samples = peaks.finish().map_err(|error| failed(&error))?;
        Ok(Made { end: Time::from_samples(samples, RATE), size: (0, 0) })
    }
}

fn failed(error: &io::Error) -> TranscodeError {
    TranscodeError::io("writing the waveform", error)
}

/// Writes version 2 of audiowaveform's JSON: minimum and maximum of each pixel, as integers. Their number isn't known
/// before the end, so it follows them.
struct Peaks {
    file: BufWriter<File>,
    per_pixel: u32,
    bits: PeakBits,
    /// Of the pixel that isn't complete yet, as are the next two.
    least: f32,
    greatest: f32,
    held: u32,
    pixels: u64,
    samples: i64,
}

impl Peaks {
    fn create(output: &Path, per_pixel: u32, bits: PeakBits) -> io::Result<Self> {
        let mut file = BufWriter::new(File::create(output)?);
        let (rate, depth) = (RATE, u32::from(bits));
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

    /// Returns the number of samples.
    fn finish(mut self) -> io::Result<i64> {
        if self.held > 0 {
            self.write_pixel()?;
        }
        writeln!(self.file, "],\"length\":{}}}", self.pixels)?;
        self.file.flush()?;
        Ok(self.samples)
    }
}
