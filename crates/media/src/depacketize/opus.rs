//! Checks that a packet is one of Opus, and counts its samples (RFC 6716 §3).

/// Samples a second.
pub(crate) const RATE: u64 = 48_000;
/// The most samples of a packet: 120 ms (§3.2.5).
pub(super) const LONGEST: u64 = RATE * 120 / 1_000;
/// The most bytes of a frame (§3.2.1).
const MAX_FRAME: usize = 1_275;

/// Samples of a packet at 48 kHz. The error states the rule of §3.4 that it breaks.
pub(crate) fn samples(packet: &[u8]) -> Result<u64, &'static str> {
    let (&toc, rest) = packet.split_first().ok_or("it is empty")?;
    let count = match toc & 3 {
        0 => check_frame(rest.len()).map(|()| 1),
        1 if rest.len() % 2 != 0 => Err("its two frames differ in size"),
        1 => check_frame(rest.len() / 2).map(|()| 2),
        2 => two_frames(rest),
        _ => many_frames(rest),
    }?;
    let samples = frame_samples(toc) * count;
    if samples > LONGEST { Err("it is longer than 120 ms") } else { Ok(samples) }
}

/// Samples of one frame (§3.1, table 2).
pub(super) fn frame_samples(toc: u8) -> u64 {
    match toc >> 3 {
        config @ 0..=11 => [480, 960, 1_920, 2_880][usize::from(config & 3)],
        config @ 12..=15 => [480, 960][usize::from(config & 1)],
        config => [120, 240, 480, 960][usize::from(config & 3)],
    }
}

fn check_frame(frame_bytes: usize) -> Result<(), &'static str> {
    if frame_bytes > MAX_FRAME { Err("a frame has more than 1275 bytes") } else { Ok(()) }
}

/// Code 2: the length of the first frame, then two frames (§3.2.4).
fn two_frames(rest: &[u8]) -> Result<u64, &'static str> {
    let (first, rest) = length(rest)?;
    let second = rest.len().checked_sub(first).ok_or("its first frame is longer than the packet")?;
    check_frame(second).map(|()| 2)
}

/// Code 3: a count, padding, and frames of equal or individual sizes (§3.2.5).
fn many_frames(rest: &[u8]) -> Result<u64, &'static str> {
    let (&head, mut rest) = rest.split_first().ok_or("it has no frame count")?;
    let count = usize::from(head & 0x3f);
    if count == 0 {
        return Err("it has no frames");
    }
    let mut padding = 0;
    if head & 0x40 != 0 {
        loop {
            let (&more, tail) = rest.split_first().ok_or("its padding has no end")?;
            rest = tail;
            padding += if more == 255 { 254 } else { usize::from(more) };
            if more != 255 {
                break;
            }
        }
    }
    let mut lengths = 0;
    if head & 0x80 != 0 {
        for _ in 1..count {
            let (length, tail) = length(rest)?;
            rest = tail;
            lengths += length;
        }
    }
    let frames = rest.len().checked_sub(padding).ok_or("its padding is longer than the packet")?;
    let last = if head & 0x80 == 0 {
        if frames % count != 0 {
            return Err("its frames differ in size");
        }
        frames / count
    } else {
        frames.checked_sub(lengths).ok_or("its frames are longer than the packet")?
    };
    check_frame(last).map(|()| count as u64)
}

/// A frame length in one or two bytes (§3.2.1).
fn length(bytes: &[u8]) -> Result<(usize, &[u8]), &'static str> {
    match bytes {
        [first @ 0..=251, rest @ ..] => Ok((usize::from(*first), rest)),
        [first, second, rest @ ..] => Ok((usize::from(*second) * 4 + usize::from(*first), rest)),
        _ => Err("it ends in the length of a frame"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_packets_of_each_kind_are_counted() {
        for (packet, expected) in [
            (&[0b1111_1000, 1, 2, 3][..], 960),
            (&[0b1111_1000], 960),
            (&[0b1000_0000, 9], 120),
            (&[0b0001_1000, 9], 2_880),
            (&[0b1111_1001, 1, 2, 3, 4], 1_920),
            (&[0b1111_1010, 1, 7, 8, 9], 1_920),
            (&[0b1111_1011, 3, 1, 2, 3], 2_880),
            (&[0b1111_1011, 0b1000_0010, 1, 7, 8], 1_920),
            (&[0b1111_1011, 0b0100_0001, 2, 7, 0, 0], 960),
        ] {
            assert_eq!(samples(packet), Ok(expected), "{packet:x?}");
        }
    }

    #[test]
    fn packets_that_break_a_rule_are_refused() {
        let long = [&[0b1111_1000][..], &[0; 1_276]].concat();
        for packet in [
            &[][..],
            &long,
            &[0b1111_1001, 1, 2, 3],
            &[0b1111_1010, 4, 1],
            &[0b1111_1010, 252],
            &[0b1111_1011],
            &[0b1111_1011, 0],
            &[0b1111_1011, 2, 1, 2, 3],
            &[0b1111_1011, 0b0100_0001, 3, 1],
            &[0b1111_1011, 0b0100_0001, 255],
            &[0b1111_1011, 0b1000_0010, 3, 1],
            &[0b1111_1011, 0b1000_0010],
            // Seven frames of 20 ms are more than 120 ms.
            &[0b1111_1011, 7, 0, 0, 0, 0, 0, 0, 0],
        ] {
            assert!(samples(packet).is_err(), "{packet:x?}");
        }
    }
}
