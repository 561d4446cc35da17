//! Reads the rotation of tracks.

use std::{fs::File, io::Read, path::Path};

use ffmpeg_next::{self as ff, codec::packet::side_data};

use crate::picture::Rotation;

/// The rotation of the display matrix that the demuxer reports.
pub(super) fn of_stream(stream: &ff::format::stream::Stream<'_>) -> Option<Rotation> {
    let data = stream.side_data().find(|data| data.kind() == side_data::Type::DisplayMatrix)?;
    let number = |at: usize| {
        let bytes = data.data().get(at * 4..at * 4 + 4)?;
        Some(f64::from(i32::from_ne_bytes(bytes.try_into().ok()?)))
    };
    // The first row is the direction of a step to the right.
    Some(Rotation::clockwise(number(1)?.atan2(number(0)?).to_degrees()))
}

/// ProjectionPoseRoll (RFC 9559 §5.1.4.1.28.46) of each track of a Matroska file, in their order. Empty for other files.
///
/// libav's demuxer ignores the element unless the projection is a sphere, so the start of the file is parsed here.
pub(super) fn pose_rolls(path: &Path) -> Vec<Rotation> {
    /// Bytes. Tracks stand before the first cluster, behind a few small elements.
    const HEAD: u64 = 1 << 20;
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut head));
    let segment = read.ok().and_then(|_| child(&head, id::SEGMENT));
    let Some(tracks) = segment.and_then(|segment| child(segment, id::TRACKS)) else { return Vec::new() };
    let entries = Elements(tracks).filter(|(id, _)| *id == id::TRACK_ENTRY);
    entries.map(|(_, entry)| roll(entry).map_or(Rotation::None, |roll| Rotation::clockwise(-roll))).collect()
}

fn roll(entry: &[u8]) -> Option<f64> {
    let data = child(child(child(entry, id::VIDEO)?, id::PROJECTION)?, id::POSE_ROLL)?;
    match data.len() {
        4 => Some(f64::from(f32::from_be_bytes(data.try_into().ok()?))),
        8 => Some(f64::from_be_bytes(data.try_into().ok()?)),
        _ => None,
    }
}

fn child(parent: &[u8], id: u32) -> Option<&[u8]> {
    Elements(parent).find(|(other, _)| *other == id).map(|(_, data)| data)
}

mod id {
    pub(super) const SEGMENT: u32 = 0x1853_8067;
    pub(super) const TRACKS: u32 = 0x1654_AE6B;
    pub(super) const TRACK_ENTRY: u32 = 0xAE;
    pub(super) const VIDEO: u32 = 0xE0;
    pub(super) const PROJECTION: u32 = 0x7670;
    pub(super) const POSE_ROLL: u32 = 0x7675;
}

/// Ids (with their marker bits) and contents of consecutive EBML elements (RFC 8794 §4). A content that is truncated or of
/// unknown size extends to the last byte.
struct Elements<'a>(&'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = (u32, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        // Ids have up to four bytes, sizes up to eight.
        let length = Some(self.0.first()?.leading_zeros() as usize + 1).filter(|length| *length <= 4)?;
        let id = self.0.get(..length)?.iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
        let rest = self.0.get(length..)?;
        let first = *rest.first()?;
        let length = Some(first.leading_zeros() as usize + 1).filter(|length| *length <= 8)?;
        let value = u64::from(first) & (0xff_u64 >> length);
        let size = rest.get(1..length)?.iter().fold(value, |size, byte| size << 8 | u64::from(*byte));
        let rest = rest.get(length..)?;
        let (data, rest) = rest.split_at(rest.len().min(usize::try_from(size).unwrap_or(usize::MAX)));
        self.0 = rest;
        Some((id, data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truncated_element_ends_the_iteration() {
        let whole = [0xAE, 0x82, 1, 2, 0x42, 0x86, 0x40, 0x01, 9];
        let found: Vec<_> = Elements(&whole).collect();
        assert_eq!(found, [(0xAE, &[1, 2][..]), (0x4286, &[9][..])]);
        for cut in 0..whole.len() {
            assert!(Elements(&whole[..cut]).count() <= 2);
        }
        assert_eq!(Elements(&[0; 64]).count(), 0);
    }
}
