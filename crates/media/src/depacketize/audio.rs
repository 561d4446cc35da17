//! Durations of audio packets. Each packet is a frame.

use super::opus;
use crate::{Codec, time::SECOND};

/// Nanoseconds of audio in a packet, with the negotiated number of channels. `rate` is that of PCM, in samples a second; other
/// codecs imply theirs. Zero for video.
pub(crate) fn duration(codec: Codec, channels: u8, rate: u32, payload: &[u8]) -> i64 {
    duration_of(codec, channels, rate, payload, payload.len() as u64)
}

/// As [`duration`], from the first bytes of the payload and its length.
pub(crate) fn duration_of(codec: Codec, channels: u8, rate: u32, beginning: &[u8], bytes: u64) -> i64 {
    // No block is nearly as long, and the products below can't overflow.
    let bytes = i64::try_from(bytes).unwrap_or(0).min(1 << 30) / i64::from(channels.max(1));
    match codec {
        Codec::Opus => opus_duration(beginning),
        // A byte is 1/8000 s of a channel. In G.722 it contains two samples.
        Codec::Pcmu | Codec::Pcma | Codec::G722 => bytes * (SECOND / 8_000),
        Codec::Pcm => bytes / 2 * SECOND / i64::from(rate.max(1)),
        _ => 0,
    }
}

/// By the table of contents (RFC 6716 §3.1) and the frame count (§3.2). A packet that breaks other rules has a duration,
/// too: it is recorded as it was sent.
fn opus_duration(packet: &[u8]) -> i64 {
    let Some(&toc) = packet.first() else { return 0 };
    let count = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => packet.get(1).map_or(0, |count| u64::from(count & 0x3f)),
    };
    let samples = (opus::frame_samples(toc) * count).min(opus::LONGEST);
    // At most 5,760 samples.
    (samples * 1_000_000 / (opus::RATE / 1_000)).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::MILLISECOND;

    #[test]
    fn the_duration_of_an_opus_packet_is_in_its_first_bytes() {
        for (packet, milliseconds) in [
            (&[0b0000_0000][..], 10.0),
            (&[0b0001_1000], 60.0),
            (&[0b0110_1001], 40.0),
            (&[0b1000_0000], 2.5),
            (&[0b1111_1000, 1, 2], 20.0),
            (&[0b1111_1011, 3], 60.0),
            (&[0b1111_1011, 63], 120.0),
            (&[0b1111_1011], 0.0),
            (&[], 0.0),
        ] {
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let found = duration(Codec::Opus, 2, 0, packet) as f64 / 1e6;
            assert_eq!(found, milliseconds, "{packet:x?}");
        }
    }

    #[test]
    fn the_duration_of_pcm_follows_from_its_bytes() {
        assert_eq!(duration(Codec::Pcmu, 1, 0, &[0; 160]), 20 * MILLISECOND);
        assert_eq!(duration(Codec::Pcma, 2, 0, &[0; 320]), 20 * MILLISECOND);
        assert_eq!(duration(Codec::G722, 1, 0, &[0; 160]), 20 * MILLISECOND);
        assert_eq!(duration(Codec::Pcm, 2, 44_100, &[0; 882 * 4]), 20 * MILLISECOND);
    }
}
