//! Measures the size of a track's video by decoding some of it.

use std::{cell::Cell, path::Path};

use ffmpeg_next::{self as ff, frame};

use super::{Demux, Pace, PictureSource, Probe, Track};
use crate::{TranscodeError, picture::Colour, progress::Cancelled, time::Time};

/// The first packets that are decoded, for a track whose container doesn't mark keyframes.
const TRIED_FIRST: usize = 300;
/// Further keyframes from which decoding is tried, and the packets from each: more than a decoder holds back.
const KEYFRAMES: usize = 50;
const TRIED: usize = 20;
/// The most sizes, each declared by a single keyframe, that are verified by decoding.
const MOST_SIZES: usize = 20;
/// The most pixels of a frame. Larger video is not recorded.
pub(super) const MOST_PIXELS: u64 = 7_680 * 4_320;
/// The most pixels of a side.
pub(super) const MOST: u32 = 7_680;

/// What an encoder must know of a track's video before its first frame.
#[derive(Clone, Copy)]
pub(crate) struct Measured {
    /// The largest width and the largest height, upright.
    pub(crate) size: (u32, u32),
    /// Whether the size changes within the track.
    pub(crate) changes: bool,
    /// Of the first frame.
    pub(crate) colour: Colour,
}

/// Decodes the first frame that can be decoded, and considers the sizes that keyframes declare. A size counts if two
/// keyframes declare it or if a frame of this size can be decoded, so that one damaged header doesn't enlarge the output.
/// `None` if no frame can be decoded.
pub(crate) fn measure(
    path: &Path,
    probe: &Probe,
    track: &Track,
    cancelled: Cancelled<'_>,
) -> Result<Option<Measured>, TranscodeError> {
    let demux = Demux::open(path, probe, &[track.index], cancelled)?;
    let source = PictureSource::open(track, Pace::Prompt)?;
    let mut look = Look { demux, source, track };
    let Some(first) = look.first_picture()? else { return Ok(None) };
    let mut sizes = vec![(first.width(), first.height())];
    let mut tries = 0;
    for declared in &track.sizes {
        if sizes.contains(&declared.size) {
            continue;
        }
        let sure = declared.keyframes > 1 || {
            tries += 1;
            tries <= MOST_SIZES && look.decodes(declared.first, declared.size)?
        };
        if sure {
            sizes.push(declared.size);
        }
    }
    let room = sizes.iter().fold((0, 0), |room: (u32, u32), size| (room.0.max(size.0), room.1.max(size.1)));
    let largest = sizes.iter().copied().max_by_key(|size| pixels(*size)).unwrap_or(room);
    let size = if pixels(room) <= MOST_PIXELS { room } else { largest };
    Ok(Some(Measured {
        size: track.rotation.turned(size),
        changes: sizes.len() > 1,
        colour: Colour::of(&first),
    }))
}

fn pixels(size: (u32, u32)) -> u64 {
    u64::from(size.0) * u64::from(size.1)
}

/// Whether a recording can have this size.
pub(super) fn is_possible(size: (u32, u32)) -> bool {
    let side = 1..=MOST;
    side.contains(&size.0) && side.contains(&size.1) && pixels(size) <= MOST_PIXELS
}

struct Look<'a> {
    demux: Demux<'a>,
    source: PictureSource,
    track: &'a Track,
}

impl Look<'_> {
    /// Tries the start of the track, then later keyframes.
    fn first_picture(&mut self) -> Result<Option<frame::Video>, TranscodeError> {
        let first = self.picture_from(None, TRIED_FIRST, &|_| true)?;
        if first.is_some() {
            return Ok(first);
        }
        for keyframe in self.track.keyframes.iter().skip(1).take(KEYFRAMES) {
            let picture = self.picture_from(Some(*keyframe), TRIED, &|_| true)?;
            if picture.is_some() {
                return Ok(picture);
            }
        }
        Ok(None)
    }

    /// Whether a frame of this size can be decoded from the keyframe that declares it.
    fn decodes(&mut self, keyframe: Time, size: (u32, u32)) -> Result<bool, TranscodeError> {
        let as_declared = |picture: &frame::Video| (picture.width(), picture.height()) == size;
        Ok(self.picture_from(Some(keyframe), TRIED, &as_declared)?.is_some())
    }

    /// The first frame that `accepts` accepts, from a keyframe on and within a number of packets.
    fn picture_from(
        &mut self,
        keyframe: Option<Time>,
        packets: usize,
        accepts: &dyn Fn(&frame::Video) -> bool,
    ) -> Result<Option<frame::Video>, TranscodeError> {
        if let Some(keyframe) = keyframe {
            self.demux.seek(keyframe);
            self.source.reset();
        }
        let found = Cell::new(None);
        let mut sink = |picture: frame::Video, _| {
            if accepts(&picture) {
                let first = found.take().unwrap_or(picture);
                found.set(Some(first));
            }
            Ok(())
        };
        let mut tried = 0;
        while tried < packets
            && let Some(packet) = self.demux.next(self.track.index, self.track.end())?
        {
            if keyframe.is_some_and(|keyframe| self.time_of(&packet).is_none_or(|time| time < keyframe)) {
                continue;
            }
            tried += 1;
            self.source.decode(&packet, &mut sink)?;
            if let Some(picture) = found.take() {
                return Ok(Some(picture));
            }
        }
        self.source.finish(&mut sink)?;
        Ok(found.take())
    }

    fn time_of(&self, packet: &ff::Packet) -> Option<Time> {
        Time::from_ticks(packet.pts().or(packet.dts())?, self.track.time_base)
    }
}
