//! The live sessions of the node, and admission. A session is removed when its recording is committed, and never before.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use model::{Recording, SessionId, TenantId};
use tokio::sync::{mpsc, watch};

use crate::{Limits, error::CaptureError, metrics, source::control::Control};

/// Follows a session's end: none until its recording is committed. The channel closes with none if the session did not
/// begin.
pub(crate) type Committed = watch::Receiver<Option<Arc<Recording>>>;

type Answer = watch::Sender<Option<Arc<Recording>>>;
type Sessions = HashMap<SessionId, (Entry, Answer)>;

/// What runs a session.
#[derive(Debug, Clone)]
pub(crate) enum SessionHost {
    /// The shard of this number.
    Shard(usize),
    /// A task of its own, with its commands. Senders wait while the channel is full.
    Task(mpsc::Sender<Control>),
}

/// A session in the registry.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) id: SessionId,
    pub(crate) tenant: TenantId,
    pub(crate) host: SessionHost,
    pub(crate) begun: Instant,
    /// The recording as it began.
    pub(crate) recording: Arc<Recording>,
    /// Held until a pause is committed, so that the row has the state of the last command.
    pub(crate) pausing: Arc<tokio::sync::Mutex<()>>,
    pub(crate) committed: Committed,
}

/// The live sessions, and the limits on their number.
#[derive(Debug)]
pub(crate) struct Registry {
    sessions: usize,
    sessions_per_tenant: usize,
    inner: Mutex<Sessions>,
    changed: watch::Sender<usize>,
}

/// The admission of a session. Released on drop unless [`confirm`](Self::confirm) was called.
#[derive(Debug)]
pub(crate) struct Reservation {
    registry: Arc<Registry>,
    id: SessionId,
    confirmed: bool,
}

