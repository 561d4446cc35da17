//! The life of a session as a pure step: no clock, no socket, no file.
//!
//! ```text
//! Connecting ──▶ Recording ──▶ Draining ──▶ Finalizing ──▶ Committed
//!      └────────────────────────▲
//! ```
//! Every end takes the same path: the peer is closed, the recorder writes the frames that it holds, the recording is
//! finalized. The first reason stands.

use std::time::Instant;

use model::EndReason;
use peer::CloseReason;

use spool::SpoolFailure;

/// The limits of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SessionLimits {
    /// The session ends at this time; none: no limit.
    pub(crate) ends_at: Option<Instant>,
    /// The session ends when its file has this many bytes; none: no limit.
    pub(crate) bytes: Option<u64>,
}

/// The state of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// The offer was answered; ICE and DTLS are not up yet.
    Connecting(SessionLimits),
    /// Media may arrive. The first state of a pushed source.
    Recording(SessionLimits),
    /// The peer is closed, the recorder writes the frames that it holds.
    Draining(EndReason),
    /// The spool finishes the file, the ledger commits the recording.
    Finalizing(EndReason),
    /// Row and jobs are committed.
    Committed(EndReason),
}

/// What happened to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// ICE and DTLS are up.
    Connected,
    /// The peer is closed.
    PeerClosed(CloseReason),
    /// A caller, the source or a shutdown ends it.
    Stop(EndReason),
    /// The spool writes no more of it.
    SpoolFailed(SpoolFailure),
    /// The file has this many bytes.
    Grown(u64),
    /// Time has passed.
    Tick,
    /// The recorder has written every frame.
    RecorderFinished,
    /// Row and jobs are committed.
    Committed,
}

/// What the session's owner has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Close the connection to the sender.
    ClosePeer,
    /// Finish the recorder, then report `RecorderFinished`.
    FinishRecorder,
    /// Finalize the recording, then report `Committed`.
    Finalize(EndReason),
    /// Remove it from the registry and answer the callers that wait for its end.
    Forget,
}

/// The next state, and what to do on the way to it.
pub(crate) fn step(state: State, event: Event, now: Instant) -> (State, Vec<Action>) {
    match (state, event) {
        (State::Connecting(limits), Event::Connected) => (State::Recording(limits), Vec::new()),
        (State::Connecting(limits) | State::Recording(limits), event) => match end_of(limits, event, now) {
            Some(reason) => (State::Draining(reason), vec![Action::ClosePeer, Action::FinishRecorder]),
            None => (state, Vec::new()),
        },
        (State::Draining(reason), Event::RecorderFinished) => {
            (State::Finalizing(reason), vec![Action::Finalize(reason)])
        }
        (State::Finalizing(reason), Event::Committed) => (State::Committed(reason), vec![Action::Forget]),
        (state, _) => (state, Vec::new()),
    }
}

/// Why this event ends a live session; none if it does not.
fn end_of(limits: SessionLimits, event: Event, now: Instant) -> Option<EndReason> {
    match event {
        Event::Stop(reason) => Some(reason),
        Event::PeerClosed(reason) => Some(match reason {
            // The recorder closes a peer only when it leaves a live state. A peer that closes locally before has failed.
            CloseReason::Local | CloseReason::Dtls(_) => EndReason::TransportFailed,
            CloseReason::Remote => EndReason::PeerClosed,
            CloseReason::ConnectTimeout => EndReason::ConnectTimeout,
            CloseReason::IceFailed => EndReason::IceFailed,
        }),
        Event::SpoolFailed(SpoolFailure::Full) => Some(EndReason::DiskFull),
        Event::SpoolFailed(SpoolFailure::Stalled | SpoolFailure::Broken) => Some(EndReason::DiskStalled),
        Event::Grown(bytes) => {
            limits.bytes.is_some_and(|limit| bytes >= limit).then_some(EndReason::SizeLimit)
        }
        Event::Tick => limits.ends_at.is_some_and(|at| now >= at).then_some(EndReason::TimeLimit),
        Event::Connected | Event::RecorderFinished | Event::Committed => None,
    }
}

impl State {
    /// Whether the session takes media and offers.
    pub(crate) fn is_live(self) -> bool {
        matches!(self, Self::Connecting(_) | Self::Recording(_))
    }

