//! Small files of the data directory that only the recorder may read.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

/// Writes a line to a new file with mode 0600. The file is complete and on disk before it gets its name: the recorder
/// refuses to start with a truncated one.
pub(crate) fn write_line(path: &Path, line: &str) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_all()?;
    fs::rename(&part, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_file_that_a_crash_left_incomplete_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        fs::write(directory.path().join("key.part"), "a longer line than the one that follows").unwrap();
        write_line(&path, "whole").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole\n");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn other_users_can_not_read_the_file() {
        let directory = tempfile::tempdir().unwrap();
        write_line(&directory.path().join("key"), "secret").unwrap();
        assert_eq!(fs::metadata(directory.path().join("key")).unwrap().mode() & 0o777, 0o600);
    }
}
