//! The throughput of an upload to an S3 server, compared with the most that the server accepts.
//!
//! ```text
//! cargo bench -p blob --bench throughput -- [runs]
//! ```
//!
//! `blob` reads a file of 512 MiB, computes the digests of its parts of 16 MiB, sends four at a time, and verifies the
//! object. curl sends 32 objects of 16 MiB over four connections, without digests and verification. The two alternate.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and fails by panicking")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use blob::{BlobStore as _, PutFile, S3, S3Config};
use rand::{RngCore as _, SeedableRng as _, rngs::SmallRng};
use testkit::servers::seaweedfs::SeaweedFs;
use tokio_util::sync::CancellationToken;

const PART: usize = 16 << 20;
const PARTS: usize = 32;
const AT_ONCE: usize = 4;

#[tokio::main]
async fn main() {
    let runs: usize = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(5);
    let server = SeaweedFs::start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (file, part) = (directory.path().join("file"), directory.path().join("part"));
    let mut content = vec![0; PART * PARTS];
    SmallRng::seed_from_u64(1).fill_bytes(&mut content);
    fs::write(&file, &content).unwrap();
    fs::write(&part, &content[..PART]).unwrap();
    drop(content);
    let config = S3Config { part_bytes: (PART as u64).into(), ..support::config(&server, server.url()) };
    let s3 = S3::connect(&config).await.unwrap();
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for _ in 0..=runs {
        ours.push(put(&s3, &file).await);
        limit.push(send(&server, &part));
    }
    // The first of each warms up.
    let rate = |times: &[Duration]| {
        let mut times = times[1..].to_vec();
        times.sort_unstable();
        (PART * PARTS) as f64 / 1e6 / times[times.len() / 2].as_secs_f64()
    };
    let (ours, limit) = (rate(&ours), rate(&limit));
    println!("median of {runs} runs: blob {ours:.0} MB/s, curl {limit:.0} MB/s: {:.2}", ours / limit);
}

async fn put(s3: &S3, path: &Path) -> Duration {
    let key = support::key("throughput");
    let begun = Instant::now();
    let put = PutFile { key: &key, path, content_type: "video/webm", sha256: None, confirmed: None };
    s3.put_file(put, &CancellationToken::new()).await.unwrap();
    let took = begun.elapsed();
    s3.delete(&key).await.unwrap();
    took
}

fn send(server: &SeaweedFs, part: &Path) -> Duration {
    let begun = Instant::now();
    thread::scope(|scope| {
        for connection in 0..AT_ONCE {
            scope.spawn(move || {
                let mut curl = Command::new("curl");
                curl.args(["--silent", "--show-error", "--fail", "--aws-sigv4", "aws:amz:us-east-1:s3"]);
                curl.args(["--user", &format!("{}:{}", server.access_key(), server.secret_key())]);
                curl.args(["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"]);
                for number in 0..PARTS / AT_ONCE {
                    let url = format!("{}/{}/limit-{connection}-{number}", server.url(), server.bucket());
                    curl.arg("--upload-file").arg(part).arg(url);
                }
                assert!(curl.status().unwrap().success());
            });
        }
    });
    begun.elapsed()
}
