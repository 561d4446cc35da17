//! Renditions of a recording, made by libav: MP4, `WebM`, audio files, pictures, waveforms, mosaics.
//!
//! A [`Plan`] names an input file, an output file and a [`Rendition`]. [`run()`] executes it in this process and blocks;
//! [`Worker::run`] executes it in a child process, so that a codec that crashes, hangs or eats memory can't touch what
//! is being recorded. The server uses the child; tests and tools may use either.
//!
//! [`Worker::follow`] makes sound of a recording that still grows, in segments, so that it is ready right after the end.
//!
//! **Time.** Every rendition keeps the timeline of its input: time 0 of the output is time 0 of the input, a track that
//! begins three seconds late begins three seconds late, holes in the sound are silence, and pictures keep their own
//! times (there is no nominal frame rate).
//!
//! **Damage.** A recording is the only copy of what happened: a broken frame is skipped, a file that ends in the middle
//! is read up to there; a cluster with a damaged time costs itself. Of a track that lies more than 30 s behind the others in
//! the file, what comes too late is missing. [`TranscodeError::Unreadable`] means that nothing at all could be decoded.

mod error;
mod follow;
mod libav;
mod options;
mod partial;
mod picture;
mod plan;
mod progress;
mod render;
mod rendition;
mod run;
mod seconds;
mod sink;
mod sound;
mod source;
mod time;
mod worker;

pub use error::TranscodeError;
pub use follow::{Follow, Followed, Segment};
pub use options::{
    AudioFormat, AudioOptions, FilmFormat, PeakBits, Preset, StemFormat, VideoOptions, WebmCodec,
};
pub use plan::{Plan, Produced, Progress};
pub use rendition::{BadOption, Rendition};
pub use run::run;
pub use worker::{Follower, Limits, Worker, worker_main};
