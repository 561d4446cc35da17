//! Checks of finished files with the `ffprobe` and `ffmpeg` commands. Nothing here trusts the writer.

mod frames;
mod probe;
mod seek;
mod tool;

pub use frames::{Counters, Picture, Sound, av_offsets_ms, flashes, pictures, sound};
pub use probe::{Packet, Probe, Stream, decode_strictly, packets, probe};
pub use seek::{SeekFault, seek_everywhere};
pub use tool::VerifyError;
