//! DTLS 1.2 (RFC 6347) in the server role, as DTLS-SRTP uses it (RFC 5764).
//!
//! The engine is OpenSSL, behind the trait [`Engine`] so that it can be replaced. In front of it is a filter for records
//! that no honest client sends. Flights are resent here, by the caller's time instead of the engine's.

mod certificate;
mod context;
mod filter;
mod flight;
mod session;
mod sys;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::srtp::SrtpProfile;

pub(crate) use context::DtlsContext;
pub(crate) use filter::Filter;
use flight::Flight;
pub use sys::{openssl_predates_dtls_fixes, openssl_version};

/// Large enough for any handshake or SCTP packet, small enough for any path (RFC 8831 §5 says 1200 at first).
pub(crate) const MTU: u32 = 1200;
/// The most datagrams that wait to be polled; further ones are dropped, as a network might. A flight has four at most.
const MAX_QUEUED: usize = 64;

/// The result of the handshake.
pub(crate) struct Established {
    /// The SRTP profile and its exported keys. None if the client offered no profile, which it may for data alone.
    pub(crate) srtp: Option<(SrtpProfile, Vec<u8>)>,
    /// SHA-256 of the client's certificate.
    pub(crate) client_fingerprint: [u8; 32],
    /// The cipher suite, by OpenSSL's name.
    pub(crate) cipher: &'static str,
}

/// An event that a datagram caused.
pub(crate) enum DtlsEvent {
    Established(Box<Established>),
    /// One record of application data.
    Data(Vec<u8>),
    /// close_notify was received.
    Closed,
}

/// The session has failed. The text is the engine's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DtlsError(pub(crate) String);

/// A DTLS implementation: datagrams in, datagrams and events out. It resends nothing by itself.
pub(crate) trait Engine: Send {
    /// Handles one datagram.
    fn handle_datagram(&mut self, datagram: &[u8], events: &mut Vec<DtlsEvent>) -> Result<(), DtlsError>;
    /// Whether the client's ChangeCipherSpec was read and its Finished was not.
    fn expects_finished(&self) -> bool;
    /// The next datagram to send.
    fn poll_transmit(&mut self) -> Option<Bytes>;
    /// Sends application data.
    fn send(&mut self, data: &[u8]) -> Result<(), DtlsError>;
    /// Sends close_notify.
    fn close(&mut self);
}

/// One session.
pub(crate) struct Dtls {
    engine: Box<dyn Engine>,
    filter: Filter,
    flight: Flight,
    outgoing: VecDeque<Bytes>,
    established: bool,
    round_trip: Option<Duration>,
}

impl std::fmt::Debug for Dtls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dtls").field("established", &self.established).finish_non_exhaustive()
    }
}

impl Dtls {
    pub(crate) fn new(engine: Box<dyn Engine>) -> Self {
        Self {
            engine,
            filter: Filter::new(),
            flight: Flight::new(),
            outgoing: VecDeque::new(),
            established: false,
            round_trip: None,
        }
    }

    /// Handles one datagram from the client's address.
    pub(crate) fn handle_datagram(
        &mut self,
        datagram: &[u8],
        now: Instant,
        events: &mut Vec<DtlsEvent>,
    ) -> Result<(), DtlsError> {
        let admitted = self.filter.admit(datagram, self.engine.expects_finished());
        let first = events.len();
        if !admitted.is_empty() {
            self.engine.handle_datagram(&admitted, events)?;
        }
        while self.engine.expects_finished()
            && let Some(finished) = self.filter.take_early()
        {
            self.engine.handle_datagram(&finished, events)?;
        }
        let mut data = false;
        for event in &events[first..] {
            match event {
                DtlsEvent::Established(established) => {
                    self.established = true;
                    self.filter.handshake_completed(established.cipher);
                    self.round_trip = self.flight.answered_after(now);
                }
                DtlsEvent::Data(_) | DtlsEvent::Closed => data = true,
            }
        }
        // A client that sends application data has received our Finished.
        if data {
            self.flight.arrived();
        }
        let flight: Vec<Bytes> = std::iter::from_fn(|| self.engine.poll_transmit()).collect();
        if !flight.is_empty() {
            self.enqueue(&flight);
            if !data {
                self.flight.sent(flight, self.established, now);
            }
        }
        Ok(())
    }

    /// Notes that the client has completed its handshake, which its SRTP proves.
    pub(crate) fn client_completed(&mut self) {
        self.flight.arrived();
    }

    /// Datagrams from which the filter dropped records since the last call.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        self.filter.take_dropped()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.flight.due()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Some(flight) = self.flight.resend(now) {
            self.enqueue(&flight);
        }
    }

    pub(crate) fn send(&mut self, data: &[u8]) -> Result<(), DtlsError> {
        self.engine.send(data)?;
        self.flush();
        Ok(())
    }

    pub(crate) fn close(&mut self) {
        self.flight.arrived();
        self.engine.close();
        self.flush();
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Bytes> {
        self.outgoing.pop_front()
    }

    /// The time from our first flight to the client's answer, if nothing had to be resent.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    fn flush(&mut self) {
        while let Some(datagram) = self.engine.poll_transmit() {
            self.enqueue(&[datagram]);
        }
    }

    fn enqueue(&mut self, datagrams: &[Bytes]) {
        let room = MAX_QUEUED.saturating_sub(self.outgoing.len());
        self.outgoing.extend(datagrams.iter().take(room).cloned());
    }
}
