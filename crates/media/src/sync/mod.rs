//! Maps RTP timestamps of all tracks to one timeline, in local time.
//!
//! The method, its assumptions and its alternatives: `docs/time.md`.

mod mapping;
mod reports;

use mapping::ClockMapping;
use reports::{Reports, nominal};

use crate::{
    Anchor, NtpTime, RtpTimestamp, SenderReport,
    time::{LocalNanos, MILLISECOND, RtpTicks, SECOND, TicksUnwrapper},
};

/// If a frame appears to be captured this long after its arrival, its clock has jumped.
const MAX_LEAD: i64 = 5 * SECOND;
/// If a frame appears to be captured this long before its arrival, its clock has jumped or stood still.
const MAX_LAG: i64 = 10 * SECOND;
/// A larger step back is a jump.
const MAX_STEP_BACK: i64 = SECOND / 2;
/// A source anchored by arrival that was silent for this long…
const SILENCE: i64 = 200 * MILLISECOND;
/// …and returns this far off has stopped its clock meanwhile.
const SILENCE_ERROR: i64 = 100 * MILLISECOND;
/// A report is ignored if its fraction of a second is below this, in units of 2⁻³² s (2.3 ms). Some senders write whole
/// seconds, or microseconds in place of these units. Of a correct sender one report in 430 is ignored.
const LEAST_FRACTION: u64 = 10_000_000;
/// Written times approach a better estimate by this much a second, or by a tenth of the error a second if that is more, up
/// to [`FASTEST_SLEW`]. In nanoseconds.
const SLEW: i64 = 5 * MILLISECOND;
const FASTEST_SLEW: i64 = 200 * MILLISECOND;
/// A larger correction forwards leaves a gap at once: the media paused, and its clock with it.
const GAP: i64 = SECOND / 2;

/// The wall clocks of the senders. Nearly always it is one, as the tracks of a browser share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct SenderClocks {
    /// Each with its id.
    clocks: Vec<(u32, ClockMapping)>,
    newest_id: u32,
    slewing: bool,
}

impl SenderClocks {
    /// A report that differs from a clock by more belongs to another clock, or to one that was set.
    const MAX_DIFFERENCE: i64 = 2 * SECOND;
    /// The oldest clock beyond these is removed.
    const MAX: usize = 8;

    /// From now on no clock jumps.
    pub(crate) fn start_slewing(&mut self) {
        self.slewing = true;
        self.clocks.iter_mut().for_each(|(_, clock)| clock.start_slewing());
    }

    /// Finds or adds the clock of a report, and returns its id.
    fn observe(&mut self, ntp: i64, arrival: LocalNanos) -> u32 {
        for (id, clock) in &mut self.clocks {
            if arrival.saturating_sub(clock.to_local(ntp)).saturating_abs() <= Self::MAX_DIFFERENCE {
                clock.observe(ntp, arrival);
                return *id;
            }
        }
        if self.clocks.len() == Self::MAX {
            self.clocks.remove(0);
        }
        let mut clock = ClockMapping::new(ntp, arrival);
        if self.slewing {
            clock.start_slewing();
        }
        self.newest_id = self.newest_id.wrapping_add(1);
        self.clocks.push((self.newest_id, clock));
        self.newest_id
    }

    fn to_local(&self, id: u32, ntp: i64) -> Option<LocalNanos> {
        self.clocks.iter().find(|(known, _)| *known == id).map(|(_, clock)| clock.to_local(ntp))
    }
}

/// The media clock of one RTP source.
#[derive(Debug, Clone)]
pub(crate) struct StreamClock {
    rate: u32,
    anchor: Anchor,
    unwrapper: TicksUnwrapper,
    /// The media clock by the arrival of frames: in use before the first report, and to check reports afterwards.
    by_arrival: Option<ClockMapping>,
    reports: Reports,
    /// The id of the sender's wall clock.
    sender: Option<u32>,
    slewing: bool,
    /// Written times less their estimate, in nanoseconds. It is slewed to zero.
    correction: i64,
    /// Whether the log says that reports of this source are ignored.
    ignored_logged: bool,
    /// Whether the log says that a correction is slewed.
    slew_logged: bool,
    last: Option<Last>,
    /// How long after their capture frames arrive, smoothed. None until a frame has followed a report.
    lateness: Option<i64>,
}

/// How long after their capture a stream's frames arrive, by the wall clock of their sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lateness {
    sender: u32,
    nanos: i64,
}

impl Lateness {
    /// By how many nanoseconds this stream is later than the other. None if the senders' clocks differ.
    pub(crate) fn beyond(self, other: Self) -> Option<i64> {
        (self.sender == other.sender).then(|| self.nanos.saturating_sub(other.nanos))
    }
}

#[derive(Debug, Clone, Copy)]
struct Last {
    ticks: RtpTicks,
    arrival: LocalNanos,
    target: LocalNanos,
}

