//! Object keys that are safe as a path below a directory.

use std::{fmt, str::FromStr};

use crate::BlobError;

/// The longest key, in bytes: S3's limit (Amazon S3 User Guide, "Naming Amazon S3 objects").
const MAX_KEY: usize = 1024;
/// The longest component, in bytes: the limit of a file name on Linux (`NAME_MAX`).
const MAX_COMPONENT: usize = 255;

/// An object key: `/`-separated, relative, 1 to 1024 bytes, with no empty, `.` or `..` component, none longer than
/// 255 bytes, and no control character.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its components, at least one.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

impl FromStr for ObjectKey {
    type Err = BlobError;

    fn from_str(text: &str) -> Result<Self, BlobError> {
        let component = |c: &str| !matches!(c, "" | "." | "..") && c.len() <= MAX_COMPONENT;
        if text.len() > MAX_KEY || text.contains(char::is_control) || !text.split('/').all(component) {
            // Only the beginning of the key: enough to recognise it, not enough to flood a log.
            return Err(BlobError::BadKey(text.chars().take(100).collect()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_inside_the_store_is_a_key() {
        for good in
            ["a", "media/2026/03/04/x.webm", "a b/ü.mkv", "...", ".hidden", &"x/".repeat(500).as_str()[..999]]
        {
            assert_eq!(good.parse::<ObjectKey>().unwrap().as_str(), good);
        }
    }

    #[test]
    fn a_key_that_leads_out_of_the_store_is_refused() {
        let long_name = "x".repeat(256);
        let long_key = "xyz/".repeat(256) + "x";
        let bad = [
            "",
            "/",
            "/etc/passwd",
            "..",
            "a/../b",
            "a/..",
            "./a",
            "a/./b",
            "a//b",
            "a/",
            "a\0b",
            "a\nb",
            "\u{7f}",
        ];
        for bad in bad.into_iter().chain([long_name.as_str(), long_key.as_str()]) {
            assert!(matches!(bad.parse::<ObjectKey>(), Err(BlobError::BadKey(_))), "{bad:?}");
        }
    }
}
