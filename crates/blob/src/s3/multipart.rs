//! Uploads in parts (Amazon S3 User Guide, "Uploading and copying objects using multipart upload").

use std::path::Path;

use aws_sdk_s3::{
    error::ProvideErrorMetadata,
    types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart},
};
use futures::{StreamExt, TryStreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::{
    S3,
    error::s3_error,
    fingerprint::{Fingerprint, Part},
    head::metadata,
    put::cancellable,
};
use crate::{BlobError, ObjectKey, PutFile};

/// An upload that was begun and neither completed nor aborted yet.
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
        // Not cancellable: whoever gives up here does not learn the id of the upload, and can't abort it.
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
        let created = self
            .client
            .create_multipart_upload()
            .bucket(&self.config.bucket)
            .key(key.as_str())
            .content_type(file.content_type)
            .set_metadata(Some(metadata(fingerprint)))
            .set_checksum_algorithm(self.uses_checksums().then_some(ChecksumAlgorithm::Sha256))
            .send()
            .await
            .map_err(|error| s3_error(&error, key.as_str()))?;
        let id = created.upload_id().map(str::to_owned);
        id.ok_or_else(|| BlobError::Unavailable("the new upload has no id".to_owned()))
    }

    /// Sends the parts, some at a time; the first failure ends it.
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

    /// Sends one part; its tag.
    pub(super) async fn upload_part(
        &self,
        key: &ObjectKey,
        upload_id: &str,
        path: &Path,
        part: &Part,
    ) -> Result<String, BlobError> {
        let sent = self
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
            .config_override(self.with_attempt_timeout(part.bytes))
            .send()
            .await
            .map_err(|error| s3_error(&error, key.as_str()))?;
        let etag = sent.e_tag().map(str::to_owned);
        etag.ok_or_else(|| BlobError::Unavailable("the part has no tag".to_owned()))
    }

    async fn complete(&self, upload: &Upload<'_>, parts: CompletedMultipartUpload) -> Result<(), BlobError> {
        let completed = self
            .client
            .complete_multipart_upload()
            .bucket(&self.config.bucket)
            .key(upload.key.as_str())
            .upload_id(&upload.id)
            .multipart_upload(parts)
            .send()
            .await;
        match completed {
            Ok(_) => Ok(()),
            // The answer to an earlier try was lost, and that try had succeeded. Whether it did is seen next, when the
            // object is confirmed.
            Err(error) if error.code() == Some("NoSuchUpload") => Ok(()),
            Err(error) => Err(s3_error(&error, upload.key.as_str())),
        }
    }

    /// Aborts, so that the store drops the parts. It is tried and no more: what stays behind goes when the file is put
    /// again, or by the bucket's lifecycle rule.
    async fn abort(&self, upload: &Upload<'_>) {
        let aborted = self
            .client
            .abort_multipart_upload()
            .bucket(&self.config.bucket)
            .key(upload.key.as_str())
            .upload_id(&upload.id)
            .send()
            .await;
        match aborted {
            Ok(_) => {}
            Err(error) if error.code() == Some("NoSuchUpload") => {}
            Err(error) => {
                let error = s3_error(&error, upload.key.as_str());
                tracing::warn!(key = %upload.key, %error, "a failed upload's parts could not be removed");
            }
        }
    }

    /// Aborts uploads to this key that were begun earlier: by a run that was killed, or by one that lost its lease
    /// and does not know it yet.
    async fn abort_abandoned(&self, key: &ObjectKey) -> Result<(), BlobError> {
        let listed = self
            .client
            .list_multipart_uploads()
            .bucket(&self.config.bucket)
            .prefix(key.as_str())
            .send()
            .await;
        let uploads = match listed.map_err(|error| s3_error(&error, key.as_str())) {
            Ok(listed) => listed,
            // Without the permission to list, the lifecycle rule has to do.
            Err(BlobError::Refused(reason)) => {
                tracing::debug!(%key, reason, "abandoned uploads can't be listed");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        for abandoned in uploads.uploads().iter().filter(|upload| upload.key() == Some(key.as_str())) {
            let Some(id) = abandoned.upload_id() else { continue };
            tracing::info!(%key, "aborting an abandoned upload");
            self.abort(&Upload { key, id: id.to_owned() }).await;
        }
        Ok(())
    }
}