impl Registry {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            sessions: limits.sessions,
            sessions_per_tenant: limits.sessions_per_tenant,
            inner: Mutex::default(),
            changed: watch::Sender::new(0),
        }
    }

    /// Admits a session on the shard with the fewest sessions. It is found from here on.
    ///
    /// # Errors
    /// `SessionLimit` of the node or of the tenant.
    pub(crate) fn reserve(
        self: &Arc<Self>,
        recording: &Recording,
        shards: usize,
    ) -> Result<(Reservation, usize), CaptureError> {
        let mut inner = self.lock();
        let on_shard = |(entry, _): &(Entry, Answer)| match entry.host {
            SessionHost::Shard(shard) => Some(shard),
            SessionHost::Task(_) => None,
        };
        let shard = least_loaded(inner.values().filter_map(on_shard), shards);
        let (reservation, _) = self.insert(&mut inner, recording, SessionHost::Shard(shard))?;
        Ok((reservation, shard))
    }

    /// Admits a session with a task of its own.
    ///
    /// # Errors
    /// `SessionLimit` of the node or of the tenant.
    pub(crate) fn reserve_task(
        self: &Arc<Self>,
        recording: &Recording,
        control: mpsc::Sender<Control>,
    ) -> Result<(Reservation, Committed), CaptureError> {
        self.insert(&mut self.lock(), recording, SessionHost::Task(control))
    }

    fn insert(
        self: &Arc<Self>,
        inner: &mut Sessions,
        recording: &Recording,
        host: SessionHost,
    ) -> Result<(Reservation, Committed), CaptureError> {
        let (id, tenant) = (recording.id.into(), &recording.tenant);
        if inner.len() >= self.sessions {
            return Err(CaptureError::SessionLimit { live: inner.len(), limit: self.sessions });
        }
        let of_tenant = inner.values().filter(|(entry, _)| entry.tenant == *tenant).count();
        if of_tenant >= self.sessions_per_tenant {
            return Err(CaptureError::SessionLimit { live: of_tenant, limit: self.sessions_per_tenant });
        }
        let (sender, committed) = watch::channel(None);
        let entry = Entry {
            id,
            tenant: tenant.clone(),
            host,
            begun: Instant::now(),
            recording: Arc::new(recording.clone()),
            pausing: Arc::default(),
            committed: committed.clone(),
        };
        inner.insert(id, (entry, sender));
        self.report(inner.len());
        Ok((Reservation { registry: Arc::clone(self), id, confirmed: false }, committed))
    }

    /// The tenant's session.
    pub(crate) fn find(&self, tenant: &TenantId, id: SessionId) -> Option<Entry> {
        self.lock().get(&id).map(|(entry, _)| entry.clone()).filter(|entry| entry.tenant == *tenant)
    }

    /// The tenant's sessions; of all tenants if none is given.
    pub(crate) fn all(&self, tenant: Option<&TenantId>) -> Vec<Entry> {
        let inner = self.lock();
        let is_of_tenant = |entry: &&Entry| tenant.is_none_or(|tenant| entry.tenant == *tenant);
        inner.values().map(|(entry, _)| entry).filter(is_of_tenant).cloned().collect()
    }

    /// Removes a committed session, and answers the callers that wait for its end.
    pub(crate) fn commit(&self, id: SessionId, recording: Recording) {
        let mut inner = self.lock();
        match inner.remove(&id) {
            Some((_, sender)) => drop(sender.send_replace(Some(Arc::new(recording)))),
            None => debug_assert!(false, "only confirmed sessions are finalized, once"),
        }
        self.report(inner.len());
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Follows the number of live sessions.
    pub(crate) fn watch_count(&self) -> watch::Receiver<usize> {
        self.changed.subscribe()
    }

    fn release(&self, id: SessionId) {
        let mut inner = self.lock();
        inner.remove(&id);
        self.report(inner.len());
    }

    fn report(&self, count: usize) {
        metrics::sessions_live(count);
        self.changed.send_replace(count);
    }

    fn lock(&self) -> MutexGuard<'_, Sessions> {
        // No holder of the lock can leave the map half changed.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The shard with the fewest sessions, the first of equals.
fn least_loaded(of_sessions: impl Iterator<Item = usize>, shards: usize) -> usize {
    let mut load = vec![0_usize; shards.max(1)];
    for shard in of_sessions {
        match load.get_mut(shard) {
            Some(load) => *load += 1,
            None => debug_assert!(false, "a session's host is one of the shards"),
        }
    }
    load.iter().enumerate().min_by_key(|&(_, load)| load).map_or(0, |(shard, _)| shard)
}

impl Reservation {
    /// The session has begun: it stays in the registry until it is committed.
    pub(crate) fn confirm(mut self) {
        self.confirmed = true;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.confirmed {
            self.registry.release(self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::beginning::Description;

    fn registry(sessions: usize, sessions_per_tenant: usize) -> Arc<Registry> {
        Arc::new(Registry::new(&Limits { sessions, sessions_per_tenant, ..Limits::default() }))
    }

    fn tenant(name: &str) -> TenantId {
        name.parse().unwrap()
    }

    fn recording(id: SessionId, tenant: &TenantId) -> Recording {
        let description = Description {
            tenant: tenant.clone(),
            name: String::new(),
            correlation_id: String::new(),
            channel: model::Channel::Call,
            source: model::Source::Webrtc,
            results: Vec::new(),
        };
        description.recording(&model::NodeId::default(), id)
    }

    #[test]
    fn a_session_past_a_limit_is_refused_and_none_is_removed() {
        let registry = registry(3, 2);
        let begin = |tenant: &TenantId| registry.reserve(&recording(SessionId::new(), tenant), 1);
        let (a, b) = (tenant("a"), tenant("b"));
        let _held = [begin(&a).unwrap(), begin(&a).unwrap()];
        let error = begin(&a).unwrap_err();
        assert!(matches!(error, CaptureError::SessionLimit { live: 2, limit: 2 }), "{error}");
        let _third = begin(&b).unwrap();
        let error = begin(&b).unwrap_err();
        assert!(matches!(error, CaptureError::SessionLimit { live: 3, limit: 3 }), "{error}");
        assert_eq!(registry.count(), 3);
    }

    #[test]
    fn an_admission_that_is_not_confirmed_is_released() {
        let registry = registry(1, 1);
        let id = SessionId::new();
        drop(registry.reserve(&recording(id, &tenant("a")), 1).unwrap());
        assert_eq!(registry.count(), 0);
        registry.reserve(&recording(id, &tenant("a")), 1).unwrap().0.confirm();
        assert_eq!(registry.count(), 1);
    }

    #[test]
    fn a_session_of_another_tenant_is_not_found() {
        let registry = registry(1, 1);
        let id = SessionId::new();
        registry.reserve(&recording(id, &tenant("a")), 1).unwrap().0.confirm();
        assert!(registry.find(&tenant("a"), id).is_some());
        assert!(registry.find(&tenant("b"), id).is_none());
        assert_eq!(registry.all(Some(&tenant("b"))).len(), 0);
        assert_eq!(registry.all(None).len(), 1);
    }

    #[test]
    fn sessions_go_to_the_shard_with_the_fewest() {
        let registry = registry(9, 9);
        let mut held = Vec::new();
        for expected in [0, 1, 2, 0] {
            let (reservation, shard) =
                registry.reserve(&recording(SessionId::new(), &tenant("a")), 3).unwrap();
            assert_eq!(shard, expected);
            held.push(reservation);
        }
    }
}
