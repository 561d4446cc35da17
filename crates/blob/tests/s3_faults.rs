//! S3 with a faulty network and a faulty server.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use blob::{BlobError, BlobStore, S3, S3Config};
use support::{PART, TestFile, config, key, open_uploads, put, s3, seaweedfs, webm};
use testkit::servers::{
    faulty::{Fault, Proxy},
    seaweedfs::SeaweedFs,
};
use tokio_util::sync::CancellationToken;

/// The time-out of an attempt in tests whose requests hang.
const SHORT_TIMEOUT: Duration = Duration::from_secs(2);
/// An upper bound for waits that must end, also on a busy machine.
const IN_TIME: Duration = Duration::from_secs(30);

/// A client whose requests pass through a proxy.
struct Broken {
    server: Arc<SeaweedFs>,
    proxy: Proxy,
    store: S3,
    key: String,
}

impl Broken {
    async fn new() -> Self {
        Self::with(|config| config).await
    }

    async fn with(change: impl FnOnce(S3Config) -> S3Config) -> Self {
        let server = seaweedfs().await;
        let proxy = Proxy::to(server.address()).await.unwrap();
        let config =
            S3Config { attempt_timeout: Duration::from_secs(30), ..config(&server, proxy.url.clone()) };
        let store = S3::connect(&change(config)).await.unwrap();
        Self { server, proxy, store, key: key("a.webm") }
    }

    async fn put(&self, bytes: u64) -> Result<(), BlobError> {
        put(&self.store, &self.key, &TestFile::of(bytes)).await.map(drop)
    }

    /// The store has neither the object nor a part of it.
    async fn assert_nothing_stored(&self) {
        let head = s3(&self.server).await.head(&self.key).await;
        assert!(matches!(head, Err(BlobError::NotFound(_))), "{head:?}");
        assert_eq!(open_uploads(&self.server, &self.key).await, 0, "parts remain");
    }
}

fn assert_unavailable(result: &Result<(), BlobError>) {
    assert!(matches!(result, Err(BlobError::Unavailable(_))), "{result:?}");
}

#[tokio::test]
async fn an_upload_is_verified_without_reading_it_back() {
    let broken = Broken::new().await;
    broken.put(2 * PART + 1).await.unwrap();
    assert_eq!((broken.proxy.seen("PUT "), broken.proxy.seen("HEAD "), broken.proxy.seen("GET ")), (3, 1, 1));
    assert_eq!(broken.proxy.seen("GET /recordings/?uploads"), 1, "the only GET looks for abandoned uploads");
}

