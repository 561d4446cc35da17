//! How to reach a bucket: the section `blob.s3`.

use std::{num::NonZeroU64, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::{ByteSize, Fault, Secret, changed};

use crate::BlobError;

/// The least size of a part but the last (Amazon S3 User Guide, "multipart upload limits").
const MIN_PART_BYTES: u64 = 5 << 20;
/// What each of 40 concurrent parts receives of 40 Mbit/s.
const SLOWEST: NonZeroU64 = NonZeroU64::new(128 << 10).expect("it is not zero");
/// The largest size of a part.
pub(super) const MAX_PART_BYTES: u64 = 5 << 30;

/// Whether requests carry the checksums of newer S3 (`x-amz-checksum-*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChecksumMode {
    /// For stores that don't know them. `Content-MD5` and the ETag still guard the content.
    WhenRequired,
    /// A SHA-256 of each part, checked by the store: for Amazon S3. Needed where objects are encrypted with KMS keys,
    /// whose ETag is no MD5.
    WhenSupported,
}

/// A bucket of Amazon S3, or of a store with its API. Fields without a key are set by tests and tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct S3Config {
    /// Bucket, which has to exist. Empty: objects go to the local directory.
    pub bucket: String,
    /// URL of a store that is not AWS, such as `https://minio:9000`.
    pub endpoint: Option<String>,
    /// Region that requests are signed for. Most stores that are not AWS accept any text.
    pub region: String,
    /// Bucket in the URL's path instead of the host name. Most stores that are not AWS need it.
    pub path_style: bool,
    /// Id of the access key.
    #[schemars(extend("default_text" = "what the AWS environment gives"))]
    pub access_key: Option<Secret>,
    /// Secret of the access key.
    #[schemars(extend("default_text" = "what the AWS environment gives"))]
    pub secret_key: Option<Secret>,
    /// Send and check SHA-256 checksums (`x-amz-checksum-*`), which some stores don't know.
    #[schemars(extend("default_text" = "true on AWS, false with an endpoint"))]
    pub checksum: Option<bool>,
    /// Size of a part of a multipart upload, `5MiB` to `5GiB`. A recording is uploaded part by part while it is open. The size
    /// doubles after each 1,000 parts.
    pub part_bytes: ByteSize,
    /// Most bytes per second of all uploads of this node together. `0`: no limit.
    pub bytes_per_second: ByteSize,
    /// Concurrent parts of one file.
    #[serde(skip)]
    pub parts_at_once: usize,
    /// The longest wait for a connection.
    #[serde(skip)]
    pub connect_timeout: Duration,
    /// The longest time of one attempt of a request, in addition to the time that `slowest` allows its body; and the longest
    /// silence in a download.
    #[serde(skip)]
    pub attempt_timeout: Duration,
    /// Bytes per second below which an upload of a part is given up.
    #[serde(skip)]
    pub slowest: NonZeroU64,
    /// Attempts of one request, the first included.
    #[serde(skip)]
    pub attempts: u32,
}

impl Default for S3Config {
    fn default() -> Self {
        Self {
            bucket: String::new(),
            endpoint: None,
            region: "us-east-1".to_owned(),
            path_style: false,
            access_key: None,
            secret_key: None,
            checksum: None,
            part_bytes: ByteSize(MIN_PART_BYTES),
            bytes_per_second: ByteSize(0),
            parts_at_once: 4,
            connect_timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(60),
            slowest: SLOWEST,
            attempts: 3,
        }
    }
}

impl S3Config {
    /// The defaults for a bucket: Amazon S3, and AWS's chain of credentials.
    #[must_use]
    pub fn new(bucket: impl Into<String>, region: impl Into<String>) -> Self {
        Self { bucket: bucket.into(), region: region.into(), ..Self::default() }
    }

    pub(super) fn checksum_mode(&self) -> ChecksumMode {
        if self.checksum.unwrap_or(self.endpoint.is_none()) {
            ChecksumMode::WhenSupported
        } else {
            ChecksumMode::WhenRequired
        }
    }

