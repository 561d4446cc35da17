//! Renditions of a recording, rendered by libav: MP4, `WebM`, audio files, pictures, waveforms, mosaics.
//!
//! A [`Plan`] names an input file, an output file and a [`Rendition`]. [`run()`] executes it in this process and blocks;
//! [`Worker::run`] executes it in a child process, so that a codec that crashes, hangs or uses too much memory can't harm
//! live recordings. The server uses the child; tests and tools may use either.
//!
//! [`Worker::follow`] renders audio of a recording that is still open, in segments, so that the file is ready soon after
//! the end.
//!
//! **Kinds.** `rendition/mod.rs` lists the kinds of renditions. Names, file types, the media that is needed, checks and
//! renderers are read from that list.
//!
//! **Time.** Every rendition keeps the timeline of its input: time 0 of the output is time 0 of the input. A track that
//! begins three seconds late in the input begins three seconds late in the output. Gaps in audio become silence. Video
//! frames keep their own times; there is no nominal frame rate.
//!
//! **Damage.** A recording can't be repeated, so damage costs as little as possible. A broken frame is skipped. A
//! truncated file is read up to its end. A cluster with a damaged timestamp is skipped. If a track lies more than 30 s
//! behind the others in the file, its late packets are skipped. [`TranscodeError::Unreadable`] means that nothing at all
//! could be decoded.

mod error;
mod follow;
mod libav;
mod options;
mod partial;
mod picture;
mod plan;
mod produced;
mod progress;
mod render;
mod rendition;
mod run;
mod seconds;
mod segment;
mod sink;
mod sound;
mod source;
mod time;
mod worker;

pub use error::{BadOption, TranscodeError};
pub use follow::{Follow, Followed};
pub use options::{
    AudioFormat, AudioOptions, FilmFormat, MediaKind, PeakBits, Preset, StemFormat, VideoOptions, WebmCodec,
};
pub use plan::Plan;
pub use produced::Produced;
pub use progress::Progress;
pub use rendition::*;
pub use run::run;
pub use segment::Segment;
pub use worker::{Follower, Limits, Worker, worker_main};
