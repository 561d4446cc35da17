//! The sessions of a shard.

use std::{
    collections::HashMap,
    panic::{self, AssertUnwindSafe},
};

use model::SessionId;
use peer::IceCredentials;
use rand::{Rng, distr::Alphanumeric};
use tracing::error;

use super::{
    demux::{Key, Routes},
    webrtc::WebrtcSession,
};

/// Sessions by key, and their routes.
#[derive(Default)]
pub(super) struct Sessions {
    slots: Vec<Option<Box<WebrtcSession>>>,
    free: Vec<Key>,
    by_id: HashMap<SessionId, Key>,
    pub(super) routes: Routes,
    /// Sessions whose output waits to be fetched.
    pub(super) marked: Vec<Key>,
}

impl Sessions {
    /// Adds a session; `ufrag` routes to it.
    pub(super) fn insert(&mut self, session: WebrtcSession, ufrag: &str) {
        let key = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            // Sessions are limited to far fewer than 2³².
            (self.slots.len() - 1) as Key
        });
        self.by_id.insert(session.session().id(), key);
        let Some(slot) = self.slots.get_mut(key as usize) else {
            debug_assert!(false, "the key is of a slot");
            return;
        };
        let session = slot.insert(Box::new(session));
        self.routes.add_ufrag(key, &mut session.routes, ufrag);
        self.mark(key);
    }

    pub(super) fn find(&self, id: SessionId) -> Option<Key> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut WebrtcSession> {
        self.slots.get_mut(key as usize)?.as_deref_mut()
    }

    /// A session and the routes, to change both.
    pub(super) fn with_routes(&mut self, key: Key) -> Option<(&mut WebrtcSession, &mut Routes)> {
        Some((self.slots.get_mut(key as usize)?.as_deref_mut()?, &mut self.routes))
    }

    /// Calls `act` on a session and marks it.
    pub(super) fn with(&mut self, key: Key, act: impl FnOnce(&mut WebrtcSession)) {
        let Some(session) = self.slots.get_mut(key as usize).and_then(Option::as_deref_mut) else { return };
        // A panic shows in the session itself.
        let _ = guarded(session, act);
        if !std::mem::replace(&mut session.is_marked, true) {
            self.marked.push(key);
        }
    }

    /// Calls `act` on each marked session.
    pub(super) fn each_marked(&mut self, mut act: impl FnMut(&mut WebrtcSession)) {
        for &key in &self.marked {
            if let Some(session) = self.slots.get_mut(key as usize).and_then(Option::as_deref_mut) {
                let _ = guarded(session, &mut act);
            }
        }
    }

    /// Notes that a session's output waits to be fetched.
    pub(super) fn mark(&mut self, key: Key) {
        self.with(key, |_| {});
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<WebrtcSession> {
        let session = *self.slots.get_mut(key as usize)?.take()?;
        self.by_id.remove(&session.session().id());
        self.free.push(key);
        Some(session)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut WebrtcSession)> {
        self.slots.iter_mut().enumerate().filter_map(|(key, slot)| Some((key as Key, slot.as_deref_mut()?)))
    }

    /// ICE credentials that no session has, from the operating system's entropy.
    pub(super) fn fresh_credentials(&self) -> IceCredentials {
        let mut random = rand::rng();
        let mut text =
            |length| (&mut random).sample_iter(Alphanumeric).take(length).map(char::from).collect();
        loop {
            let ufrag: String = text(12);
            if self.routes.is_free(&ufrag) {
                return IceCredentials { ufrag, password: text(32) };
            }
        }
    }
}

/// Calls `act` on a session; none if it is over or panics. A panic is a fault of the recorder that must not end the shard's
/// other sessions: it ends this one, and its file is repaired.
pub(super) fn guarded<T>(
    session: &mut WebrtcSession,
    act: impl FnOnce(&mut WebrtcSession) -> T,
) -> Option<T> {
    if session.session().is_over() {
        return None;
    }
    // What a panic leaves half changed is not used again: the file is repaired.
    let span = session.session().span().clone();
    let result = span.in_scope(|| panic::catch_unwind(AssertUnwindSafe(|| act(session))));
    if result.is_err() {
        error!(session_id = %session.session().id(), "the session panicked and ends");
        session.break_off();
    }
    result.ok()
}
