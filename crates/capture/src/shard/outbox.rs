//! Datagrams of peers, collected while datagrams are received and sent once per wake-up.

use std::{collections::HashMap, net::SocketAddr};

use bytes::Bytes;
use peer::{Protocol, Transmit};

use super::{
    demux::{Key, Path, SessionRoutes, is_binding_success},
    sessions::Sessions,
    socket::Receiver,
    tcp::Connection,
};
use crate::metrics::ShardCounters;

/// Datagrams to send, with their paths.
#[derive(Debug)]
pub(super) struct Outbox {
    /// Our addresses; a path has the index of one.
    addresses: Vec<SocketAddr>,
    datagrams: Vec<(Path, Bytes)>,
}

impl Outbox {
    pub(super) fn new(addresses: Vec<SocketAddr>) -> Self {
        Self { addresses, datagrams: Vec::new() }
    }

    /// Takes the datagrams of a session's peer. A path that they authenticate is the session's from here on.
    pub(super) fn fetch(&mut self, sessions: &mut Sessions, key: Key, counters: &mut ShardCounters) {
        let Some((session, routes)) = sessions.with_routes(key) else { return };
        while let Some(transmit) = session.poll_transmit() {
            let Some(path) = self.path_of(&transmit, &session.routes) else {
                counters.send_failed += 1;
                continue;
            };
            if is_binding_success(&transmit.payload) {
                routes.bind(key, &mut session.routes, path);
            }
            self.datagrams.push((path, transmit.payload));
        }
        for ufrag in session.take_retired_ufrags() {
            routes.remove_ufrag(&mut session.routes, &ufrag);
        }
    }

    /// Sends everything.
    pub(super) fn send(
        &mut self,
        receivers: &[Receiver],
        connections: &mut HashMap<Path, Connection>,
        counters: &mut ShardCounters,
    ) {
        for (path, datagram) in self.datagrams.drain(..) {
            match path.remote.protocol {
                Protocol::Udp => {
                    let sent = receivers
                        .get(usize::from(path.local))
                        .is_some_and(|socket| socket.send(&datagram, path.remote.address).is_ok());
                    counters.send_failed += u64::from(!sent);
                }
                Protocol::Tcp => {
                    // The client may have closed the connection.
                    let Some(connection) = connections.get_mut(&path) else {
                        counters.send_failed += 1;
                        continue;
                    };
                    if is_binding_success(&datagram) {
                        connection.authenticate();
                    }
                    counters.tcp_dropped += u64::from(!connection.send(datagram));
                }
            }
        }
    }

    /// The path of a datagram, from the address that the peer names, else the one that the client last used, else the first
    /// of the client's address family.
    fn path_of(&self, transmit: &Transmit, session: &SessionRoutes) -> Option<Path> {
        let remote = transmit.destination;
        let named = transmit.source.and_then(|source| self.addresses.iter().position(|ours| *ours == source));
        let local = named.and_then(|index| u16::try_from(index).ok());
        let used = || session.paths().iter().rev().find(|path| path.remote == remote).map(|path| path.local);
        let family = || {
            let same = |ours: &SocketAddr| ours.is_ipv4() == remote.address.is_ipv4();
            self.addresses.iter().position(same).and_then(|index| u16::try_from(index).ok())
        };
        Some(Path { local: local.or_else(used).or_else(family)?, remote })
    }
}

#[cfg(test)]
mod tests {
    use peer::Endpoint;

    use super::*;
    use crate::shard::demux::Routes;

    fn transmit(source: Option<&str>, to: &str) -> Transmit {
        let destination = Endpoint { protocol: Protocol::Udp, address: to.parse().unwrap() };
        Transmit { source: source.map(|ours| ours.parse().unwrap()), destination, payload: Bytes::new() }
    }

    #[test]
    fn a_datagram_is_sent_from_the_address_that_the_client_uses() {
        let ours = ["192.0.2.1:10000", "[2001:db8::1]:10000", "198.51.100.1:10000"];
        let outbox = Outbox::new(ours.iter().map(|ours| ours.parse().unwrap()).collect());
        let mut session = SessionRoutes::default();
        let local = |source, to, session: &SessionRoutes| {
            outbox.path_of(&transmit(source, to), session).map(|path| path.local)
        };
        assert_eq!(local(Some(ours[2]), "203.0.113.5:7", &session), Some(2));
        assert_eq!(local(None, "203.0.113.5:7", &session), Some(0));
        assert_eq!(local(None, "[2001:db8::5]:7", &session), Some(1));
        let remote = transmit(None, "203.0.113.5:7").destination;
        Routes::default().bind(0, &mut session, Path { local: 2, remote });
        assert_eq!(local(None, "203.0.113.5:7", &session), Some(2));
    }
}
