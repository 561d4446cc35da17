//! Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01): the arrival time of each packet, from
//! which the sender estimates the bandwidth. Without it Chrome stays at 64 kbit/s.

use std::time::{Duration, Instant};

use rtp::{SeqNo, Ssrc};

use crate::rtcp::{begin_transport_cc, finish};

const INTERVAL: Duration = Duration::from_millis(100);
/// The most packets of one message. It fits a datagram even if each packet takes a two-byte delta.
const MAX_STATUSES: u64 = 400;
/// The most packets between two reports. The next report is then sent at once.
const MAX_PENDING: usize = 400;
/// A longer jump is a restart of the numbers, not a loss.
const MAX_GAP: u64 = 4000;

/// Ticks of a delta: 250 µs. Reference times are multiples of 64 ms.
const DELTA_MICROSECONDS: u64 = 250;
const DELTAS_PER_REFERENCE: u64 = 64_000 / DELTA_MICROSECONDS;

const NOT_RECEIVED: u16 = 0;
const SMALL_DELTA: u16 = 1;
const LARGE_DELTA: u16 = 2;

/// The arrivals of a transport since the last report.
#[derive(Debug, Default)]
pub(crate) struct TransportCc {
    origin: Option<Instant>,
    /// (unwrapped sequence number, ticks of 250 µs since the origin).
    arrivals: Vec<(u64, u64)>,
    highest: Option<SeqNo>,
    /// The first sequence number that no report has covered.
    next: u64,
    media_ssrc: Option<Ssrc>,
    count: u8,
    due: Option<Instant>,
}

impl TransportCc {
    pub(crate) fn packet(&mut self, sequence_number: u16, ssrc: Ssrc, arrival: Instant, now: Instant) {
        let origin = *self.origin.get_or_insert(arrival);
        let sequence = self.unwrap(sequence_number);
        let ticks = arrival.saturating_duration_since(origin).as_micros() as u64 / DELTA_MICROSECONDS;
        self.arrivals.push((sequence, ticks));
        self.media_ssrc = Some(ssrc);
        let due = if self.arrivals.len() >= MAX_PENDING { now } else { now + INTERVAL };
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
    }

    fn unwrap(&mut self, sequence_number: u16) -> u64 {
        let Some(highest) = self.highest else {
            let first = SeqNo::first(sequence_number);
            self.highest = Some(first);
            self.next = first.0;
            return first.0;
        };
        let sequence = highest.nearest(sequence_number);
        self.highest = Some(highest.max(sequence));
        sequence.0
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Appends the reports that are due to `out`, each a whole message.
    pub(crate) fn write_due(&mut self, now: Instant, sender: Ssrc, out: &mut Vec<Vec<u8>>) {
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        self.due = None;
        let mut arrivals = std::mem::take(&mut self.arrivals);
        arrivals.sort_unstable();
        arrivals.dedup_by_key(|arrival| arrival.0);
        let mut rest = &arrivals[..];
        while let Some(&(first, _)) = rest.first() {
            // A late packet, which an earlier report has called missing, gets a report of its own. A report that continued
            // from there would call packets missing that have been received.
            let late = first < self.next;
            let base = if late || first - self.next > MAX_GAP { first } else { self.next };
            let taken = rest
                .windows(2)
                .take_while(|pair| {
                    let contiguous = !late || pair[1].0 == pair[0].0 + 1;
                    let same_side = (pair[1].0 < self.next) == late;
                    contiguous && same_side && pair[1].0 - base < MAX_STATUSES
                })
                .count()
                + 1;
            // After a long loss even the first packet may be beyond one message.
            let base = if first - base >= MAX_STATUSES { first } else { base };
            let (report, following) = rest.split_at(taken.min(rest.len()));
            out.push(self.write(sender, base, report));
            if let Some(&(last, _)) = report.last() {
                self.next = self.next.max(last + 1);
            }
            rest = following;
        }
        arrivals.clear();
        self.arrivals = arrivals;
    }

    fn write(&mut self, sender: Ssrc, base: u64, arrivals: &[(u64, u64)]) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + 2 * arrivals.len());
        let start = begin_transport_cc(&mut out, sender, self.media_ssrc.unwrap_or(sender));
        let last = arrivals.last().map_or(base, |arrival| arrival.0);
        let reference = arrivals.first().map_or(0, |arrival| arrival.1) / DELTAS_PER_REFERENCE;
        let mut symbols = vec![NOT_RECEIVED; (last - base + 1) as usize];
        let mut deltas = Vec::with_capacity(2 * arrivals.len());
        let mut previous = reference * DELTAS_PER_REFERENCE;
        for &(sequence, ticks) in arrivals {
            let delta = ticks as i64 - previous as i64;
            let clamped = delta.clamp(i64::from(i16::MIN), i64::from(i16::MAX));
            previous = previous.saturating_add_signed(clamped);
            let Some(symbol) = symbols.get_mut((sequence - base) as usize) else { continue };
            if let Ok(delta) = u8::try_from(clamped) {
                *symbol = SMALL_DELTA;
                deltas.push(delta);
            } else {
                *symbol = LARGE_DELTA;
                deltas.extend((clamped as i16).to_be_bytes());
            }
        }
        out.extend((base as u16).to_be_bytes());
        out.extend((symbols.len() as u16).to_be_bytes());
        out.extend(&(reference as u32).to_be_bytes()[1..]);
        out.push(self.count);
        self.count = self.count.wrapping_add(1);
        write_chunks(&mut out, &symbols);
        out.extend(deltas);
        finish(&mut out, start);
        out
    }
}

/// Run-length chunks where a symbol repeats, else vectors of seven two-bit symbols (§3.1.3, §3.1.4).
fn write_chunks(out: &mut Vec<u8>, mut symbols: &[u16]) {
    while let Some(&first) = symbols.first() {
        let run = symbols.iter().take_while(|symbol| **symbol == first).count();
        let taken = if run >= 7 {
            out.extend((first << 13 | run.min(0x1fff) as u16).to_be_bytes());
            run.min(0x1fff)
        } else {
            let taken = symbols.len().min(7);
            let vector =
                (0..taken).fold(0xc000, |vector, place| vector | symbols[place] << (12 - 2 * place as u16));
            out.extend(vector.to_be_bytes());
            taken
        };
        symbols = &symbols[taken..];
    }
}

#[cfg(test)]
mod tests;
