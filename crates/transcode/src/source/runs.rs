//! Finds when a track has media, although some packets may have damaged timestamps.

use crate::time::Time;

/// A longer gap between packets begins a new run.
pub(super) const RUN_GAP: Time = Time::from_millis(2_500);
/// A jump ahead that continues for this long is a gap. A damaged timestamp of a cluster (RFC 9559 §5.1.3.1) affects less:
/// the recorder's clusters are shorter.
pub(super) const PATIENCE: Time = Time::from_millis(6_000);
/// A jump of this length at the end of the file, with little media behind it, must be confirmed.
pub(super) const UNCONFIRMED_JUMP: Time = Time::from_millis(60_000);
/// The most runs of a track. Later ones become part of the last.
pub(super) const MAX_RUNS: usize = 100_000;
/// The number of earlier pieces, in the order of the file, that a piece is compared with.
const MAX_LOOK_BACK: usize = 1_000;

/// Packets without a long gap between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) start: Time,
    pub(crate) end: Time,
    pub(super) packets: u64,
    /// The longest time between the end of a packet and the next.
    pub(super) longest_gap: Time,
    /// The largest difference between the time of a packet and the sum of the durations before it.
    pub(super) drift: Time,
    /// The sum of the durations of its packets.
    length: Time,
}

impl Run {
    pub(super) fn new(start: Time, end: Time) -> Self {
        let (longest_gap, drift) = (Time::ZERO, Time::ZERO);
        Self { start, end, packets: 1, longest_gap, drift, length: end - start }
    }

    fn push(&mut self, start: Time, end: Time) {
        self.longest_gap = self.longest_gap.max(start - self.end);
        self.drift = self.drift.max((start - self.start - self.length).abs());
        self.length = self.length + (end - start);
        self.start = self.start.min(start);
        self.end = self.end.max(end);
        self.packets += 1;
    }

    /// Appends the run that follows it.
    fn append(&mut self, next: &Self) {
        self.longest_gap = self.longest_gap.max(next.longest_gap).max(next.start - self.end);
        let apart = next.start - self.start - self.length;
        self.drift = self.drift.max(apart.abs() + next.drift);
        self.length = self.length + next.length;
        self.end = self.end.max(next.end);
        self.packets += next.packets;
    }
}

/// Pieces of a track in the order of the file. Their times increase, except after damage.
#[derive(Default)]
pub(super) struct Pieces {
    pieces: Vec<Run>,
    skipped: Skipped,
}

/// The packets that are skipped because their timestamps are damaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Skipped {
    pub(super) packets: u64,
    /// The time of the first.
    pub(super) first: Option<Time>,
}

impl Skipped {
    fn add(&mut self, piece: &Run) {
        self.packets += piece.packets;
        self.first.get_or_insert(piece.start);
    }
}

impl Pieces {
    /// Adds the next packet in the order of the file.
    pub(super) fn push(&mut self, start: Time, end: Time) {
        // A short jump ahead followed by a jump back is a damaged timestamp: the packets behind it have the right time.
        while let [.., before, stray] = self.pieces.as_slice()
            && start + RUN_GAP < stray.start
            && start + RUN_GAP >= before.end
            && stray.end - stray.start < PATIENCE
        {
            self.skipped.add(stray);
            self.pieces.pop();
        }
        let full = self.pieces.len() >= MAX_RUNS;
        match self.pieces.last_mut() {
            Some(last) if full || start <= last.end + RUN_GAP && start + RUN_GAP >= last.start => {
                last.push(start, end);
            }
            _ => self.pieces.push(Run::new(start, end)),
        }
    }

    /// The runs in the order of time. Where pieces contradict each other, the consistent series with the most packets is
    /// accepted.
    pub(super) fn runs(self) -> (Vec<Run>, Skipped) {
        let Self { pieces, mut skipped } = self;
        let mut runs: Vec<Run> = Vec::new();
        let series = accepted(&pieces);
        for (piece, accepted) in pieces.into_iter().zip(series) {
            if !accepted {
                skipped.add(&piece);
                continue;
            }
            match runs.last_mut() {
                Some(last) if piece.start <= last.end + RUN_GAP => last.append(&piece),
                _ => runs.push(piece),
            }
        }
        (runs, skipped)
    }
}

