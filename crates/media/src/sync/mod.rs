//! Where each track's frames belong on one timeline: RTP timestamps to local time.
//!
//! The method, its assumptions and what it was chosen over: `docs/time.md`.

mod mapping;
mod reports;

use mapping::ClockMapping;
use reports::{Reports, nominal};

use crate::{
    Anchor, NtpTime,
    time::{LocalNanos, MILLISECOND, RtpTicks, SECOND, TicksUnwrapper},
};

/// A frame that claims to be later than its arrival by more has a clock that jumped.
const MAX_LEAD: i64 = 5 * SECOND;
/// A frame that claims to be earlier than its arrival by more has a clock that jumped or stood still.
const MAX_LAG: i64 = 10 * SECOND;
/// A step back by more is a jump.
const MAX_STEP_BACK: i64 = SECOND / 2;
/// A source anchored on arrival that was silent for this long…
const SILENCE: i64 = 200 * MILLISECOND;
/// …and comes back this far off has stopped its clock meanwhile.
const SILENCE_ERROR: i64 = 100 * MILLISECOND;
/// A report's fraction of a second, in units of 2⁻³² s, below which it isn't believed: some senders write whole seconds,
/// or millionths as though they were such units (2.3 ms at most). Of a right sender it costs one report in 430.
const LEAST_FRACTION: u64 = 10_000_000;
/// What is written moves by at most this per second to where a better estimate puts it; larger errors by a tenth
/// of themselves per second up to [`FASTEST_SLEW`].
const SLEW: i64 = 5 * MILLISECOND;
const FASTEST_SLEW: i64 = 200 * MILLISECOND;
/// A correction forwards by more leaves a gap at once: media paused, and its clock with it.
const GAP: i64 = SECOND / 2;

/// The wall clocks of those who send: nearly always one, as a browser's tracks share theirs.
#[derive(Debug, Clone, Default)]
pub(crate) struct SenderClocks {
    clocks: Vec<(u32, ClockMapping)>,
    next_name: u32,
    placed: bool,
}

impl SenderClocks {
    /// A report whose arrival differs from a clock's by more is of another clock, or of one that was set.
    const SAME: i64 = 2 * SECOND;
    /// More than these are not kept: the oldest goes.
    const MAX: usize = 8;

    /// From now on no clock jumps.
    pub(crate) fn place(&mut self) {
        self.placed = true;
        self.clocks.iter_mut().for_each(|(_, clock)| clock.place());
    }

    /// Finds the clock that a report was made with, or begins a new one, and returns its name.
    fn observe(&mut self, ntp: i64, arrival: LocalNanos) -> u32 {
        for (name, clock) in &mut self.clocks {
            if arrival.saturating_sub(clock.to_local(ntp)).saturating_abs() <= Self::SAME {
                clock.observe(ntp, arrival);
                return *name;
            }
        }
        if self.clocks.len() == Self::MAX {
            self.clocks.remove(0);
        }
        let mut clock = ClockMapping::new(ntp, arrival);
        if self.placed {
            clock.place();
        }
        self.next_name = self.next_name.wrapping_add(1);
        self.clocks.push((self.next_name, clock));
        self.next_name
    }

    fn to_local(&self, name: u32, ntp: i64) -> Option<LocalNanos> {
        self.clocks.iter().find(|(known, _)| *known == name).map(|(_, clock)| clock.to_local(ntp))
    }
}

/// The media clock of one RTP source.
#[derive(Debug, Clone)]
pub(crate) struct StreamClock {
    rate: u32,
    anchor: Anchor,
    unwrapper: TicksUnwrapper,
    /// The media clock by arrival: all there is before the first report, a check on reports afterwards.
    by_arrival: Option<ClockMapping>,
    reports: Reports,
    /// The clock that the reports were made with.
    sender: Option<u32>,
    placed: bool,
    /// What a frame's time still lacks to the estimate; slewed away.
    correction: i64,
    last: Option<Last>,
    /// By how much frames arrive after their capture, smoothed; none until a frame has followed a report.
    lateness: Option<i64>,
}

/// How late a stream's frames arrive, and the clock of the sender that tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lateness {
    sender: u32,
    nanos: i64,
}

