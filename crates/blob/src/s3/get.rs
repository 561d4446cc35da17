//! Downloads, which are hashed while they are received.

use std::{fs::File, path::Path, time::Duration};

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;

use super::{
    S3, error,
    fingerprint::PartHasher,
    head::META_SHA256,
    request::{request_span, traced},
};
use crate::{
    BlobError, ObjectInfo, ObjectKey, PartDigest, PartRange,
    digest::{blocking, hex},
    partial::Partial,
};

/// An object that is being received.
pub(super) struct Download {
    key: String,
    body: ByteStream,
    /// Maximum time between two pieces. The time-outs of the SDK end with the head of the answer.
    read_timeout: Duration,
    content_length: Option<u64>,
    bytes: u64,
    hash: Sha256,
    /// The SHA-256 in the object's metadata.
    recorded: Option<String>,
}

impl Download {
    /// The next piece; none at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, BlobError> {
        let failed = |what: String| BlobError::Unavailable(format!("{}: the download {what}", self.key));
        let next = tokio::time::timeout(self.read_timeout, self.body.next()).await;
        match next.map_err(|_| failed("stalled".to_owned()))? {
            Some(Ok(piece)) => {
                self.bytes += piece.len() as u64;
                self.hash.update(&piece);
                Ok(Some(piece))
            }
            Some(Err(error)) => Err(failed(format!("broke off: {}", error::chain(&error)))),
            None if self.content_length.is_some_and(|content_length| content_length != self.bytes) => {
                Err(failed(format!("ended after {} bytes, too early", self.bytes)))
            }
            None => Ok(None),
        }
    }

    /// The properties of the complete object.
    ///
    /// # Errors
    /// `Mismatch` if it differs from the SHA-256 in its metadata.
    fn finish(self) -> Result<ObjectInfo, BlobError> {
        let sha256 = hex(&self.hash.finalize());
        if let Some(recorded) = self.recorded.filter(|recorded| *recorded != sha256) {
            let detail = format!("its SHA-256 is {sha256}, not {recorded}");
            return Err(BlobError::Mismatch { key: self.key, detail });
        }
        Ok(ObjectInfo { bytes: self.bytes, sha256: Some(sha256) })
    }
}

impl S3 {
    async fn download(&self, key: &ObjectKey) -> Result<Download, BlobError> {
        let request = self.client.get_object().bucket(&self.config.bucket).key(key.as_str());
        let object = traced(request_span!("s3.get", %key), key.as_str(), request.send()).await?;
        Ok(Download {
            key: key.to_string(),
            content_length: object.content_length().and_then(|bytes| u64::try_from(bytes).ok()),
            recorded: object.metadata().and_then(|metadata| metadata.get(META_SHA256)).cloned(),
            body: object.body,
            read_timeout: self.config.attempt_timeout,
            bytes: 0,
            hash: Sha256::new(),
        })
    }

    /// Reads an object and hashes it.
    pub(super) async fn read_back(&self, key: &ObjectKey) -> Result<ObjectInfo, BlobError> {
        let mut download = self.download(key).await?;
        while download.next().await?.is_some() {}
        download.finish()
    }

    /// Reads an object and computes the digests of these ranges, which cover it in order.
    pub(super) async fn read_parts(
        &self,
        key: &ObjectKey,
        ranges: &[PartRange],
    ) -> Result<Vec<PartDigest>, BlobError> {
        let mut download = self.download(key).await?;
        let (mut digests, mut ranges) = (Vec::new(), ranges.iter());
        let new_part = || PartHasher::new(self.config.checksum_mode());
        let (mut part, mut left) = (new_part(), ranges.next().map_or(0, |range| range.bytes));
        while let Some(mut piece) = download.next().await? {
            while !piece.is_empty() {
                if left == 0 {
                    digests.push(std::mem::replace(&mut part, new_part()).finish());
                    left = ranges.next().map_or(u64::MAX, |range| range.bytes);
                }
                let head = piece.split_to(usize::try_from(left).unwrap_or(usize::MAX).min(piece.len()));
                part.update(&head);
                left -= head.len() as u64;
            }
        }
        digests.push(part.finish());
        Ok(digests)
    }

    pub(super) async fn get(&self, key: &ObjectKey, path: &Path) -> Result<ObjectInfo, BlobError> {
        let to_target = |source| BlobError::Target { path: path.display().to_string(), source };
        let mut download = self.download(key).await?;
        let partial = Partial::name_in(path.parent().unwrap_or(Path::new("")));
        let file = File::create_new(partial.path()).map_err(to_target)?;
        let mut writer = tokio::fs::File::from_std(file);
        while let Some(piece) = download.next().await? {
            writer.write_all(&piece).await.map_err(to_target)?;
        }
        let info = download.finish()?;
        writer.flush().await.map_err(to_target)?;
        let (file, path) = (writer.into_std().await, path.to_owned());
        blocking(&CancellationToken::new(), move |_| {
            partial
                .persist(&file, &path)
                .map_err(|source| BlobError::Target { path: path.display().to_string(), source })
        })
        .await?;
        Ok(info)
    }
}