/// What [`StreamClock::observe`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Observed {
    /// The clock runs on.
    Continuous(RtpTicks),
    /// The clock jumped, or its rate changed. Take the times of the frames before, then call
    /// [`StreamClock::reanchor`].
    Jumped {
        ticks: RtpTicks,
        /// Nanoseconds from the frame's apparent capture to its arrival. Zero if only the rate changed.
        lag: i64,
    },
}

/// What [`StreamClock::observe_report`] changed, as far as it is worth a log event. In nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReportOutcome {
    /// Nothing, or a correction that is too small to notice.
    Unchanged,
    /// The report was ignored, unlike the one before it.
    FirstIgnored(&'static str),
    /// The source is anchored to a sender's clock that it was not anchored to before.
    NewSenderClock { correction: i64 },
    /// Written times are off by this much, and are slewed from now on.
    SlewBegins { correction: i64 },
    /// Times moved forward at once.
    GapLeft { nanos: i64 },
}

impl StreamClock {
    pub(crate) fn new(rate: u32, anchor: Anchor) -> Self {
        Self {
            rate,
            anchor,
            unwrapper: TicksUnwrapper::default(),
            by_arrival: None,
            reports: Reports::new(rate),
            sender: None,
            slewing: false,
            correction: 0,
            ignored_logged: false,
            slew_logged: false,
            last: None,
            lateness: None,
        }
    }

    /// Whether a frame was observed.
    pub(crate) fn has_begun(&self) -> bool {
        self.last.is_some()
    }

    /// Whether a sender report anchors the stream.
    pub(crate) fn is_anchored(&self) -> bool {
        self.sender.is_some()
    }

    /// How late its frames arrive, by sender reports. None without them.
    pub(crate) fn lateness(&self) -> Option<Lateness> {
        Some(Lateness { sender: self.sender?, nanos: self.lateness? })
    }

    /// Observes a frame, whose first packet arrived at `arrival`. Frames must be in the order they were sent.
    pub(crate) fn observe(
        &mut self,
        timestamp: RtpTimestamp,
        rate: u32,
        arrival: LocalNanos,
        senders: &SenderClocks,
    ) -> Observed {
        let ticks = self.unwrapper.unwrap(timestamp);
        if rate != self.rate {
            if self.last.is_some() {
                return Observed::Jumped { ticks, lag: 0 };
            }
            self.rate = rate;
            self.reports = Reports::new(rate);
        }
        let media = nominal(ticks.0, self.rate);
        if self.by_arrival.is_none() {
            self.by_arrival = Some(ClockMapping::new(media, arrival));
            self.advance(ticks, arrival, senders);
            return Observed::Continuous(ticks);
        }
        let lag = arrival.saturating_sub(self.target(ticks, senders).saturating_add(self.correction));
        let silent = self.last.is_some_and(|last| arrival.saturating_sub(last.arrival) > SILENCE);
        let restarted = self.anchor == Anchor::Arrival && silent && lag.saturating_abs() > SILENCE_ERROR;
        let stepped_back = self.last.is_some_and(|last| Self::stepped_back(last, ticks, self.rate));
        if stepped_back || restarted || !(-MAX_LEAD..=MAX_LAG).contains(&lag) {
            return Observed::Jumped { ticks, lag };
        }
        if let Some(by_arrival) = &mut self.by_arrival {
            by_arrival.observe(media, arrival);
        }
        self.advance(ticks, arrival, senders);
        self.note_lateness(arrival);
        Observed::Continuous(ticks)
    }

    /// Smoothed as jitter is (RFC 3550 §6.4.1).
    fn note_lateness(&mut self, arrival: LocalNanos) {
        let (Some(last), true) = (self.last, self.is_anchored()) else { return };
        let late = arrival.saturating_sub(last.target);
        let known = self.lateness.get_or_insert(late);
        *known = known.saturating_add(late.saturating_sub(*known) / 16);
    }

    fn stepped_back(last: Last, ticks: RtpTicks, rate: u32) -> bool {
        nominal(ticks.0.saturating_sub(last.ticks.0), rate) < -MAX_STEP_BACK
    }

    /// Starts again at `ticks`: this frame and the one before it are as far apart as their arrivals.
    pub(crate) fn reanchor(
        &mut self,
        ticks: RtpTicks,
        rate: u32,
        arrival: LocalNanos,
        senders: &SenderClocks,
    ) {
        let time = match self.last {
            Some(last) => {
                let before = last.target.saturating_add(self.correction);
                let time = before.saturating_add(arrival.saturating_sub(last.arrival));
                // Errors of many jumps must not add up.
                time.clamp(arrival.saturating_sub(SECOND), arrival.saturating_add(SECOND)).max(before)
            }
            None => arrival,
        };
        self.rate = rate;
        self.reports = Reports::new(rate);
        self.sender = None;
        self.lateness = None;
        self.correction = 0;
        let mut by_arrival = ClockMapping::new(nominal(ticks.0, self.rate), time);
        if self.slewing {
            by_arrival.start_slewing();
        }
        self.by_arrival = Some(by_arrival);
        self.advance(ticks, arrival, senders);
    }

