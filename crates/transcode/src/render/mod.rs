//! One file a kind of rendition.

mod copy;
mod follow;
mod join;
mod lane;
mod mosaic_lane;
mod picture_lane;
mod pipeline;
mod sound_lane;
mod still;
mod waveform;

pub(crate) use follow::follow;
pub(crate) use pipeline::make;

use crate::{Produced, time::Time};

/// What was written, before its size is known.
#[derive(Clone, Copy, Default)]
pub(crate) struct Made {
    pub(crate) end: Time,
    pub(crate) size: (u32, u32),
}

impl Made {
    pub(crate) fn produced(self, bytes: u64) -> Produced {
        Produced { bytes, duration: self.end.duration(), width: self.size.0, height: self.size.1 }
    }
}
