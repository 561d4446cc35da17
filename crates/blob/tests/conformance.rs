//! The tests of all back ends, on a local directory and on a real S3 server.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;

use blob::{BlobError, BlobStore, LocalDir, ObjectInfo, PutFile, S3};
use support::{PART, TestFile, key, put, webm};
use testkit::servers::seaweedfs::SeaweedFs;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A back end and the resources that it needs.
struct Backend {
    store: Box<dyn BlobStore>,
    _directory: Option<tempfile::TempDir>,
    _server: Option<Arc<SeaweedFs>>,
}

async fn local_dir() -> Backend {
    let directory = tempfile::tempdir().unwrap();
    let store = Box::new(LocalDir::open(&directory.path().join("objects")).unwrap());
    Backend { store, _directory: Some(directory), _server: None }
}

async fn seaweedfs() -> Backend {
    seaweedfs_with(false).await
}

async fn seaweedfs_with_checksums() -> Backend {
    seaweedfs_with(true).await
}

async fn seaweedfs_with(checksum: bool) -> Backend {
    let server = support::seaweedfs().await;
    let config = blob::S3Config { checksum: Some(checksum), ..support::config(&server, server.url()) };
    let store = Box::new(S3::connect(&config).await.unwrap());
    Backend { store, _directory: None, _server: Some(server) }
}

macro_rules! on_every_backend {
    ($($test:ident),+ $(,)?) => {
        on_every_backend!(@ local_dir: $($test),+);
        on_every_backend!(@ seaweedfs: $($test),+);
        on_every_backend!(@ seaweedfs_with_checksums: $($test),+);
    };
    (@ $backend:ident: $($test:ident),+) => {
        mod $backend {
            $(#[tokio::test]
            async fn $test() {
                let backend = super::$backend().await;
                super::$test(&*backend.store).await;
            })+
        }
    };
}

on_every_backend! {
    a_file_that_is_put_can_be_read,
    a_file_of_several_parts_is_stored_whole,
    acknowledged_bytes_add_up_to_the_whole_file,
    an_empty_file_is_an_object,
    a_second_put_replaces_the_first,
    the_source_can_be_removed_after_a_put,
    unusual_characters_in_a_key_are_preserved,
    a_missing_object_is_not_found,
    a_deleted_object_is_gone_and_can_be_deleted_again,
    a_key_that_leads_out_of_the_store_is_refused_by_all_methods,
    a_file_with_another_sha256_is_not_stored,
    a_missing_source_is_an_error_of_its_own,
    a_cancelled_put_stores_nothing,
    get_file_replaces_an_existing_file,
    get_file_into_a_missing_directory_is_an_error_of_its_own,
    the_store_answers_a_ping,
}

async fn a_file_that_is_put_can_be_read(store: &dyn BlobStore) {
    let (key, file) = (key("a.webm"), TestFile::of(100_000));
    let sha256 = file.sha256();
    let request = PutFile { sha256: Some(&sha256), ..webm(&key, &file.path) };
    assert_eq!(store.put_file(request, &CancellationToken::new()).await.unwrap(), file.info());
    assert_eq!(store.head(&key).await.unwrap(), file.info());
    assert_stored_whole(store, &key, &file).await;
}

/// Without a given SHA-256 a store may return none; `head` then returns it.
fn assert_stored(stored: &ObjectInfo, file: &TestFile) {
    assert_eq!(stored.bytes, file.info().bytes);
    assert!(stored.sha256.is_none() || stored.sha256 == file.info().sha256, "{stored:?}");
}

async fn a_file_of_several_parts_is_stored_whole(store: &dyn BlobStore) {
    for bytes in [PART, 2 * PART, 3 * PART + 1] {
        let (key, file) = (key("a.webm"), TestFile::of(bytes));
        assert_stored(&put(store, &key, &file).await.unwrap(), &file);
        assert_eq!(store.head(&key).await.unwrap(), file.info());
        assert_stored_whole(store, &key, &file).await;
    }
}

async fn acknowledged_bytes_add_up_to_the_whole_file(store: &dyn BlobStore) {
    for bytes in [1000, 3 * PART + 1] {
        let (key, file) = (key("a.webm"), TestFile::of(bytes));
        let (confirmed, mut acknowledged) = watch::channel(0);
        acknowledged.mark_unchanged();
        let request = PutFile { confirmed: Some(&confirmed), ..webm(&key, &file.path) };
        store.put_file(request, &CancellationToken::new()).await.unwrap();
        assert!(acknowledged.has_changed().unwrap());
        assert_eq!(*acknowledged.borrow(), file.info().bytes);
    }
}

async fn an_empty_file_is_an_object(store: &dyn BlobStore) {
    let (key, file) = (key("empty.webm"), TestFile::of(0));
    assert_stored(&put(store, &key, &file).await.unwrap(), &file);
    assert_stored_whole(store, &key, &file).await;
}

async fn a_second_put_replaces_the_first(store: &dyn BlobStore) {
    let (key, first, second) = (key("a.webm"), TestFile::of(2 * PART), TestFile::of(1000));
    put(store, &key, &first).await.unwrap();
    assert_stored(&put(store, &key, &second).await.unwrap(), &second);
    assert_stored_whole(store, &key, &second).await;
    // The same file again, as after a crash between the upload and the commit of its job.
    assert_stored(&put(store, &key, &second).await.unwrap(), &second);
    assert_stored_whole(store, &key, &second).await;
}

