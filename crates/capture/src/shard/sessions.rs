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
    webrtc::Live,
};

/// Sessions by place, and what routes to them.
#[derive(Default)]
pub(super) struct Sessions {
    places: Vec<Option<Box<Live>>>,
    free: Vec<Key>,
    by_id: HashMap<SessionId, Key>,
    pub(super) routes: Routes,
    /// Sessions whose output is to be fetched.
    pub(super) dirty: Vec<Key>,
}

impl Sessions {
    /// Takes a session in; `ufrag` routes to it.
    pub(super) fn insert(&mut self, live: Live, ufrag: &str) {
        let key = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            // Sessions are limited to far fewer than 2³².
            (self.places.len() - 1) as Key
        });
        self.by_id.insert(live.id, key);
        if let Some(place) = self.places.get_mut(key as usize) {
            let live = place.insert(Box::new(live));
            self.routes.add_ufrag(key, &mut live.reach, ufrag);
        }
        self.mark(key);
    }

    pub(super) fn find(&self, id: SessionId) -> Option<Key> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Live> {
        self.places.get_mut(key as usize)?.as_deref_mut()
    }

    /// A session and the routes, to change both.
    pub(super) fn with_routes(&mut self, key: Key) -> Option<(&mut Live, &mut Routes)> {
        Some((self.places.get_mut(key as usize)?.as_deref_mut()?, &mut self.routes))
    }

    /// Does something to a session and marks it.
    pub(super) fn with(&mut self, key: Key, act: impl FnOnce(&mut Live)) {
        let Some(live) = self.places.get_mut(key as usize).and_then(Option::as_deref_mut) else { return };
        // Whether it acted shows in the session itself.
        let _ = guarded(live, act);
        if !std::mem::replace(&mut live.dirty, true) {
            self.dirty.push(key);
        }
    }

    /// Does something to each session that is marked.
    pub(super) fn each_dirty(&mut self, mut act: impl FnMut(&mut Live)) {
        for &key in &self.dirty {
            if let Some(live) = self.places.get_mut(key as usize).and_then(Option::as_deref_mut) {
                let _ = guarded(live, &mut act);
            }
        }
    }

    /// Its output is to be fetched.
    pub(super) fn mark(&mut self, key: Key) {
        self.with(key, |_| {});
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Live> {
        let live = *self.places.get_mut(key as usize)?.take()?;
        self.by_id.remove(&live.id);
        self.free.push(key);
        Some(live)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut Live)> {
        self.places.iter_mut().enumerate().filter_map(|(key, live)| Some((key as Key, live.as_deref_mut()?)))
    }

    /// ICE credentials that route to nobody yet, from the operating system's entropy.
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

/// Does something to a session that isn't over; none if it is. A panic there is a fault of ours that must not reach the
/// shard's other sessions: it ends this one, with what is in its file.
pub(super) fn guarded<T>(live: &mut Live, act: impl FnOnce(&mut Live) -> T) -> Option<T> {
    if live.is_over() {
        return None;
    }
    // What a panic leaves half changed is not looked at again: only the file is, and that is repaired.
    let result = panic::catch_unwind(AssertUnwindSafe(|| act(live)));
    if result.is_err() {
        error!(session_id = %live.id, "the session panicked and ends");
        live.break_off();
    }
    result.ok()
}
