//! Time from Stop to AVAILABLE: SQLite, SeaweedFS, parts of 5 MiB, recordings of 2.5 Mbit/s.
//!
//! ```text
//! cargo bench -p jobs --bench available -- [runs]
//! ```
//!
//! The files grow faster than in real time. The stop follows once the uploads have caught up, as they have in real time.
//! For comparison the same is measured without any upload before the stop.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints its result and fails by panicking"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use blob::BlobStore as _;
use model::{EndReason, RecordingState};
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use support::cluster::{Cluster, TestNode};

const PART: usize = 5 << 20;
const BYTES_A_SECOND: usize = 2_500_000 / 8;
const LENGTHS: [(&str, usize); 3] = [("10 s", 10), ("10 min", 600), ("1 h", 3600)];

#[tokio::main]
async fn main() {
    let runs: usize = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(20);
    for open_files in [true, false] {
        let cluster = Cluster::with_parts_of(PART as u64).await;
        let mut node = cluster.node("bench").await;
        if open_files {
            node.start();
        } else {
            node.start_without_open_files();
        }
        for (name, seconds) in LENGTHS {
            // An hour takes much time and disk space.
            let runs = if seconds > 600 { runs.div_ceil(2) } else { runs };
            let runs = if open_files { runs } else { runs.min(3) };
            let mut took = Vec::new();
            for run in 0..runs {
                took.push(stop_to_available(&node, open_files, seconds * BYTES_A_SECOND, run as u64).await);
            }
            took.sort_unstable();
            let at = |share: f64| took[((took.len() - 1) as f64 * share).round() as usize].as_millis();
            let how = if open_files { "sent while recording" } else { "sent at the end" };
            println!(
                "{how}, {name}: {runs} runs, median {} ms, p95 {} ms, most {} ms",
                at(0.5),
                at(0.95),
                at(1.0)
            );
        }
        node.stop().await;
    }
}

async fn stop_to_available(node: &TestNode, open_files: bool, bytes: usize, seed: u64) -> Duration {
    // The rest that is sent after the stop is of any length up to a part.
    let spread = SmallRng::seed_from_u64(seed).random_range(0..PART.min(bytes));
    let mut recording = node.begin().await;
    let mut missing = bytes + spread;
    while missing > 0 {
        let now = missing.min(PART);
        recording.grow(now);
        missing -= now;
        let whole = recording.content.len() / PART;
        if open_files && whole >= 2 {
            node.until_sent(&recording, whole).await;
        }
    }
    recording.sync();
    let begun = Instant::now();
    recording.finalize(node, EndReason::Requested).await;
    while node.row(&recording).await.state != RecordingState::Available {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = begun.elapsed();
    node.until_cleaned_up(&recording).await;
    node.blobs.delete(&recording.key()).await.unwrap();
    took
}
