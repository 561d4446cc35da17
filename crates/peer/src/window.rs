//! Sequence numbers: unwrapped, and each let through once.

use rtp::SeqNo;

/// Packets that can come late and still be told from duplicates: over two seconds at 30 Mbit/s.
const SIZE: u64 = 8192;
const WORDS: usize = (SIZE / 64) as usize;

/// What a packet is to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The newest; between it and the newest before are so many that haven't come.
    Newest { skipped: u64 },
    /// Older than the newest, but not seen before.
    Late,
    /// Seen before, or too old to say.
    Duplicate,
}

/// The newest [`SIZE`] sequence numbers of a source, each with whether it has come.
pub(crate) struct Window {
    highest: SeqNo,
    /// Whether a sequence number came, by its remainder.
    seen: Box<[u64; WORDS]>,
}

impl std::fmt::Debug for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Window").field("highest", &self.highest).finish_non_exhaustive()
    }
}

impl Window {
    /// Begins just before a source's first packet.
    pub(crate) fn new(first: u16) -> Self {
        Self { highest: SeqNo(SeqNo::first(first).0 - 1), seen: Box::new([0; WORDS]) }
    }

    /// The unwrapped sequence number that is closest to the newest.
    pub(crate) fn unwrap(&self, sequence_number: u16) -> SeqNo {
        self.highest.nearest(sequence_number)
    }

    pub(crate) fn highest(&self) -> SeqNo {
        self.highest
    }

    /// Notes an unwrapped sequence number.
    pub(crate) fn note(&mut self, sequence: SeqNo) -> Place {
        if let Some(ahead) = sequence.0.checked_sub(self.highest.0).filter(|ahead| *ahead > 0) {
            if ahead >= SIZE {
                self.seen.fill(0);
            } else {
                for skipped in self.highest.0 + 1..sequence.0 {
                    self.clear(SeqNo(skipped));
                }
            }
            self.highest = sequence;
            self.set(sequence);
            return Place::Newest { skipped: ahead - 1 };
        }
        if self.highest.0 - sequence.0 >= SIZE || self.is_set(sequence) {
            return Place::Duplicate;
        }
        self.set(sequence);
        Place::Late
    }

    fn bit(SeqNo(sequence): SeqNo) -> (usize, u64) {
        ((sequence % SIZE / 64) as usize, 1 << (sequence % 64))
    }

    fn is_set(&self, sequence: SeqNo) -> bool {
        let (word, bit) = Self::bit(sequence);
        self.seen[word] & bit != 0
    }

    fn set(&mut self, sequence: SeqNo) {
        let (word, bit) = Self::bit(sequence);
        self.seen[word] |= bit;
    }

    fn clear(&mut self, sequence: SeqNo) {
        let (word, bit) = Self::bit(sequence);
        self.seen[word] &= !bit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_pass_once_in_any_order_across_the_wrap() {
        let mut window = Window::new(65534);
        let table = [
            (65534, Place::Newest { skipped: 0 }),
            (65535, Place::Newest { skipped: 0 }),
            (2, Place::Newest { skipped: 2 }),
            (1, Place::Late),
            (1, Place::Duplicate),
            (65535, Place::Duplicate),
            (0, Place::Late),
            (2, Place::Duplicate),
            // Before the first.
            (65533, Place::Late),
            (65533, Place::Duplicate),
        ];
        for (number, (sequence_number, place)) in table.into_iter().enumerate() {
            let sequence = window.unwrap(sequence_number);
            assert_eq!(window.note(sequence), place, "packet {number}");
        }
    }

    #[test]
    fn what_has_left_the_window_counts_as_a_duplicate() {
        let mut window = Window::new(0);
        let first = window.unwrap(0);
        window.note(first);
        assert_eq!(window.note(SeqNo(first.0 + SIZE + 5)), Place::Newest { skipped: SIZE + 4 });
        assert_eq!(window.note(SeqNo(first.0 + 5)), Place::Duplicate);
        assert_eq!(window.note(SeqNo(first.0 + 6)), Place::Late);
    }

    #[test]
    fn a_sequence_number_is_new_again_when_the_window_has_come_round() {
        let mut window = Window::new(0);
        for sequence in 0x1_0000..0x1_0000 + 3 * SIZE {
            assert_eq!(window.note(SeqNo(sequence)), Place::Newest { skipped: 0 });
            assert_eq!(window.note(SeqNo(sequence)), Place::Duplicate);
        }
    }
}