    /// From now on times are written to the file, and corrected by slewing only.
    pub(crate) fn start_slewing(&mut self) {
        self.slewing = true;
        if let Some(by_arrival) = &mut self.by_arrival {
            by_arrival.start_slewing();
        }
    }

    /// Applies a sender report. One that can't be right is ignored.
    pub(crate) fn observe_report(
        &mut self,
        report: SenderReport,
        arrival: LocalNanos,
        senders: &mut SenderClocks,
    ) -> ReportOutcome {
        let (Some(last), Some(by_arrival)) = (self.last, &self.by_arrival) else {
            return ReportOutcome::Unchanged;
        };
        if self.anchor == Anchor::Arrival {
            return ReportOutcome::Unchanged;
        }
        if report.ntp.0 & 0xffff_ffff < LEAST_FRACTION {
            return self.ignore_report("the wall clock has no fraction of a second");
        }
        let ticks = self.unwrapper.nearest(report.rtp_timestamp);
        // No media takes so long to arrive: the report is wrong, or from before the media clock jumped.
        let age = arrival.saturating_sub(by_arrival.to_local(nominal(ticks.0, self.rate)));
        if !(-MAX_LEAD..=MAX_LAG).contains(&age) {
            return self.ignore_report("the timestamp is far from those of the frames");
        }
        self.ignored_logged = false;
        let ntp = ntp_nanos(report.ntp);
        let before = self.target(last.ticks, senders);
        let sender = senders.observe(ntp, arrival);
        let new_sender = self.sender != Some(sender);
        if new_sender {
            self.reports.clear();
            self.sender = Some(sender);
            self.lateness = None;
        }
        self.reports.observe(ticks, ntp);
        let after = self.target(last.ticks, senders);
        self.last = Some(Last { target: after, ..last });
        if !self.slewing {
            return if new_sender {
                ReportOutcome::NewSenderClock { correction: before.saturating_sub(after) }
            } else {
                ReportOutcome::Unchanged
            };
        }
        self.correction = self.correction.saturating_add(before.saturating_sub(after));
        let correction = self.correction;
        if correction < -GAP {
            self.correction = 0;
            return ReportOutcome::GapLeft { nanos: correction.saturating_neg() };
        }
        if new_sender {
            return ReportOutcome::NewSenderClock { correction };
        }
        let noticeable = correction.saturating_abs() >= SLEW;
        if noticeable && !self.slew_logged {
            self.slew_logged = true;
            return ReportOutcome::SlewBegins { correction };
        }
        ReportOutcome::Unchanged
    }

    fn ignore_report(&mut self, reason: &'static str) -> ReportOutcome {
        if std::mem::replace(&mut self.ignored_logged, true) {
            ReportOutcome::Unchanged
        } else {
            ReportOutcome::FirstIgnored(reason)
        }
    }

    /// A frame's time on the local clock.
    pub(crate) fn time(&self, ticks: RtpTicks, senders: &SenderClocks) -> LocalNanos {
        self.target(ticks, senders).saturating_add(self.correction)
    }

    fn advance(&mut self, ticks: RtpTicks, arrival: LocalNanos, senders: &SenderClocks) {
        let target = self.target(ticks, senders);
        if let Some(last) = self.last
            && self.correction != 0
        {
            let span = target.saturating_sub(last.target).clamp(0, SECOND);
            let per_second = (self.correction.saturating_abs() / 10).clamp(SLEW, FASTEST_SLEW);
            let step = (span / 1_000 * per_second / (SECOND / 1_000)).min(self.correction.saturating_abs());
            self.correction -= step * self.correction.signum();
            self.slew_logged &= self.correction != 0;
        }
        self.last = Some(Last { ticks, arrival, target });
    }

    /// The best estimate of a frame's time, without the correction that is still to be slewed.
    fn target(&self, ticks: RtpTicks, senders: &SenderClocks) -> LocalNanos {
        if let (Some(sender), Some(line)) = (self.sender, self.reports.line())
            && let Some(local) = senders.to_local(sender, line.at(ticks, self.rate))
        {
            return local;
        }
        let media = nominal(ticks.0, self.rate);
        self.by_arrival.as_ref().map_or(media, |by_arrival| by_arrival.to_local(media))
    }
}

/// Nanoseconds since 1900.
fn ntp_nanos(ntp: NtpTime) -> i64 {
    let seconds = i64::try_from(ntp.0 >> 32).unwrap_or(0);
    let fraction = i64::try_from(((ntp.0 & 0xffff_ffff) * 1_000_000_000) >> 32).unwrap_or(0);
    seconds * SECOND + fraction
}