#[tokio::test]
async fn a_connection_that_breaks_in_a_part_leaves_nothing() {
    let broken = Broken::new().await;
    broken.proxy.breaks("partNumber=2", 1, Fault::CutBody(100_000));
    assert_unavailable(&broken.put(3 * PART).await);
    broken.assert_nothing_stored().await;
    broken.put(3 * PART).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_breaks_in_a_small_file_leaves_nothing() {
    let broken = Broken::new().await;
    broken.proxy.breaks("PUT ", 1, Fault::CutBody(100_000));
    assert_unavailable(&broken.put(200_000).await);
    broken.assert_nothing_stored().await;
}

#[tokio::test]
async fn a_part_that_fails_once_is_sent_again() {
    let broken = Broken::with(|config| S3Config { attempts: 3, ..config }).await;
    broken.proxy.breaks("partNumber=1", 1, Fault::CutBody(100_000));
    broken.proxy.breaks("partNumber=2", 2, Fault::Answer(500));
    broken.put(3 * PART).await.unwrap();
    assert_eq!((broken.proxy.seen("partNumber=1"), broken.proxy.seen("partNumber=2")), (2, 3));
}

#[tokio::test]
async fn a_server_that_fails_is_unavailable() {
    for status in [500, 502, 503] {
        let broken = Broken::new().await;
        broken.proxy.breaks("PUT ", 1, Fault::Answer(status));
        assert_unavailable(&broken.put(1000).await);
        broken.proxy.breaks("partNumber=2", 1, Fault::Answer(status));
        assert_unavailable(&broken.put(2 * PART).await);
        broken.proxy.breaks("HEAD ", 1, Fault::Answer(status));
        assert_unavailable(&broken.store.head(&broken.key).await.map(drop));
        broken.assert_nothing_stored().await;
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_unavailable_after_the_time_out() {
    let waiting = async |attempt_timeout| Broken::with(|config| S3Config { attempt_timeout, ..config }).await;
    let broken = waiting(SHORT_TIMEOUT).await;
    for request in ["PUT ", "HEAD "] {
        broken.proxy.breaks(request, 1, Fault::Hang);
        let begun = Instant::now();
        assert_unavailable(&broken.put(1000).await);
        assert!(begun.elapsed() < IN_TIME, "{request}: {:?}", begun.elapsed());
    }
    // The abort afterwards must succeed within the time-out.
    let broken = waiting(2 * SHORT_TIMEOUT).await;
    broken.proxy.breaks("partNumber=2", 1, Fault::Hang);
    let begun = Instant::now();
    assert_unavailable(&broken.put(2 * PART).await);
    assert!(begun.elapsed() < IN_TIME, "{:?}", begun.elapsed());
    assert_eq!(open_uploads(&broken.server, &broken.key).await, 0, "parts remain");
}

#[tokio::test]
async fn content_that_changes_in_transit_is_not_stored() {
    for (bytes, request) in [(1000, "PUT "), (2 * PART, "partNumber=2")] {
        let broken = Broken::new().await;
        broken.proxy.breaks(request, 1, Fault::FlipByte(500));
        let failed = broken.put(bytes).await;
        assert!(matches!(failed, Err(BlobError::Mismatch { .. })), "{failed:?}");
        assert!(failed.unwrap_err().is_transient());
        broken.assert_nothing_stored().await;
        broken.put(bytes).await.unwrap();
    }
}

#[tokio::test]
async fn a_completion_whose_answer_is_lost_succeeds() {
    let broken = Broken::with(|config| S3Config { attempts: 3, ..config }).await;
    broken.proxy.breaks("POST /recordings/media", 1, Fault::CutAnswer(0));
    // The first POST begins the upload, and is repeated; the answer to the last is lost.
    broken.put(2 * PART).await.unwrap();
    let broken = Broken::with(|config| S3Config { attempts: 3, ..config }).await;
    broken.proxy.breaks("?uploadId=", 1, Fault::CutAnswer(0));
    broken.put(2 * PART).await.unwrap();
    assert_eq!(broken.proxy.seen("?uploadId="), 2);
}

#[tokio::test]
async fn a_cancelled_upload_ends_at_once_and_leaves_no_parts() {
    let hangs_for = 2 * IN_TIME;
    let broken = Broken::with(|config| S3Config { attempt_timeout: hangs_for, ..config }).await;
    broken.proxy.breaks("partNumber=3", 1, Fault::Hang);
    let (file, cancel) = (TestFile::of(3 * PART), CancellationToken::new());
    let begun = Instant::now();
    let (cancelled, ()) =
        tokio::join!(broken.store.put_file(webm(&broken.key, &file.path), &cancel), async {
            while broken.proxy.seen("partNumber=3") == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(
                open_uploads(&broken.server, &broken.key).await,
                1,
                "the test lists the wrong uploads"
            );
            cancel.cancel();
        });
    assert!(matches!(cancelled, Err(BlobError::Cancelled)), "{cancelled:?}");
    assert!(begun.elapsed() < hangs_for, "{:?}", begun.elapsed());
    broken.assert_nothing_stored().await;
}

#[tokio::test]
async fn a_dropped_upload_is_aborted_by_the_next() {
    let broken = Broken::with(|config| S3Config { attempt_timeout: Duration::from_secs(60), ..config }).await;
    broken.proxy.breaks("partNumber=2", 1, Fault::Hang);
    let file = TestFile::of(2 * PART);
    tokio::select! {
        _ = put(&broken.store, &broken.key, &file) => panic!("the request did not hang"),
        () = async {
            while broken.proxy.seen("partNumber=2") == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        } => {}
    }
    assert_eq!(open_uploads(&broken.server, &broken.key).await, 1);
    broken.put(2 * PART).await.unwrap();
    assert_eq!(open_uploads(&broken.server, &broken.key).await, 0);
}

#[tokio::test]
async fn a_download_that_breaks_off_or_stalls_leaves_no_file() {
    for fault in [Fault::CutAnswer(50_000), Fault::StallAnswer(50_000)] {
        let broken = Broken::with(|config| S3Config { attempt_timeout: SHORT_TIMEOUT, ..config }).await;
        put(&s3(&broken.server).await, &broken.key, &TestFile::of(500_000)).await.unwrap();
        broken.proxy.breaks("GET ", 1, fault);
        let directory = tempfile::tempdir().unwrap();
        let failed = broken.store.get_file(&broken.key, &directory.path().join("target")).await;
        assert!(matches!(failed, Err(BlobError::Unavailable(_))), "{failed:?}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "an incomplete file remains");
    }
}
