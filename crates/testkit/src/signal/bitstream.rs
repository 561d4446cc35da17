//! Reads coded frames from the containers that ffmpeg writes: IVF, Annex B with access unit delimiters, Ogg.

use std::sync::Arc;

use super::{
    SignalError,
    clip::{Codec, Frame},
};

/// Frames of an IVF file: a 32-byte header, then for each frame its length, its time and its bytes.
pub(super) fn ivf(codec: Codec, file: &[u8]) -> Result<Vec<Arc<[u8]>>, SignalError> {
    let short = || SignalError::Bitstream { codec, reason: "IVF ends within a frame" };
    let mut rest = file.get(32..).ok_or_else(short)?;
    let mut frames = Vec::new();
    while let Some((head, tail)) = rest.split_first_chunk::<12>() {
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        frames.push(tail.get(..length).ok_or_else(short)?.into());
        rest = &tail[length..];
    }
    Ok(frames)
}

/// Access units of an Annex B stream in which each begins with an access unit delimiter (NAL unit type 9). The delimiters
/// are removed, as no WebRTC sender transmits them.
pub(super) fn annex_b(file: &[u8]) -> Vec<Arc<[u8]>> {
    let mut units: Vec<Vec<u8>> = Vec::new();
    for nal in nal_units(file) {
        if nal.first().is_some_and(|head| head & 0x1f == 9) {
            units.push(Vec::new());
        } else if let Some(unit) = units.last_mut() {
            unit.extend_from_slice(&[0, 0, 0, 1]);
            unit.extend_from_slice(nal);
        }
    }
    units.into_iter().map(Into::into).collect()
}

fn nal_units(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    let starts: Vec<usize> =
        file.windows(3).enumerate().filter(|(_, bytes)| bytes == &[0, 0, 1]).map(|(at, _)| at).collect();
    let ends: Vec<usize> = starts.iter().skip(1).copied().chain([file.len()]).collect();
    starts.into_iter().zip(ends).map(|(start, end)| {
        let nal = &file[start + 3..end];
        // The zero bytes before the next start code belong to it.
        let used = nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        &nal[..used]
    })
}

/// Packets of an Ogg Opus file (RFC 3533, RFC 7845) without its two header packets.
pub(super) fn ogg(file: &[u8]) -> Result<Vec<Arc<[u8]>>, SignalError> {
    let bad = |reason| SignalError::Bitstream { codec: Codec::Opus, reason };
    let mut packets: Vec<Arc<[u8]>> = Vec::new();
    let mut packet = Vec::new();
    let mut rest = file;
    while !rest.is_empty() {
        let segments = usize::from(*rest.get(26).ok_or_else(|| bad("Ogg page header is cut"))?);
        if !rest.starts_with(b"OggS") {
            return Err(bad("no Ogg page where one was expected"));
        }
        let table = rest.get(27..27 + segments).ok_or_else(|| bad("Ogg segment table is cut"))?;
        let mut at = 27 + segments;
        for lace in table {
            let end = at + usize::from(*lace);
            packet.extend_from_slice(rest.get(at..end).ok_or_else(|| bad("Ogg page is cut"))?);
            at = end;
            // A segment shorter than 255 bytes ends its packet (RFC 3533 §5).
            if *lace < 255 {
                packets.push(std::mem::take(&mut packet).into());
            }
        }
        rest = &rest[at..];
    }
    if packets.len() < 3 {
        return Err(bad("no Opus packet"));
    }
    Ok(packets.split_off(2))
}

/// Whether decoding can start with `frame`.
pub(super) fn is_keyframe(codec: Codec, frame: &[u8]) -> bool {
    match codec {
        // RFC 6386 §9.1: bit 0 is 0 in a key frame.
        Codec::Vp8 => frame.first().is_some_and(|byte| byte & 1 == 0),
        // VP9 uncompressed header: frame marker 2, two profile bits, show_existing_frame, then frame_type 0 = key.
        Codec::Vp9 => frame.first().is_some_and(|byte| byte & 0b0000_1100 == 0),
        // A temporal unit that begins a coded video sequence carries a sequence header OBU (type 1), here always
        // right after its temporal delimiter.
        Codec::Av1 => [frame.first(), frame.get(2)].into_iter().flatten().any(|head| head >> 3 & 0xf == 1),
        Codec::H264 => nal_units(frame).any(|nal| nal.first().is_some_and(|head| head & 0x1f == 5)),
        Codec::Opus => true,
    }
}

/// Gives `packets` equally spaced timestamps, `rate` per second.
pub(super) fn timed(codec: Codec, packets: Vec<Arc<[u8]>>, rate: u32, count: usize) -> Vec<Frame> {
    let time = |index: usize| std::time::Duration::from_nanos(index as u64 * 1_000_000_000 / u64::from(rate));
    let frame = |(index, data): (usize, Arc<[u8]>)| {
        let keyframe = is_keyframe(codec, &data);
        Frame { time: time(index), keyframe, data }
    };
    packets.into_iter().take(count).enumerate().map(frame).collect()
}
