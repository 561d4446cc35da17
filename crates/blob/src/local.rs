//! An object store in a local directory: the embedded default.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::{
    BlobError, BlobStore, ObjectInfo, ObjectKey, PutFile, TARGET,
    digest::{FileDigest, ReadError, blocking, digest, hex, read_all, source_error},
    partial::{Partial, sync_directory},
};

/// The directory of incomplete files. No key may begin with it.
const INCOMING: &str = ".incoming";
/// An older file in it was left by a crash: no upload takes so long.
const INCOMING_MAX_AGE: Duration = Duration::from_secs(24 * 3600);

/// An object store in a directory: a key is the path of a file below it.
///
/// `put_file` makes a hard link to the source if both are on one file system, and a copy otherwise. It reads a copy back to
/// verify it, and any file with a given SHA-256. The file is synced under a temporary name and renamed, and its directory
/// synced. Media types are not stored.
///
/// `head` reads and hashes the whole file, because nothing that is stored beside it would prove its content. `delete`
/// leaves empty directories.
#[derive(Debug, Clone)]
pub struct LocalDir {
    root: PathBuf,
}

impl LocalDir {
    /// Opens a directory, and creates it if it is missing. Removes incomplete files that a crash left more than a day ago.
    ///
    /// # Errors
    /// `Unavailable` or `Refused` if the directory can't be created or read.
    pub fn open(directory: &Path) -> Result<Self, BlobError> {
        let incoming = directory.join(INCOMING);
        fs::create_dir_all(&incoming).map_err(|error| store_error(&incoming, &error))?;
        let root = fs::canonicalize(directory).map_err(|error| store_error(directory, &error))?;
        sweep(&incoming, SystemTime::now()).map_err(|error| store_error(&incoming, &error))?;
        Ok(Self { root })
    }

    fn path_of(&self, key: &str) -> Result<PathBuf, BlobError> {
        let key: ObjectKey = key.parse()?;
        if key.components().next() == Some(INCOMING) {
            return Err(BlobError::BadKey(key.to_string()));
        }
        Ok(self.root.join(key.as_str()))
    }
}

#[async_trait::async_trait]
impl BlobStore for LocalDir {
    async fn put_file(&self, file: PutFile<'_>, cancel: &CancellationToken) -> Result<ObjectInfo, BlobError> {
        let target = self.path_of(file.key)?;
        let (root, key, source) = (self.root.clone(), file.key.to_owned(), file.path.to_owned());
        let expected = file.sha256.map(str::to_owned);
        let stored = blocking(cancel, move |cancel| {
            if cancel.is_cancelled() {
                return Err(BlobError::Cancelled);
            }
            let partial = Partial::name_in(&root.join(INCOMING));
            let copied = link_or_copy(&source, partial.path(), cancel)?;
            let stored = File::open(partial.path()).map_err(|error| store_error(partial.path(), &error))?;
            let arrived = match (&expected, &copied) {
                // A hard link without a given SHA-256: there is nothing to compare it with.
                (None, None) => {
                    let metadata = stored.metadata().map_err(|error| store_error(partial.path(), &error))?;
                    ObjectInfo { bytes: metadata.len(), sha256: None }
                }
                _ => info(digest(&stored, cancel).map_err(|error| stored_error(partial.path(), error))?),
            };
            let expected = expected.or(copied.map(|copied| copied.sha256));
            if let Some(expected) = expected.filter(|expected| arrived.sha256.as_ref() != Some(expected)) {
                let found = arrived.sha256.as_deref().unwrap_or("unknown");
                let detail = format!("its SHA-256 is {found}, not {expected}");
                return Err(BlobError::Mismatch { key, detail });
            }
            let parent = target.parent().unwrap_or(&root);
            create_directories(&root, parent).map_err(|error| store_error(parent, &error))?;
            partial.persist(&stored, &target).map_err(|error| store_error(&target, &error))?;
            Ok(arrived)
        })
        .await?;
        file.confirm(stored.bytes);
        Ok(stored)
    }

