//! From the tracks of an input to the streams of an output.

mod copy;
mod lane;
mod made;
mod mosaic_lane;
mod picture_lane;
mod pipeline;
mod sound_lane;

pub(crate) use lane::STEP;
pub(crate) use made::Made;
pub(crate) use mosaic_lane::Grid;
pub(crate) use pipeline::{Pipeline, sound_codec, sound_container, sound_spec, stem_codec};
pub(crate) use sound_lane::MixedTracks;
