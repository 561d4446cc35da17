//! Time on the recording's timeline.

use std::{
    ops::{Add, Sub},
    time::Duration,
};

use ffmpeg_next::Rational;

/// Nanoseconds from the recording's origin. The delay of a codec can make it slightly negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(i64);

impl Time {
    pub(crate) const ZERO: Self = Self(0);
    /// 100 hours. No recording is longer, so a time beyond it comes from a damaged timestamp.
    const HORIZON: i64 = 100 * 3_600 * 1_000_000_000;
    pub(crate) const MIN: Self = Self(-Self::HORIZON);
    pub(crate) const MAX: Self = Self(Self::HORIZON);

    pub(crate) const fn from_millis(millis: i64) -> Self {
        Self(millis * 1_000_000)
    }

    pub(crate) fn from_seconds(seconds: f64) -> Self {
        // The cast saturates.
        Self(((seconds * 1e9) as i64).clamp(-Self::HORIZON, Self::HORIZON))
    }

    /// A timestamp in units of `base`. `None` if it is beyond the horizon.
    pub(crate) fn from_ticks(ticks: i64, base: Rational) -> Option<Self> {
        if base.1 <= 0 || base.0 <= 0 {
            return None;
        }
        let nanos = i128::from(ticks) * i128::from(base.0) * 1_000_000_000 / i128::from(base.1);
        i64::try_from(nanos).ok().filter(|nanos| nanos.abs() <= Self::HORIZON).map(Self)
    }

    /// In units of `base`, rounded to the nearest.
    pub(crate) fn to_ticks(self, base: Rational) -> i64 {
        let per = i128::from(base.0) * 1_000_000_000;
        let ticks = (i128::from(self.0) * i128::from(base.1) + per / 2).div_euclid(per.max(1));
        i64::try_from(ticks).unwrap_or(i64::MAX)
    }

    /// The index of the sample at this time.
    pub(crate) fn to_samples(self, rate: u32) -> i64 {
        self.to_ticks(Rational(1, rate.cast_signed()))
    }

    pub(crate) fn from_samples(samples: i64, rate: u32) -> Self {
        Self::from_ticks(samples, Rational(1, rate.cast_signed())).unwrap_or(Self(Self::HORIZON))
    }

    pub(crate) fn seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// A time before the origin becomes zero.
    pub(crate) fn duration(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }

    pub(crate) fn abs(self) -> Self {
        Self(self.0.abs())
    }
}

impl Add for Time {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Time {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}
