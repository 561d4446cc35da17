//! Brings the packets of one source into the order of their sequence numbers.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use rtp::SeqNo;

use crate::{RtpPacket, time::SeqUnwrapper};

/// A larger step forward is accepted only when the next packet continues from it (RFC 3550 §A.1 `MAX_DROPOUT`).
const MAX_DROPOUT: u64 = 3_000;
/// The most packets that the window spans, received or missing. At 200 Mbit/s and 1,200 bytes a packet that is 0.8 s.
const MAX_WINDOW: u64 = 1 << 14;
/// Among this many packets back, a late packet is distinguished from a duplicate.
const HISTORY: u64 = 1_024;
/// Memory of a held packet beside its payload.
const SLOT_BYTES: usize = size_of::<Slot>();

/// The next packet in order.
#[derive(Debug, Clone)]
pub(crate) struct Released {
    pub packet: RtpPacket,
    /// When the packet itself arrived, which is before its release if it was held.
    pub arrival: Instant,
    /// A hole just before it was given up.
    pub after_gap: bool,
}

/// Packets missing in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hole {
    /// The first missing sequence number.
    pub first: u16,
    pub count: u64,
    /// When a later packet showed the hole.
    pub since: Instant,
}

/// What [`Reorder::push`] did with a packet.
#[derive(Debug, Clone)]
pub(crate) enum Pushed {
    /// It was the next one. More may follow by [`Reorder::pop`].
    Next(Released),
    /// It is held. Call [`Reorder::pop`].
    Held,
    /// It is held, as packets before it are missing that were not missed before.
    OpensHole(Hole),
    /// It was missing since this time, and is in its position now. Call [`Reorder::pop`].
    FillsHole(Instant),
    /// Its number is far from the others. It is held only until the next packet decides if the numbers restarted.
    OutOfSequence,
    /// It and the packet before it begin a new sequence. Call [`Reorder::pop`].
    Restarted,
    /// It had arrived before. It is dropped.
    Duplicate,
    /// Its hole was given up before. It is dropped.
    Late,
}

#[derive(Debug, Clone)]
enum Slot {
    /// Not received, and known to be missing since this time. Each hole waits from its own time on.
    Missing(Instant),
    /// Received at this time.
    Received(Instant, RtpPacket),
}

/// Packets that arrive in order pass straight through. Those behind a hole are held until the hole is filled, has waited
/// for the configured time, or the window reaches [`MAX_WINDOW`]. Then the oldest hole is given up.
#[derive(Debug, Clone)]
pub(crate) struct Reorder {
    max_wait: Duration,
    unwrapper: SeqUnwrapper,
    /// The next packet to release, which is the first of `window`.
    next: Option<SeqNo>,
    window: VecDeque<Slot>,
    /// Packets from before a restart of the numbers, still to be released.
    before_restart: VecDeque<Released>,
    /// A packet with a number far from the others: a restart if the next packet continues from it.
    suspect: Option<(Instant, RtpPacket)>,
    history: History,
    gap: bool,
    /// The hole that was given up last, until [`take_given_up`](Self::take_given_up).
    given_up: Option<Hole>,
    held_bytes: usize,
    lost: u64,
    out_of_sequence: u64,
}

impl Reorder {
    pub(crate) fn new(max_wait: Duration) -> Self {
        Self {
            max_wait,
            unwrapper: SeqUnwrapper::default(),
            next: None,
            window: VecDeque::new(),
            before_restart: VecDeque::new(),
            suspect: None,
            history: History::default(),
            gap: false,
            given_up: None,
            held_bytes: 0,
            lost: 0,
            out_of_sequence: 0,
        }
    }

    /// Adds a packet. `arrival` must not run backwards.
    pub(crate) fn push(&mut self, arrival: Instant, packet: RtpPacket) -> Pushed {
        let seq = match self.position(&packet) {
            Ok(seq) => seq,
            Err(Discontinuity::Restart) => return self.restart(arrival, packet),
            Err(Discontinuity::Suspect) => {
                self.suspect = Some((arrival, packet));
                self.out_of_sequence += 1;
                return Pushed::OutOfSequence;
            }
        };
        let next = *self.next.get_or_insert(seq);
        if seq == next && self.window.is_empty() && self.before_restart.is_empty() {
            self.next = Some(SeqNo(seq.0 + 1));
            self.history.set_received(seq);
            return Pushed::Next(Released { packet, arrival, after_gap: std::mem::take(&mut self.gap) });
        }
        if seq < next {
            return self.behind(seq);
        }
        self.hold(arrival, seq.0 - next.0, packet)
    }

