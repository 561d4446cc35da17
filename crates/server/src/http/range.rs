//! Range requests (RFC 9110 §14).

use http::{HeaderMap, header};

/// The part of a file to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Range {
    /// The whole file: no range was requested, or one that may be ignored.
    Whole,
    /// From the first to the last byte, both included.
    Part { first: u64, last: u64 },
    /// The range lies outside of the file.
    Unsatisfiable,
}

impl Range {
    /// The range of a request for a file of `size` bytes with the entity tag `tag`. Several ranges in one request are
    /// answered with the whole file (allowed by §14.2), and so is a range of a file that has changed (`If-Range`, §13.1.5).
    pub(super) fn of(headers: &HeaderMap, tag: Option<&str>, size: u64) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let Some(range) = text(header::RANGE) else { return Self::Whole };
        if headers.contains_key(header::IF_RANGE) && text(header::IF_RANGE) != tag {
            return Self::Whole;
        }
        let Some(range) = range.trim().strip_prefix("bytes=") else { return Self::Whole };
        Self::parse(range.trim(), size).unwrap_or(Self::Whole)
    }

    /// None if it is not a single range.
    fn parse(range: &str, size: u64) -> Option<Self> {
        let (first, last) = range.split_once('-')?;
        let number = |text: &str| text.trim().parse::<u64>().ok();
        let end = size.checked_sub(1);
        let part = match (first.trim(), last.trim()) {
            ("", suffix) => {
                let length = number(suffix)?;
                let first = size.saturating_sub(length);
                end.filter(|_| length > 0).map(|last| Self::Part { first, last })
            }
            (first, "") => {
                let first = number(first)?;
                end.filter(|end| first <= *end).map(|last| Self::Part { first, last })
            }
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                if last < first {
                    return None;
                }
                end.filter(|end| first <= *end).map(|end| Self::Part { first, last: last.min(end) })
            }
        };
        Some(part.unwrap_or(Self::Unsatisfiable))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(headers: &[(header::HeaderName, &str)], size: u64) -> Range {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        Range::of(&headers, Some("\"a\""), size)
    }

    #[test]
    fn a_range_ends_at_its_last_byte_or_the_files() {
        let part = |first, last| Range::Part { first, last };
        for (text, size, want) in [
            ("bytes=0-0", 10, part(0, 0)),
            ("bytes=2-4", 10, part(2, 4)),
            ("bytes=2-99", 10, part(2, 9)),
            ("bytes=2-", 10, part(2, 9)),
            ("bytes=-3", 10, part(7, 9)),
            ("bytes=-99", 10, part(0, 9)),
            ("bytes=10-", 10, Range::Unsatisfiable),
            ("bytes=10-12", 10, Range::Unsatisfiable),
            ("bytes=-0", 10, Range::Unsatisfiable),
            ("bytes=0-0", 0, Range::Unsatisfiable),
            ("bytes=-1", 0, Range::Unsatisfiable),
            ("bytes=4-2", 10, Range::Whole),
            ("bytes=0-1,4-5", 10, Range::Whole),
            ("bytes=x-y", 10, Range::Whole),
            ("bytes=99999999999999999999-", 10, Range::Whole),
            ("lines=0-1", 10, Range::Whole),
            ("", 10, Range::Whole),
        ] {
            assert_eq!(range(&[(header::RANGE, text)], size), want, "{text} of {size}");
        }
    }

    #[test]
    fn a_range_of_a_changed_file_is_the_whole_file() {
        let requested = (header::RANGE, "bytes=0-1");
        let want = Range::Part { first: 0, last: 1 };
        assert_eq!(range(&[requested.clone(), (header::IF_RANGE, "\"a\"")], 10), want);
        assert_eq!(range(&[requested, (header::IF_RANGE, "\"b\"")], 10), Range::Whole);
        assert_eq!(range(&[], 10), Range::Whole);
    }
}
