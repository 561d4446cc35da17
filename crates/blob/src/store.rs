//! The trait of all back ends.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{BlobError, ObjectInfo, PartUploads};

/// A file to upload, and its key.
#[derive(Debug, Clone)]
pub struct PutFile<'a> {
    /// The object key: 1 to 1024 bytes, `/`-separated, relative, no control character, and no component that is empty, `.`,
    /// `..` or longer than 255 bytes.
    pub key: &'a str,
    /// The local file. It must not change any more, because the object in a [`crate::LocalDir`] may be a hard link to it.
    /// It can be removed after the upload.
    pub path: &'a Path,
    /// The object's media type.
    pub content_type: &'a str,
    /// SHA-256 of the file, lower-case hexadecimal, if it is known; the stored object must match it. Without it a store may
    /// not read the object, and then [`ObjectInfo::sha256`] is none.
    pub sha256: Option<&'a str>,
    /// Receives the number of bytes that the store has acknowledged: after each part, or once at the end. The number is
    /// added to its present value.
    pub confirmed: Option<&'a watch::Sender<u64>>,
}

impl PutFile<'_> {
    /// Adds acknowledged bytes.
    pub(crate) fn confirm(&self, bytes: u64) {
        if let Some(confirmed) = self.confirmed {
            confirmed.send_modify(|all| *all = all.saturating_add(bytes));
        }
    }
}

/// An object store.
///
/// ```
/// use blob::{BlobStore, LocalDir, PutFile};
/// use tokio_util::sync::CancellationToken;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let directory = tempfile::tempdir()?;
/// let media = directory.path().join("media.webm");
/// std::fs::write(&media, "media")?;
///
/// let store = LocalDir::open(&directory.path().join("objects"))?;
/// let file = PutFile {
///     key: "2026/03/04/a.webm",
///     path: &media,
///     content_type: "video/webm",
///     sha256: None,
///     confirmed: None,
/// };
/// store.put_file(file, &CancellationToken::new()).await?;
///
/// let copy = directory.path().join("copy.webm");
/// let info = store.get_file("2026/03/04/a.webm", &copy).await?;
/// assert_eq!(info.bytes, 5);
/// assert_eq!(std::fs::read(copy)?, b"media");
/// # Ok(())
/// # }
/// ```
#[async_trait::async_trait]
pub trait BlobStore: Send + Sync + std::fmt::Debug {
    /// Uploads a file, in parts if it is large, verifies the object, and returns its properties. The object appears whole
    /// or not at all. A failed upload removes its parts, if the store can be reached.
    ///
    /// An object under the key is replaced. To stop, cancel the token and await the result: a dropped future can't remove
    /// its parts from a remote store; the next upload to the same key does.
    ///
    /// # Errors
    /// Any [`BlobError`]. [`BlobError::is_transient`] returns whether the call may succeed later.
    async fn put_file(&self, file: PutFile<'_>, cancel: &CancellationToken) -> Result<ObjectInfo, BlobError>;

    /// The properties of an object. Reads the whole object if nothing else proves its SHA-256.
    ///
    /// # Errors
    /// `NotFound`, or as [`put_file`](Self::put_file).
    async fn head(&self, key: &str) -> Result<ObjectInfo, BlobError>;

    /// Downloads an object to a local file. The file appears whole or not at all, and replaces an existing one.
    ///
    /// # Errors
    /// `NotFound`, or as [`put_file`](Self::put_file).
    async fn get_file(&self, key: &str, path: &Path) -> Result<ObjectInfo, BlobError>;

    /// Deletes an object. A missing object is not an error.
    ///
    /// # Errors
    /// As [`put_file`](Self::put_file).
    async fn delete(&self, key: &str) -> Result<(), BlobError>;

    /// A presigned URL, by which anyone can fetch the object for the time `valid`; none if the store has no such URLs.
    /// With a `file_name` (any text) a browser saves the object under this name.
    ///
    /// # Errors
    /// As [`put_file`](Self::put_file).
    async fn download_url(
        &self,
        key: &str,
        valid: Duration,
        file_name: Option<&str>,
    ) -> Result<Option<String>, BlobError>;

    /// The path of the object on this machine, where it can be read without a copy; none if the store is elsewhere. The
    /// file must not be changed. The method does not check whether the object exists.
    ///
    /// # Errors
    /// `BadKey`.
    fn local_path(&self, key: &str) -> Result<Option<PathBuf>, BlobError> {
        let _ = key;
        Ok(None)
    }

    /// The interface for uploads of open files, part by part; none if the store accepts only whole files.
    fn parts(&self) -> Option<&dyn PartUploads> {
        None
    }

    /// Checks that the store answers and that the bucket exists.
    ///
    /// # Errors
    /// As [`put_file`](Self::put_file).
    async fn ping(&self) -> Result<(), BlobError>;
}
