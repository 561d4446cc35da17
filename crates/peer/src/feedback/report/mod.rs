//! Reception statistics for receiver reports (RFC 3550 §6.4.1, appendix A).

use std::time::{Duration, Instant};

use rtp::{MediaKind, NtpTime, RtpTimestamp, SeqNo, Ssrc};

use crate::rtcp::ReportBlock;

const VIDEO_INTERVAL: Duration = Duration::from_secs(1);
const AUDIO_INTERVAL: Duration = Duration::from_secs(5);

/// Reception statistics of one source.
#[derive(Debug)]
pub(crate) struct Reception {
    clock_rate: u32,
    interval: Duration,
    first_sequence: SeqNo,
    received: u64,
    expected_before: u64,
    received_before: u64,
    /// In ticks, scaled by 16 (RFC 3550 §A.8).
    jitter: u32,
    /// Arrival and timestamp of the packet before.
    last: Option<(Instant, RtpTimestamp)>,
    sender_report: Option<(u32, Instant)>,
    due: Instant,
}

impl Reception {
    pub(crate) fn new(kind: MediaKind, clock_rate: u32, first_sequence: SeqNo, now: Instant) -> Self {
        let interval = match kind {
            MediaKind::Audio => AUDIO_INTERVAL,
            MediaKind::Video => VIDEO_INTERVAL,
        };
        Self {
            clock_rate,
            interval,
            first_sequence,
            received: 0,
            expected_before: 0,
            received_before: 0,
            jitter: 0,
            last: None,
            sender_report: None,
            // The first report is early: until then the sender repeats its MID and RID in each packet.
            due: now + Duration::from_millis(200),
        }
    }

    pub(crate) fn packet(&mut self, timestamp: RtpTimestamp, arrival: Instant) {
        self.received += 1;
        if let Some((last_arrival, last_timestamp)) = self.last {
            let elapsed = arrival.saturating_duration_since(last_arrival);
            // A pause of the sender is not jitter of the network.
            if elapsed < Duration::from_secs(1) {
                let ticks = elapsed.as_nanos() as u64 * u64::from(self.clock_rate) / 1_000_000_000;
                let difference =
                    (ticks as u32).wrapping_sub(timestamp.ticks_since(last_timestamp) as u32) as i32;
                let difference = difference.unsigned_abs().min(self.clock_rate);
                self.jitter = self.jitter.saturating_add(difference) - ((self.jitter + 8) >> 4);
            }
        }
        self.last = Some((arrival, timestamp));
    }

    pub(crate) fn sender_report(&mut self, ntp: NtpTime, arrival: Instant) {
        self.sender_report = Some((ntp.middle_bits(), arrival));
    }

    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// Seconds.
    pub(crate) fn jitter(&self) -> f64 {
        f64::from(self.jitter >> 4) / f64::from(self.clock_rate.max(1))
    }

    pub(crate) fn last_arrival(&self) -> Option<Instant> {
        self.last.map(|(arrival, _)| arrival)
    }

    /// The report on all packets up to `highest`. Begins the next interval.
    pub(crate) fn report(&mut self, ssrc: Ssrc, highest: SeqNo, now: Instant) -> ReportBlock {
        let expected = highest.0.saturating_sub(self.first_sequence.0) + 1;
        let expected_now = expected.saturating_sub(self.expected_before);
        let received_now = self.received.saturating_sub(self.received_before);
        self.expected_before = expected;
        self.received_before = self.received;
        self.due = now + self.interval;
        let lost_now = expected_now.saturating_sub(received_now);
        let (last_sender_report, delay) = self.sender_report.map_or((0, 0), |(middle, arrival)| {
            let delay = now.saturating_duration_since(arrival);
            (middle, (delay.as_micros() as u64 * 65536 / 1_000_000).min(u64::from(u32::MAX)) as u32)
        });
        let total_lost =
            i64::try_from(expected).unwrap_or(i64::MAX) - i64::try_from(self.received).unwrap_or(i64::MAX);
        ReportBlock {
            ssrc,
            fraction_lost: (lost_now * 256).checked_div(expected_now).unwrap_or(0).min(255) as u8,
            total_lost: total_lost.clamp(-0x80_0000, 0x7f_ffff) as i32,
            highest_sequence: highest.0 as u32,
            jitter: self.jitter >> 4,
            last_sender_report,
            delay,
        }
    }
}

#[cfg(test)]
mod tests;
