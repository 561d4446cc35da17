use bytes::Bytes;
use rtp::{PayloadType, RtpTimestamp, Ssrc};

use super::*;

/// Pushes packets at given milliseconds, and lists the released sequence numbers: `n` in order, `!n` after a gap.
struct Fixture {
    reorder: Reorder,
    start: Instant,
    out: Vec<String>,
}

impl Fixture {
    fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "an instant can't be made otherwise")]
        let start = Instant::now();
        Self { reorder: Reorder::new(Duration::from_millis(1_000)), start, out: Vec::new() }
    }

    fn at(&self, milliseconds: u64) -> Instant {
        self.start + Duration::from_millis(milliseconds)
    }

    fn note(&mut self, released: &Released) {
        let mark = if released.after_gap { "!" } else { "" };
        self.out.push(format!("{mark}{}", released.packet.sequence_number));
    }

    fn push(&mut self, milliseconds: u64, sequence_number: u16) -> &'static str {
        let now = self.at(milliseconds);
        let packet = RtpPacket {
            ssrc: Ssrc(1),
            payload_type: PayloadType(96),
            sequence_number,
            timestamp: RtpTimestamp(0),
            marker: false,
            rotation: None,
            resent: false,
            payload: Bytes::from_static(b"x"),
        };
        let name = match self.reorder.push(now, packet) {
            Pushed::Next(released) => {
                self.note(&released);
                "next"
            }
            Pushed::Held => "held",
            Pushed::OpensHole(_) => "opens a hole",
            Pushed::FillsHole(_) => "fills a hole",
            Pushed::OutOfSequence => "out of sequence",
            Pushed::Restarted => "restarted",
            Pushed::Duplicate => "duplicate",
            Pushed::Late => "late",
        };
        self.pop(milliseconds);
        name
    }

    fn pop(&mut self, milliseconds: u64) {
        while let Some(released) = self.reorder.pop(self.at(milliseconds)) {
            self.note(&released);
        }
    }

    fn released(&mut self) -> String {
        std::mem::take(&mut self.out).join(" ")
    }
}

#[test]
fn swapped_packets_are_released_in_order() {
    let mut fixture = Fixture::new();
    for number in [65_534, 0, 65_535, 2, 3, 1, 4] {
        fixture.push(0, number);
    }
    assert_eq!(fixture.released(), "65534 65535 0 1 2 3 4");
    assert_eq!((fixture.reorder.lost(), fixture.reorder.held_bytes()), (0, 0));
}

#[test]
fn a_hole_is_given_up_max_wait_after_it_was_first_seen() {
    let mut fixture = Fixture::new();
    fixture.push(0, 1);
    // 2 is missing since 500, 4 since 900.
    fixture.push(500, 3);
    fixture.push(900, 5);
    assert_eq!(fixture.reorder.deadline(), Some(fixture.at(1_500)));
    fixture.pop(1_499);
    assert_eq!(fixture.released(), "1");
    fixture.pop(1_500);
    assert_eq!(fixture.released(), "!3");
    assert_eq!(fixture.reorder.deadline(), Some(fixture.at(1_900)));
    fixture.pop(1_900);
    assert_eq!(fixture.released(), "!5");
    assert_eq!((fixture.reorder.lost(), fixture.reorder.deadline()), (2, None));
}

#[test]
fn a_hole_is_reported_when_it_opens_when_it_is_filled_and_when_it_is_given_up() {
    let mut fixture = Fixture::new();
    fixture.push(0, 65_534);
    assert_eq!(fixture.push(500, 1), "opens a hole");
    assert_eq!(fixture.push(600, 0), "fills a hole");
    assert_eq!(fixture.push(600, 3), "opens a hole");
    fixture.pop(1_500);
    let hole = Hole { first: 65_535, count: 1, since: fixture.at(500) };
    assert_eq!(fixture.reorder.take_given_up(), Some(hole));
    assert_eq!(fixture.reorder.take_given_up(), None);
    fixture.pop(1_600);
    assert_eq!(fixture.reorder.take_given_up().unwrap().first, 2);
    assert_eq!(fixture.released(), "65534 !0 1 !3");
}

#[test]
fn duplicates_are_distinguished_from_late_packets() {
    let mut fixture = Fixture::new();
    fixture.push(0, 1);
    fixture.push(0, 3);
    assert_eq!(fixture.push(0, 3), "duplicate");
    assert_eq!(fixture.push(0, 1), "duplicate");
    fixture.pop(1_000);
    assert_eq!(fixture.reorder.lost(), 1);
    assert_eq!(fixture.push(1_001, 2), "late");
    assert_eq!(fixture.reorder.lost(), 0);
    assert_eq!(fixture.push(1_002, 2), "duplicate");
    assert_eq!(fixture.released(), "1 !3");
}

#[test]
fn one_number_out_of_sequence_is_ignored_and_two_in_a_row_are_a_restart() {
    let mut fixture = Fixture::new();
    fixture.push(0, 1);
    fixture.push(0, 40_000);
    fixture.push(0, 2);
    fixture.push(0, 4);
    assert_eq!(fixture.released(), "1 2");
    assert_eq!(fixture.reorder.out_of_sequence(), 1);
    assert_eq!(fixture.push(0, 30_000), "out of sequence");
    assert_eq!(fixture.push(0, 30_001), "restarted");
    assert_eq!(fixture.reorder.out_of_sequence(), 1);
    fixture.push(0, 30_002);
    assert_eq!(fixture.released(), "!4 !30000 30001 30002");
}

#[test]
fn a_full_window_gives_up_its_oldest_hole() {
    let mut fixture = Fixture::new();
    fixture.push(0, 0);
    for step in 0..MAX_WINDOW + 10 {
        fixture.push(0, (step + 2) as u16);
    }
    assert_eq!(fixture.reorder.lost(), 1);
    assert_eq!(fixture.out.len() as u64, MAX_WINDOW + 11);
    assert_eq!(fixture.out[1], "!2");
}
