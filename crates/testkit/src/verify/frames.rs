//! The test signal in decoded pictures and samples.

use std::{collections::BTreeMap, ffi::OsString, path::Path};

use super::tool::{VerifyError, run};
use crate::signal::{SAMPLE_RATE, read_counter};

const WIDTH: usize = 160;
const HEIGHT: usize = 120;

/// Without `-copyts` ffmpeg shifts a file so that its earliest packet is at 0.
const READ: [&str; 7] = ["-hide_banner", "-nostdin", "-nostats", "-v", "info", "-copyts", "-i"];

/// A decoded picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Picture {
    /// Seconds from the start of the file.
    pub time: f64,
    /// The frame counter, if the bar is whole.
    pub counter: Option<u16>,
    /// Mean brightness above the bar, 0 to 255.
    pub luma: f64,
}

/// Decoded sound on the file's timeline, in mono; holes are silence.
#[derive(Clone, Debug, Default)]
pub struct Sound {
    /// Samples at 48 kHz from time 0.
    pub samples: Vec<i16>,
}

/// The frame counters of a track.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// The first counter seen.
    pub first: Option<u16>,
    /// The last one.
    pub last: Option<u16>,
    /// Numbers between first and last that no picture shows.
    pub missing: Vec<u16>,
    /// Numbers that more than one picture shows, or that come after a greater one.
    pub repeated: Vec<u16>,
    /// Pictures whose bar can't be read.
    pub unreadable: usize,
}

impl Counters {
    /// Evaluates pictures in the order of time. `length` is the number of frames of the clip that was played in a loop.
    #[must_use]
    pub fn of(pictures: &[Picture], length: u16) -> Self {
        let mut counters = Self::default();
        for picture in pictures {
            let Some(number) = picture.counter else {
                counters.unreadable += 1;
                continue;
            };
            if let Some(last) = counters.last {
                let [shown, last, length] = [number, last, length].map(u32::from);
                let step = (shown + length - last % length) % length;
                if step == 0 || step > length / 2 {
                    counters.repeated.push(number);
                    continue;
                }
                counters.missing.extend((1..step).map(|lost| ((last + lost) % length) as u16));
            }
            counters.first.get_or_insert(number);
            counters.last = Some(number);
        }
        counters
    }

    /// Whether no picture is missing, repeated or unreadable.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.first.is_some() && self.missing.is_empty() && self.repeated.is_empty() && self.unreadable == 0
    }
}

/// Decodes the `nth` video track, every picture of it, none added.
///
/// # Errors
/// See [`VerifyError`].
pub fn pictures(file: &Path, nth: usize) -> Result<Vec<Picture>, VerifyError> {
    let filter = format!("showinfo,scale={WIDTH}:{HEIGHT}:flags=area,format=gray");
    let map = format!("0:v:{nth}");
    let mut arguments: Vec<OsString> = READ.map(Into::into).into();
    arguments.push(file.into());
    arguments.extend(["-map", &map, "-vf", &filter, "-fps_mode", "passthrough"].map(Into::into));
    arguments.extend(["-f", "rawvideo", "-"].map(Into::into));
    let output = run("ffmpeg", arguments)?;
    let times = field_of_lines(&output.stderr, "showinfo", "pts_time:");
    let planes = output.stdout.chunks_exact(WIDTH * HEIGHT);
    if times.len() != planes.len() {
        let reason = format!("{} times for {} pictures", times.len(), planes.len());
        return Err(VerifyError::Answer { tool: "ffmpeg", reason });
    }
    let picture = |(time, plane): (f64, &[u8])| {
        let above = &plane[..WIDTH * HEIGHT * 3 / 4];
        let luma = above.iter().map(|luma| f64::from(*luma)).sum::<f64>() / above.len() as f64;
        Picture { time, counter: read_counter(plane, WIDTH, HEIGHT), luma }
    };
    Ok(times.into_iter().zip(planes).map(picture).collect())
}

