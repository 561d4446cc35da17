//! A source's media clock on its sender's wall clock, by sender reports (RFC 3550 §6.4.1).

use std::collections::VecDeque;

use crate::time::{MILLISECOND, RtpTicks, SECOND};

/// The line is fitted to this many reports: 20 s of video, 100 s of audio in browsers.
const WINDOW: usize = 20;
/// From this many reports on the fit has a slope and a spread.
const FITTED: usize = 4;
/// Ridge regression pulls the slope of a short window towards the nominal rate, as reports are off by milliseconds. In s².
const RIDGE: f64 = 25.0;
/// The largest slope, as a fraction: no clock is off by more.
const MAX_SKEW: f64 = 3e-3;
/// A report is an outlier only if it is this far off the line, in nanoseconds, whatever the spread.
const TOLERANCE: f64 = 20.0 * MILLISECOND as f64;
/// The same while there is no spread.
const FIRST_TOLERANCE: f64 = 100.0 * MILLISECOND as f64;
/// This many outliers in a row replace the reports before them.
const MAX_OUTLIERS: usize = 3;

/// Ticks as nanoseconds at the nominal rate.
pub(super) fn nominal(ticks: i64, rate: u32) -> i64 {
    let rate = i64::from(rate.max(1));
    (ticks / rate).saturating_mul(SECOND).saturating_add(ticks % rate * SECOND / rate)
}

/// Sender's wall time as a straight line over media time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    ticks: i64,
    /// Nanoseconds since 1900 at `ticks`.
    ntp: i64,
    /// How much faster than nominal the wall clock runs, as a fraction.
    skew: f64,
}

impl Line {
    pub(super) fn at(&self, ticks: RtpTicks, rate: u32) -> i64 {
        let span = nominal(ticks.0.saturating_sub(self.ticks), rate);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "spans of hours, ±0.3 %"
        )]
        let extra = (span as f64 * self.skew) as i64;
        self.ntp.saturating_add(span).saturating_add(extra)
    }
}

/// The newest reports and the line through them.
#[derive(Debug, Clone)]
pub(super) struct Reports {
    rate: u32,
    points: VecDeque<(RtpTicks, i64)>,
    outliers: VecDeque<(RtpTicks, i64)>,
    line: Option<Line>,
    tolerance: f64,
}

impl Reports {
    pub(super) fn new(rate: u32) -> Self {
        Self {
            rate,
            points: VecDeque::new(),
            outliers: VecDeque::new(),
            line: None,
            tolerance: FIRST_TOLERANCE,
        }
    }

    pub(super) fn line(&self) -> Option<&Line> {
        self.line.as_ref()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.rate);
    }

    /// Adds a report. An outlier changes nothing, until [`MAX_OUTLIERS`] of them arrive in a row: then the line is fitted
    /// to those alone.
    pub(super) fn observe(&mut self, ticks: RtpTicks, ntp: i64) {
        if let Some(line) = &self.line {
            #[expect(clippy::cast_precision_loss, reason = "compared with milliseconds")]
            let residual = ntp.saturating_sub(line.at(ticks, self.rate)) as f64;
            if residual.abs() > self.tolerance {
                self.outliers.push_back((ticks, ntp));
                if self.outliers.len() < MAX_OUTLIERS {
                    return;
                }
                self.points = std::mem::take(&mut self.outliers);
            } else {
                self.points.push_back((ticks, ntp));
            }
        } else {
            self.points.push_back((ticks, ntp));
        }
        self.outliers.clear();
        if self.points.len() > WINDOW {
            self.points.pop_front();
        }
        self.fit();
    }

    /// Least squares about the centre of the window.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "spans of minutes in ns"
    )]
    fn fit(&mut self) {
        let Some(&(ticks0, ntp0)) = self.points.back() else { return };
        let count = self.points.len() as f64;
        let rate = self.rate;
        // x: seconds of media time; y: ns by which wall time exceeds it. Both relative to the newest report.
        let points = self.points.iter().map(|&(ticks, ntp)| {
            let x = nominal(ticks.0.saturating_sub(ticks0.0), rate);
            (x as f64 / SECOND as f64, ntp.saturating_sub(ntp0).saturating_sub(x) as f64)
        });
        let (sum_x, sum_y) = points.clone().fold((0.0, 0.0), |(sx, sy), (x, y)| (sx + x, sy + y));
        let (mean_x, mean_y) = (sum_x / count, sum_y / count);
        let (sxx, sxy) = points.clone().fold((0.0, 0.0), |(xx, xy), (x, y)| {
            (xx + (x - mean_x) * (x - mean_x), xy + (x - mean_x) * (y - mean_y))
        });
        let fitted = self.points.len() >= FITTED;
        let limit = MAX_SKEW * SECOND as f64;
        let slope = if fitted { (sxy / (sxx + RIDGE)).clamp(-limit, limit) } else { 0.0 };
        let squares: f64 = points.map(|(x, y)| (y - mean_y - slope * (x - mean_x)).powi(2)).sum();
        self.tolerance =
            if fitted { (3.0 * (squares / count).sqrt()).max(TOLERANCE) } else { FIRST_TOLERANCE };
        let at_newest = mean_y - slope * mean_x;
        self.line = Some(Line {
            ticks: ticks0.0,
            ntp: ntp0.saturating_add(at_newest as i64),
            skew: slope / SECOND as f64,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 48_000;

    fn at(reports: &Reports, ticks: i64) -> i64 {
        reports.line().unwrap().at(RtpTicks(ticks), RATE)
    }

    #[test]
    fn one_report_has_the_nominal_rate() {
        let mut reports = Reports::new(RATE);
        reports.observe(RtpTicks(1000), 7 * SECOND);
        assert_eq!(at(&reports, 1000 + 48_000), 8 * SECOND);
    }

    #[test]
    fn a_skewed_media_clock_is_fitted_within_a_millisecond() {
        let mut reports = Reports::new(RATE);
        for second in 0..60 {
            reports.observe(RtpTicks(second * 48_024), second * SECOND);
        }
        assert!((at(&reports, 61 * 48_024) - 61 * SECOND).abs() < MILLISECOND);
    }

    #[test]
    fn noise_of_10_ms_is_averaged() {
        let mut reports = Reports::new(RATE);
        for i in 0..20 {
            reports.observe(
                RtpTicks(i * 240_000),
                i * 5 * SECOND
                    + ([3, -8, 10, -2, 7, -10, 5, -5, 0, 9][usize::try_from(i).unwrap() % 10]) * MILLISECOND,
            );
        }
        assert!((at(&reports, 20 * 240_000) - 100 * SECOND).abs() < 6 * MILLISECOND);
    }

    #[test]
    fn one_outlier_changes_nothing_and_three_replace_the_line() {
        let mut reports = Reports::new(RATE);
        for second in 0..10 {
            reports.observe(RtpTicks(second * 48_000), second * SECOND);
        }
        reports.observe(RtpTicks(10 * 48_000), 100 * SECOND);
        assert_eq!(at(&reports, 10 * 48_000), 10 * SECOND);
        for second in 11..14 {
            reports.observe(RtpTicks(second * 48_000), (second + 90) * SECOND);
        }
        assert_eq!(at(&reports, 14 * 48_000), 104 * SECOND);
    }
}
