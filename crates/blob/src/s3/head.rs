//! The answer to HEAD, and whether it proves the SHA-256 of an object.

use std::collections::HashMap;

use aws_sdk_s3::types::ChecksumMode as AskForChecksum;

use super::{
    S3,
    fingerprint::Fingerprint,
    request::{request_span, traced},
};
use crate::{BlobError, ObjectInfo, ObjectKey, TARGET};

/// Metadata: SHA-256 of the content, hexadecimal.
pub(super) const META_SHA256: &str = "sha256";
/// Metadata: the ETag that the store computes from this content.
const META_ETAG: &str = "expected-etag";
/// Metadata: the checksum that the store computes from this content.
const META_CHECKSUM: &str = "expected-checksum";

/// The metadata of an object.
pub(super) fn metadata(fingerprint: &Fingerprint) -> HashMap<String, String> {
    let mut metadata = HashMap::from([
        (META_SHA256.to_owned(), fingerprint.sha256.clone()),
        (META_ETAG.to_owned(), fingerprint.etag()),
    ]);
    metadata.extend(fingerprint.checksum().map(|checksum| (META_CHECKSUM.to_owned(), checksum)));
    metadata
}

/// The answer to HEAD.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub bytes: u64,
    /// Without quotes.
    pub etag: Option<String>,
    pub checksum: Option<String>,
    metadata: HashMap<String, String>,
}

/// Whether the answer to HEAD proves the SHA-256 of the content.
#[derive(Debug, PartialEq, Eq)]
enum Proof {
    /// The store computed the same ETag or checksum as the writer, from content with this SHA-256.
    Proven(String),
    /// The metadata has a SHA-256, but nothing that the store computed proves it.
    Unproven,
    /// The metadata has no SHA-256: another program wrote the object.
    Absent,
}

impl Head {
    fn proof(&self) -> Proof {
        let Some(sha256) = self.metadata.get(META_SHA256) else { return Proof::Absent };
        let proves = |computed: &Option<String>, expected| {
            computed.as_ref().is_some_and(|computed| self.metadata.get(expected) == Some(computed))
        };
        if proves(&self.etag, META_ETAG) || proves(&self.checksum, META_CHECKSUM) {
            return Proof::Proven(sha256.clone());
        }
        Proof::Unproven
    }
}

impl S3 {
    /// Size and proven SHA-256 of an object. Reads it back if the answer to HEAD is not a proof.
    pub(super) async fn info(&self, key: &ObjectKey) -> Result<ObjectInfo, BlobError> {
        let head = self.head_object(key).await?;
        let sha256 = match head.proof() {
            Proof::Proven(sha256) => Some(sha256),
            Proof::Absent => None,
            Proof::Unproven => {
                tracing::debug!(target: TARGET, %key, "object read back: neither ETag nor checksum proves it");
                return self.read_back(key).await;
            }
        };
        Ok(ObjectInfo { bytes: head.bytes, sha256 })
    }

    pub(super) async fn head_object(&self, key: &ObjectKey) -> Result<Head, BlobError> {
        let request = self
            .client
            .head_object()
            .bucket(&self.config.bucket)
            .key(key.as_str())
            .set_checksum_mode(self.uses_checksums().then_some(AskForChecksum::Enabled));
        let head = traced(request_span!("s3.head", %key), key.as_str(), request.send()).await?;
        let bytes = head.content_length().and_then(|bytes| u64::try_from(bytes).ok());
        Ok(Head {
            bytes: bytes
                .ok_or_else(|| BlobError::Unavailable("the answer to HEAD has no size".to_owned()))?,
            etag: head.e_tag().map(|etag| etag.trim_matches('"').to_owned()),
            checksum: head.checksum_sha256().map(str::to_owned),
            metadata: head.metadata().cloned().unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(etag: &str, checksum: Option<&str>, metadata: &[(&str, &str)]) -> Head {
        let metadata = metadata.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Head { bytes: 1, etag: Some(etag.to_owned()), checksum: checksum.map(str::to_owned), metadata }
    }

    #[test]
    fn metadata_alone_proves_nothing() {
        let recorded = [(META_SHA256, "abc"), (META_ETAG, "e-2"), (META_CHECKSUM, "c-2")];
        let proven = Proof::Proven("abc".to_owned());
        assert_eq!(head("e-2", None, &recorded).proof(), proven);
        assert_eq!(head("of-kms", Some("c-2"), &recorded).proof(), proven);
        assert_eq!(head("of-kms", None, &recorded).proof(), Proof::Unproven);
        assert_eq!(head("of-kms", Some("other"), &recorded).proof(), Proof::Unproven);
        assert_eq!(head("e-2", None, &recorded[..1]).proof(), Proof::Unproven);
        assert_eq!(head("e-2", None, &[]).proof(), Proof::Absent);
    }
}
