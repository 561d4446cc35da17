//! Which of a track's layers is written.

use std::time::{Duration, Instant};

use super::{Shared, Track};
use crate::{KeyframeReason, LayerId, RtpPacket, frame::CodedFrame, layer::Layer, sync::SenderClocks};

/// Simulcast layers begin within this time of each other; a file that is not begun yet then begins with the best.
const LAYERS_BEGIN: Duration = Duration::from_millis(500);
/// Layers beyond these are not listened to.
const MAX_LAYERS: usize = 8;
impl Track {
    pub(super) fn selected(&self) -> Option<&Layer> {
        self.layers.get(self.selected?)
    }

    pub(super) fn selected_mut(&mut self) -> Option<&mut Layer> {
        self.layers.get_mut(self.selected?)
    }

    /// The place of a layer in the list, which it joins if it is new.
    pub(super) fn layer(&mut self, id: LayerId) -> Option<usize> {
        let known = self.layers.iter().position(|layer| layer.id == id);
        if known.is_none() && self.layers.len() < MAX_LAYERS {
            self.layers.push(Layer::new(id));
            return Some(self.layers.len() - 1);
        }
        known
    }

    pub(super) fn change_source(
        &mut self,
        index: usize,
        arrival: Instant,
        packet: &RtpPacket,
        shared: &mut Shared,
    ) {
        if let Some(before) = self.layers.get_mut(index).and_then(|layer| layer.stream.as_mut()) {
            before.finish(&self.config.formats, &mut shared.pool, &mut shared.frames);
            self.take_frames(index, arrival, shared);
        }
        if self.selected == Some(index) {
            self.fix_unplaced(&shared.senders);
        }
        if let Some(layer) = self.layers.get_mut(index) {
            layer.follow(packet, &self.config, shared);
        }
    }

    /// A layer that is known to be worse than the one that is written is not put together.
    pub(super) fn is_of_no_use(&self, index: usize, now: Instant) -> bool {
        let (Some(selected), Some(layer)) = (self.selected(), self.layers.get(index)) else { return false };
        self.selected != Some(index)
            && layer.area > 0
            && layer.area <= selected.area
            && selected.is_alive(now)
    }

    /// Whether a frame of another layer becomes the next of the track: a keyframe of a better layer does, and one of the
    /// best that is left once the written one has stalled. Others are asked to send one where they would be better.
    pub(super) fn switch_to(
        &mut self,
        index: usize,
        frame: &CodedFrame,
        now: Instant,
        senders: &SenderClocks,
    ) -> bool {
        let Some(layer) = self.layers.get(index) else { return false };
        let better = match self.selected() {
            None => true,
            Some(selected) if selected.is_alive(now) => layer.area > selected.area,
            Some(_) => !self.layers.iter().any(|other| other.is_alive(now) && other.area > layer.area),
        };
        if !better {
            return false;
        }
        if !frame.keyframe {
            if let Some(layer) = self.layers.get_mut(index) {
                layer.hold(KeyframeReason::LayerSwitch);
            }
            return false;
        }
        let just_begun =
            self.waiting_since.is_some_and(|since| now.saturating_duration_since(since) < LAYERS_BEGIN);
        if just_begun && self.selected.is_some() {
            self.unplaced.clear();
            self.unplaced_bytes = 0;
        }
        self.fix_unplaced(senders);
        self.selected = Some(index);
        true
    }
}
