//! RTCP (RFC 3550 §6), as far as a receiver needs it. Parsed here and not by a library, so that one malformed part of a
//! compound does not invalidate the others.

use rtp::{NtpTime, RtpTimestamp, SenderReport, Ssrc};

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const GOODBYE: u8 = 203;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;
/// A report has five bits to count its blocks.
pub(crate) const MAX_REPORT_BLOCKS: usize = 31;

/// A part of a compound that we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report<'a> {
    Sender(SenderReport),
    /// BYE: its sources, four bytes each.
    Goodbye(&'a [u8]),
}

/// The sources of a [`Report::Goodbye`].
pub(crate) fn goodbye_ssrcs(sources: &[u8]) -> impl Iterator<Item = Ssrc> {
    sources.as_chunks::<4>().0.iter().map(|bytes| Ssrc(u32::from_be_bytes(*bytes)))
}

/// The reports of a decrypted compound, up to the first part that is longer than the rest.
pub(crate) fn reports(mut compound: &[u8]) -> impl Iterator<Item = Report<'_>> {
    std::iter::from_fn(move || {
        loop {
            let (head, _) = compound.split_first_chunk::<4>()?;
            if head[0] >> 6 != 2 {
                return None;
            }
            let length = 4 * (usize::from(u16::from_be_bytes([head[2], head[3]])) + 1);
            let (part, rest) = compound.split_at_checked(length)?;
            compound = rest;
            let report = match head[1] {
                SENDER_REPORT => sender_report(part),
                GOODBYE => part.get(4..4 + 4 * usize::from(head[0] & 0x1f)).map(Report::Goodbye),
                _ => None,
            };
            if report.is_some() {
                return report;
            }
        }
    })
}

/// The SSRC of the sender of a compound.
pub(crate) fn first_ssrc(packet: &[u8]) -> Option<Ssrc> {
    packet.get(4..)?.first_chunk().map(|bytes| Ssrc(u32::from_be_bytes(*bytes)))
}

fn sender_report(part: &[u8]) -> Option<Report<'_>> {
    let (ssrc, rest) = part.get(4..)?.split_first_chunk::<4>()?;
    let (ntp, rest) = rest.split_first_chunk::<8>()?;
    let rtp_timestamp = rest.first_chunk::<4>()?;
    Some(Report::Sender(SenderReport {
        ssrc: Ssrc(u32::from_be_bytes(*ssrc)),
        ntp: NtpTime(u64::from_be_bytes(*ntp)),
        rtp_timestamp: RtpTimestamp(u32::from_be_bytes(*rtp_timestamp)),
    }))
}

/// A block of a receiver report (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReportBlock {
    pub(crate) ssrc: Ssrc,
    /// Lost since the last report, in 256ths.
    pub(crate) fraction_lost: u8,
    /// In 24 bits, signed.
    pub(crate) total_lost: i32,
    pub(crate) highest_sequence: u32,
    /// In ticks of the media clock.
    pub(crate) jitter: u32,
    /// The middle 32 bits of the last sender report's NTP time; 0 without one.
    pub(crate) last_sender_report: u32,
    /// Since that report, in 65536ths of a second.
    pub(crate) delay: u32,
}

/// Writes a receiver report with at most [`MAX_REPORT_BLOCKS`].
pub(crate) fn write_receiver_report(out: &mut Vec<u8>, sender: Ssrc, blocks: &[ReportBlock]) {
    let blocks = &blocks[..blocks.len().min(MAX_REPORT_BLOCKS)];
    write_header(out, blocks.len() as u8, RECEIVER_REPORT, 1 + 6 * blocks.len());
    out.extend(sender.0.to_be_bytes());
    for block in blocks {
        out.extend(block.ssrc.0.to_be_bytes());
        out.push(block.fraction_lost);
        out.extend(&block.total_lost.clamp(-0x80_0000, 0x7f_ffff).to_be_bytes()[1..]);
        out.extend(block.highest_sequence.to_be_bytes());
        out.extend(block.jitter.to_be_bytes());
        out.extend(block.last_sender_report.to_be_bytes());
        out.extend(block.delay.to_be_bytes());
    }
}

/// Writes a generic NACK (RFC 4585 §6.2.1) for sequence numbers in ascending order.
pub(crate) fn write_nack(out: &mut Vec<u8>, sender: Ssrc, media: Ssrc, lost: &[u16]) {
    let start = out.len();
    write_header(out, 1, TRANSPORT_FEEDBACK, 0);
    out.extend(sender.0.to_be_bytes());
    out.extend(media.0.to_be_bytes());
    let mut rest = lost;
    while let Some((&first, following)) = rest.split_first() {
        let mut bits = 0_u16;
        let mut covered = 0;
        for &sequence_number in following {
            let distance = sequence_number.wrapping_sub(first);
            if !(1..=16).contains(&distance) {
                break;
            }
            bits |= 1 << (distance - 1);
            covered += 1;
        }
        out.extend(first.to_be_bytes());
        out.extend(bits.to_be_bytes());
        rest = &following[covered..];
    }
    finish(out, start);
}

/// Writes a picture loss indication (RFC 4585 §6.3.1).
pub(crate) fn write_pli(out: &mut Vec<u8>, sender: Ssrc, media: Ssrc) {
    write_header(out, 1, PAYLOAD_FEEDBACK, 2);
    out.extend(sender.0.to_be_bytes());
    out.extend(media.0.to_be_bytes());
}

