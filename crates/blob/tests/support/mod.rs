//! Servers, files and clients for the tests of this crate.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::Duration,
};

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use blob::{BlobStore, ObjectInfo, PutFile, S3, S3Config, Secret};
use rand::{RngCore, SeedableRng, rngs::SmallRng};
use sha2::{Digest, Sha256};
use testkit::servers::seaweedfs::SeaweedFs;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

pub const PART: u64 = 5 << 20;

/// A server that concurrent tests share. It stops with the last of them.
pub async fn seaweedfs() -> Arc<SeaweedFs> {
    static SHARED: Mutex<Weak<SeaweedFs>> = Mutex::const_new(Weak::new());
    let mut shared = SHARED.lock().await;
    if let Some(server) = shared.upgrade() {
        return server;
    }
    let server = Arc::new(SeaweedFs::start().await.unwrap());
    *shared = Arc::downgrade(&server);
    server
}

/// The configuration of the server's bucket at `url`, with one attempt per request.
pub fn config(server: &SeaweedFs, url: String) -> S3Config {
    S3Config {
        endpoint: Some(url),
        path_style: true,
        access_key: Some(Secret::new(server.access_key())),
        secret_key: Some(Secret::new(server.secret_key())),
        part_bytes: PART.into(),
        attempts: 1,
        connect_timeout: Duration::from_secs(10),
        slowest: std::num::NonZeroU64::MAX,
        ..S3Config::new(server.bucket(), "us-east-1")
    }
}

pub async fn s3(server: &SeaweedFs) -> S3 {
    S3::connect(&config(server, server.url())).await.unwrap()
}

/// The SDK's client of the same bucket.
pub fn raw(server: &SeaweedFs) -> aws_sdk_s3::Client {
    let key = Credentials::new(server.access_key(), server.secret_key(), None, None, "test");
    let provider = aws_smithy_http_client::tls::Provider::Rustls(
        aws_smithy_http_client::tls::rustls_provider::CryptoMode::Ring,
    );
    aws_sdk_s3::Client::from_conf(
        aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(aws_smithy_http_client::Builder::new().tls_provider(provider).build_https())
            .region(Region::new("us-east-1"))
            .credentials_provider(key)
            .endpoint_url(server.url())
            .force_path_style(true)
            .build(),
    )
}

/// The number of open multipart uploads to keys that begin with `prefix`.
pub async fn open_uploads(server: &SeaweedFs, prefix: &str) -> usize {
    let listed = raw(server).list_multipart_uploads().bucket(server.bucket()).prefix(prefix).send().await;
    listed.unwrap().uploads().len()
}

/// A unique key.
pub fn key(name: &str) -> String {
    format!("media/2026/03/04/{}-{name}", uuid::Uuid::new_v4())
}

/// A file with random content.
pub struct TestFile {
    pub path: PathBuf,
    pub content: Vec<u8>,
    _directory: tempfile::TempDir,
}

impl TestFile {
    pub fn of(bytes: u64) -> Self {
        let mut content = vec![0; usize::try_from(bytes).unwrap()];
        SmallRng::seed_from_u64(bytes).fill_bytes(&mut content);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("source.webm");
        std::fs::write(&path, &content).unwrap();
        Self { path, content, _directory: directory }
    }

    pub fn sha256(&self) -> String {
        sha256(&self.content)
    }

    pub fn info(&self) -> ObjectInfo {
        ObjectInfo { bytes: self.content.len() as u64, sha256: Some(self.sha256()) }
    }
}

pub fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn webm<'a>(key: &'a str, path: &'a Path) -> PutFile<'a> {
    PutFile { key, path, content_type: "video/webm", sha256: None, confirmed: None }
}

pub async fn put(store: &dyn BlobStore, key: &str, file: &TestFile) -> Result<ObjectInfo, blob::BlobError> {
    store.put_file(webm(key, &file.path), &CancellationToken::new()).await
}
