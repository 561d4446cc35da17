//! Events of `peer` as inputs of `media`, and codecs of `media` as `model` names them.

use media::{Anchor, Input, TrackConfig};
use peer::PeerEvent;

/// A negotiated track as the recorder takes it.
pub(crate) fn track_config(track: peer::Track) -> TrackConfig {
    TrackConfig {
        id: track.id,
        name: track.mid,
        kind: track.kind,
        formats: track.formats,
        anchor: Anchor::SenderReports,
    }
}

/// The recorder's input from an event at `now`; the event itself if it does not concern the recorder.
pub(crate) fn recorder_input(event: PeerEvent, now: std::time::Instant) -> Result<Input, PeerEvent> {
    match event {
        PeerEvent::Rtp { track, layer, arrival, packet } => Ok(Input::Rtp { track, layer, arrival, packet }),
        PeerEvent::SenderReport { track, layer, arrival, report } => {
            Ok(Input::SenderReport { track, layer, arrival, report })
        }
        PeerEvent::TrackEnded(track) => Ok(Input::EndTrack { track, at: now }),
        other => Err(other),
    }
}

/// The codec of a track of a live session; none until its first frame.
#[must_use]
pub fn codec_of(track: &media::TrackStatistics) -> Option<model::Codec> {
    track.codec.map(spool::codec)
}
