//! Copies the packets of a track.

use ffmpeg_next::{Rational, codec};

use super::lane::Lane;
use crate::{
    MediaKind, TranscodeError, libav,
    sink::{Mux, PacketSink, StreamId},
    source::{Demux, Track},
    time::Time,
};

pub(super) struct CopyLane {
    track: usize,
    time_base: Rational,
    stream: StreamId,
    size: (u32, u32),
    /// Set at the first keyframe. A player can't show anything before it.
    started: bool,
    last: Option<i64>,
    /// The usual duration of a frame in ticks; `None` for audio, whose packets have durations.
    duration: Option<i64>,
    /// The end of the track in ticks.
    end: i64,
}

impl CopyLane {
    pub(super) fn open(track: &Track, size: (u32, u32), mux: &mut Mux<'_>) -> Result<Self, TranscodeError> {
        let stream = mux.add_copied(track)?;
        let started = track.kind == MediaKind::Audio;
        // Without a duration, the last frame would not be shown. The others end at the next frame.
        let duration = (!started).then(|| track.frame_length().to_ticks(track.time_base));
        let end = track.end().to_ticks(track.time_base);
        let (track, time_base) = (track.index, track.time_base);
        Ok(Self { track, time_base, stream, size, started, last: None, duration, end })
    }
}

impl Lane for CopyLane {
    fn advance(
        &mut self,
        demux: &mut Demux<'_>,
        until: Time,
        mux: &mut Mux<'_>,
    ) -> Result<(), TranscodeError> {
        while let Some(mut packet) = demux.next(self.track, until)? {
            self.started |= packet.is_key();
            // Containers require decoding times that increase.
            let Some(decoded) = packet.dts().or(packet.pts()) else { continue };
            let shown = packet.pts().unwrap_or(decoded);
            if !self.started || self.last.is_some_and(|last| decoded <= last) || shown < decoded {
                continue;
            }
            self.last = Some(decoded);
            packet.set_dts(Some(decoded));
            packet.set_pts(Some(shown));
            if let Some(usual) = self.duration {
                packet.set_duration(usual.min(self.end.saturating_sub(shown)).max(1));
            }
            mux.write(self.stream, packet, self.time_base)?;
        }
        Ok(())
    }

    fn finish(&mut self, _mux: &mut Mux<'_>) -> Result<(), TranscodeError> {
        Ok(())
    }

    fn size(&self) -> (u32, u32) {
        self.size
    }
}

/// Whether the container's header has the parameter sets of an H.264 stream.
pub(super) fn has_header(track: &Track) -> bool {
    track.codec != codec::Id::H264 || !libav::ffi::extradata(&track.parameters).is_empty()
}
