//! Rows as both databases hold them, and the nouns that they stand for.
//!
//! Names of states and codecs are text there, counts are 64-bit signed integers. Going out, every value fits or is
//! made to fit, because nothing about a recording may keep it from being sealed; coming in, every value is checked.

mod jobs;
mod recordings;
mod renditions;
mod segments;
mod uploads;

use std::{borrow::Cow, str::FromStr, time::Duration};

pub use jobs::{JobRow, MaybeId};
pub use recordings::{RecordingRow, TrackRow, after, with_tracks};
pub use renditions::RenditionRow;
pub use segments::SegmentRow;
pub use uploads::{UploadPartRow, UploadRow, UploadStatusRow};

use crate::StoreError;

/// Text as a database takes it. Postgres refuses U+0000 in text; a name that holds one must not keep a recording
/// from being sealed, so it becomes U+FFFD.
#[must_use]
pub fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{FFFD}").into() } else { text.into() }
}

/// A name out of a column.
///
/// # Errors
/// `Corrupt` if it stands for nothing known.
pub fn known<T: FromStr<Err: std::fmt::Display>>(name: &str) -> Result<T, StoreError> {
    name.parse().map_err(|unknown: T::Err| StoreError::Corrupt(unknown.to_string()))
}

/// A number out of a column.
///
/// # Errors
/// `Corrupt` if it is negative or too large.
pub fn unsigned<T: TryFrom<i64>>(value: i64, what: &str) -> Result<T, StoreError> {
    T::try_from(value).map_err(|_| StoreError::Corrupt(format!("{what}: {value}")))
}

/// A count as a database takes it. 2^63 bytes are more than any disk holds: beyond it a counter is wrong, and must
/// not keep a recording from being sealed.
#[must_use]
pub fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Nanoseconds; 292 years are the most.
#[must_use]
pub fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn duration(nanoseconds: i64) -> Result<Duration, StoreError> {
    unsigned(nanoseconds, "nanoseconds").map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use model::RecordingState;

    use super::*;

    #[test]
    fn a_state_of_a_later_version_is_an_unreadable_row() {
        let error = known::<RecordingState>("ARCHIVED").unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"the database holds an unreadable row: unknown recording state: "ARCHIVED""#
        );
    }

    #[test]
    fn a_negative_count_is_an_unreadable_row() {
        assert!(matches!(unsigned::<u64>(-1, "bytes"), Err(StoreError::Corrupt(_))));
        assert!(matches!(unsigned::<u32>(1 << 32, "width"), Err(StoreError::Corrupt(_))));
    }

    #[test]
    fn text_without_a_nul_is_not_copied() {
        assert!(matches!(text("Планёрка"), Cow::Borrowed("Планёрка")));
        assert_eq!(text("a\0b"), "a\u{FFFD}b");
    }
}