/// Whether each piece belongs to the series with the most packets whose times are in the order of the file.
fn accepted(pieces: &[Run]) -> Vec<bool> {
    /// The best series that ends with a piece, and the best of all pieces up to it.
    struct Best {
        weight: u64,
        before: Option<usize>,
        most: u64,
    }
    let mut best: Vec<Best> = Vec::with_capacity(pieces.len());
    for (at, piece) in pieces.iter().enumerate() {
        let (mut weight, mut before) = (0, None);
        for (other, (last, found)) in pieces.iter().zip(&best).enumerate().rev().take(MAX_LOOK_BACK) {
            if found.most < weight {
                break;
            }
            if piece.start + RUN_GAP >= last.end {
                // Among equals, the series without a gap.
                let joined = found.weight + u64::from(piece.start <= last.end + RUN_GAP);
                if joined > weight {
                    (weight, before) = (joined, Some(other));
                }
            }
        }
        weight += piece.packets * 2;
        let most = at.checked_sub(1).and_then(|last| best.get(last)).map_or(0, |last| last.most).max(weight);
        best.push(Best { weight, before, most });
    }
    let mut series = vec![false; pieces.len()];
    // Among equals, the first.
    let heaviest = best.last().and_then(|last| best.iter().position(|found| found.weight == last.most));
    let mut next = heaviest;
    while let Some(at) = next {
        if let Some(accepted) = series.get_mut(at) {
            *accepted = true;
        }
        next = best.get(at).and_then(|found| found.before);
    }
    series
}

