//! Uploads of open files, part by part.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::time::Instant;

use blob::{BlobError, BlobStore as _, FilePart, PartRange, PartUploads, S3, S3Config, SentPart};
use support::{PART, TestFile, config, key, open_uploads, s3, seaweedfs};
use testkit::servers::faulty::{Fault, Proxy};
use tokio_util::sync::CancellationToken;

/// The ranges of the parts of a file of `bytes`.
fn ranges(store: &S3, bytes: u64) -> Vec<PartRange> {
    (1..)
        .map(|number| store.range(number))
        .take_while(|range| range.offset < bytes)
        .map(|range| PartRange { bytes: range.bytes.min(bytes - range.offset), ..range })
        .collect()
}

async fn send(
    store: &S3,
    upload: &blob::OpenUpload,
    file: &TestFile,
    range: PartRange,
) -> Result<SentPart, BlobError> {
    store.send(upload, FilePart { path: &file.path, range }, &CancellationToken::new()).await
}

#[tokio::test]
async fn parts_in_any_order_with_the_first_sent_twice_become_the_object() {
    let server = seaweedfs().await;
    for checksum in [false, true] {
        let config = S3Config { checksum: Some(checksum), ..config(&server, server.url()) };
        let store = S3::connect(&config).await.unwrap();
        let (key, file) = (key("open.webm"), TestFile::of(3 * PART + 17));
        let upload = store.begin(&key, "video/webm").await.unwrap();
        let provisional = TestFile::of(PART);
        send(&store, &upload, &provisional, store.range(1)).await.unwrap();
        let mut parts = Vec::new();
        for range in ranges(&store, 3 * PART + 17).into_iter().rev() {
            parts.insert(0, send(&store, &upload, &file, range).await.unwrap());
        }
        assert!(matches!(store.confirm(&key, &parts).await, Err(BlobError::NotFound(_))));
        store.complete(&upload, &parts).await.unwrap();
        assert_eq!(store.confirm(&key, &parts).await.unwrap().bytes, 3 * PART + 17);
        assert_eq!(open_uploads(&server, &key).await, 0);
        let target = file.path.with_file_name("copy");
        store.get_file(&key, &target).await.unwrap();
        assert!(std::fs::read(target).unwrap() == file.content, "checksum: {checksum}");
        let again = store.complete(&upload, &parts).await;
        assert!(again.is_ok() || matches!(again, Err(BlobError::NoUpload(_))), "{again:?}");
        assert_eq!(store.confirm(&key, &parts).await.unwrap().bytes, 3 * PART + 17);
    }
}

#[tokio::test]
async fn confirm_refuses_an_object_of_other_parts() {
    let server = seaweedfs().await;
    let (store, key) = (s3(&server).await, key("other.webm"));
    let (file, other) = (TestFile::of(2 * PART), TestFile::of(2 * PART + 1));
    let upload = store.begin(&key, "video/webm").await.unwrap();
    let (first, second) = (store.range(1), store.range(2));
    let parts = [
        send(&store, &upload, &file, first).await.unwrap(),
        send(&store, &upload, &file, second).await.unwrap(),
    ];
    store.complete(&upload, &parts).await.unwrap();
    let digests = store.digest(&other.path, &[first, second], &CancellationToken::new()).await.unwrap();
    let mut changed = parts.clone();
    changed[1].digest = digests[1];
    let confirmed = store.confirm(&key, &changed).await;
    assert!(matches!(confirmed, Err(BlobError::Mismatch { .. })), "{confirmed:?}");
    let confirmed = store.confirm(&key, &parts[..1]).await;
    assert!(matches!(confirmed, Err(BlobError::Mismatch { .. })), "{confirmed:?}");
}

#[tokio::test]
async fn an_aborted_upload_accepts_no_part_and_is_not_listed() {
    let server = seaweedfs().await;
    let (store, file) = (s3(&server).await, TestFile::of(PART));
    let prefix = key("prefix");
    let mut uploads = Vec::new();
    for name in ["a.webm", "b.webm", "c.webm"] {
        uploads.push(store.begin(&format!("{prefix}/{name}"), "video/webm").await.unwrap());
    }
    send(&store, &uploads[0], &file, store.range(1)).await.unwrap();
    let mut open = store.open(&prefix).await.unwrap();
    open.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(open, uploads);
    for upload in &uploads {
        store.abort(upload).await.unwrap();
        store.abort(upload).await.unwrap();
    }
    assert_eq!(store.open(&prefix).await.unwrap(), []);
    let sent = send(&store, &uploads[0], &file, store.range(1)).await;
    assert!(matches!(sent, Err(BlobError::NoUpload(_))), "{sent:?}");
    let completed = store.complete(&uploads[1], &[]).await;
    assert!(completed.is_err(), "{completed:?}");
}

#[tokio::test]
async fn a_part_that_changes_or_breaks_off_in_transit_is_not_stored() {
    let server = seaweedfs().await;
    let proxy = Proxy::to(server.address()).await.unwrap();
    let store = S3::connect(&config(&server, proxy.url.clone())).await.unwrap();
    let (key, file) = (key("faulty.webm"), TestFile::of(2 * PART));
    let upload = store.begin(&key, "video/webm").await.unwrap();
    proxy.breaks("partNumber=1", 1, Fault::FlipByte(1000));
    let flipped = send(&store, &upload, &file, store.range(1)).await;
    assert!(matches!(flipped, Err(BlobError::Mismatch { .. })), "{flipped:?}");
    proxy.breaks("partNumber=1", 1, Fault::CutBody(100_000));
    let cut = send(&store, &upload, &file, store.range(1)).await;
    assert!(matches!(cut, Err(BlobError::Unavailable(_))), "{cut:?}");
    let mut parts = Vec::new();
    for range in [store.range(1), store.range(2)] {
        parts.push(send(&store, &upload, &file, range).await.unwrap());
    }
    store.complete(&upload, &parts).await.unwrap();
    store.confirm(&key, &parts).await.unwrap();
}

#[tokio::test]
async fn all_uploads_share_the_rate_limit() {
    const RATE: u64 = 8 << 20;
    let server = seaweedfs().await;
    let limited = S3Config { bytes_per_second: RATE.into(), ..config(&server, server.url()) };
    let store = S3::connect(&limited).await.unwrap();
    let file = TestFile::of(2 * PART);
    let (first, second) = (key("first.webm"), key("second.webm"));
    let upload = store.begin(&first, "video/webm").await.unwrap();
    let begun = Instant::now();
    let (sent, put) =
        tokio::join!(send(&store, &upload, &file, store.range(1)), support::put(&store, &second, &file));
    sent.unwrap();
    assert_eq!(put.unwrap(), file.info());
    let (took, least) = (begun.elapsed().as_secs_f64(), (3 * PART) as f64 / RATE as f64);
    assert!(took > 0.9 * least, "{took} s for 15 MiB at 8 MiB a second");
    store.abort(&upload).await.unwrap();
}
