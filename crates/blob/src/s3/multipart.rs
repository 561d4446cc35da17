//! Multipart uploads of whole files (Amazon S3 User Guide, "Uploading and copying objects using multipart upload").

use std::path::Path;

use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use futures::{StreamExt, TryStreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::{
    S3,
    fingerprint::{Fingerprint, Part},
    head::metadata,
    put::cancellable,
    request::{request_span, traced},
};
use crate::{BlobError, ObjectKey, PutFile, TARGET};

/// A multipart upload that is neither completed nor aborted.
struct Upload<'a> {
    key: &'a ObjectKey,
    id: String,
}

impl S3 {
    pub(super) async fn put_parts(
        &self,
        key: &ObjectKey,
        file: &PutFile<'_>,
        fingerprint: &Fingerprint,
        cancel: &CancellationToken,
    ) -> Result<(), BlobError> {
        cancellable(cancel, Box::pin(self.abort_abandoned(key))).await?;
        // Not cancellable: without the answer the id of the upload is unknown, and it can't be aborted.
        let upload = Upload { key, id: self.create_upload(key, file, fingerprint).await? };
        let sending = Box::pin(async {
            let parts = self.send_parts(&upload, file, &fingerprint.parts).await?;
            self.complete(&upload, parts).await
        });
        let sent = cancellable(cancel, sending).await;
        if sent.is_err() {
            self.abort(&upload).await;
        }
        sent
    }

    async fn create_upload(
        &self,
        key: &ObjectKey,
        file: &PutFile<'_>,
        fingerprint: &Fingerprint,
    ) -> Result<String, BlobError> {
        let request = self
            .client
            .create_multipart_upload()
            .bucket(&self.config.bucket)
            .key(key.as_str())
            .content_type(file.content_type)
            .set_metadata(Some(metadata(fingerprint)))
            .set_checksum_algorithm(self.uses_checksums().then_some(ChecksumAlgorithm::Sha256));
        let span = request_span!("s3.create_multipart_upload", %key);
        let created = traced(span, key.as_str(), request.send()).await?;
        let id = created.upload_id().map(str::to_owned);
        id.ok_or_else(|| {
            BlobError::Unavailable("the answer to CreateMultipartUpload has no upload id".to_owned())
        })
    }

    /// Sends the parts, `parts_at_once` at a time, until the first error.
    async fn send_parts(
        &self,
        upload: &Upload<'_>,
        file: &PutFile<'_>,
        parts: &[Part],
    ) -> Result<CompletedMultipartUpload, BlobError> {
        let completed = stream::iter(parts.iter().cloned())
            .map(|part| self.send_part(upload, file, part))
            .buffered(self.config.parts_at_once)
            .try_collect()
            .await?;
        Ok(CompletedMultipartUpload::builder().set_parts(Some(completed)).build())
    }

    async fn send_part(
        &self,
        upload: &Upload<'_>,
        file: &PutFile<'_>,
        part: Part,
    ) -> Result<CompletedPart, BlobError> {
        let etag = self.upload_part(upload.key, &upload.id, file.path, &part).await?;
        file.confirm(part.bytes);
        Ok(CompletedPart::builder()
            .part_number(part.number)
            .e_tag(etag)
            .set_checksum_sha256(part.checksum())
            .build())
    }

    /// Sends one part and returns its ETag.
    pub(super) async fn upload_part(
        &self,
        key: &ObjectKey,
        upload_id: &str,
        path: &Path,
        part: &Part,
    ) -> Result<String, BlobError> {
        let request = self
            .client
            .upload_part()
            .bucket(&self.config.bucket)
            .key(key.as_str())
            .upload_id(upload_id)
            .part_number(part.number)
            .content_md5(part.content_md5())
            .set_checksum_sha256(part.checksum())
            .body(self.body(path, part).await?)
            .customize()
            .config_override(self.with_attempt_timeout(part.bytes));
        let span = request_span!("s3.put_part", %key, part = part.number, bytes = part.bytes);
        let sent = traced(span, key.as_str(), request.send()).await?;
        let etag = sent.e_tag().map(str::to_owned);
        etag.ok_or_else(|| BlobError::Unavailable("the answer to UploadPart has no ETag".to_owned()))
    }

    async fn complete(&self, upload: &Upload<'_>, parts: CompletedMultipartUpload) -> Result<(), BlobError> {
        let key = upload.key;
        let request = self
            .client
            .complete_multipart_upload()
            .bucket(&self.config.bucket)
            .key(key.as_str())
            .upload_id(&upload.id)
            .multipart_upload(parts);
        let span = request_span!("s3.complete_multipart_upload", %key);
        match traced(span, key.as_str(), request.send()).await {
            Ok(_) => Ok(()),
            // The answer to an earlier attempt was lost, but it had succeeded. The verification of the object shows whether
            // it did.
            Err(BlobError::NoUpload(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Aborts a failed upload, so that the store removes its parts. If that fails, the next upload of the file removes them,
    /// or the bucket's lifecycle rule.
    async fn abort(&self, upload: &Upload<'_>) {
        if let Err(error) = self.abort_upload(upload.key.as_str(), &upload.id).await {
            tracing::warn!(target: TARGET, key = %upload.key, %error, "parts of a failed upload remain");
        }
    }

    /// Aborts an upload; none is fine.
    pub(super) async fn abort_upload(&self, key: &str, upload_id: &str) -> Result<(), BlobError> {
        let request =
            self.client.abort_multipart_upload().bucket(&self.config.bucket).key(key).upload_id(upload_id);
        match traced(request_span!("s3.abort_multipart_upload", key), key, request.send()).await {
            Ok(_) | Err(BlobError::NoUpload(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Aborts earlier uploads to this key: of a run that was killed, or of one that has lost its lease and did not notice
    /// yet.
    async fn abort_abandoned(&self, key: &ObjectKey) -> Result<(), BlobError> {
        let request = self.client.list_multipart_uploads().bucket(&self.config.bucket).prefix(key.as_str());
        let span = request_span!("s3.list_multipart_uploads", prefix = %key);
        let uploads = match traced(span, key.as_str(), request.send()).await {
            Ok(listed) => listed,
            // Without the permission to list, only the lifecycle rule removes them.
            Err(BlobError::Refused(reason)) => {
                tracing::debug!(target: TARGET, %key, reason, "abandoned uploads can't be listed");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        for abandoned in uploads.uploads().iter().filter(|upload| upload.key() == Some(key.as_str())) {
            let Some(id) = abandoned.upload_id() else { continue };
            tracing::info!(target: TARGET, %key, upload_id = id, "abandoned upload aborted");
            self.abort(&Upload { key, id: id.to_owned() }).await;
        }
        Ok(())
    }
}
