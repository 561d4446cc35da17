//! How to reach a bucket.

use std::{fmt, num::NonZeroU64, time::Duration};

use crate::BlobError;

/// The least size of a part but the last (Amazon S3 User Guide, "multipart upload limits").
const MIN_PART_BYTES: u64 = 5 << 20;
/// What one of forty parts that are on their way at a time gets of 40 Mbit/s.
const SLOWEST: NonZeroU64 = NonZeroU64::new(128 << 10).expect("it is not zero");
/// The largest size of a part.
pub(super) const MAX_PART_BYTES: u64 = 5 << 30;

/// A text that prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// An access key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: Secret,
    /// The session's token, where the key is a temporary one.
    pub session_token: Option<Secret>,
}

/// Whether the checksums are sent and asked for that newer S3 has (`x-amz-checksum-*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumMode {
    /// Not at all: for stores that don't know them. `Content-MD5` and the ETag still guard the content.
    WhenRequired,
    /// A SHA-256 of each part, checked by the store: for Amazon S3. Needed where objects are encrypted with KMS keys,
    /// for their ETag is no MD5.
    WhenSupported,
}

/// How to reach a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Config {
    /// The bucket. It has to exist.
    pub bucket: String,
    /// The service's URL; none for Amazon S3.
    pub endpoint: Option<String>,
    /// The region, which is signed; any text for most stores that aren't Amazon's.
    pub region: String,
    /// The bucket in the URL's path, not in its host name. Most stores that aren't Amazon's want it.
    pub path_style: bool,
    /// The key; none for AWS's usual chain (environment, profile, web identity, container, instance).
    pub access_key: Option<AccessKey>,
    /// Which checksums are used.
    pub checksums: ChecksumMode,
    /// Files larger than this go in parts of this size (larger ones where a file would need over 10,000): 5 MiB to
    /// 5 GiB.
    pub part_bytes: u64,
    /// Parts of one file on their way at a time.
    pub parts_at_once: usize,
    /// The longest wait for a connection.
    pub connect_timeout: Duration,
    /// The longest time for one try of one request, beside the time that `slowest` allows its body; and the longest silence
    /// in a download.
    pub attempt_timeout: Duration,
    /// Bytes a second below which an upload of a part is given up.
    pub slowest: NonZeroU64,
    /// Tries of one request, the first included.
    pub attempts: u32,
    /// The most bytes a second that all uploads together send; none: no limit.
    pub bytes_a_second: Option<NonZeroU64>,
}

impl S3Config {
    /// The defaults for a bucket: Amazon S3, and AWS's chain of credentials.
    #[must_use]
    pub fn new(bucket: impl Into<String>, region: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            endpoint: None,
            region: region.into(),
            path_style: false,
            access_key: None,
            checksums: ChecksumMode::WhenSupported,
            part_bytes: 8 << 20,
            parts_at_once: 4,
            connect_timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(60),
            slowest: SLOWEST,
            attempts: 3,
            bytes_a_second: None,
        }
    }

    /// Looks at values that the store would refuse only with the first upload.
    ///
    /// # Errors
    /// `BadSetting`.
    pub(super) fn check(&self) -> Result<(), BlobError> {
        let bad = |what, problem: &str| Err(BlobError::BadSetting { what, problem: problem.to_owned() });
        if self.bucket.is_empty() {
            return bad("bucket", "must not be empty");
        }
        if self.region.is_empty() {
            return bad("region", "must not be empty");
        }
        if !(MIN_PART_BYTES..=MAX_PART_BYTES).contains(&self.part_bytes) {
            return bad("part_bytes", "must be between 5 MiB and 5 GiB");
        }
        if self.parts_at_once == 0 {
            return bad("parts_at_once", "must be at least 1");
        }
        if self.attempts == 0 {
            return bad("attempts", "must be at least 1");
        }
        if self.connect_timeout.is_zero() || self.attempt_timeout.is_zero() {
            return bad("timeouts", "must be longer than nothing");
        }
        let is_url = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        if !self.endpoint.as_ref().is_none_or(is_url) {
            return bad("endpoint", "must be an http:// or https:// URL");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        let mut config = S3Config::new("bucket", "eu-west-1");
        let token = Some(Secret::new("wJalrXU"));
        config.access_key =
            Some(AccessKey { id: "AKIA".into(), secret: Secret::new("wJalrXU"), session_token: token });
        assert!(!format!("{config:?}").contains("wJalrXU"));
        assert!(format!("{config:?}").contains("***"));
    }

    #[test]
    fn a_value_that_no_store_takes_is_named() {
        type Change = fn(&mut S3Config);
        let changes: [(&str, Change); 7] = [
            ("bucket", |c| c.bucket.clear()),
            ("region", |c| c.region.clear()),
            ("part_bytes", |c| c.part_bytes = 1 << 20),
            ("parts_at_once", |c| c.parts_at_once = 0),
            ("attempts", |c| c.attempts = 0),
            ("timeouts", |c| c.attempt_timeout = Duration::ZERO),
            ("endpoint", |c| c.endpoint = Some("s3.example".into())),
        ];
        for (name, change) in changes {
            let mut config = S3Config::new("bucket", "eu-west-1");
            config.check().unwrap();
            change(&mut config);
            assert!(config.check().unwrap_err().to_string().starts_with(name), "{name}");
        }
    }
}