impl Lateness {
    /// By how many nanoseconds this stream is later than the other. None if they can't be compared, as the senders' clocks
    /// are different.
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

/// What a frame's timestamp told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Observed {
    /// It goes on as before.
    Steady(RtpTicks),
    /// The clock can't have got there by running, or it is another clock. Call [`StreamClock::reanchor`] once the times of the frames before
    /// have been taken.
    Jumped(RtpTicks),
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
            placed: false,
            correction: 0,
            last: None,
            lateness: None,
        }
    }

    /// A frame has come.
    pub(crate) fn has_begun(&self) -> bool {
        self.last.is_some()
    }

    /// A sender report has told where this stream belongs.
    pub(crate) fn is_tied(&self) -> bool {
        self.sender.is_some()
    }

    /// How late its frames arrive, as the sender's reports tell.
    pub(crate) fn lateness(&self) -> Option<Lateness> {
        Some(Lateness { sender: self.sender?, nanos: self.lateness? })
    }

    /// Takes in when a frame's first packet arrived. Frames come in the order they were sent.
    pub(crate) fn observe(
        &mut self,
        timestamp: u32,
        rate: u32,
        arrival: LocalNanos,
        senders: &SenderClocks,
    ) -> Observed {
        let ticks = self.unwrapper.unwrap(timestamp);
        if rate != self.rate {
            if self.last.is_some() {
                return Observed::Jumped(ticks);
            }
            self.rate = rate;
            self.reports = Reports::new(rate);
        }
        let media = nominal(ticks.0, self.rate);
        if self.by_arrival.is_none() {
            self.by_arrival = Some(ClockMapping::new(media, arrival));
            self.move_on(ticks, arrival, senders);
            return Observed::Steady(ticks);
        }
        if self.last.is_some_and(|last| Self::jumped(last, ticks, self.rate)) {
            return Observed::Jumped(ticks);
        }
        let lag = arrival.saturating_sub(self.target(ticks, senders).saturating_add(self.correction));
        let silent = self.last.is_some_and(|last| arrival.saturating_sub(last.arrival) > SILENCE);
        let restarted = self.anchor == Anchor::Arrival && silent && lag.saturating_abs() > SILENCE_ERROR;
        if restarted || !(-MAX_LEAD..=MAX_LAG).contains(&lag) {
            return Observed::Jumped(ticks);
        }
        if let Some(by_arrival) = &mut self.by_arrival {
            by_arrival.observe(media, arrival);
        }
        self.move_on(ticks, arrival, senders);
        self.note_lateness(arrival);
        Observed::Steady(ticks)
    }

    /// Smoothed as jitter is (RFC 3550 §6.4.1).
    fn note_lateness(&mut self, arrival: LocalNanos) {
        let (Some(last), true) = (self.last, self.is_tied()) else { return };
        let late = arrival.saturating_sub(last.target);
        let known = self.lateness.get_or_insert(late);
        *known = known.saturating_add(late.saturating_sub(*known) / 16);
    }

    fn jumped(last: Last, ticks: RtpTicks, rate: u32) -> bool {
        nominal(ticks.0.saturating_sub(last.ticks.0), rate) < -MAX_STEP_BACK
    }

    /// Starts over at `ticks`: what came before and this frame lie as far apart as their arrivals.
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
        if self.placed {
            by_arrival.place();
        }
        self.by_arrival = Some(by_arrival);
        self.move_on(ticks, arrival, senders);
    }

    /// From now on the times given out are in the file: they are corrected by slewing only.
    pub(crate) fn place(&mut self) {
        self.placed = true;
        if let Some(by_arrival) = &mut self.by_arrival {
            by_arrival.place();
        }
    }

    /// Takes in a sender report.
    pub(crate) fn observe_report(
        &mut self,
        ntp: NtpTime,
        timestamp: u32,
        arrival: LocalNanos,
        senders: &mut SenderClocks,
    ) {
        let (Some(last), Some(by_arrival)) = (self.last, &self.by_arrival) else { return };
        if self.anchor == Anchor::Arrival || ntp.0 & 0xffff_ffff < LEAST_FRACTION {
            return;
        }
        let ticks = self.unwrapper.nearest(timestamp);
        // A report of another epoch of the media clock, or plain wrong: no media is on its way for so long.
        let age = arrival.saturating_sub(by_arrival.to_local(nominal(ticks.0, self.rate)));
        if !(-MAX_LEAD..=MAX_LAG).contains(&age) {
            return;
        }
        let ntp = ntp_nanos(ntp);
        let before = self.target(last.ticks, senders);
        let sender = senders.observe(ntp, arrival);
        if self.sender != Some(sender) {
            self.reports.clear();
            self.sender = Some(sender);
            self.lateness = None;
        }
        self.reports.observe(ticks, ntp);
        let after = self.target(last.ticks, senders);
        self.last = Some(Last { target: after, ..last });
        if self.placed {
            self.correction = self.correction.saturating_add(before.saturating_sub(after));
            if self.correction < -GAP {
                self.correction = 0;
            }
        }
    }

    /// Where a frame belongs, in local time.
    pub(crate) fn time(&self, ticks: RtpTicks, senders: &SenderClocks) -> LocalNanos {
        self.target(ticks, senders).saturating_add(self.correction)
    }

    fn move_on(&mut self, ticks: RtpTicks, arrival: LocalNanos, senders: &SenderClocks) {
        let target = self.target(ticks, senders);
        if let Some(last) = self.last
            && self.correction != 0
        {
            let span = target.saturating_sub(last.target).clamp(0, SECOND);
            let per_second = (self.correction.saturating_abs() / 10).clamp(SLEW, FASTEST_SLEW);
            let step = (span / 1_000 * per_second / (SECOND / 1_000)).min(self.correction.saturating_abs());
            self.correction -= step * self.correction.signum();
        }
        self.last = Some(Last { ticks, arrival, target });
    }

    /// The best estimate, before slewing.
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
