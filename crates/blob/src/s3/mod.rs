//! An object store in a bucket of Amazon S3, or of a service with the same API.

mod config;
mod error;
mod fingerprint;
mod get;
mod head;
mod multipart;
mod part_uploads;
mod put;
mod rate_limit;
mod request;

use std::{fmt, num::NonZeroU64, path::Path, sync::Arc, time::Duration};

use aws_config::BehaviorVersion;
use aws_sdk_s3::{
    Client,
    config::{
        Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
        SharedCredentialsProvider, retry::RetryConfig, timeout::TimeoutConfig,
    },
    presigning::PresigningConfig,
};
use aws_smithy_http_client::tls;
use tokio_util::sync::CancellationToken;

use crate::{BlobError, BlobStore, ObjectInfo, ObjectKey, PartUploads, PutFile, attachment};
use error::s3_error;
use rate_limit::RateLimiter;
use request::{request_span, traced};

use config::ChecksumMode;

pub use config::S3Config;

/// Bytes of one read while a file is sent. Each read runs on another thread, so small ones are slow.
const SEND_BUFFER: usize = 512 * 1024;

/// A bucket.
///
/// `put_file` reads the file twice: to hash it, and to send it. Neither a part nor the file is ever in memory as a whole.
/// The store verifies each part by its MD5 (and SHA-256, see [`S3Config::checksum`]). The object's metadata has its SHA-256, and
/// the ETag and checksum that the store must compute if it has exactly these bytes. So one request of `head` proves the
/// SHA-256. If the store's ETag is no MD5 (KMS or customer keys) and it has no checksum, `head` reads the object back.
#[derive(Clone)]
pub struct S3 {
    client: Client,
    config: S3Config,
    /// Shared by all clones.
    rate_limit: Option<Arc<RateLimiter>>,
}

impl S3 {
    /// Creates a client. Sends nothing to the store ([`BlobStore::ping`] does). AWS's chain of credentials may read files.
    ///
    /// # Errors
    /// `BadSetting`; `Refused` if there are no credentials.
    pub async fn connect(config: &S3Config) -> Result<Self, BlobError> {
        config.check()?;
        let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        let http = aws_smithy_http_client::Builder::new().tls_provider(provider).build_https();
        let region = Region::new(config.region.clone());
        let credentials = match (&config.access_key, &config.secret_key) {
            (Some(id), Some(secret)) => SharedCredentialsProvider::new(Credentials::new(
                id.reveal(),
                secret.reveal(),
                None,
                None,
                "configuration",
            )),
            _ => aws_config::defaults(BehaviorVersion::latest())
                .http_client(http.clone())
                .region(region.clone())
                .load()
                .await
                .credentials_provider()
                .ok_or_else(|| BlobError::Refused("no credentials found".to_owned()))?,
        };
        // The SDK would send its checksums as trailers, which many stores do not support. This client computes them
        // beforehand and sends them as headers.
        let mut sdk = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http)
            .region(region)
            .credentials_provider(credentials)
            .force_path_style(config.path_style)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .retry_config(RetryConfig::standard().with_max_attempts(config.attempts))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(config.connect_timeout)
                    .operation_attempt_timeout(config.attempt_timeout)
                    .build(),
            );
        sdk.set_endpoint_url(config.endpoint.clone());
        let rate_limit =
            NonZeroU64::new(config.bytes_per_second.0).map(|rate| Arc::new(RateLimiter::new(rate)));
        Ok(Self { client: Client::from_conf(sdk.build()), config: config.clone(), rate_limit })
    }

    fn uses_checksums(&self) -> bool {
        self.config.checksum_mode() == ChecksumMode::WhenSupported
    }
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3").field("config", &self.config).finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl BlobStore for S3 {
    async fn put_file(&self, file: PutFile<'_>, cancel: &CancellationToken) -> Result<ObjectInfo, BlobError> {
        self.put(&file, cancel).await
    }

    async fn head(&self, key: &str) -> Result<ObjectInfo, BlobError> {
        let key: ObjectKey = key.parse()?;
        self.info(&key).await
    }

    async fn get_file(&self, key: &str, path: &Path) -> Result<ObjectInfo, BlobError> {
        let key: ObjectKey = key.parse()?;
        self.get(&key, path).await
    }

    async fn delete(&self, key: &str) -> Result<(), BlobError> {
        let key: ObjectKey = key.parse()?;
        let request = self.client.delete_object().bucket(&self.config.bucket).key(key.as_str());
        match traced(request_span!("s3.delete", %key), key.as_str(), request.send()).await {
            Ok(_) | Err(BlobError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn download_url(
        &self,
        key: &str,
        valid: Duration,
        file_name: Option<&str>,
    ) -> Result<Option<String>, BlobError> {
        let key: ObjectKey = key.parse()?;
        let presigning = PresigningConfig::expires_in(valid)
            .map_err(|error| BlobError::BadSetting { what: "valid", problem: error.to_string() })?;
        let request = self
            .client
            .get_object()
            .bucket(&self.config.bucket)
            .key(key.as_str())
            .set_response_content_disposition(file_name.map(attachment));
        let presigned =
            request.presigned(presigning).await.map_err(|error| s3_error(&error, key.as_str()))?;
        Ok(Some(presigned.uri().to_owned()))
    }

    fn parts(&self) -> Option<&dyn PartUploads> {
        Some(self)
    }

    async fn ping(&self) -> Result<(), BlobError> {
        let bucket = &self.config.bucket;
        let request = self.client.head_bucket().bucket(bucket);
        match traced(request_span!("s3.head_bucket", bucket), bucket, request.send()).await {
            Ok(_) => Ok(()),
            Err(BlobError::NotFound(_)) => Err(BlobError::Refused(format!("no bucket {bucket:?}"))),
            Err(error) => Err(error),
        }
    }
}