/// Decodes the `nth` audio track and places each decoded frame by its timestamp.
///
/// # Errors
/// See [`VerifyError`].
pub fn sound(file: &Path, nth: usize) -> Result<Sound, VerifyError> {
    let map = format!("0:a:{nth}");
    let rate = SAMPLE_RATE.to_string();
    let mut arguments: Vec<OsString> = READ.map(Into::into).into();
    arguments.push(file.into());
    // The format filter comes first, so that the times and lengths shown are those of the output samples.
    let filter = format!("aformat=sample_fmts=s16:sample_rates={rate}:channel_layouts=mono,ashowinfo");
    arguments.extend(["-map", &map, "-af", &filter, "-f", "s16le", "-"].map(Into::into));
    let output = run("ffmpeg", arguments)?;
    let times = field_of_lines(&output.stderr, "ashowinfo", "pts_time:");
    let lengths = field_of_lines(&output.stderr, "ashowinfo", "nb_samples:");
    let mut rest = output.stdout.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
    let mut samples = Vec::new();
    for (time, length) in times.into_iter().zip(lengths) {
        let begin = (time * f64::from(SAMPLE_RATE)).round().max(0.0) as usize;
        let length = length as usize;
        if samples.len() < begin + length {
            samples.resize(begin + length, 0);
        }
        for (sample, decoded) in samples[begin..].iter_mut().zip(rest.by_ref().take(length)) {
            *sample = decoded;
        }
    }
    Ok(Sound { samples })
}

/// The number after `name` in each line of a `showinfo` filter.
fn field_of_lines(log: &[u8], filter: &str, name: &str) -> Vec<f64> {
    let log = String::from_utf8_lossy(log);
    let frames =
        log.lines().filter(|line| line.contains(&format!("Parsed_{filter}_")) && line.contains(" n:"));
    frames.filter_map(|line| line.split(name).nth(1)?.split_whitespace().next()?.parse().ok()).collect()
}

impl Sound {
    /// When each beep begins, in seconds: where the 1 kHz tone rises above a third of its full level.
    #[must_use]
    pub fn beeps(&self) -> Vec<f64> {
        /// A beep can't begin within half a second of another.
        const APART: usize = SAMPLE_RATE as usize / 2;
        let loudest = self.samples.iter().map(|sample| i32::from(*sample).abs()).max().unwrap_or(0);
        let threshold = loudest.max(600) / 3;
        let mut beeps: Vec<usize> = Vec::new();
        for (at, sample) in self.samples.iter().enumerate() {
            if i32::from(*sample).abs() > threshold && beeps.last().is_none_or(|last| at - last > APART) {
                beeps.push(at);
            }
        }
        // A sine reaches a third of its peak 3.4° · 1 kHz ≈ 54 µs after it began: far below what is measured here.
        beeps.into_iter().map(|at| at as f64 / f64::from(SAMPLE_RATE)).collect()
    }
}

/// When each flash is shown, in seconds.
#[must_use]
pub fn flashes(pictures: &[Picture]) -> Vec<f64> {
    let bright = |picture: &&Picture| picture.luma > 190.0;
    let mut flashes: Vec<f64> = Vec::new();
    for picture in pictures.iter().filter(bright) {
        if flashes.last().is_none_or(|last| picture.time - last > 0.5) {
            flashes.push(picture.time);
        }
    }
    flashes
}

/// For each whole second of the signal, how much later the beep is heard than the flash is seen, in milliseconds.
#[must_use]
pub fn av_offsets_ms(pictures: &[Picture], sound: &Sound) -> BTreeMap<u32, f64> {
    let beeps = sound.beeps();
    let near = |flash: f64| {
        let nearest = beeps.iter().copied().min_by(|a, b| (a - flash).abs().total_cmp(&(b - flash).abs()))?;
        ((nearest - flash).abs() < 0.5).then_some((flash as u32, (nearest - flash) * 1000.0))
    };
    flashes(pictures).into_iter().filter_map(near).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(numbers: &[u16]) -> Vec<Picture> {
        let picture = |number: &u16| Picture { time: 0.0, counter: Some(*number), luma: 0.0 };
        numbers.iter().map(picture).collect()
    }

    #[test]
    fn lost_and_repeated_frames_are_named() {
        let counters = Counters::of(&shown(&[3, 4, 4, 7, 6, 8]), 360);
        assert_eq!(counters.missing, [5, 6]);
        assert_eq!(counters.repeated, [4, 6]);
        assert!(!counters.is_whole());
    }

    #[test]
    fn a_repetition_of_the_clip_is_not_a_loss() {
        assert!(Counters::of(&shown(&[357, 358, 359, 0, 1, 2]), 360).is_whole());
        assert_eq!(Counters::of(&shown(&[358, 1]), 360).missing, [359, 0]);
        assert!(Counters::of(&shown(&[0, 1, 2]), u16::MAX).is_whole());
    }

    #[test]
    fn unreadable_picture_is_counted_and_its_number_is_missing() {
        let mut pictures = shown(&[1, 2, 3]);
        pictures[1].counter = None;
        let counters = Counters::of(&pictures, 360);
        assert_eq!((counters.unreadable, counters.missing), (1, vec![2]));
        assert!(!Counters::of(&[], 360).is_whole());
    }
}
