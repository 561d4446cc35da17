//! Packets of one source in the order they were sent.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::{
    RtpPacket,
    time::{SeqNo, SeqUnwrapper},
};

/// A step forward beyond this is believed only when the packet after it follows on (RFC 3550 §A.1 `MAX_DROPOUT`).
const MAX_DROPOUT: u64 = 3_000;
/// The most places that are kept open. At 200 Mbit/s, 1,200 bytes a packet, that is 0.8 s.
const MAX_WINDOW: u64 = 1 << 14;
/// How far back a packet is told from its duplicate.
const HISTORY: u64 = 1_024;
/// What a held packet costs beside its payload.
const SLOT_BYTES: usize = size_of::<Slot>();

/// A packet whose turn has come.
#[derive(Debug, Clone)]
pub(crate) struct Released {
    pub packet: RtpPacket,
    /// When the packet itself arrived, not when its turn came.
    pub arrival: Instant,
    /// Packets were given up just before it.
    pub after_gap: bool,
}

/// What became of a packet.
#[derive(Debug, Clone)]
pub(crate) enum Pushed {
    /// It was the next one. More may follow by [`Reorder::pop`].
    Next(Released),
    /// It waits for others, or others waited for it: ask [`Reorder::pop`].
    Held,
    /// It had come before.
    Duplicate,
    /// Its place was given up before.
    Late,
}

#[derive(Debug, Clone)]
enum Slot {
    /// Not here, and noticed at this time: a hole waits from then on, whatever comes before it.
    Missing(Instant),
    Here(Instant, RtpPacket),
}

/// Puts packets in order. In-order packets pass straight through; past a hole they are held until it is filled,
/// its time is up, or [`MAX_WINDOW`] is reached, when the oldest hole is given up.
#[derive(Debug, Clone)]
pub(crate) struct Reorder {
    max_wait: Duration,
    unwrapper: SeqUnwrapper,
    /// The next packet to release, which `window` begins with.
    next: Option<SeqNo>,
    window: VecDeque<Slot>,
    /// Packets from before a restart of the numbers, still to be released.
    before_restart: VecDeque<Released>,
    /// A packet with a number that does not follow: a restart if its successor comes next.
    odd: Option<(Instant, RtpPacket)>,
    history: History,
    gap: bool,
    held_bytes: usize,
    lost: u64,
}

impl Reorder {
    pub(crate) fn new(max_wait: Duration) -> Self {
        Self {
            max_wait,
            unwrapper: SeqUnwrapper::default(),
            next: None,
            window: VecDeque::new(),
            before_restart: VecDeque::new(),
            odd: None,
            history: History::default(),
            gap: false,
            held_bytes: 0,
            lost: 0,
        }
    }

    /// Takes a packet in. `arrival` must not run backwards.
    pub(crate) fn push(&mut self, arrival: Instant, packet: RtpPacket) -> Pushed {
        let seq = match self.place(&packet) {
            Ok(seq) => seq,
            Err(Misfit::Restart) => return self.restart(arrival, packet),
            Err(Misfit::Odd) => {
                self.odd = Some((arrival, packet));
                return Pushed::Held;
            }
        };
        let next = *self.next.get_or_insert(seq);
        if seq == next && self.window.is_empty() && self.before_restart.is_empty() {
            self.next = Some(SeqNo(seq.0 + 1));
            self.history.received(seq);
            return Pushed::Next(Released { packet, arrival, after_gap: std::mem::take(&mut self.gap) });
        }
        if seq < next {
            return self.behind(seq);
        }
        self.hold(arrival, seq.0 - next.0, packet)
    }

