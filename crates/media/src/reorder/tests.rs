use bytes::Bytes;

use super::*;

/// Drives a [`Reorder`] with rows of (ms, sequence number) and notes what comes out: `n` in order, `!n` after a
/// gap.
struct Bench {
    reorder: Reorder,
    start: Instant,
    out: Vec<String>,
}

impl Bench {
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
            ssrc: 1,
            payload_type: 96,
            sequence_number,
            timestamp: 0,
            marker: false,
            rotation: None,
            payload: Bytes::from_static(b"x"),
        };
        let name = match self.reorder.push(now, packet) {
            Pushed::Next(released) => {
                self.note(&released);
                "next"
            }
            Pushed::Held => "held",
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

    fn taken(&mut self) -> String {
        std::mem::take(&mut self.out).join(" ")
    }
}

#[test]
fn packets_that_swapped_come_out_in_order() {
    let mut bench = Bench::new();
    for number in [65_534, 0, 65_535, 2, 3, 1, 4] {
        bench.push(0, number);
    }
    assert_eq!(bench.taken(), "65534 65535 0 1 2 3 4");
    assert_eq!((bench.reorder.lost(), bench.reorder.held_bytes()), (0, 0));
}

#[test]
fn hole_is_given_up_after_max_wait_from_when_it_was_seen() {
    let mut bench = Bench::new();
    bench.push(0, 1);
    // 2 is missed at 500, 4 at 900.
    bench.push(500, 3);
    bench.push(900, 5);
    assert_eq!(bench.reorder.deadline(), Some(bench.at(1_500)));
    bench.pop(1_499);
    assert_eq!(bench.taken(), "1");
    bench.pop(1_500);
    assert_eq!(bench.taken(), "!3");
    assert_eq!(bench.reorder.deadline(), Some(bench.at(1_900)));
    bench.pop(1_900);
    assert_eq!(bench.taken(), "!5");
    assert_eq!((bench.reorder.lost(), bench.reorder.deadline()), (2, None));
}

#[test]
fn duplicates_and_late_packets_are_told_apart() {
    let mut bench = Bench::new();
    bench.push(0, 1);
    bench.push(0, 3);
    assert_eq!(bench.push(0, 3), "duplicate");
    assert_eq!(bench.push(0, 1), "duplicate");
    bench.pop(1_000);
    assert_eq!(bench.reorder.lost(), 1);
    assert_eq!(bench.push(1_001, 2), "late");
    assert_eq!(bench.reorder.lost(), 0);
    assert_eq!(bench.push(1_002, 2), "duplicate");
    assert_eq!(bench.taken(), "1 !3");
}

#[test]
fn one_odd_number_is_ignored_two_in_a_row_are_a_restart() {
    let mut bench = Bench::new();
    bench.push(0, 1);
    bench.push(0, 40_000);
    bench.push(0, 2);
    bench.push(0, 4);
    assert_eq!(bench.taken(), "1 2");
    bench.push(0, 30_000);
    bench.push(0, 30_001);
    bench.push(0, 30_002);
    assert_eq!(bench.taken(), "!4 !30000 30001 30002");
}

#[test]
fn a_window_that_is_full_gives_its_oldest_hole_up() {
    let mut bench = Bench::new();
    bench.push(0, 0);
    for step in 0..MAX_WINDOW + 10 {
        bench.push(0, (step + 2) as u16);
    }
    assert_eq!(bench.reorder.lost(), 1);
    assert_eq!(bench.out.len() as u64, MAX_WINDOW + 11);
    assert_eq!(bench.out[1], "!2");
}
