//! Small files that are made at the first start and kept.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

/// Writes a line into a new file that its owner alone can read. The file appears when it is whole and on disk: with half of
/// what it should hold the recorder would not start again.
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
    fn what_a_crash_left_half_written_is_written_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        fs::write(directory.path().join("key.part"), "a longer line than the one that follows").unwrap();
        write_line(&path, "whole").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole\n");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn nobody_else_can_read_it() {
        let directory = tempfile::tempdir().unwrap();
        write_line(&directory.path().join("key"), "secret").unwrap();
        assert_eq!(fs::metadata(directory.path().join("key")).unwrap().mode() & 0o777, 0o600);
    }
}
