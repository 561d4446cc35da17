//! Checks that a player can seek in a file.

use std::{ffi::OsString, path::Path};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use thiserror::Error;

use super::{
    probe::{packets, probe},
    tool::{VerifyError, run},
};

/// Why a file doesn't seek.
#[derive(Debug, Error)]
pub enum SeekFault {
    /// It couldn't be read at all.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// No Cues: a player would have to read the whole file.
    #[error("the file has no Cues")]
    NoCues,
    /// It has no duration in its header.
    #[error("the file has no duration")]
    NoDuration,
    /// A seek lands elsewhere than on the keyframe before its target.
    #[error(
        "a jump to {target:.3} s lands at {landed:.3} s, but the keyframe before it is at {keyframe:.3} s"
    )]
    Off {
        /// The target.
        target: f64,
        /// The first packet read after the seek.
        landed: f64,
        /// Where it should land.
        keyframe: f64,
    },
}

/// Seeks to `count` positions, drawn by `seed`, in the first video track (or the first track if there is no video), and
/// checks that each seek lands on the keyframe before its target: within one group of pictures.
///
/// # Errors
/// The first fault found.
pub fn seek_everywhere(file: &Path, count: usize, seed: u64) -> Result<(), SeekFault> {
    let probed = probe(file)?;
    let duration = probed.duration().ok_or(SeekFault::NoDuration)?;
    let video = probed.of_kind("video").next();
    let stream = video.or(probed.streams.first()).map_or(0, |stream| stream.index);
    if !has_cues(file)? {
        return Err(SeekFault::NoCues);
    }
    let keyframes: Vec<f64> = packets(file)?
        .into_iter()
        .filter(|packet| packet.stream == stream && packet.keyframe)
        .map(|packet| packet.time)
        .collect();
    let first = keyframes.first().copied().unwrap_or(0.0);
    let mut dice = StdRng::seed_from_u64(seed);
    for _ in 0..count {
        let target = dice.random_range(first..duration.max(first + 0.001));
        let keyframe = keyframes.iter().copied().rfind(|time| *time <= target).unwrap_or(first);
        let landed = landing(file, stream, target)?;
        // Cues of audio alone are a few seconds apart at most; cues of video are its keyframes.
        let allowed = if video.is_some() { 0.002 } else { 5.0 };
        if (landed - keyframe).abs() > allowed {
            return Err(SeekFault::Off { target, landed, keyframe });
        }
    }
    Ok(())
}

/// The time of the first packet after a seek.
fn landing(file: &Path, stream: usize, target: f64) -> Result<f64, VerifyError> {
    let interval = format!("{target:.6}%+#1");
    let stream = stream.to_string();
    let entries = "packet=pts_time";
    let arguments =
        ["-v", "error", "-select_streams", &stream, "-read_intervals", &interval, "-show_entries", entries];
    let mut arguments: Vec<OsString> = arguments.map(Into::into).into();
    arguments.extend(["-of", "csv=p=0"].map(Into::into));
    arguments.push(file.into());
    let output = run("ffprobe", arguments)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let first = text.split_whitespace().next().map(|field| field.trim_end_matches(','));
    first.and_then(|time| time.parse().ok()).ok_or_else(|| VerifyError::Answer {
        tool: "ffprobe",
        reason: format!("nothing to read after a jump to {target:.3} s"),
    })
}

/// Whether the segment has a Cues element (RFC 9559 §5.1.5) at its top level, found by walking the EBML.
fn has_cues(file: &Path) -> Result<bool, VerifyError> {
    const SEGMENT: u64 = 0x1853_8067;
    const CUES: u64 = 0x1c53_bb6b;
    let bytes = std::fs::read(file).map_err(|error| VerifyError::NoTool { tool: "the file", error })?;
    let mut at = 0;
    while let Some((id, id_length)) = element_id(&bytes[at..]) {
        let Some((size, size_length)) = element_size(&bytes[at + id_length..]) else { break };
        if id == CUES {
            return Ok(true);
        }
        at += id_length + size_length;
        if id != SEGMENT {
            at = at.saturating_add(size.unwrap_or(u64::MAX) as usize);
        }
        if at > bytes.len() {
            break;
        }
    }
    Ok(false)
}

/// An EBML id with its marker bits (RFC 8794 §5), and its length in bytes.
fn element_id(bytes: &[u8]) -> Option<(u64, usize)> {
    let length = bytes.first()?.leading_zeros() as usize + 1;
    let id = bytes.get(..length).filter(|_| length <= 4)?;
    Some((id.iter().fold(0, |id, byte| id << 8 | u64::from(*byte)), length))
}

/// An EBML data size (RFC 8794 §6), `None` within if unknown, and its length in bytes.
fn element_size(bytes: &[u8]) -> Option<(Option<u64>, usize)> {
    let length = bytes.first()?.leading_zeros() as usize + 1;
    let size = bytes.get(..length).filter(|_| length <= 8)?;
    let value = size.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)) & ((1 << (7 * length)) - 1);
    Some(((value != (1 << (7 * length)) - 1).then_some(value), length))
}
