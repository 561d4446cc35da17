//! ICE-lite (RFC 8445 §2.5): we answer the client's checks, make none ourselves, and use the path that it nominates.

use std::{net::SocketAddr, time::Instant};

use bytes::Bytes;
use rtc_crypto::RTCCrypto;

use crate::{
    Endpoint, IceCredentials, Transmit, TransportTimeouts,
    stun::{BindingRequest, binding_success, role_conflict},
};

/// Earlier generations whose checks are still answered. A client may restart again before it has completed a restart,
/// and uses the older path until then.
const MAX_EARLIER: usize = 3;
/// Addresses that passed a check, at most.
const MAX_VERIFIED: usize = 16;

/// The client's address, and the address of ours that it reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) remote: Endpoint,
    pub(crate) local: SocketAddr,
}

impl Path {
    pub(crate) fn transmit(&self, payload: Bytes) -> Transmit {
        Transmit { source: Some(self.local), destination: self.remote, payload }
    }
}

/// One pair of credentials, which a check has to name and be signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Generation {
    ours: IceCredentials,
    their_ufrag: String,
}

impl Generation {
    /// The whole USERNAME has to be `ours:theirs` (RFC 8445 §7.2.2).
    fn is_named_by(&self, username: &str) -> bool {
        username
            .split_once(':')
            .is_some_and(|(ours, theirs)| ours == self.ours.ufrag && theirs == self.their_ufrag)
    }
}

/// The result of a check.
#[derive(Debug, Default)]
pub(crate) struct CheckOutcome {
    pub(crate) response: Option<Transmit>,
    /// It was authentic.
    pub(crate) heard: bool,
    /// The path has changed to another address of the client.
    pub(crate) moved: bool,
    /// User fragments that are not valid any more.
    pub(crate) retired: Vec<String>,
}

/// How long ago the client was last heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Heard,
    Silent,
    Lost,
}

#[derive(Debug)]
pub(crate) struct Ice {
    /// None before the first offer.
    current: Option<Generation>,
    /// Oldest first.
    earlier: Vec<Generation>,
    path: Option<Path>,
    verified: Vec<Endpoint>,
    last_heard: Option<Instant>,
    presence: Presence,
}

impl Ice {
    pub(crate) fn new() -> Self {
        Self {
            current: None,
            earlier: Vec::new(),
            path: None,
            verified: Vec::new(),
            last_heard: None,
            presence: Presence::Heard,
        }
    }

    /// Whether an offer with this user fragment is the first or an ICE restart (RFC 8839 §4.4.1.1.1).
    pub(crate) fn is_new_generation(&self, their_ufrag: &str) -> bool {
        self.current.as_ref().is_none_or(|current| current.their_ufrag != their_ufrag)
    }

    pub(crate) fn credentials(&self) -> Option<&IceCredentials> {
        self.current.as_ref().map(|generation| &generation.ours)
    }

    /// Begins a generation. Earlier ones remain valid until the client nominates a path with this one. Returns the oldest
    /// user fragment if there are too many.
    pub(crate) fn begin_generation(&mut self, ours: IceCredentials, their_ufrag: String) -> Option<String> {
        self.earlier.extend(self.current.replace(Generation { ours, their_ufrag }));
        (self.earlier.len() > MAX_EARLIER).then(|| self.earlier.remove(0).ours.ufrag)
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_ref()
    }

    /// Whether an authentic check was received from this address. Only then is its DTLS handled.
    pub(crate) fn is_verified(&self, remote: Endpoint) -> bool {
        self.verified.contains(&remote)
    }

    /// Handles a datagram that begins like a STUN message.
    pub(crate) fn handle_check(
        &mut self,
        datagram: &[u8],
        remote: Endpoint,
        local: SocketAddr,
        now: Instant,
        crypto: &dyn RTCCrypto,
    ) -> CheckOutcome {
        let mut outcome = CheckOutcome::default();
        let Some(request) = BindingRequest::parse(datagram) else { return outcome };
        let is_current =
            self.current.as_ref().is_some_and(|generation| generation.is_named_by(request.username));
        let generation = if is_current {
            self.current.as_ref()
        } else {
            self.earlier.iter().find(|generation| generation.is_named_by(request.username))
        };
        let Some(generation) = generation else { return outcome };
        let password = &generation.ours.password;
        if !request.is_signed_with(password, crypto) {
            return outcome;
        }
        let path = Path { remote, local };
        let response = if request.controlled {
            role_conflict(request.transaction_id, password, crypto)
        } else {
            binding_success(request.transaction_id, remote.address, password, crypto)
        };
        outcome.response = response.map(|response| path.transmit(response.into()));
        outcome.heard = true;
        self.heard(now);
        if !request.controlled {
            self.verify(remote);
            // Before any nomination the first checked path is used, so that DTLS need not wait.
            if self.path != Some(path) && (request.use_candidate || self.path.is_none()) {
                outcome.moved = self.path.is_none_or(|path| path.remote != remote);
                self.path = Some(path);
            }
            if request.use_candidate && is_current {
                outcome.retired = self.earlier.drain(..).map(|earlier| earlier.ours.ufrag).collect();
            }
        }
        outcome
    }

    fn verify(&mut self, remote: Endpoint) {
        if self.verified.last() == Some(&remote) {
            return;
        }
        self.verified.retain(|known| *known != remote);
        if self.verified.len() == MAX_VERIFIED {
            self.verified.remove(0);
        }
        self.verified.push(remote);
    }

    /// Notes that something authentic was received.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.last_heard = Some(now);
    }

    /// When the presence changes next if the client remains silent.
    pub(crate) fn presence_deadline(&self, timeouts: &TransportTimeouts) -> Option<Instant> {
        let after = match self.presence {
            Presence::Heard => timeouts.disconnected.min(timeouts.failed),
            Presence::Silent => timeouts.failed,
            Presence::Lost => return None,
        };
        Some(self.last_heard? + after)
    }

    /// The presence at `now`, if it has changed.
    pub(crate) fn presence_change(&mut self, now: Instant, timeouts: &TransportTimeouts) -> Option<Presence> {
        let silence = now.saturating_duration_since(self.last_heard?);
        let presence = match silence {
            silence if silence >= timeouts.failed => Presence::Lost,
            silence if silence >= timeouts.disconnected => Presence::Silent,
            _ => Presence::Heard,
        };
        (std::mem::replace(&mut self.presence, presence) != presence).then_some(presence)
    }
}

#[cfg(test)]
mod tests;
