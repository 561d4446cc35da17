//! Mixing tracks of sound.

mod limiter;
mod mixer;

pub(crate) use mixer::Mixer;