/// Writes a full intra request (RFC 5104 §4.3.1), with a number of its own.
pub(crate) fn write_fir(out: &mut Vec<u8>, sender: Ssrc, media: Ssrc, number: u8) {
    write_header(out, 4, PAYLOAD_FEEDBACK, 4);
    out.extend(sender.0.to_be_bytes());
    out.extend([0; 4]);
    out.extend(media.0.to_be_bytes());
    out.extend([number, 0, 0, 0]);
}

/// Begins a transport-wide feedback message; [`finish`] sets its length.
pub(crate) fn begin_transport_cc(out: &mut Vec<u8>, sender: Ssrc, media: Ssrc) -> usize {
    let start = out.len();
    write_header(out, 15, TRANSPORT_FEEDBACK, 0);
    out.extend(sender.0.to_be_bytes());
    out.extend(media.0.to_be_bytes());
    start
}

/// Pads the message that begins at `start` to whole words and sets its length.
pub(crate) fn finish(out: &mut Vec<u8>, start: usize) {
    let length = out.len() - start;
    let padding = length.next_multiple_of(4) - length;
    if padding > 0 {
        out.resize(out.len() + padding - 1, 0);
        out.push(padding as u8);
        out[start] |= 0x20;
    }
    let words = ((out.len() - start) / 4 - 1) as u16;
    out[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
}

fn write_header(out: &mut Vec<u8>, count: u8, kind: u8, words: usize) {
    out.extend([0x80 | count, kind]);
    out.extend((words as u16).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender_report_bytes(ssrc: u32) -> Vec<u8> {
        let mut bytes = vec![0x80, 200, 0, 6];
        bytes.extend(ssrc.to_be_bytes());
        bytes.extend(0x0102_0304_0506_0708_u64.to_be_bytes());
        bytes.extend(90_000_u32.to_be_bytes());
        bytes.extend([0; 8]);
        bytes
    }

    #[test]
    fn a_sender_report_is_found_behind_a_malformed_part() {
        // An SDES that claims a chunk it hasn't, then the report, then a BYE of two.
        let mut compound = vec![0x9f, 202, 0, 1, 0xff, 0xff, 0xff, 0xff];
        compound.extend(sender_report_bytes(7));
        compound.extend([0x82, 203, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]);
        let found: Vec<_> = reports(&compound).collect();
        let report = SenderReport {
            ssrc: Ssrc(7),
            ntp: NtpTime(0x0102_0304_0506_0708),
            rtp_timestamp: RtpTimestamp(90_000),
        };
        assert_eq!(found[0], Report::Sender(report));
        let Report::Goodbye(sources) = found[1] else { panic!("{found:?}") };
        assert_eq!(goodbye_ssrcs(sources).collect::<Vec<_>>(), [Ssrc(1), Ssrc(2)]);
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_compound_cut_anywhere_gives_only_whole_reports() {
        let compound = [sender_report_bytes(1), sender_report_bytes(2)].concat();
        for length in 0..compound.len() {
            assert_eq!(reports(&compound[..length]).count(), length / 28);
        }
    }

    #[test]
    fn nack_packs_neighbours_into_one_word_across_the_wrap() {
        let mut out = Vec::new();
        write_nack(&mut out, Ssrc(1), Ssrc(2), &[65530, 65535, 0, 10, 11]);
        assert_eq!(out[..4], [0x81, 205, 0, 4]);
        // 65530 covers up to 10; 11 begins the next.
        assert_eq!(out[12..16], [0xff, 0xfa, 0b1000_0000, 0b0011_0000]);
        assert_eq!(out[16..], [0, 11, 0, 0]);
    }

    #[test]
    fn a_report_block_has_its_fields_where_rfc_3550_puts_them() {
        let block = ReportBlock {
            ssrc: Ssrc(0x0101_0101),
            fraction_lost: 2,
            total_lost: -3,
            highest_sequence: 4,
            jitter: 5,
            last_sender_report: 6,
            delay: 7,
        };
        let mut out = Vec::new();
        write_receiver_report(&mut out, Ssrc(9), &[block]);
        let expected = [
            0x81, 201, 0, 7, 0, 0, 0, 9, 1, 1, 1, 1, 2, 0xff, 0xff, 0xfd, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6,
            0, 0, 0, 7,
        ];
        assert_eq!(out, expected);
    }

    #[test]
    fn keyframe_requests_have_the_right_length() {
        let mut out = Vec::new();
        write_pli(&mut out, Ssrc(1), Ssrc(2));
        write_fir(&mut out, Ssrc(1), Ssrc(2), 3);
        assert_eq!(out[..12], [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]);
        assert_eq!(out[12..], [0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 3, 0, 0, 0]);
    }

    proptest::proptest! {
        #[test]
        fn no_compound_panics(mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            // Mostly with a header that is right as far as it goes.
            if let [first, kind, high, low, ..] = &mut bytes[..] {
                *first = 0x80 | (*first & 0x3f);
                *kind = 200 + *kind % 8;
                *high = 0;
                *low %= 12;
            }
            for report in reports(&bytes) {
                if let Report::Goodbye(sources) = report {
                    proptest::prop_assert!(goodbye_ssrcs(sources).count() <= 31);
                }
            }
        }
    }
}
