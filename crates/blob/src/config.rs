//! The configuration of the object store: the section `blob`.

use std::{path::PathBuf, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::Fault;

use crate::{BlobError, BlobStore, LocalDir, S3, S3Config};

/// Where finished files are stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BlobConfig {
    /// First part of every object key.
    pub base_path: String,
    /// The local directory: used unless a bucket is named.
    pub local: LocalConfig,
    /// The bucket.
    pub s3: S3Config,
}

/// Objects in a local directory: the section `blob.local`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LocalConfig {
    /// Directory of objects while `blob.s3.bucket` is empty.
    #[schemars(extend("default_text" = "`<data_dir>/objects`"))]
    pub directory: PathBuf,
}

impl Default for BlobConfig {
    fn default() -> Self {
        Self { base_path: "records".to_owned(), local: LocalConfig::default(), s3: S3Config::default() }
    }
}

impl Default for LocalConfig {
    fn default() -> Self {
        Self { directory: PathBuf::from("objects") }
    }
}

impl BlobConfig {
    /// Values of the section that can't be used.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        self.s3.faults().into_iter().map(|fault| fault.within("s3")).collect()
    }

    /// Opens the bucket if one is named, else the local directory.
    ///
    /// # Errors
    /// Those of [`S3::connect`] and [`LocalDir::open`].
    pub async fn open(&self) -> Result<Arc<dyn BlobStore>, BlobError> {
        if self.s3.bucket.is_empty() {
            Ok(Arc::new(LocalDir::open(&self.local.directory)?))
        } else {
            Ok(Arc::new(S3::connect(&self.s3).await?))
        }
    }
}
