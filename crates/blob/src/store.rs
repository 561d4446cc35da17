//! What a back end does.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{BlobError, PartUploads};

/// What the store says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of the content, lower-case hexadecimal, as computed or checked by the store or recorded with the
    /// object when it was written and confirmed against a read; none if the store can't tell.
    pub sha256: Option<String>,
}

/// A file to be put under a key.
#[derive(Debug, Clone)]
pub struct PutFile<'a> {
    /// The key: `/`-separated, relative, no `.` or `..` component ([`crate::ObjectKey`]).
    pub key: &'a str,
    /// The local file. It must never change again: [`crate::LocalDir`] may make the object a hard link to it.
    /// Removing it afterwards is fine.
    pub path: &'a Path,
    /// Media type.
    pub content_type: &'a str,
    /// SHA-256 of the file, lower-case hexadecimal, where it is known. What arrives has to match it. Without it a store
    /// may answer a put without having read the object: then it tells no SHA-256.
    pub sha256: Option<&'a str>,
    /// Is told of how many bytes the store has said that it has them: part by part where they are sent in parts, else all at
    /// the end. What it holds before is added to.
    pub confirmed: Option<&'a watch::Sender<u64>>,
}

impl PutFile<'_> {
    /// The store has so many more.
    pub(crate) fn confirm(&self, bytes: u64) {
        if let Some(confirmed) = self.confirmed {
            confirmed.send_modify(|all| *all = all.saturating_add(bytes));
        }
    }
}

/// An object store.
#[async_trait::async_trait]
pub trait BlobStore: Send + Sync + std::fmt::Debug {
    /// Stores a file, in parts where it is large, and returns what the store then says of it. The object appears
    /// whole or not at all; a failed upload leaves no parts behind where the store can be reached to remove them.
    ///
    /// An object that was under the key is replaced. To give up, cancel the token and await the return: a future
    /// that is dropped can't remove parts from a remote store any more; the next put under the same key does.
    ///
    /// # Errors
    /// [`BlobError`]; whether it is worth repeating says [`BlobError::is_transient`].
    async fn put_file(&self, file: PutFile<'_>, cancel: &CancellationToken) -> Result<ObjectInfo, BlobError>;

    /// What is under a key. May take as long as reading the object, where nothing less tells its SHA-256.
    ///
    /// # Errors
    /// `NotFound`, or as above.
    async fn head(&self, key: &str) -> Result<ObjectInfo, BlobError>;

    /// Copies an object into a local file, which appears whole or not at all and replaces what was there.
    ///
    /// # Errors
    /// `NotFound`, or as above.
    async fn get_file(&self, key: &str, path: &Path) -> Result<ObjectInfo, BlobError>;

    /// Removes an object. None there is fine.
    ///
    /// # Errors
    /// As above.
    async fn delete(&self, key: &str) -> Result<(), BlobError>;

    /// A URL by which anyone can fetch the object for a time; none if the store has no such thing. Whoever follows it
    /// is told to save the object under `file_name`, where one is given: any text.
    ///
    /// # Errors
    /// As above.
    async fn download_url(
        &self,
        key: &str,
        valid: Duration,
        file_name: Option<&str>,
    ) -> Result<Option<String>, BlobError>;

    /// Where the object is on this machine, so that it can be read without a copy; none if the store keeps it
    /// elsewhere. Nothing may be changed there, and whether there is such an object is not looked at.
    ///
    /// # Errors
    /// `BadKey`.
    fn local_path(&self, key: &str) -> Result<Option<PathBuf>, BlobError> {
        let _ = key;
        Ok(None)
    }

    /// How a file is sent part by part while it grows; none if the store takes files as a whole only.
    fn parts(&self) -> Option<&dyn PartUploads> {
        None
    }

    /// Whether the store answers and the bucket is there.
    ///
    /// # Errors
    /// As above.
    async fn ping(&self) -> Result<(), BlobError>;
}
