//! The A/V test signal: each second, at the same instant, the picture turns white for one frame and a 1 kHz beep
//! sounds; a frame counter is drawn into each picture as a bar of black and white cells.
//!
//! Clips are coded by the `ffmpeg` command when first requested, and cached in a directory, so that a test run
//! encodes each of them once.

mod bitstream;
mod clip;
mod encode;
mod picture;

pub use clip::{Clip, ClipSpec, Codec, Frame};
pub use encode::{SignalError, clip, clip_file};
pub use picture::{BAR_CELLS, read_counter};

/// Frames a second of every clip.
pub const FRAME_RATE: u32 = 30;

/// Samples a second of the audio.
pub const SAMPLE_RATE: u32 = 48_000;

/// How long the beep sounds, in milliseconds from the start of each second.
pub const BEEP_MS: u32 = 100;