    /// The state's name in logs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connecting(_) => "connecting",
            Self::Recording(_) => "recording",
            Self::Draining(_) => "draining",
            Self::Finalizing(_) => "finalizing",
            Self::Committed(_) => "committed",
        }
    }

    /// When the time limit ends it.
    pub(crate) fn ends_at(self) -> Option<Instant> {
        match self {
            Self::Connecting(limits) | Self::Recording(limits) => limits.ends_at,
            Self::Draining(_) | Self::Finalizing(_) | Self::Committed(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const OUT: &[Action] = &[Action::ClosePeer, Action::FinishRecorder];

    #[test]
    fn every_end_of_a_live_session_drains_it_with_its_reason() {
        let now = Instant::now();
        let limits = SessionLimits { ends_at: Some(now), bytes: Some(1000) };
        let rows = [
            (Event::Stop(EndReason::Requested), EndReason::Requested),
            (Event::Stop(EndReason::Shutdown), EndReason::Shutdown),
            (Event::PeerClosed(CloseReason::Remote), EndReason::PeerClosed),
            (Event::PeerClosed(CloseReason::ConnectTimeout), EndReason::ConnectTimeout),
            (Event::PeerClosed(CloseReason::IceFailed), EndReason::IceFailed),
            (Event::PeerClosed(CloseReason::Dtls("alert".into())), EndReason::TransportFailed),
            (Event::SpoolFailed(SpoolFailure::Full), EndReason::DiskFull),
            (Event::SpoolFailed(SpoolFailure::Stalled), EndReason::DiskStalled),
            (Event::SpoolFailed(SpoolFailure::Broken), EndReason::DiskStalled),
            (Event::Grown(1000), EndReason::SizeLimit),
            (Event::Tick, EndReason::TimeLimit),
        ];
        for live in [State::Connecting(limits), State::Recording(limits)] {
            for (event, reason) in rows.clone() {
                let (state, actions) = step(live, event.clone(), now);
                assert_eq!((state, &actions[..]), (State::Draining(reason), OUT), "{live:?} {event:?}");
            }
        }
    }

    #[test]
    fn a_session_passes_its_states_in_order() {
        let now = Instant::now();
        let rows: [(Event, State, &[Action]); 5] = [
            (Event::Connected, State::Recording(SessionLimits::default()), &[]),
            (Event::Grown(u64::MAX), State::Recording(SessionLimits::default()), &[]),
            (Event::Stop(EndReason::Requested), State::Draining(EndReason::Requested), OUT),
            (
                Event::RecorderFinished,
                State::Finalizing(EndReason::Requested),
                &[Action::Finalize(EndReason::Requested)],
            ),
            (Event::Committed, State::Committed(EndReason::Requested), &[Action::Forget]),
        ];
        let mut state = State::Connecting(SessionLimits::default());
        for (event, next, expected) in rows {
            let (to, actions) = step(state, event.clone(), now);
            assert_eq!((to, &actions[..]), (next, expected), "{event:?}");
            state = to;
        }
    }

    #[test]
    fn the_first_reason_stands() {
        let now = Instant::now();
        for ending in [
            State::Draining(EndReason::PeerClosed),
            State::Finalizing(EndReason::PeerClosed),
            State::Committed(EndReason::PeerClosed),
        ] {
            for event in [
                Event::Stop(EndReason::Requested),
                Event::PeerClosed(CloseReason::Local),
                Event::SpoolFailed(SpoolFailure::Full),
                Event::Grown(u64::MAX),
                Event::Tick,
                Event::Connected,
            ] {
                assert_eq!(step(ending, event.clone(), now), (ending, vec![]), "{ending:?} {event:?}");
            }
        }
    }

    #[test]
    fn limits_do_not_end_a_session_a_byte_or_a_millisecond_early() {
        let now = Instant::now();
        let limits = SessionLimits { ends_at: Some(now + Duration::from_millis(1)), bytes: Some(1000) };
        let live = State::Recording(limits);
        assert_eq!(step(live, Event::Tick, now), (live, vec![]));
        assert_eq!(step(live, Event::Grown(999), now), (live, vec![]));
    }
}
