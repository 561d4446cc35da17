//! Durations and sizes as people write them.

use std::time::Duration;

/// Units of Go's `time.ParseDuration`, in nanoseconds. The longer spelling comes first where one begins another.
const UNITS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads `5s`, `1m30s`, `500ms`, `1.5h`, `0`, as Go's `time.ParseDuration` does, without negative ones.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is no duration such as 5s, 1m30s or 500ms");
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(bad());
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let nanoseconds = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?.1;
        let number: f64 = number.parse().map_err(|_| bad())?;
        let part = Duration::try_from_secs_f64(number * nanoseconds as f64 / 1e9).map_err(|_| bad())?;
        total = total.checked_add(part).ok_or_else(bad)?;
        rest = tail;
    }
    Ok(total)
}

/// Writes a duration so that [`parse_duration`] reads it back: `1m30s`, `500ms`, `0s`.
pub(crate) fn show_duration(duration: Duration) -> String {
    let mut left = duration.as_nanos();
    if left == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, nanoseconds) in UNITS.iter().rev().filter(|(unit, _)| unit.is_ascii()) {
        let count = left / u128::from(*nanoseconds);
        left %= u128::from(*nanoseconds);
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
        }
    }
    text
}

const SIZES: &[(&str, u64)] = &[
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("k", 1 << 10),
    ("m", 1 << 20),
    ("g", 1 << 30),
    ("t", 1 << 40),
];

/// Reads `65536`, `256KiB`, `8 MB`, `1G`.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let bad = || format!("{text:?} is no size such as 65536, 256KiB or 8MB");
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| bad())?;
    let unit = unit.trim().to_ascii_lowercase();
    if unit.is_empty() {
        return Ok(number);
    }
    let factor = SIZES.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?.1;
    number.checked_mul(factor).ok_or_else(bad)
}

/// Writes a size in the largest binary unit that divides it.
pub(crate) fn show_bytes(bytes: u64) -> String {
    let units = [("TiB", 1u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    for (unit, factor) in units {
        if bytes > 0 && bytes.is_multiple_of(factor) {
            return format!("{}{unit}", bytes / factor);
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let rows = [
            ("5s", 5_000),
            ("1m30s", 90_000),
            ("500ms", 500),
            ("1.5h", 5_400_000),
            ("0", 0),
            ("2h45m", 9_900_000),
        ];
        for (text, milliseconds) in rows {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        assert_eq!(parse_duration("3us"), Ok(Duration::from_micros(3)));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "5", "s", "-5s", "5 s", "5x", "1..5s", "1e3s", "99999999999999999999h", "5s garbage"]
        {
            assert!(parse_duration(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_duration_reads_back_as_it_was_written() {
        for milliseconds in [0, 5, 500, 1_000, 90_000, 5_400_001, 86_400_000] {
            let duration = Duration::from_millis(milliseconds);
            assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }
        assert_eq!(show_duration(Duration::from_secs(90)), "1m30s");
    }

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        for (text, bytes) in [("65536", 65_536), ("256KiB", 262_144), ("8 MB", 8_000_000), ("1g", 1 << 30)] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "KiB", "-1", "1.5MB", "99999999999999TiB", "5 parsecs"] {
            assert!(parse_bytes(text).is_err(), "{text:?}");
        }
        assert_eq!(show_bytes(8 << 20), "8MiB");
        assert_eq!(show_bytes(0), "0");
    }
}
