//! Routes datagrams to sessions: STUN binding requests by their user fragment, others by the path they took.
//!
//! A path belongs to a session only after its peer has answered a binding request on it with success. The peer does that
//! only after it has checked MESSAGE-INTEGRITY. A client that knows a user fragment alone can neither divert a session's
//! datagrams nor inject its own.

use std::collections::{HashMap, hash_map};

use peer::{Endpoint, Protocol};

/// The index of a session in its shard.
pub(crate) type Key = u32;

/// A local and a remote address. The remote alone is ambiguous: one NAT may use the same outside port towards two of our
/// addresses for two clients (RFC 4787 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Path {
    /// The index of our address in the shard's list.
    pub(crate) local: u16,
    pub(crate) remote: Endpoint,
}

impl Path {
    pub(crate) fn is_tcp(&self) -> bool {
        self.remote.protocol == Protocol::Tcp
    }
}

/// The routes of one session.
#[derive(Debug, Default)]
pub(crate) struct SessionRoutes {
    paths: Vec<Path>,
    ufrags: Vec<String>,
}

/// The routes of a shard.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    by_path: HashMap<Path, Key>,
    by_ufrag: HashMap<String, Key>,
}

/// Paths of a session. Another one replaces the oldest.
const MAX_PATHS: usize = 16;
/// User fragments of a session: one for each ICE restart. Another one replaces the oldest.
const MAX_UFRAGS: usize = 8;

impl Routes {
    /// The session of a datagram; none if it belongs to no session.
    pub(crate) fn route(&self, path: &Path, datagram: &[u8]) -> Option<Key> {
        // STUN by its user fragment first: a client may begin a session from an address that an earlier session used.
        if is_stun(datagram)
            && let Some(key) = peer::stun_ufrag(datagram).and_then(|ufrag| self.by_ufrag.get(ufrag))
        {
            return Some(*key);
        }
        self.by_path.get(path).copied()
    }

    /// Whether no session has this user fragment.
    pub(crate) fn is_free(&self, ufrag: &str) -> bool {
        !self.by_ufrag.contains_key(ufrag)
    }

    /// Routes binding requests with this user fragment to the session.
    pub(crate) fn add_ufrag(&mut self, key: Key, session: &mut SessionRoutes, ufrag: &str) {
        if session.ufrags.iter().any(|known| known == ufrag) {
            return;
        }
        if session.ufrags.len() >= MAX_UFRAGS {
            self.by_ufrag.remove(&session.ufrags.remove(0));
        }
        self.by_ufrag.insert(ufrag.to_owned(), key);
        session.ufrags.push(ufrag.to_owned());
    }

    /// Removes the route of a user fragment.
    pub(crate) fn remove_ufrag(&mut self, session: &mut SessionRoutes, ufrag: &str) {
        if let Some(index) = session.ufrags.iter().position(|known| known == ufrag) {
            self.by_ufrag.remove(&session.ufrags.swap_remove(index));
        }
    }

    /// Routes a path to the session whose peer has authenticated it. Returns false if it did so before.
    pub(crate) fn bind(&mut self, key: Key, session: &mut SessionRoutes, path: Path) -> bool {
        match self.by_path.entry(path) {
            hash_map::Entry::Occupied(entry) if *entry.get() == key => return false,
            // The other session still lists the path. `forget` removes a session's own paths only.
            hash_map::Entry::Occupied(mut entry) => drop(entry.insert(key)),
            hash_map::Entry::Vacant(entry) => drop(entry.insert(key)),
        }
        session.paths.retain(|known| *known != path);
        if session.paths.len() >= MAX_PATHS {
            let oldest = session.paths.remove(0);
            self.unbind(key, &oldest);
        }
        session.paths.push(path);
        true
    }

    /// Removes the routes of a session that is over. Returns the paths that were its own to the end.
    pub(crate) fn forget(&mut self, key: Key, session: SessionRoutes) -> impl Iterator<Item = Path> {
        for ufrag in session.ufrags {
            self.by_ufrag.remove(&ufrag);
        }
        session.paths.into_iter().filter(move |path| self.unbind(key, path))
    }

    fn unbind(&mut self, key: Key, path: &Path) -> bool {
        self.by_path.get(path) == Some(&key) && self.by_path.remove(path).is_some()
    }
}

impl SessionRoutes {
    /// The session's paths, the newest last.
    pub(crate) fn paths(&self) -> &[Path] {
        &self.paths
    }
}

/// Whether a datagram can be STUN (RFC 7983 §7).
pub(crate) fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|&first| first < 4)
}

/// Whether a peer's datagram is a STUN binding success (RFC 8489 §5): then the path is authenticated.
pub(crate) fn is_binding_success(datagram: &[u8]) -> bool {
    datagram.starts_with(&[0x01, 0x01])
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn path(local: u16, port: u16) -> Path {
        let address = SocketAddr::from(([192, 0, 2, 1], port));
        Path { local, remote: Endpoint { protocol: Protocol::Udp, address } }
    }

    const RTP: &[u8] = &[0x80; 20];

    #[test]
    fn the_same_remote_at_another_local_address_is_another_path() {
        let (mut routes, mut session) = (Routes::default(), SessionRoutes::default());
        assert!(routes.bind(1, &mut session, path(0, 9)));
        assert_eq!(routes.route(&path(0, 9), RTP), Some(1));
        assert_eq!(routes.route(&path(1, 9), RTP), None);
        assert_eq!(routes.route(&path(0, 8), RTP), None);
    }

    #[test]
    fn a_path_that_moved_to_another_session_stays_there_when_the_first_ends() {
        let mut routes = Routes::default();
        let (mut first, mut second) = (SessionRoutes::default(), SessionRoutes::default());
        routes.bind(1, &mut first, path(0, 9));
        routes.bind(2, &mut second, path(0, 9));
        assert_eq!(routes.forget(1, first).count(), 0);
        assert_eq!(routes.route(&path(0, 9), RTP), Some(2));
        assert_eq!(routes.forget(2, second).count(), 1);
        assert_eq!(routes.route(&path(0, 9), RTP), None);
    }

    #[test]
    fn a_session_with_many_addresses_has_its_newest_paths_only() {
        let (mut routes, mut session) = (Routes::default(), SessionRoutes::default());
        for port in 1..100 {
            routes.bind(1, &mut session, path(0, port));
        }
        assert_eq!(session.paths().len(), MAX_PATHS);
        assert_eq!(routes.by_path.len(), MAX_PATHS);
        assert_eq!(routes.route(&path(0, 99), RTP), Some(1));
        assert_eq!(routes.route(&path(0, 1), RTP), None);
    }

    #[test]
    fn a_session_that_is_over_leaves_no_routes() {
        let (mut routes, mut session) = (Routes::default(), SessionRoutes::default());
        routes.add_ufrag(1, &mut session, "aaaaaaaa");
        routes.add_ufrag(1, &mut session, "bbbbbbbb");
        routes.remove_ufrag(&mut session, "aaaaaaaa");
        assert!(routes.is_free("aaaaaaaa") && !routes.is_free("bbbbbbbb"));
        routes.bind(1, &mut session, path(0, 9));
        assert_eq!(routes.forget(1, session).count(), 1);
        assert!(routes.by_path.is_empty() && routes.by_ufrag.is_empty());
    }
}
