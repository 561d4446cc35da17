//! Types of single values. Each reads from text and writes text that reads back, except for secrets.

use std::fmt;

use jiff::{SignedDuration, fmt::friendly};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Text that is shown as `***`. Its variable `NAME` may be given as `NAME_FILE`, a file that contains the text.
// The schema's `writeOnly` is what tells the loader.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline, with = "String", extend("writeOnly" = true))]
pub struct Secret(String);

impl Secret {
    /// What is shown instead of a secret.
    pub const HIDDEN: &str = "***";

    /// Hides a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(Self::HIDDEN)
    }
}

/// A duration of at most 100 years in Go's notation: `5s`, `1m30s`, `500ms`, `0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(inline, with = "String")]
pub struct Duration(pub std::time::Duration);

impl Duration {
    /// Adding a longer one to a clock could overflow.
    const LONGEST: std::time::Duration = std::time::Duration::from_secs(100 * 365 * 24 * 3600);

    /// Whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(std::time::Duration::from_secs(seconds))
    }

    /// Whole milliseconds.
    #[must_use]
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(std::time::Duration::from_millis(milliseconds))
    }

    /// Whether it is 0, which many keys use for "never" or "no limit".
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl From<std::time::Duration> for Duration {
    fn from(duration: std::time::Duration) -> Self {
        Self(duration)
    }
}

impl TryFrom<String> for Duration {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let text = text.trim();
        if text == "0" {
            return Ok(Self(std::time::Duration::ZERO));
        }
        // `jiff` also accepts `5 seconds` and `5s ago`, which Go does not.
        let is_go = !text.contains(char::is_whitespace);
        let signed = text.parse::<SignedDuration>().ok().filter(|_| is_go);
        let read = signed.and_then(|signed| std::time::Duration::try_from(signed).ok());
        read.filter(|duration| *duration <= Self::LONGEST)
            .map(Self)
            .ok_or_else(|| format!("{text:?} is no duration such as 5s, 1m30s or 500ms"))
    }
}

impl From<Duration> for String {
    fn from(Duration(duration): Duration) -> Self {
        friendly::SpanPrinter::new().spacing(friendly::Spacing::None).unsigned_duration_to_string(&duration)
    }
}

/// A number of bytes: `65536`, `256KiB`, `8MB`. `K`, `M`, `G` and `T` alone are powers of 1,024.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(inline, with = "String")]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// As a length in memory.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl From<u64> for ByteSize {
    fn from(bytes: u64) -> Self {
        Self(bytes)
    }
}

impl TryFrom<String> for ByteSize {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let text = text.trim();
        // `bytesize` makes 1,000 bytes of `1k`, the largest number of a number too large, and rounds fractions.
        let unit = if text.ends_with(['k', 'm', 'g', 't', 'K', 'M', 'G', 'T']) { "iB" } else { "" };
        let read = format!("{text}{unit}").parse::<bytesize::ByteSize>().ok();
        read.filter(|size| size.0 < u64::MAX && !text.contains('.'))
            .map(|size| Self(size.0))
            .ok_or_else(|| format!("{text:?} is no size such as 65536, 256KiB or 8MB"))
    }
}

impl From<ByteSize> for String {
    fn from(ByteSize(bytes): ByteSize) -> Self {
        // `bytesize` writes 8,000,000 bytes as `7.6 MiB`, which is another number.
        let units = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        let whole = units.iter().find(|(_, factor)| bytes > 0 && bytes % factor == 0);
        whole.map_or_else(|| bytes.to_string(), |(unit, factor)| format!("{}{unit}", bytes / factor))
    }
}

/// The keys of a section whose values differ from the default's.
#[must_use]
pub fn changed<T: Serialize + Default>(section: &T) -> Vec<String> {
    let json = |section: &T| serde_json::to_value(section).unwrap_or_default();
    let (ours, default) = (json(section), json(&T::default()));
    let fields = ours.as_object().into_iter().flatten();
    fields.filter(|(key, value)| default.get(*key) != Some(*value)).map(|(key, _)| key.clone()).collect()
}
