//! SHA-256 of files, on blocking threads, in constant memory.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::BlobError;

/// Bytes of one read. Cancellation is checked between two reads.
pub(crate) const READ_BYTES: usize = 256 * 1024;

/// A file's size and SHA-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDigest {
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
}

/// Why a file was not read to its end.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The file could not be read.
    Read(io::Error),
    /// The data could not be written to its destination.
    Write(io::Error),
    Cancelled,
}

/// [`BlobError::Source`].
pub(crate) fn source_error(path: &Path, source: io::Error) -> BlobError {
    BlobError::Source { path: path.display().to_string(), source }
}

/// Reads to the end, and calls `each` with each piece.
pub(crate) fn read_all(
    mut source: impl Read,
    cancel: &CancellationToken,
    mut each: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<(), ReadError> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        if cancel.is_cancelled() {
            return Err(ReadError::Cancelled);
        }
        let read = match source.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(ReadError::Read(error)),
        };
        each(buffer.get(..read).unwrap_or_default()).map_err(ReadError::Write)?;
    }
}

/// Size and SHA-256 of an open file, from its present position.
pub(crate) fn digest(file: &File, cancel: &CancellationToken) -> Result<FileDigest, ReadError> {
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    read_all(file, cancel, |piece| {
        hash.update(piece);
        bytes += piece.len() as u64;
        Ok(())
    })?;
    Ok(FileDigest { bytes, sha256: hex(&hash.finalize()) })
}

/// Size and SHA-256 of a local file.
///
/// # Errors
/// `Source` if it can't be read, `Cancelled`.
pub async fn file_digest(path: &Path, cancel: &CancellationToken) -> Result<FileDigest, BlobError> {
    let path = path.to_owned();
    blocking(cancel, move |cancel| {
        let file = File::open(&path).map_err(|error| source_error(&path, error))?;
        digest(&file, cancel).map_err(|error| match error {
            ReadError::Read(error) | ReadError::Write(error) => source_error(&path, error),
            ReadError::Cancelled => BlobError::Cancelled,
        })
    })
    .await
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a String can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Runs blocking file work on a thread for it. Dropping the future, or cancelling `cancel`, cancels the token of the work,
/// which ends at its next check.
pub(crate) async fn blocking<T: Send + 'static>(
    cancel: &CancellationToken,
    work: impl FnOnce(&CancellationToken) -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    let token = cancel.child_token();
    let _cancelled_on_drop = token.clone().drop_guard();
    match tokio::task::spawn_blocking(move || work(&token)).await {
        Ok(result) => result,
        Err(error) => Err(BlobError::Unavailable(format!("the thread of a file operation ended: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::*;

    #[test]
    fn the_digest_is_that_of_the_whole_file() {
        let mut file = tempfile::tempfile().unwrap();
        // FIPS 180-2, appendix B.3: one million times "a".
        file.write_all(&vec![b'a'; 1_000_000]).unwrap();
        file.rewind().unwrap();
        let digest = digest(&file, &CancellationToken::new()).unwrap();
        assert_eq!(digest.bytes, 1_000_000);
        assert_eq!(digest.sha256, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    }

    #[tokio::test]
    async fn dropping_the_future_cancels_the_blocking_work() {
        let (started, has_started) = tokio::sync::oneshot::channel();
        let (ended, has_ended) = tokio::sync::oneshot::channel();
        let cancel = CancellationToken::new();
        let work = blocking(&cancel, |token| {
            let _ = started.send(());
            while !token.is_cancelled() {
                std::thread::yield_now();
            }
            let _ = ended.send(());
            Ok(())
        });
        tokio::select! {
            _ = work => panic!("the work was not cancelled"),
            _ = has_started => {}
        }
        has_ended.await.unwrap();
    }
}
