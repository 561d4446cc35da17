//! The life of a session as a pure step: no clock, no socket, no file.
//!
//! ```text
//! Connecting ──▶ Recording ──▶ Draining ──▶ Sealing ──▶ Sealed
//!      └────────────────────────▲
//! ```
//! Whatever ends a session takes the same path: the peer is closed, the recorder writes what it holds, the file is
//! sealed. The first reason stands.

use std::time::Instant;

use model::EndReason;
use peer::CloseReason;

use spool::SpoolFailure;

/// What bounds a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Bounds {
    /// The session ends then; none: no limit.
    pub(crate) ends_at: Option<Instant>,
    /// The session ends when its file is this large, in bytes; none: no limit.
    pub(crate) bytes: Option<u64>,
}

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// The offer was answered; ICE and DTLS are not up yet.
    Connecting(Bounds),
    /// Media may come.
    Recording(Bounds),
    /// The peer is closed, the recorder writes what it holds.
    Draining(EndReason),
    /// The spool makes the file safe and the ledger commits it.
    Sealing(EndReason),
    /// Rows and jobs are committed.
    Sealed(EndReason),
}

/// What happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// ICE and DTLS are up.
    Connected,
    /// The peer is closed.
    PeerClosed(CloseReason),
    /// Somebody wants it to end.
    Stop(EndReason),
    /// The spool takes no more of it.
    SpoolFailed(SpoolFailure),
    /// The file has grown to so many bytes.
    Grown(u64),
    /// Time has passed.
    Tick,
    /// The recorder has written everything it had.
    RecorderFinished,
    /// Rows and jobs are committed.
    Committed,
}

/// What its owner has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Say goodbye to the client.
    ClosePeer,
    /// Let the recorder write everything, then report `RecorderFinished`.
    FinishRecorder,
    /// Hand file and recording to the seal, then report `Committed`.
    Seal(EndReason),
    /// Take it from the registry and answer whoever waits for its end.
    Forget,
}

/// The next state, and what to do on the way to it.
pub(crate) fn step(state: State, event: Event, now: Instant) -> (State, Vec<Action>) {
    match (state, event) {
        (State::Connecting(bounds), Event::Connected) => (State::Recording(bounds), Vec::new()),
        (State::Connecting(bounds) | State::Recording(bounds), event) => match end_of(bounds, event, now) {
            Some(reason) => (State::Draining(reason), vec![Action::ClosePeer, Action::FinishRecorder]),
            None => (state, Vec::new()),
        },
        (State::Draining(reason), Event::RecorderFinished) => {
            (State::Sealing(reason), vec![Action::Seal(reason)])
        }
        (State::Sealing(reason), Event::Committed) => (State::Sealed(reason), vec![Action::Forget]),
        (state, _) => (state, Vec::new()),
    }
}

/// Why this event ends a session that is live; none if it doesn't.
fn end_of(bounds: Bounds, event: Event, now: Instant) -> Option<EndReason> {
    match event {
        Event::Stop(reason) => Some(reason),
        Event::PeerClosed(reason) => Some(match reason {
            // We close a peer only on the way out of a live state; a peer that says so earlier has lost its way.
            CloseReason::Local | CloseReason::Dtls(_) => EndReason::TransportFailed,
            CloseReason::Remote => EndReason::PeerClosed,
            CloseReason::ConnectTimeout => EndReason::ConnectTimeout,
            CloseReason::IceFailed => EndReason::IceFailed,
        }),
        Event::SpoolFailed(SpoolFailure::Full) => Some(EndReason::DiskFull),
        Event::SpoolFailed(SpoolFailure::Stalled | SpoolFailure::Broken) => Some(EndReason::DiskStalled),
        Event::Grown(bytes) => {
            bounds.bytes.is_some_and(|limit| bytes >= limit).then_some(EndReason::SizeLimit)
        }
        Event::Tick => bounds.ends_at.is_some_and(|at| now >= at).then_some(EndReason::TimeLimit),
        Event::Connected | Event::RecorderFinished | Event::Committed => None,
    }
}

impl State {
    /// Whether it may still take an offer.
    pub(crate) fn is_live(self) -> bool {
        matches!(self, Self::Connecting(_) | Self::Recording(_))
    }

    /// When time alone ends it.
    pub(crate) fn ends_at(self) -> Option<Instant> {
        match self {
            Self::Connecting(bounds) | Self::Recording(bounds) => bounds.ends_at,
            Self::Draining(_) | Self::Sealing(_) | Self::Sealed(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const OUT: &[Action] = &[Action::ClosePeer, Action::FinishRecorder];

    #[test]
    fn whatever_ends_a_live_session_drains_it_with_its_reason() {
        let now = Instant::now();
        let bounds = Bounds { ends_at: Some(now), bytes: Some(1000) };
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
        for live in [State::Connecting(bounds), State::Recording(bounds)] {
            for (event, reason) in rows.clone() {
                let (state, actions) = step(live, event.clone(), now);
                assert_eq!((state, &actions[..]), (State::Draining(reason), OUT), "{live:?} {event:?}");
            }
        }
    }

    #[test]
    fn a_session_goes_from_the_answer_to_the_seal_in_order() {
        let now = Instant::now();
        let rows: [(Event, State, &[Action]); 5] = [
            (Event::Connected, State::Recording(Bounds::default()), &[]),
            (Event::Grown(u64::MAX), State::Recording(Bounds::default()), &[]),
            (Event::Stop(EndReason::Requested), State::Draining(EndReason::Requested), OUT),
            (
                Event::RecorderFinished,
                State::Sealing(EndReason::Requested),
                &[Action::Seal(EndReason::Requested)],
            ),
            (Event::Committed, State::Sealed(EndReason::Requested), &[Action::Forget]),
        ];
        let mut state = State::Connecting(Bounds::default());
        for (event, next, wanted) in rows {
            let (to, actions) = step(state, event.clone(), now);
            assert_eq!((to, &actions[..]), (next, wanted), "{event:?}");
            state = to;
        }
    }

    #[test]
    fn the_first_reason_stands() {
        let now = Instant::now();
        for ending in [
            State::Draining(EndReason::PeerClosed),
            State::Sealing(EndReason::PeerClosed),
            State::Sealed(EndReason::PeerClosed),
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
    fn limits_end_a_session_neither_early_nor_by_one_byte() {
        let now = Instant::now();
        let bounds = Bounds { ends_at: Some(now + Duration::from_millis(1)), bytes: Some(1000) };
        let live = State::Recording(bounds);
        assert_eq!(step(live, Event::Tick, now), (live, vec![]));
        assert_eq!(step(live, Event::Grown(999), now), (live, vec![]));
    }
}
