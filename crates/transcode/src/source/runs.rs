//! When a track runs, found among packets of which some have a damaged timestamp.

use crate::time::Time;

/// A track that is silent for longer begins a new run.
pub(super) const RUN_GAP: Time = Time::from_millis(2_500);
/// A jump ahead that goes on for so long is a hole; the recorder's clusters, which have a time of their own, are shorter.
pub(super) const PATIENCE: Time = Time::from_millis(6_000);
/// A jump of this length at the very end, with little behind it, needs something that confirms it.
pub(super) const DOUBTFUL: Time = Time::from_millis(60_000);
/// Runs that are remembered of a track; later ones are taken as part of the last.
pub(super) const MAX_RUNS: usize = 100_000;
/// How far back in the order of the file what contradicts a piece is looked for.
const MAX_LOOK_BACK: usize = 1_000;

/// Packets with no long hole between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) start: Time,
    pub(crate) end: Time,
    pub(super) packets: u64,
    /// The longest time between the end of a packet and the next.
    pub(super) longest_gap: Time,
    /// By how much a packet lies apart, at most, from where the lengths of those before it put it.
    pub(super) drift: Time,
    /// What its packets last together.
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

    /// Takes what follows as a part of it.
    fn append(&mut self, next: &Self) {
        self.longest_gap = self.longest_gap.max(next.longest_gap).max(next.start - self.end);
        let apart = next.start - self.start - self.length;
        self.drift = self.drift.max(apart.abs() + next.drift);
        self.length = self.length + next.length;
        self.end = self.end.max(next.end);
        self.packets += next.packets;
    }
}

/// Pieces of a track in the order of the file. Their times grow, but for damage.
#[derive(Default)]
pub(super) struct Pieces(Vec<Run>);

impl Pieces {
    /// Takes the next packet in the order of the file.
    pub(super) fn push(&mut self, start: Time, end: Time) {
        // A short jump ahead that is taken back is a damaged timestamp: what follows shows where the recording really is.
        while let [.., before, stray] = self.0.as_slice()
            && start + RUN_GAP < stray.start
            && start + RUN_GAP >= before.end
            && stray.end - stray.start < PATIENCE
        {
            self.0.pop();
        }
        let full = self.0.len() >= MAX_RUNS;
        match self.0.last_mut() {
            Some(last) if full || start <= last.end + RUN_GAP && start + RUN_GAP >= last.start => {
                last.push(start, end);
            }
            _ => self.0.push(Run::new(start, end)),
        }
    }

    /// The runs in the order of time. Where pieces contradict each other, those that agree and have the most packets are
    /// believed.
    pub(super) fn runs(self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for piece in believed(&self.0) {
            match runs.last_mut() {
                Some(last) if piece.start <= last.end + RUN_GAP => last.append(&piece),
                _ => runs.push(piece),
            }
        }
        runs
    }
}

/// The heaviest series of pieces that follow one another in time as they do in the file.
fn believed(pieces: &[Run]) -> Vec<Run> {
    /// The best series that ends with a piece, and that of all pieces up to it.
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
                // Among equals, what goes on where it was.
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
    let mut series = Vec::new();
    // Of equals the first.
    let heaviest = best.last().and_then(|last| best.iter().position(|found| found.weight == last.most));
    let mut next = heaviest;
    while let Some(at) = next {
        series.extend(pieces.get(at));
        next = best.get(at).and_then(|found| found.before);
    }
    series.reverse();
    series
}

/// Drops the last run of each of the `tracks` that lies behind a jump which nothing confirms: neither another track nor
/// `declared`, where a file that was sealed says that it ends. The cluster that it comes from has a damaged timestamp.
///
/// Without a word from the header a person may as well have come back after a long absence: then only a jump is
/// dropped that is out of all proportion.
pub(super) fn drop_doubtful_ends(tracks: &mut [&mut Vec<Run>], declared: Option<Time>) {
    /// How much longer than all before it a jump is out of proportion, and from which length on.
    const PROPORTION: f64 = 10.0;
    const LONG: Time = Time::from_millis(3_600_000);
    let few = |run: &Run| run.end - run.start < PATIENCE;
    let sure_end = |runs: &[Run]| match runs {
        [.., before, last] if few(last) => before.end,
        [.., last] => last.end,
        [] => Time::MIN,
    };
    // A track that has nothing else is no witness where another one has.
    let witnesses = |runs: &&&mut Vec<Run>| !matches!(runs.as_slice(), [only] if few(only));
    let sure = tracks.iter().filter(witnesses).map(|runs| sure_end(runs)).max();
    let Some(sure) = sure else { return };
    let begin = tracks.iter().filter_map(|runs| runs.first()).map(|run| run.start).min().unwrap_or_default();
    for runs in tracks {
        let [.., last] = runs.as_slice() else { continue };
        let jump = last.start - sure;
        if !few(last) || jump < DOUBTFUL {
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
        found.runs().iter().map(|run| (seconds(run.start), seconds(run.end))).collect()
    }

    #[test]
    fn what_contradicts_the_rest_is_left_out_wherever_it_is() {
        for (pieces, expected) in [
            (&[(0, 9)][..], &[(0, 9)][..]),
            (&[(0, 3), (10, 20), (500, 501)], &[(0, 3), (10, 20), (500, 501)]),
            // At the start, in the middle, just before the end.
            (&[(7_200, 7_201), (1, 6)], &[(1, 6)]),
            (&[(0, 3), (7_200, 7_201), (4, 6)], &[(0, 6)]),
            (&[(0, 3), (7_200, 7_201), (4, 5)], &[(0, 5)]),
            // Behind a long hole, saying that it is in it, before it, or at the start.
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
    fn a_hundred_thousand_runs_take_no_time() {
        let pieces: Vec<(i64, i64)> = (0..30_000).map(|at| (at * 5, at * 5 + 1)).collect();
        let started = std::time::Instant::now();
        assert_eq!(runs(&pieces).len(), 30_000);
        assert!(started.elapsed().as_secs() < 10);
    }

    fn doubted(mut tracks: Vec<Vec<(i64, i64)>>, declared: Option<i64>) -> Vec<Vec<(i64, i64)>> {
        let time = |seconds: i64| Time::from_millis(seconds * 1_000);
        let mut runs: Vec<Vec<Run>> = tracks
            .iter()
            .map(|runs| runs.iter().map(|run| Run::new(time(run.0), time(run.1))).collect())
            .collect();
        drop_doubtful_ends(&mut runs.iter_mut().collect::<Vec<_>>(), declared.map(time));
        for (track, runs) in tracks.iter_mut().zip(runs) {
            track.truncate(runs.len());
        }
        tracks
    }

    #[test]
    fn a_jump_at_the_end_is_kept_if_anything_confirms_it() {
        let stray = vec![vec![(0, 6), (7_200, 7_201)], vec![(0, 5), (7_200, 7_201)]];
        let without = vec![vec![(0, 6)], vec![(0, 5)]];
        assert_eq!(doubted(stray.clone(), None), without);
        assert_eq!(doubted(stray.clone(), Some(6)), without);
        assert_eq!(doubted(stray.clone(), Some(7_201)), stray);
        for kept in [
            // In proportion to what was before.
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
            assert_eq!(doubted(kept.clone(), None), kept);
        }
        // What the header knows counts whatever the proportion.
        let end = vec![vec![(0, 1_200), (7_200, 7_201)]];
        assert_eq!(doubted(end, Some(1_201)), [[(0, 1_200)]]);
    }
}