    /// The next packet, if no hole before it still waits.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Released> {
        if let Some(released) = self.pop_before_restart() {
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

    /// The next packet. Holes before it are given up: at the end of the stream, or if too many bytes are held.
    pub(crate) fn pop_now(&mut self) -> Option<Released> {
        if let Some(released) = self.pop_before_restart() {
            return Some(released);
        }
        self.give_up_hole();
        self.take_front()
    }

    /// Gives up the hole at the front.
    pub(crate) fn give_up_hole(&mut self) {
        while let Some(Slot::Missing(_)) = self.window.front() {
            self.give_up_one();
        }
    }

    /// The packet behind the hole at the front, and the hole's width in packets. None for holes wider than the redundancy
    /// of a packet can fill.
    pub(crate) fn after_hole(&self) -> Option<(&RtpPacket, usize)> {
        let width = self.window.iter().take(8).take_while(|slot| matches!(slot, Slot::Missing(_))).count();
        match self.window.get(width) {
            Some(Slot::Received(_, packet)) if width > 0 => Some((packet, width)),
            _ => None,
        }
    }

    /// Corrects the count of lost packets: the content of one was in a later packet.
    pub(crate) fn count_recovered(&mut self) {
        self.lost = self.lost.saturating_sub(1);
    }

    /// When [`pop`](Self::pop) will return a packet or give up the hole at the front.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.window.front()? {
            Slot::Missing(since) => Some(*since + self.max_wait),
            Slot::Received(arrival, _) => Some(*arrival),
        }
    }

    /// Memory of the packets that are held.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Packets that were given up and have not arrived since.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// Packets dropped as their numbers were far from the others and no packet continued from them. A packet that is
    /// not decided yet is among them.
    pub(crate) fn out_of_sequence(&self) -> u64 {
        self.out_of_sequence
    }

    /// The hole before the newest released packet with `after_gap`, once. None after a restart without loss.
    pub(crate) fn take_given_up(&mut self) -> Option<Hole> {
        self.given_up.take()
    }

    fn position(&mut self, packet: &RtpPacket) -> Result<SeqNo, Discontinuity> {
        let Some(next) = self.next else { return Ok(self.unwrapper.unwrap(packet.sequence_number)) };
        let newest = next.0 + self.window.len() as u64;
        let number = packet.sequence_number;
        #[expect(clippy::cast_possible_truncation, reason = "the low 16 bits are compared")]
        let step = i64::from(number.wrapping_sub(newest as u16).cast_signed());
        let forward = i64::try_from(MAX_DROPOUT).unwrap_or(i64::MAX);
        let backward = forward.saturating_add_unsigned(self.window.len() as u64);
        if (-backward..=forward).contains(&step) {
            return Ok(self.unwrapper.unwrap(number));
        }
        match &self.suspect {
            Some((_, suspect)) if suspect.sequence_number.wrapping_add(1) == number => {
                Err(Discontinuity::Restart)
            }
            _ => Err(Discontinuity::Suspect),
        }
    }

    /// The source restarted its sequence numbers: all held packets are released, and the count starts at the suspect.
    fn restart(&mut self, arrival: Instant, packet: RtpPacket) -> Pushed {
        let Some((suspect_arrival, suspect)) = self.suspect.take() else {
            debug_assert!(false, "a restart is found by comparing with the suspect");
            return Pushed::Late;
        };
        self.out_of_sequence = self.out_of_sequence.saturating_sub(1);
        if let Some(next) = self.next {
            let expected = next.0 + self.window.len() as u64;
            #[expect(clippy::cast_possible_truncation, reason = "the low 16 bits are compared")]
            let step = suspect.sequence_number.wrapping_sub(expected as u16).cast_signed();
            self.lost += u64::try_from(step).unwrap_or(0);
        }
        while !self.window.is_empty() {
            self.give_up_hole();
            let Some(released) = self.take_front() else { break };
            self.held_bytes += released.packet.payload.len() + SLOT_BYTES;
            self.before_restart.push_back(released);
        }
        let first = self.unwrapper.restart(suspect.sequence_number);
        self.unwrapper.unwrap(packet.sequence_number);
        self.next = Some(first);
        self.gap = true;
        for (arrival, packet) in [(suspect_arrival, suspect), (arrival, packet)] {
            self.held_bytes += packet.payload.len() + SLOT_BYTES;
            self.window.push_back(Slot::Received(arrival, packet));
        }
        Pushed::Restarted
    }

    fn behind(&mut self, seq: SeqNo) -> Pushed {
        if self.history.was_received(seq, self.next.unwrap_or(seq)) {
            return Pushed::Duplicate;
        }
        self.history.set_received(seq);
        self.lost = self.lost.saturating_sub(1);
        Pushed::Late
    }

    fn hold(&mut self, arrival: Instant, ahead: u64, packet: RtpPacket) -> Pushed {
        let Ok(index) = usize::try_from(ahead) else {
            debug_assert!(false, "a step is at most MAX_DROPOUT past the window");
            return Pushed::Late;
        };
        let newly_missing = index.saturating_sub(self.window.len());
        let hole = (newly_missing > 0).then(|| Hole {
            first: packet.sequence_number.wrapping_sub(u16::try_from(newly_missing).unwrap_or(u16::MAX)),
            count: newly_missing as u64,
            since: arrival,
        });
        while self.window.len() < index {
            self.window.push_back(Slot::Missing(arrival));
        }
        let bytes = packet.payload.len() + SLOT_BYTES;
        let mut filled = None;
        match self.window.get_mut(index) {
            Some(Slot::Received(..)) => return Pushed::Duplicate,
            Some(slot) => {
                if let Slot::Missing(since) = slot {
                    filled = Some(*since);
                }
                *slot = Slot::Received(arrival, packet);
            }
            None => self.window.push_back(Slot::Received(arrival, packet)),
        }
        self.held_bytes += bytes;
        if self.window.len() as u64 > MAX_WINDOW {
            self.give_up_hole();
        }
        match (hole, filled) {
            (Some(hole), _) => Pushed::OpensHole(hole),
            (None, Some(since)) => Pushed::FillsHole(since),
            (None, None) => Pushed::Held,
        }
    }

    fn give_up_one(&mut self) {
        let Some(Slot::Missing(since)) = self.window.pop_front() else {
            debug_assert!(false, "the front of the window is missing");
            return;
        };
        if let Some(next) = &mut self.next {
            self.history.set_missed(*next);
            #[expect(clippy::cast_possible_truncation, reason = "the sequence number on the wire")]
            let first = next.0 as u16;
            self.given_up.get_or_insert(Hole { first, count: 0, since }).count += 1;
            next.0 += 1;
        }
        self.lost += 1;
        self.gap = true;
    }

    /// The packet at the front of the window. None if the window is empty.
    fn take_front(&mut self) -> Option<Released> {
        let (Slot::Received(arrival, packet), Some(next)) = (self.window.pop_front()?, &mut self.next) else {
            debug_assert!(false, "holes at the front were given up, and a window has a first number");
            return None;
        };
        self.history.set_received(*next);
        next.0 += 1;
        self.held_bytes = self.held_bytes.saturating_sub(packet.payload.len() + SLOT_BYTES);
        if self.window.is_empty() && self.window.capacity() > 256 {
            self.window = VecDeque::new();
        }
        Some(Released { packet, arrival, after_gap: std::mem::take(&mut self.gap) })
    }

    fn pop_before_restart(&mut self) -> Option<Released> {
        let released = self.before_restart.pop_front()?;
        self.held_bytes = self.held_bytes.saturating_sub(released.packet.payload.len() + SLOT_BYTES);
        Some(released)
    }
}

/// Why a packet has no position in the sequence.
enum Discontinuity {
    Suspect,
    Restart,
}

/// Which of the last [`HISTORY`] packets were received.
#[derive(Debug, Clone)]
struct History([u64; (HISTORY / 64) as usize]);

impl Default for History {
    fn default() -> Self {
        Self([0; (HISTORY / 64) as usize])
    }
}

impl History {
    fn word(&mut self, seq: SeqNo) -> (&mut u64, u64) {
        let index = seq.0 % HISTORY;
        (&mut self.0[(index / 64) as usize], 1 << (index % 64))
    }

    fn set_received(&mut self, seq: SeqNo) {
        let (word, bit) = self.word(seq);
        *word |= bit;
    }

    fn set_missed(&mut self, seq: SeqNo) {
        let (word, bit) = self.word(seq);
        *word &= !bit;
    }

    /// Packets further back than the history count as received.
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