    async fn head(&self, key: &str) -> Result<ObjectInfo, BlobError> {
        let (path, key) = (self.path_of(key)?, key.to_owned());
        blocking(&CancellationToken::new(), move |cancel| {
            let file = open_object(&path, &key)?;
            digest(&file, cancel).map(info).map_err(|error| stored_error(&path, error))
        })
        .await
    }

    async fn get_file(&self, key: &str, path: &Path) -> Result<ObjectInfo, BlobError> {
        let (object, key, target) = (self.path_of(key)?, key.to_owned(), path.to_owned());
        blocking(&CancellationToken::new(), move |cancel| {
            let source = open_object(&object, &key)?;
            let to_target =
                |source: io::Error| BlobError::Target { path: target.display().to_string(), source };
            let partial = Partial::name_in(target.parent().unwrap_or(Path::new("")));
            let file = File::create_new(partial.path()).map_err(to_target)?;
            let sent = copy(&source, &file, cancel).map_err(|error| match error {
                ReadError::Read(error) => store_error(&object, &error),
                ReadError::Write(error) => to_target(error),
                ReadError::Cancelled => BlobError::Cancelled,
            })?;
            partial.persist(&file, &target).map_err(to_target)?;
            Ok(info(sent))
        })
        .await
    }

    async fn delete(&self, key: &str) -> Result<(), BlobError> {
        let path = self.path_of(key)?;
        blocking(&CancellationToken::new(), move |_| match fs::remove_file(&path) {
            Ok(()) => sync_directory(path.parent().unwrap_or(Path::new("/")))
                .map_err(|error| store_error(&path, &error)),
            Err(error) if is_absent(&error) => Ok(()),
            Err(error) => Err(store_error(&path, &error)),
        })
        .await
    }

    async fn download_url(
        &self,
        key: &str,
        _valid: Duration,
        _file_name: Option<&str>,
    ) -> Result<Option<String>, BlobError> {
        self.path_of(key).map(|_| None)
    }

    fn local_path(&self, key: &str) -> Result<Option<PathBuf>, BlobError> {
        self.path_of(key).map(Some)
    }

    async fn ping(&self) -> Result<(), BlobError> {
        let incoming = self.root.join(INCOMING);
        blocking(&CancellationToken::new(), move |_| {
            // Writing a file also detects a full disk, and a file system that became read-only after an error.
            let partial = Partial::name_in(&incoming);
            let mut file =
                File::create_new(partial.path()).map_err(|error| store_error(&incoming, &error))?;
            file.write_all(b"ping").map_err(|error| store_error(&incoming, &error))
        })
        .await
    }
}

/// Makes a hard link to the source, or copies it. Returns the digest of a copy.
fn link_or_copy(
    source: &Path,
    to: &Path,
    cancel: &CancellationToken,
) -> Result<Option<FileDigest>, BlobError> {
    // A hard link to a symbolic link would not be a link to the file.
    if !fs::symlink_metadata(source).map_err(|error| source_error(source, error))?.is_file() {
        return Err(source_error(source, io::Error::other("not a regular file")));
    }
    // Refused across file systems, on some file systems altogether, and for another user's files where
    // `fs.protected_hardlinks` is set (proc_sys_fs(5)).
    if fs::hard_link(source, to).is_ok() {
        return Ok(None);
    }
    let from = File::open(source).map_err(|error| source_error(source, error))?;
    let copied = File::create_new(to).map_err(|error| store_error(to, &error))?;
    copy(&from, &copied, cancel).map(Some).map_err(|error| match error {
        ReadError::Read(error) => source_error(source, error),
        ReadError::Write(error) => store_error(to, &error),
        ReadError::Cancelled => BlobError::Cancelled,
    })
}

fn copy(from: &File, mut to: &File, cancel: &CancellationToken) -> Result<FileDigest, ReadError> {
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    read_all(from, cancel, |piece| {
        hash.update(piece);
        bytes += piece.len() as u64;
        to.write_all(piece)
    })?;
    Ok(FileDigest { bytes, sha256: hex(&hash.finalize()) })
}

