//! How long after its stop a recording is available: SQLite, SeaweedFS, parts of 5 MiB, recordings of 2.5 Mbit/s.
//!
//! ```text
//! cargo bench -p jobs --bench available -- [runs]
//! ```
//!
//! The files grow faster than in real time; the stop comes once the uploads have caught up, as they have in real time.
//! For comparison the same is measured with nothing sent before the stop.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark tells, and fails by panicking"
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
    for streaming in [true, false] {
        let yard = Cluster::with_parts_of(PART as u64).await;
        let mut station = yard.station("bench").await;
        if streaming {
            station.start();
        } else {
            station.start_without_streaming();
        }
        for (name, seconds) in LENGTHS {
            // An hour takes its time, and the disk.
            let runs = if seconds > 600 { runs.div_ceil(2) } else { runs };
            let runs = if streaming { runs } else { runs.min(3) };
            let mut took = Vec::new();
            for run in 0..runs {
                took.push(stop_to_available(&station, streaming, seconds * BYTES_A_SECOND, run as u64).await);
            }
            took.sort_unstable();
            let at = |share: f64| took[((took.len() - 1) as f64 * share).round() as usize].as_millis();
            let how = if streaming { "sent while recording" } else { "sent at the end" };
            println!(
                "{how}, {name}: {runs} runs, median {} ms, p95 {} ms, most {} ms",
                at(0.5),
                at(0.95),
                at(1.0)
            );
        }
        station.stop().await;
    }
}

async fn stop_to_available(station: &TestNode, streaming: bool, bytes: usize, seed: u64) -> Duration {
    // So that the tail is anything from nothing to a part.
    let spread = SmallRng::seed_from_u64(seed).random_range(0..PART.min(bytes));
    let mut take = station.begin().await;
    let mut left = bytes + spread;
    while left > 0 {
        let now = left.min(PART);
        take.grow(now);
        left -= now;
        let whole = take.content.len() / PART;
        if streaming && whole >= 2 {
            station.until_sent(&take, whole).await;
        }
    }
    take.sync();
    let begun = Instant::now();
    take.finalize(station, EndReason::Requested).await;
    while station.row(&take).await.state != RecordingState::Available {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = begun.elapsed();
    station.until_tidy(&take).await;
    station.blobs.delete(&take.key()).await.unwrap();
    took
}
