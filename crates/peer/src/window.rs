//! The sequence numbers that a source has sent: extended, and each accepted once.

use rtp::SeqNo;

/// How far back late packets can be distinguished from duplicates: over two seconds at 30 Mbit/s.
const SIZE: u64 = 8192;
const WORDS: usize = (SIZE / 64) as usize;

/// How a packet relates to those received before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It is the newest. This many between it and the newest before have not been received.
    Newest { skipped: u64 },
    /// It is older than the newest, and was not received before.
    Late,
    /// It was received before, or is too old to tell.
    Duplicate,
}

/// The newest [`SIZE`] sequence numbers of a source: which of them have been received.
pub(crate) struct Window {
    highest: SeqNo,
    /// Bit n: the sequence number with remainder n was received.
    seen: Box<[u64; WORDS]>,
}

impl std::fmt::Debug for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Window").field("highest", &self.highest).finish_non_exhaustive()
    }
}

impl Window {
    /// An empty window that ends just before a source's first packet.
    pub(crate) fn new(first: u16) -> Self {
        Self { highest: SeqNo(SeqNo::first(first).0 - 1), seen: Box::new([0; WORDS]) }
    }

    /// The extended sequence number that is closest to the newest.
    pub(crate) fn unwrap(&self, sequence_number: u16) -> SeqNo {
        self.highest.nearest(sequence_number)
    }

    pub(crate) fn highest(&self) -> SeqNo {
        self.highest
    }

    /// Notes a received packet.
    pub(crate) fn note(&mut self, sequence: SeqNo) -> Arrival {
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
            return Arrival::Newest { skipped: ahead - 1 };
        }
        if self.highest.0 - sequence.0 >= SIZE || self.is_set(sequence) {
            return Arrival::Duplicate;
        }
        self.set(sequence);
        Arrival::Late
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
    fn a_packet_is_accepted_once_in_any_order_across_the_wrap() {
        let mut window = Window::new(65534);
        let table = [
            (65534, Arrival::Newest { skipped: 0 }),
            (65535, Arrival::Newest { skipped: 0 }),
            (2, Arrival::Newest { skipped: 2 }),
            (1, Arrival::Late),
            (1, Arrival::Duplicate),
            (65535, Arrival::Duplicate),
            (0, Arrival::Late),
            (2, Arrival::Duplicate),
            // Before the first.
            (65533, Arrival::Late),
            (65533, Arrival::Duplicate),
        ];
        for (number, (sequence_number, arrival)) in table.into_iter().enumerate() {
            let sequence = window.unwrap(sequence_number);
            assert_eq!(window.note(sequence), arrival, "packet {number}");
        }
    }

    #[test]
    fn a_packet_older_than_the_window_counts_as_a_duplicate() {
        let mut window = Window::new(0);
        let first = window.unwrap(0);
        window.note(first);
        assert_eq!(window.note(SeqNo(first.0 + SIZE + 5)), Arrival::Newest { skipped: SIZE + 4 });
        assert_eq!(window.note(SeqNo(first.0 + 5)), Arrival::Duplicate);
        assert_eq!(window.note(SeqNo(first.0 + 6)), Arrival::Late);
    }

    #[test]
    fn a_sequence_number_is_new_again_after_a_whole_window() {
        let mut window = Window::new(0);
        for sequence in 0x1_0000..0x1_0000 + 3 * SIZE {
            assert_eq!(window.note(SeqNo(sequence)), Arrival::Newest { skipped: 0 });
            assert_eq!(window.note(SeqNo(sequence)), Arrival::Duplicate);
        }
    }
}