/// Creates the directories between `root` and `directory`, and syncs each new name.
fn create_directories(root: &Path, directory: &Path) -> io::Result<()> {
    let Ok(below) = directory.strip_prefix(root) else {
        debug_assert!(false, "the path of a key is below the root");
        return Ok(());
    };
    let mut path = root.to_owned();
    for component in below.components() {
        let parent = path.clone();
        path.push(component);
        match fs::create_dir(&path) {
            Ok(()) => sync_directory(&parent)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Removes files that a crash left in the directory of incomplete files.
fn sweep(incoming: &Path, now: SystemTime) -> io::Result<()> {
    for entry in fs::read_dir(incoming)? {
        let entry = entry?;
        // The time of status change, because a hard link has the time of modification of its source.
        let Ok(changed) = entry.metadata().map(|metadata| metadata.ctime()) else { continue };
        let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(changed.try_into().unwrap_or_default());
        if now.duration_since(changed).is_ok_and(|age| age > INCOMING_MAX_AGE) {
            let removed = fs::remove_file(entry.path()).is_ok();
            tracing::info!(target: TARGET, path = %entry.path().display(), removed, "half-written object removed");
        }
    }
    Ok(())
}

fn open_object(path: &Path, key: &str) -> Result<File, BlobError> {
    let not_found = || BlobError::NotFound(key.to_owned());
    let file = File::open(path).map_err(|error| match is_absent(&error) {
        true => not_found(),
        false => store_error(path, &error),
    })?;
    let is_file = file.metadata().map_err(|error| store_error(path, &error))?.is_file();
    if is_file { Ok(file) } else { Err(not_found()) }
}

/// Whether there is no file with this name. A directory is not an object.
fn is_absent(error: &io::Error) -> bool {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | IsADirectory)
}

fn info(digest: FileDigest) -> ObjectInfo {
    ObjectInfo { bytes: digest.bytes, sha256: Some(digest.sha256) }
}

fn stored_error(path: &Path, error: ReadError) -> BlobError {
    match error {
        ReadError::Read(error) | ReadError::Write(error) => store_error(path, &error),
        ReadError::Cancelled => BlobError::Cancelled,
    }
}

fn store_error(path: &Path, error: &io::Error) -> BlobError {
    use io::ErrorKind::{AlreadyExists, IsADirectory, NotADirectory, PermissionDenied, ReadOnlyFilesystem};
    let text = format!("{}: {error}", path.display());
    match error.kind() {
        // A directory in place of a file, or a file in place of a directory, remains until a person acts.
        PermissionDenied | ReadOnlyFilesystem | NotADirectory | IsADirectory | AlreadyExists => {
            BlobError::Refused(text)
        }
        _ => BlobError::Unavailable(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open_store() -> (tempfile::TempDir, LocalDir) {
        let directory = tempfile::tempdir().unwrap();
        let store = LocalDir::open(&directory.path().join("objects")).unwrap();
        (directory, store)
    }

    fn incoming(store: &LocalDir) -> usize {
        fs::read_dir(store.root.join(INCOMING)).unwrap().count()
    }

    async fn put(store: &LocalDir, key: &str, path: &Path) -> Result<ObjectInfo, BlobError> {
        let file = PutFile { key, path, content_type: "video/webm", sha256: None, confirmed: None };
        store.put_file(file, &CancellationToken::new()).await
    }

    #[tokio::test]
    async fn an_object_on_the_same_file_system_is_a_hard_link_and_leaves_no_temporary_file() {
        let (directory, store) = open_store();
        let source = directory.path().join("source");
        fs::write(&source, "media").unwrap();
        // Twice: a rename between two links to one file does nothing, and would leave the temporary name.
        for _ in 0..2 {
            put(&store, "a/b", &source).await.unwrap();
            assert_eq!(incoming(&store), 0);
        }
        let object = fs::metadata(store.root.join("a/b")).unwrap();
        assert_eq!(object.ino(), fs::metadata(&source).unwrap().ino());
    }

    #[tokio::test]
    async fn a_symbolic_link_is_not_accepted_as_source() {
        let (directory, store) = open_store();
        let (source, link) = (directory.path().join("source"), directory.path().join("link"));
        fs::write(&source, "media").unwrap();
        std::os::unix::fs::symlink(&source, &link).unwrap();
        assert!(matches!(put(&store, "a", &link).await, Err(BlobError::Source { .. })));
    }

    #[test]
    fn the_digest_of_a_copy_is_that_of_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        fs::write(&from, vec![7; 600_000]).unwrap();
        let (source, target) = (File::open(&from).unwrap(), File::create_new(&to).unwrap());
        let sent = copy(&source, &target, &CancellationToken::new()).unwrap();
        assert_eq!(digest(&File::open(&to).unwrap(), &CancellationToken::new()).unwrap(), sent);
        assert_eq!(sent.bytes, 600_000);
    }

    #[tokio::test]
    async fn a_put_that_is_cancelled_while_it_hashes_leaves_nothing() {
        let (directory, store) = open_store();
        let source = directory.path().join("source");
        fs::write(&source, vec![7; 64 << 20]).unwrap();
        let cancel = CancellationToken::new();
        // A file with a given SHA-256 is read.
        let file = PutFile {
            key: "a",
            path: &source,
            content_type: "video/webm",
            sha256: Some(""),
            confirmed: None,
        };
        let put = store.put_file(file, &cancel);
        let cancelled = tokio::join!(put, async {
            // Hashing begins when the file has its temporary name.
            while incoming(&store) == 0 {
                tokio::task::yield_now().await;
            }
            cancel.cancel();
        });
        assert!(matches!(cancelled.0, Err(BlobError::Cancelled)), "{cancelled:?}");
        assert_eq!(incoming(&store), 0);
        assert!(!store.root.join("a").exists());
    }

    #[test]
    fn files_that_a_crash_left_are_removed_after_a_day() {
        let (directory, store) = open_store();
        let stub = store.root.join(INCOMING).join("stub");
        fs::write(&stub, "half").unwrap();
        LocalDir::open(&directory.path().join("objects")).unwrap();
        assert!(stub.exists(), "another process may be writing it");
        sweep(&store.root.join(INCOMING), SystemTime::now() + INCOMING_MAX_AGE + Duration::from_secs(60))
            .unwrap();
        assert!(!stub.exists());
    }

    #[tokio::test]
    async fn an_incomplete_file_has_no_key() {
        let (_directory, store) = open_store();
        let key = format!("{INCOMING}/stub");
        assert!(matches!(store.head(&key).await, Err(BlobError::BadKey(_))));
    }

    #[tokio::test]
    async fn a_key_below_an_object_is_refused_and_not_found() {
        let (directory, store) = open_store();
        let source = directory.path().join("source");
        fs::write(&source, "media").unwrap();
        put(&store, "a/b", &source).await.unwrap();
        assert!(matches!(put(&store, "a/b/c", &source).await, Err(BlobError::Refused(_))));
        assert!(matches!(put(&store, "a", &source).await, Err(BlobError::Refused(_))));
        assert!(matches!(store.head("a/b/c").await, Err(BlobError::NotFound(_))));
        assert!(matches!(store.head("a").await, Err(BlobError::NotFound(_))));
        assert_eq!(incoming(&store), 0);
    }

    #[tokio::test]
    async fn the_ping_of_a_removed_directory_fails() {
        let (_directory, store) = open_store();
        fs::remove_dir_all(&store.root).unwrap();
        assert!(matches!(store.ping().await, Err(BlobError::Unavailable(_))));
    }

    #[tokio::test]
    async fn head_detects_damage_on_the_disk() {
        let (directory, store) = open_store();
        let source = directory.path().join("source");
        fs::write(&source, "media").unwrap();
        let stored = put(&store, "a", &source).await.unwrap();
        fs::write(store.root.join("a"), "medib").unwrap();
        assert_ne!(store.head("a").await.unwrap(), stored);
    }
}