    /// The next packet whose turn has come.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Released> {
        if let Some(released) = self.before_restart.pop_front() {
            self.held_bytes = self.held_bytes.saturating_sub(released.packet.payload.len() + SLOT_BYTES);
            return Some(released);
        }
        while let Some(Slot::Missing(since)) = self.window.front() {
            if now.saturating_duration_since(*since) < self.max_wait {
                return None;
            }
            self.give_up_one();
        }
        self.take_front()
    }

    /// As [`pop`](Self::pop), waiting for nothing: the end of the stream, or too much is held.
    pub(crate) fn pop_anyway(&mut self) -> Option<Released> {
        if let Some(released) = self.before_restart.pop_front() {
            self.held_bytes = self.held_bytes.saturating_sub(released.packet.payload.len() + SLOT_BYTES);
            return Some(released);
        }
        while let Some(Slot::Missing(_)) = self.window.front() {
            self.give_up_one();
        }
        self.take_front()
    }

    /// The hole at the front is no longer waited for, as its content came another way.
    pub(crate) fn skip_hole(&mut self) {
        while let Some(Slot::Missing(_)) = self.window.front() {
            self.give_up_one();
        }
    }

    /// The packet behind the hole at the front, and how many packets the hole is wide. None for holes wider than a
    /// packet's redundancy can fill.
    pub(crate) fn after_hole(&self) -> Option<(&RtpPacket, usize)> {
        let width = self.window.iter().take(8).take_while(|slot| matches!(slot, Slot::Missing(_))).count();
        match self.window.get(width) {
            Some(Slot::Here(_, packet)) if width > 0 => Some((packet, width)),
            _ => None,
        }
    }

    /// A packet that was given up turned out to be in another.
    pub(crate) fn recovered(&mut self) {
        self.lost = self.lost.saturating_sub(1);
    }

    /// When the hole at the front is given up.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.window.front()? {
            Slot::Missing(since) => Some(*since + self.max_wait),
            Slot::Here(arrival, _) => Some(*arrival),
        }
    }

    /// Bytes of packets that wait.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Packets given up that have not come since.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    fn place(&mut self, packet: &RtpPacket) -> Result<SeqNo, Misfit> {
        let Some(next) = self.next else { return Ok(self.unwrapper.unwrap(packet.sequence_number)) };
        let newest = next.0 + self.window.len() as u64;
        let number = packet.sequence_number;
        #[expect(clippy::cast_possible_truncation, reason = "the low 16 bits are what is compared")]
        let step = i64::from(number.wrapping_sub(newest as u16).cast_signed());
        let forward = i64::try_from(MAX_DROPOUT).unwrap_or(i64::MAX);
        let backward = forward.saturating_add_unsigned(self.window.len() as u64);
        if (-backward..=forward).contains(&step) {
            return Ok(self.unwrapper.unwrap(number));
        }
        match &self.odd {
            Some((_, odd)) if odd.sequence_number.wrapping_add(1) == number => Err(Misfit::Restart),
            _ => Err(Misfit::Odd),
        }
    }

    /// The source numbers its packets from another place: what is held goes out, and the count starts there.
    fn restart(&mut self, arrival: Instant, packet: RtpPacket) -> Pushed {
        let Some((odd_arrival, odd)) = self.odd.take() else { return Pushed::Late };
        if let Some(next) = self.next {
            #[expect(clippy::cast_possible_truncation, reason = "the low 16 bits are what is compared")]
            let step =
                odd.sequence_number.wrapping_sub((next.0 + self.window.len() as u64) as u16).cast_signed();
            self.lost += u64::try_from(step).unwrap_or(0);
        }
        while !self.window.is_empty() {
            while let Some(Slot::Missing(_)) = self.window.front() {
                self.give_up_one();
            }
            let Some(released) = self.take_front() else { break };
            self.held_bytes += released.packet.payload.len() + SLOT_BYTES;
            self.before_restart.push_back(released);
        }
        let first = self.unwrapper.restart(odd.sequence_number);
        self.unwrapper.unwrap(packet.sequence_number);
        self.next = Some(first);
        self.gap = true;
        for (arrival, packet) in [(odd_arrival, odd), (arrival, packet)] {
            self.held_bytes += packet.payload.len() + SLOT_BYTES;
            self.window.push_back(Slot::Here(arrival, packet));
        }
        Pushed::Held
    }

    fn behind(&mut self, seq: SeqNo) -> Pushed {
        if self.history.was_received(seq, self.next.unwrap_or(seq)) {
            return Pushed::Duplicate;
        }
        self.history.received(seq);
        self.lost = self.lost.saturating_sub(1);
        Pushed::Late
    }

    fn hold(&mut self, arrival: Instant, ahead: u64, packet: RtpPacket) -> Pushed {
        let Ok(index) = usize::try_from(ahead) else { return Pushed::Late };
        while self.window.len() < index {
            self.window.push_back(Slot::Missing(arrival));
        }
        let bytes = packet.payload.len() + SLOT_BYTES;
        match self.window.get_mut(index) {
            Some(Slot::Here(..)) => return Pushed::Duplicate,
            Some(slot) => *slot = Slot::Here(arrival, packet),
            None => self.window.push_back(Slot::Here(arrival, packet)),
        }
        self.held_bytes += bytes;
        if self.window.len() as u64 > MAX_WINDOW {
            self.skip_hole();
        }
        Pushed::Held
    }

    fn give_up_one(&mut self) {
        if let Some(next) = &mut self.next {
            self.history.missed(*next);
            next.0 += 1;
        }
        self.window.pop_front();
        self.lost += 1;
        self.gap = true;
    }

    fn take_front(&mut self) -> Option<Released> {
        let (Slot::Here(arrival, packet), Some(next)) = (self.window.pop_front()?, &mut self.next) else {
            return None;
        };
        self.history.received(*next);
        next.0 += 1;
        self.held_bytes = self.held_bytes.saturating_sub(packet.payload.len() + SLOT_BYTES);
        if self.window.is_empty() && self.window.capacity() > 256 {
            self.window = VecDeque::new();
        }
        Some(Released { packet, arrival, after_gap: std::mem::take(&mut self.gap) })
    }
}

enum Misfit {
    Odd,
    Restart,
}

/// Which of the last [`HISTORY`] packets came.
#[derive(Debug, Clone)]
struct History([u64; (HISTORY / 64) as usize]);

impl Default for History {
    fn default() -> Self {
        Self([0; (HISTORY / 64) as usize])
    }
}

impl History {
    fn word(&mut self, seq: SeqNo) -> (&mut u64, u64) {
        let place = seq.0 % HISTORY;
        (&mut self.0[(place / 64) as usize], 1 << (place % 64))
    }

    fn received(&mut self, seq: SeqNo) {
        let (word, bit) = self.word(seq);
        *word |= bit;
    }

    fn missed(&mut self, seq: SeqNo) {
        let (word, bit) = self.word(seq);
        *word &= !bit;
    }

    fn was_received(&mut self, seq: SeqNo, next: SeqNo) -> bool {
        if next.0 - seq.0 > HISTORY {
            return true;
        }
        let (word, bit) = self.word(seq);
        *word & bit != 0
    }
}

#[cfg(test)]
mod tests;
