//! Uploads of whole files, which are verified afterwards.

use std::{path::Path, sync::Arc, time::Duration};

use aws_sdk_s3::{config::timeout::TimeoutConfig, primitives::ByteStream};
use aws_smithy_types::byte_stream::Length;
use tokio_util::sync::CancellationToken;

use super::{
    S3, SEND_BUFFER,
    fingerprint::{Fingerprint, Part},
    head::metadata,
    rate_limit,
    request::{request_span, traced},
};
use crate::{BlobError, ObjectInfo, ObjectKey, PutFile, digest::source_error};

impl S3 {
    pub(super) async fn put(
        &self,
        file: &PutFile<'_>,
        cancel: &CancellationToken,
    ) -> Result<ObjectInfo, BlobError> {
        let key: ObjectKey = file.key.parse()?;
        let (part_bytes, mode) = (self.config.part_bytes.0, self.config.checksum_mode());
        let fingerprint = Fingerprint::of(file.path, part_bytes, mode, cancel).await?;
        if let Some(expected) = file.sha256.filter(|expected| *expected != fingerprint.sha256) {
            let detail = format!("the local file's SHA-256 is {}, not {expected}", fingerprint.sha256);
            return Err(BlobError::Mismatch { key: key.to_string(), detail });
        }
        match fingerprint.parts.as_slice() {
            [only] => cancellable(cancel, Box::pin(self.put_whole(&key, file, &fingerprint, only))).await?,
            _ => Box::pin(self.put_parts(&key, file, &fingerprint, cancel)).await?,
        }
        cancellable(cancel, Box::pin(self.confirm(&key, &fingerprint))).await
    }

    async fn put_whole(
        &self,
        key: &ObjectKey,
        file: &PutFile<'_>,
        fingerprint: &Fingerprint,
        part: &Part,
    ) -> Result<(), BlobError> {
        let request = self
            .client
            .put_object()
            .bucket(&self.config.bucket)
            .key(key.as_str())
            .content_type(file.content_type)
            .set_metadata(Some(metadata(fingerprint)))
            .content_md5(part.content_md5())
            .set_checksum_sha256(part.checksum())
            .body(self.body(file.path, part).await?)
            .customize()
            .config_override(self.with_attempt_timeout(part.bytes));
        let span = request_span!("s3.put", %key, bytes = part.bytes);
        traced(span, key.as_str(), request.send()).await?;
        file.confirm(part.bytes);
        Ok(())
    }

    /// The body of a request: a part of a file, which is read while it is sent.
    pub(super) async fn body(&self, path: &Path, part: &Part) -> Result<ByteStream, BlobError> {
        if let Some(limiter) = &self.rate_limit {
            let body = rate_limit::body(Arc::clone(limiter), path.to_owned(), part.offset, part.bytes);
            return Ok(ByteStream::new(body));
        }
        ByteStream::read_from()
            .path(path)
            .offset(part.offset)
            .length(Length::Exact(part.bytes))
            .buffer_size(SEND_BUFFER)
            .build()
            .await
            .map_err(|error| source_error(path, std::io::Error::other(error)))
    }

    /// The time-out of one attempt to send `bytes`: longer by the time that the rate limit, and the slowest accepted
    /// connection, need for them.
    pub(super) fn with_attempt_timeout(&self, bytes: u64) -> aws_sdk_s3::config::Builder {
        let limited = self.rate_limit.as_ref().map_or(Duration::ZERO, |limiter| limiter.longest_time(bytes));
        let slow = Duration::from_secs(bytes / self.config.slowest.get());
        let attempt = self.config.attempt_timeout.saturating_add(limited).saturating_add(slow);
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(self.config.connect_timeout)
            .operation_attempt_timeout(attempt)
            .build();
        aws_sdk_s3::Config::builder().timeout_config(timeouts)
    }

    /// Verifies the stored object. An object that differs is not deleted: another run may have uploaded and verified it
    /// since. A damaged one is replaced by the next upload.
    async fn confirm(&self, key: &ObjectKey, sent: &Fingerprint) -> Result<ObjectInfo, BlobError> {
        let detail = match self.info(key).await {
            Ok(info) if info.bytes == sent.bytes && info.sha256.as_ref() == Some(&sent.sha256) => {
                return Ok(info);
            }
            Ok(info) => {
                format!(
                    "the store has {info:?}, but {} bytes with SHA-256 {} were sent",
                    sent.bytes, sent.sha256
                )
            }
            Err(BlobError::Mismatch { detail, .. }) => detail,
            // The store had acknowledged it.
            Err(BlobError::NotFound(key)) => {
                return Err(BlobError::Mismatch { key, detail: "it is missing after the upload".to_owned() });
            }
            Err(error) => return Err(error),
        };
        Err(BlobError::Mismatch { key: key.to_string(), detail })
    }
}

/// Awaits `work` until `cancel` is cancelled.
pub(super) async fn cancellable<T>(
    cancel: &CancellationToken,
    work: impl Future<Output = Result<T, BlobError>>,
) -> Result<T, BlobError> {
    cancel.run_until_cancelled(work).await.unwrap_or(Err(BlobError::Cancelled))
}
