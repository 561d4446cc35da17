//! Tests of S3 only: metadata, presigned URLs, credentials, abandoned uploads.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::time::{Duration, Instant};

use aws_sdk_s3::primitives::ByteStream;
use blob::{BlobError, BlobStore, S3, S3Config, Secret};
use support::{PART, TestFile, config, key, open_uploads, put, raw, s3, seaweedfs, sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test]
async fn an_object_has_its_media_type_and_its_checksum() {
    let server = seaweedfs().await;
    for bytes in [1000, PART + 1] {
        let (key, file) = (key("a.webm"), TestFile::of(bytes));
        put(&s3(&server).await, &key, &file).await.unwrap();
        let head = raw(&server).head_object().bucket(server.bucket()).key(&key).send().await.unwrap();
        assert_eq!(head.content_type(), Some("video/webm"));
        assert_eq!(head.metadata().unwrap()["sha256"], file.sha256());
        assert_eq!(head.metadata().unwrap()["expected-etag"], head.e_tag().unwrap().trim_matches('"'));
    }
}

#[tokio::test]
async fn anyone_can_fetch_an_object_by_its_presigned_url_until_it_expires() {
    let server = seaweedfs().await;
    let (store, key, file) = (s3(&server).await, key("a b.webm"), TestFile::of(1000));
    put(&store, &key, &file).await.unwrap();
    let url = store.download_url(&key, Duration::from_secs(60), None).await.unwrap().unwrap();
    assert_eq!(http_get(&url).await, (200, file.content));
    let tampered = url.replace("X-Amz-Expires=60", "X-Amz-Expires=600");
    assert_ne!(tampered, url);
    assert_eq!(http_get(&tampered).await.0, 403);
    let short = store.download_url(&key, Duration::from_secs(1), None).await.unwrap().unwrap();
    // The URL expires by the server's clock, which is not virtual.
    let deadline = Instant::now() + Duration::from_secs(30);
    while http_get(&short).await.0 != 403 {
        assert!(Instant::now() < deadline, "the URL is still valid");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_presigned_url_is_valid_for_a_week_at_most() {
    let server = seaweedfs().await;
    let refused = s3(&server).await.download_url("a", Duration::from_secs(8 * 24 * 3600), None).await;
    assert!(matches!(refused, Err(BlobError::BadSetting { what: "valid", .. })), "{refused:?}");
}

#[tokio::test]
async fn wrong_credentials_and_missing_buckets_are_refused() {
    let server = seaweedfs().await;
    let (good, file, key) = (config(&server, server.url()), TestFile::of(10), key("a.webm"));
    let mut wrong_secret = good.clone();
    wrong_secret.secret_key = Some(Secret::new("wrong"));
    let mut wrong_id = good.clone();
    wrong_id.access_key = Some(Secret::new("nobody"));
    for bad in [wrong_secret, wrong_id, S3Config { bucket: "no-such-bucket".to_owned(), ..good }] {
        let store = S3::connect(&bad).await.unwrap();
        let (ping, put) = (store.ping().await, put(&store, &key, &file).await);
        assert!(matches!(ping, Err(BlobError::Refused(_))), "{ping:?}");
        assert!(matches!(put, Err(BlobError::Refused(_))), "{put:?}");
        assert!(!put.unwrap_err().is_transient());
    }
}

#[tokio::test]
async fn a_stopped_server_is_unavailable_until_its_restart() {
    let mut server = testkit::servers::seaweedfs::SeaweedFs::start().await.unwrap();
    let (store, key, file) = (s3(&server).await, key("a.webm"), TestFile::of(2 * PART));
    put(&store, &key, &file).await.unwrap();
    server.stop();
    for failed in [store.ping().await.unwrap_err(), put(&store, &key, &file).await.unwrap_err()] {
        assert!(matches!(failed, BlobError::Unavailable(_)), "{failed:?}");
    }
    server.start_again().await.unwrap();
    assert_eq!(put(&store, &key, &file).await.unwrap(), file.info());
}

#[tokio::test]
async fn an_abandoned_upload_to_the_same_key_is_aborted_by_the_next() {
    let server = seaweedfs().await;
    let (key, file) = (key("a.webm"), TestFile::of(2 * PART));
    let neighbour = format!("{key}.other");
    for key in [&key, &key, &neighbour] {
        raw(&server).create_multipart_upload().bucket(server.bucket()).key(key).send().await.unwrap();
    }
    assert_eq!(open_uploads(&server, &key).await, 3);
    put(&s3(&server).await, &key, &file).await.unwrap();
    assert_eq!(open_uploads(&server, &key).await, 1, "only the other key's upload remains");
}

#[tokio::test]
async fn an_object_of_another_program_has_no_known_sha256() {
    let server = seaweedfs().await;
    let key = key("a.webm");
    let content = ByteStream::from_static(b"media");
    raw(&server).put_object().bucket(server.bucket()).key(&key).body(content).send().await.unwrap();
    let info = s3(&server).await.head(&key).await.unwrap();
    assert_eq!((info.bytes, info.sha256), (5, None));
}

/// For example, the ETag of an object that is encrypted with KMS keys does not depend on the content alone.
#[tokio::test]
async fn an_object_is_read_back_if_its_etag_does_not_prove_its_sha256() {
    let server = seaweedfs().await;
    let store = s3(&server).await;
    for (recorded, is_true) in [(sha256(b"media"), true), (sha256(b"other"), false)] {
        let key = key("a.webm");
        raw(&server)
            .put_object()
            .bucket(server.bucket())
            .key(&key)
            .metadata("sha256", recorded)
            .metadata("expected-etag", "of-the-plain-text")
            .body(ByteStream::from_static(b"media"))
            .send()
            .await
            .unwrap();
        let head = store.head(&key).await;
        match is_true {
            true => assert_eq!(head.unwrap().sha256, Some(sha256(b"media"))),
            false => assert!(matches!(head, Err(BlobError::Mismatch { .. })), "{head:?}"),
        }
    }
}

#[tokio::test]
async fn invalid_settings_are_refused_before_a_request_is_sent() {
    let config = S3Config { part_bytes: 1.into(), ..S3Config::new("bucket", "eu-west-1") };
    let refused = S3::connect(&config).await;
    assert!(matches!(refused, Err(BlobError::BadSetting { what: "part_bytes", .. })), "{refused:?}");
}

#[tokio::test]
async fn the_secret_is_never_printed() {
    let server = seaweedfs().await;
    for checksum in [false, true] {
        let config = S3Config { checksum: Some(checksum), ..config(&server, server.url()) };
        let store = S3::connect(&config).await.unwrap();
        assert!(!format!("{store:?}").contains(server.secret_key()));
    }
}

async fn http_get(url: &str) -> (u16, Vec<u8>) {
    let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
    (status, answer.split_off(end + 4))
}