/// Drops the last run of each track if it follows a jump that nothing confirms: neither another track nor `declared`, the
/// end of the file by its header. Such a run comes from a cluster with a damaged timestamp.
///
/// If the header has no duration, the jump may also be real: somebody returned after a long absence. Then only a jump that
/// is far longer than everything before it is dropped.
pub(super) fn drop_unconfirmed_ends(tracks: &mut [&mut Vec<Run>], declared: Option<Time>) {
    /// A jump is dropped from this length on, and from this multiple of everything before it.
    const PROPORTION: f64 = 10.0;
    const LONG: Time = Time::from_millis(3_600_000);
    let few = |run: &Run| run.end - run.start < PATIENCE;
    let sure_end = |runs: &[Run]| match runs {
        [.., before, last] if few(last) => before.end,
        [.., last] => last.end,
        [] => Time::MIN,
    };
    // A track with a single short run confirms nothing, if another track has more.
    let witnesses = |runs: &&&mut Vec<Run>| !matches!(runs.as_slice(), [only] if few(only));
    let sure = tracks.iter().filter(witnesses).map(|runs| sure_end(runs)).max();
    let Some(sure) = sure else { return };
    let begin = tracks.iter().filter_map(|runs| runs.first()).map(|run| run.start).min().unwrap_or_default();
    for runs in tracks {
        let [.., last] = runs.as_slice() else { continue };
        let jump = last.start - sure;
        if !few(last) || jump < UNCONFIRMED_JUMP {
            continue;
        }
        let drop = match declared {
            Some(end) => last.start > end + RUN_GAP,
            None => jump >= LONG && jump.seconds() > PROPORTION * (sure - begin).seconds(),
        };
        if drop {
            runs.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces of a track with a packet each 20 ms, in seconds, in the order of the file.
    fn runs(pieces: &[(i64, i64)]) -> Vec<(i64, i64)> {
        let mut found = Pieces::default();
        for (start, end) in pieces {
            for packet in start * 50..end * 50 {
                found.push(Time::from_millis(packet * 20), Time::from_millis(packet * 20 + 20));
            }
        }
        let seconds = |time: Time| time.seconds().round() as i64;
        found.runs().0.iter().map(|run| (seconds(run.start), seconds(run.end))).collect()
    }

    #[test]
    fn pieces_that_contradict_the_rest_are_left_out() {
        for (pieces, expected) in [
            (&[(0, 9)][..], &[(0, 9)][..]),
            (&[(0, 3), (10, 20), (500, 501)], &[(0, 3), (10, 20), (500, 501)]),
            // At the start, in the middle, just before the end.
            (&[(7_200, 7_201), (1, 6)], &[(1, 6)]),
            (&[(0, 3), (7_200, 7_201), (4, 6)], &[(0, 6)]),
            (&[(0, 3), (7_200, 7_201), (4, 5)], &[(0, 5)]),
            // Behind a long gap, with a time within it, before it, or at the start.
            (&[(0, 10), (600, 700), (20, 21), (701, 800)], &[(0, 10), (600, 800)]),
            (&[(0, 10), (600, 700), (5, 6), (701, 800)], &[(0, 10), (600, 800)]),
            (&[(3_600, 3_700), (0, 1), (3_701, 3_800)], &[(3_600, 3_800)]),
            // Two in a row, each elsewhere.
            (&[(0, 10), (900, 901), (90, 91), (13, 30)], &[(0, 10), (13, 30)]),
        ] {
            assert_eq!(runs(pieces), expected, "{pieces:?}");
        }
        assert_eq!(runs(&[]), []);
    }

    #[test]
    fn skipped_packets_are_counted() {
        let skipped = |times: &[i64]| {
            let mut pieces = Pieces::default();
            for time in times {
                pieces.push(Time::from_millis(*time), Time::from_millis(time + 20));
            }
            pieces.runs().1
        };
        assert_eq!(skipped(&[0, 20, 40]), Skipped::default());
        let first = Some(Time::from_millis(9_000_000));
        assert_eq!(skipped(&[0, 20, 9_000_000, 9_000_020, 40]), Skipped { packets: 2, first });
        assert_eq!(skipped(&[9_000_000, 20, 40]), Skipped { packets: 1, first });
    }

    #[test]
    fn thirty_thousand_runs_are_found_in_little_time() {
        let pieces: Vec<(i64, i64)> = (0..30_000).map(|at| (at * 5, at * 5 + 1)).collect();
        let started = std::time::Instant::now();
        assert_eq!(runs(&pieces).len(), 30_000);
        assert!(started.elapsed().as_secs() < 10);
    }

    fn without_unconfirmed(mut tracks: Vec<Vec<(i64, i64)>>, declared: Option<i64>) -> Vec<Vec<(i64, i64)>> {
        let time = |seconds: i64| Time::from_millis(seconds * 1_000);
        let mut runs: Vec<Vec<Run>> = tracks
            .iter()
            .map(|runs| runs.iter().map(|run| Run::new(time(run.0), time(run.1))).collect())
            .collect();
        drop_unconfirmed_ends(&mut runs.iter_mut().collect::<Vec<_>>(), declared.map(time));
        for (track, runs) in tracks.iter_mut().zip(runs) {
            track.truncate(runs.len());
        }
        tracks
    }

    #[test]
    fn a_jump_at_the_end_is_accepted_if_anything_confirms_it() {
        let stray = vec![vec![(0, 6), (7_200, 7_201)], vec![(0, 5), (7_200, 7_201)]];
        let without = vec![vec![(0, 6)], vec![(0, 5)]];
        assert_eq!(without_unconfirmed(stray.clone(), None), without);
        assert_eq!(without_unconfirmed(stray.clone(), Some(6)), without);
        assert_eq!(without_unconfirmed(stray.clone(), Some(7_201)), stray);
        for confirmed in [
            // In proportion to the media before it.
            vec![vec![(0, 1_200), (7_200, 7_201)]],
            // Short enough.
            vec![vec![(0, 6), (3_000, 3_001)]],
            // Several packets over some time.
            vec![vec![(0, 6), (7_200, 7_207)]],
            // Another track that went on.
            vec![vec![(0, 6), (7_200, 7_201)], vec![(0, 7_300)]],
            // The only thing in the file.
            vec![vec![(7_200, 7_201)]],
        ] {
            assert_eq!(without_unconfirmed(confirmed.clone(), None), confirmed);
        }
        // The duration in the header counts whatever the proportion is.
        let end = vec![vec![(0, 1_200), (7_200, 7_201)]];
        assert_eq!(without_unconfirmed(end, Some(1_201)), [[(0, 1_200)]]);
    }
}
