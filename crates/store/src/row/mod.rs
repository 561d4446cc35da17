//! Converts between the rows of both databases and the types of `model`.
//!
//! A row has names of states and codecs as text, and counts as signed 64-bit integers. A written value that does not fit
//! is changed until it fits, because no value of a recording may prevent its finalization. A value that is read is checked.

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

/// Text that both databases accept. Postgres refuses U+0000; a name with it must not prevent the finalization of a
/// recording, so U+0000 is replaced by U+FFFD.
#[must_use]
pub fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{FFFD}").into() } else { text.into() }
}

/// The value of a name in a column.
///
/// # Errors
/// `Corrupt` if no value has the name.
pub fn known<T: FromStr<Err: std::fmt::Display>>(name: &str) -> Result<T, StoreError> {
    name.parse().map_err(|unknown: T::Err| StoreError::Corrupt(unknown.to_string()))
}

/// The unsigned value of a number in a column.
///
/// # Errors
/// `Corrupt` if the number is negative or too large.
pub fn unsigned<T: TryFrom<i64>>(value: i64, what: &str) -> Result<T, StoreError> {
    T::try_from(value).map_err(|_| StoreError::Corrupt(format!("{what}: {value}")))
}

/// A count as a signed integer, at most 2^63 − 1. A larger count is wrong, and must not prevent the finalization of a
/// recording.
#[must_use]
pub fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A duration in nanoseconds, at most 292 years.
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
    fn text_without_u_0000_is_not_copied() {
        assert!(matches!(text("Планёрка"), Cow::Borrowed("Планёрка")));
        assert_eq!(text("a\0b"), "a\u{FFFD}b");
    }
}