async fn the_source_can_be_removed_after_a_put(store: &dyn BlobStore) {
    let (key, file) = (key("a.webm"), TestFile::of(10));
    put(store, &key, &file).await.unwrap();
    std::fs::remove_file(&file.path).unwrap();
    assert_eq!(store.head(&key).await.unwrap(), file.info());
    assert_stored_whole(store, &key, &file).await;
}

async fn unusual_characters_in_a_key_are_preserved(store: &dyn BlobStore) {
    for name in ["a b+c&d=e?f#g%2e.webm", "ü/Ж/…/日.webm", ".hidden", "a\\b"] {
        let (key, file) = (key(name), TestFile::of(10));
        put(store, &key, &file).await.unwrap();
        assert_stored_whole(store, &key, &file).await;
        store.delete(&key).await.unwrap();
        assert!(matches!(store.head(&key).await, Err(BlobError::NotFound(_))), "{name}");
    }
}

async fn a_missing_object_is_not_found(store: &dyn BlobStore) {
    let (key, directory) = (key("a.webm"), tempfile::tempdir().unwrap());
    assert!(matches!(store.head(&key).await, Err(BlobError::NotFound(k)) if k == key));
    let target = directory.path().join("target");
    assert!(matches!(store.get_file(&key, &target).await, Err(BlobError::NotFound(k)) if k == key));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "no file may remain");
}

async fn a_deleted_object_is_gone_and_can_be_deleted_again(store: &dyn BlobStore) {
    let (key, file) = (key("a.webm"), TestFile::of(10));
    put(store, &key, &file).await.unwrap();
    store.delete(&key).await.unwrap();
    assert!(matches!(store.head(&key).await, Err(BlobError::NotFound(_))));
    store.delete(&key).await.unwrap();
}

async fn a_key_that_leads_out_of_the_store_is_refused_by_all_methods(store: &dyn BlobStore) {
    let file = TestFile::of(10);
    for bad in ["", "../a", "/etc/passwd", "a//b", "a/../../b", "a\0b"] {
        let target = file.path.with_extension("got");
        assert!(matches!(put(store, bad, &file).await, Err(BlobError::BadKey(_))), "{bad:?}");
        assert!(matches!(store.head(bad).await, Err(BlobError::BadKey(_))), "{bad:?}");
        assert!(matches!(store.get_file(bad, &target).await, Err(BlobError::BadKey(_))), "{bad:?}");
        assert!(matches!(store.delete(bad).await, Err(BlobError::BadKey(_))), "{bad:?}");
        let url = store.download_url(bad, std::time::Duration::from_secs(60), None).await;
        assert!(matches!(url, Err(BlobError::BadKey(_))), "{bad:?}");
    }
}

async fn a_file_with_another_sha256_is_not_stored(store: &dyn BlobStore) {
    let (key, original, damaged) = (key("a.webm"), TestFile::of(1000), TestFile::of(1001));
    put(store, &key, &original).await.unwrap();
    let sha256 = original.sha256();
    let request = PutFile { sha256: Some(&sha256), ..webm(&key, &damaged.path) };
    let refused = store.put_file(request, &CancellationToken::new()).await;
    assert!(matches!(refused, Err(BlobError::Mismatch { .. })), "{refused:?}");
    assert_eq!(store.head(&key).await.unwrap(), original.info(), "the object is not replaced");
}

async fn a_missing_source_is_an_error_of_its_own(store: &dyn BlobStore) {
    let (key, directory) = (key("a.webm"), tempfile::tempdir().unwrap());
    for missing in [directory.path().join("none"), directory.path().to_owned()] {
        let failed = store.put_file(webm(&key, &missing), &CancellationToken::new()).await;
        assert!(matches!(failed, Err(BlobError::Source { .. })), "{failed:?}");
    }
    assert!(matches!(store.head(&key).await, Err(BlobError::NotFound(_))));
}

async fn a_cancelled_put_stores_nothing(store: &dyn BlobStore) {
    let (key, file) = (key("a.webm"), TestFile::of(2 * PART));
    let cancel = CancellationToken::new();
    cancel.cancel();
    let cancelled = store.put_file(webm(&key, &file.path), &cancel).await;
    assert!(matches!(cancelled, Err(BlobError::Cancelled)), "{cancelled:?}");
    assert!(matches!(store.head(&key).await, Err(BlobError::NotFound(_))));
}

async fn get_file_replaces_an_existing_file(store: &dyn BlobStore) {
    let (key, file, directory) = (key("a.webm"), TestFile::of(1000), tempfile::tempdir().unwrap());
    put(store, &key, &file).await.unwrap();
    let target = directory.path().join("target");
    std::fs::write(&target, "old content").unwrap();
    assert_eq!(store.get_file(&key, &target).await.unwrap(), file.info());
    assert_eq!(std::fs::read(&target).unwrap(), file.content);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "no temporary file may remain");
}

async fn get_file_into_a_missing_directory_is_an_error_of_its_own(store: &dyn BlobStore) {
    let (key, file, directory) = (key("a.webm"), TestFile::of(10), tempfile::tempdir().unwrap());
    put(store, &key, &file).await.unwrap();
    let failed = store.get_file(&key, &directory.path().join("none/target")).await;
    assert!(matches!(failed, Err(BlobError::Target { .. })), "{failed:?}");
}

async fn the_store_answers_a_ping(store: &dyn BlobStore) {
    store.ping().await.unwrap();
}

/// The stored object is the file.
async fn assert_stored_whole(store: &dyn BlobStore, key: &str, file: &TestFile) {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("target");
    assert_eq!(store.get_file(key, &target).await.unwrap(), file.info());
    assert!(std::fs::read(&target).unwrap() == file.content, "{key}: the content differs");
}