    /// Values of the section that can't be used.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults: Vec<Fault> =
            self.invalid().into_iter().map(|(key, reason)| Fault::new(key, reason)).collect();
        if self.bucket.is_empty() {
            let reason = "has no effect without blob.s3.bucket: objects would go to blob.local.directory";
            faults.extend(changed(self).into_iter().map(|key| Fault::new(key, reason)));
        }
        faults
    }

    /// Refuses values that the store would refuse only with the first upload.
    ///
    /// # Errors
    /// `BadSetting`.
    pub(super) fn check(&self) -> Result<(), BlobError> {
        let empty = self.bucket.is_empty().then_some(("bucket", "must not be empty"));
        match empty.into_iter().chain(self.invalid()).next() {
            None => Ok(()),
            Some((what, problem)) => Err(BlobError::BadSetting { what, problem: problem.to_owned() }),
        }
    }

    fn invalid(&self) -> Vec<(&'static str, &'static str)> {
        let is_url = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        let rules = [
            (self.region.is_empty(), "region", "must not be empty"),
            (
                !(MIN_PART_BYTES..=MAX_PART_BYTES).contains(&self.part_bytes.0),
                "part_bytes",
                "S3 accepts parts from 5MiB to 5GiB",
            ),
            (
                self.access_key.is_some() != self.secret_key.is_some(),
                "secret_key",
                "access_key and secret_key are only valid together",
            ),
            (!self.endpoint.as_ref().is_none_or(is_url), "endpoint", "must be an http:// or https:// URL"),
            (self.parts_at_once == 0, "parts_at_once", "must be at least 1"),
            (self.attempts == 0, "attempts", "must be at least 1"),
            (
                self.connect_timeout.is_zero() || self.attempt_timeout.is_zero(),
                "timeouts",
                "must be longer than 0",
            ),
        ];
        rules.into_iter().filter(|rule| rule.0).map(|(_, key, reason)| (key, reason)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        let config = S3Config {
            access_key: Some(Secret::new("AKIA")),
            secret_key: Some(Secret::new("wJalrXU")),
            ..S3Config::new("bucket", "eu-west-1")
        };
        assert!(!format!("{config:?}").contains("wJalrXU"));
        assert!(format!("{config:?}").contains("***"));
    }

    #[test]
    fn a_value_that_no_store_accepts_is_named() {
        type Change = fn(&mut S3Config);
        let changes: [(&str, Change); 8] = [
            ("bucket", |c| c.bucket.clear()),
            ("region", |c| c.region.clear()),
            ("part_bytes", |c| c.part_bytes = ByteSize(1 << 20)),
            ("secret_key", |c| c.access_key = Some(Secret::new("AKIA"))),
            ("parts_at_once", |c| c.parts_at_once = 0),
            ("attempts", |c| c.attempts = 0),
            ("timeouts", |c| c.attempt_timeout = Duration::ZERO),
            ("endpoint", |c| c.endpoint = Some("s3.example".into())),
        ];
        for (name, change) in changes {
            let mut config = S3Config::new("bucket", "eu-west-1");
            config.check().unwrap();
            assert_eq!(config.faults(), []);
            change(&mut config);
            assert!(config.check().unwrap_err().to_string().starts_with(name), "{name}");
        }
    }

    #[test]
    fn checksums_are_the_default_on_aws_alone() {
        let mut config = S3Config::new("bucket", "eu-west-1");
        assert_eq!(config.checksum_mode(), ChecksumMode::WhenSupported);
        config.endpoint = Some("http://minio:9000".to_owned());
        assert_eq!(config.checksum_mode(), ChecksumMode::WhenRequired);
        config.checksum = Some(true);
        assert_eq!(config.checksum_mode(), ChecksumMode::WhenSupported);
    }

    #[test]
    fn settings_without_a_bucket_are_faults() {
        let config = S3Config { path_style: true, ..S3Config::default() };
        let keys: Vec<String> = config.faults().into_iter().map(|fault| fault.key).collect();
        assert_eq!(keys, ["path_style"]);
        assert_eq!(S3Config::default().faults(), []);
    }
}
