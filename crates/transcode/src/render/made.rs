//! The result of a renderer.

use crate::{Produced, time::Time};

/// What a renderer wrote, before the size of the file is known.
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
