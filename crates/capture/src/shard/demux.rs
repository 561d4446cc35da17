//! Whose datagram is it? By the path it took, else by the user fragment of a STUN binding request.
//!
//! A path belongs to a session only once its peer has answered a binding request on it with success, which it does
//! only after MESSAGE-INTEGRITY has been checked. So nobody can take a session's datagrams, or have theirs taken for a
//! session's, by knowing a user fragment.

use std::collections::{HashMap, hash_map};

use peer::{Endpoint, Protocol};

/// A session's place in its shard.
pub(crate) type Key = u32;

/// Which of our addresses, and who is on the other side. One NAT may use the same outside port towards two of our
/// addresses for two clients (RFC 4787 §4.1), so the remote alone does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Path {
    /// The place of our address in the shard's list.
    pub(crate) local: u16,
    pub(crate) remote: Endpoint,
}

impl Path {
    pub(crate) fn is_tcp(&self) -> bool {
        self.remote.protocol == Protocol::Tcp
    }
}

/// What a session is reached by.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    paths: Vec<Path>,
    ufrags: Vec<String>,
}

/// The routes of a shard.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    by_path: HashMap<Path, Key>,
    by_ufrag: HashMap<String, Key>,
}

/// A session that changes its address more often than this forgets the oldest.
const MAX_PATHS: usize = 16;
/// More offers with ICE restarts than this at a time make the oldest user fragment invalid.
const MAX_UFRAGS: usize = 8;

impl Routes {
    /// The session that a datagram is for.
    pub(crate) fn route(&self, path: &Path, datagram: &[u8]) -> Option<Key> {
        // STUN first by its user fragment: a client may open a new session from an address that an earlier one used.
        if is_stun(datagram)
            && let Some(key) = peer::stun_ufrag(datagram).and_then(|ufrag| self.by_ufrag.get(ufrag))
        {
            return Some(*key);
        }
        self.by_path.get(path).copied()
    }

    /// Whether nobody has this user fragment.
    pub(crate) fn is_free(&self, ufrag: &str) -> bool {
        !self.by_ufrag.contains_key(ufrag)
    }

    /// Routes by a user fragment of ours.
    pub(crate) fn add_ufrag(&mut self, key: Key, reach: &mut Reach, ufrag: &str) {
        if reach.ufrags.iter().any(|known| known == ufrag) {
            return;
        }
        if reach.ufrags.len() >= MAX_UFRAGS {
            self.by_ufrag.remove(&reach.ufrags.remove(0));
        }
        self.by_ufrag.insert(ufrag.to_owned(), key);
        reach.ufrags.push(ufrag.to_owned());
    }

    /// Routes by it no more.
    pub(crate) fn remove_ufrag(&mut self, reach: &mut Reach, ufrag: &str) {
        if let Some(place) = reach.ufrags.iter().position(|known| known == ufrag) {
            self.by_ufrag.remove(&reach.ufrags.swap_remove(place));
        }
    }

    /// The peer has authenticated this path. Whether the path is new to the session.
    pub(crate) fn bind(&mut self, key: Key, reach: &mut Reach, path: Path) -> bool {
        match self.by_path.entry(path) {
            hash_map::Entry::Occupied(entry) if *entry.get() == key => return false,
            // The session that had it keeps it in its list; `forget` looks whose it is.
            hash_map::Entry::Occupied(mut entry) => drop(entry.insert(key)),
            hash_map::Entry::Vacant(entry) => drop(entry.insert(key)),
        }
        reach.paths.retain(|known| *known != path);
        if reach.paths.len() >= MAX_PATHS {
            let oldest = reach.paths.remove(0);
            self.unbind(key, &oldest);
        }
        reach.paths.push(path);
        true
    }

    /// The session is over. The paths that were its own to the last.
    pub(crate) fn forget(&mut self, key: Key, reach: Reach) -> impl Iterator<Item = Path> {
        for ufrag in reach.ufrags {
            self.by_ufrag.remove(&ufrag);
        }
        reach.paths.into_iter().filter(move |path| self.unbind(key, path))
    }

    fn unbind(&mut self, key: Key, path: &Path) -> bool {
        self.by_path.get(path) == Some(&key) && self.by_path.remove(path).is_some()
    }
}

impl Reach {
    /// Its paths, the newest last.
    pub(crate) fn paths(&self) -> &[Path] {
        &self.paths
    }
}

/// Whether it can be STUN (RFC 7983 §7).
pub(crate) fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|&first| first < 4)
}

/// Whether a datagram that a peer sends says that the path is authenticated: a STUN binding success (RFC 8489 §5).
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
    fn the_same_remote_towards_another_address_of_ours_is_another_path() {
        let (mut routes, mut reach) = (Routes::default(), Reach::default());
        assert!(routes.bind(1, &mut reach, path(0, 9)));
        assert_eq!(routes.route(&path(0, 9), RTP), Some(1));
        assert_eq!(routes.route(&path(1, 9), RTP), None);
        assert_eq!(routes.route(&path(0, 8), RTP), None);
    }

    #[test]
    fn a_path_that_moved_to_another_session_stays_there_when_the_first_ends() {
        let mut routes = Routes::default();
        let (mut first, mut second) = (Reach::default(), Reach::default());
        routes.bind(1, &mut first, path(0, 9));
        routes.bind(2, &mut second, path(0, 9));
        assert_eq!(routes.forget(1, first).count(), 0);
        assert_eq!(routes.route(&path(0, 9), RTP), Some(2));
        assert_eq!(routes.forget(2, second).count(), 1);
        assert_eq!(routes.route(&path(0, 9), RTP), None);
    }

    #[test]
    fn a_session_that_moves_around_keeps_its_newest_paths_only() {
        let (mut routes, mut reach) = (Routes::default(), Reach::default());
        for port in 1..100 {
            routes.bind(1, &mut reach, path(0, port));
        }
        assert_eq!(reach.paths().len(), MAX_PATHS);
        assert_eq!(routes.by_path.len(), MAX_PATHS);
        assert_eq!(routes.route(&path(0, 99), RTP), Some(1));
        assert_eq!(routes.route(&path(0, 1), RTP), None);
    }

    #[test]
    fn a_session_that_is_over_leaves_nothing_behind() {
        let (mut routes, mut reach) = (Routes::default(), Reach::default());
        routes.add_ufrag(1, &mut reach, "aaaaaaaa");
        routes.add_ufrag(1, &mut reach, "bbbbbbbb");
        routes.remove_ufrag(&mut reach, "aaaaaaaa");
        assert!(routes.is_free("aaaaaaaa") && !routes.is_free("bbbbbbbb"));
        routes.bind(1, &mut reach, path(0, 9));
        assert_eq!(routes.forget(1, reach).count(), 1);
        assert!(routes.by_path.is_empty() && routes.by_ufrag.is_empty());
    }
}
