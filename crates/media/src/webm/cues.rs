//! Cues: the index of a file, by which players seek.

use super::ebml::{id, put_id, put_master, put_size, put_uint};

/// Past this many entries the index is thinned out, so that that of a day stays below 2 MB.
const MAX_CUES: usize = 1 << 16;

/// One CuePoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cue {
    /// The block's timestamp, in milliseconds.
    pub time: u64,
    pub track: u8,
    /// The cluster's position, from the segment's first byte of data.
    pub cluster: u64,
    /// The block's position, from the cluster's first byte of data.
    pub block: u32,
}

/// The index of an open file.
#[derive(Debug, Clone, Default)]
pub(super) struct Cues {
    cues: Vec<Cue>,
    /// The least time between two entries of a track, in milliseconds. Zero until the index is thinned out.
    spacing: u64,
}

impl Cues {
    pub(super) fn push(&mut self, cue: Cue) {
        if self.spacing > 0 {
            let last = self.cues.iter().rev().take(64).find(|last| last.track == cue.track);
            if last.is_some_and(|last| cue.time < last.time.saturating_add(self.spacing)) {
                return;
            }
        }
        if self.cues.len() >= MAX_CUES {
            self.thin_out();
        }
        self.cues.push(cue);
    }

    fn thin_out(&mut self) {
        self.spacing = (self.spacing * 2).max(1_000);
        let spacing = self.spacing;
        let mut last = [None::<u64>; 256];
        self.cues.retain(|cue| {
            let Some(before) = last.get_mut(usize::from(cue.track)) else { return false };
            let retain = before.is_none_or(|before| cue.time >= before.saturating_add(spacing));
            if retain {
                *before = Some(cue.time);
            }
            retain
        });
        // With hundreds of tracks that may not be enough.
        if self.cues.len() >= MAX_CUES {
            let mut index = 0;
            self.cues.retain(|_| {
                index += 1;
                index % 2 == 0
            });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cues.is_empty()
    }

    /// Writes the Cues element. Nothing if there are no entries.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        if self.cues.is_empty() {
            return;
        }
        let mut content = Vec::with_capacity(self.cues.len() * 20);
        for cue in &self.cues {
            put_master(&mut content, id::CUE_POINT, |point| {
                put_uint(point, id::CUE_TIME, cue.time);
                put_master(point, id::CUE_TRACK_POSITIONS, |positions| {
                    put_uint(positions, id::CUE_TRACK, u64::from(cue.track));
                    put_uint(positions, id::CUE_CLUSTER_POSITION, cue.cluster);
                    put_uint(positions, id::CUE_RELATIVE_POSITION, u64::from(cue.block));
                });
            });
        }
        put_id(out, id::CUES);
        put_size(out, content.len());
        out.extend_from_slice(&content);
    }
}
