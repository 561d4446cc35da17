//! What peers want sent, collected while datagrams come in and sent once a wake-up.

use std::{collections::HashMap, net::SocketAddr};

use bytes::Bytes;
use peer::{Protocol, Transmit};

use super::{
    demux::{Key, Path, Reach, is_binding_success},
    sessions::Sessions,
    socket::Receiver,
    tcp::Connection,
};
use crate::metrics::ShardCounters;

/// Datagrams to send, with the path they take.
#[derive(Debug)]
pub(super) struct Outbox {
    /// Our addresses; a path names one by its place.
    addresses: Vec<SocketAddr>,
    datagrams: Vec<(Path, Bytes)>,
}

impl Outbox {
    pub(super) fn new(addresses: Vec<SocketAddr>) -> Self {
        Self { addresses, datagrams: Vec::new() }
    }

    /// Takes what a session wants sent. A path that its peer authenticates with it is the session's from here on.
    pub(super) fn fetch(&mut self, sessions: &mut Sessions, key: Key) {
        let Some((live, routes)) = sessions.with_routes(key) else { return };
        while let Some(transmit) = live.poll_transmit() {
            let Some(path) = self.path_of(&transmit, &live.reach) else { continue };
            if is_binding_success(&transmit.payload) {
                routes.bind(key, &mut live.reach, path);
            }
            self.datagrams.push((path, transmit.payload));
        }
        for ufrag in live.retired.drain(..) {
            routes.remove_ufrag(&mut live.reach, &ufrag);
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
                    // A connection that is gone is the client's doing.
                    let Some(connection) = connections.get_mut(&path) else { continue };
                    if is_binding_success(&datagram) {
                        connection.authenticate();
                    }
                    counters.tcp_dropped += u64::from(!connection.send(datagram));
                }
            }
        }
    }

    /// From which of our addresses it goes: the one that the peer names, else the one that the client last used, else
    /// the first of the client's address family.
    fn path_of(&self, transmit: &Transmit, reach: &Reach) -> Option<Path> {
        let remote = transmit.destination;
        let named = transmit.source.and_then(|source| self.addresses.iter().position(|ours| *ours == source));
        let local = named.and_then(|place| u16::try_from(place).ok());
        let used = || reach.paths().iter().rev().find(|path| path.remote == remote).map(|path| path.local);
        let family = || {
            let same = |ours: &SocketAddr| ours.is_ipv4() == remote.address.is_ipv4();
            self.addresses.iter().position(same).and_then(|place| u16::try_from(place).ok())
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
    fn a_datagram_leaves_from_the_address_that_the_client_talks_to() {
        let ours = ["192.0.2.1:10000", "[2001:db8::1]:10000", "198.51.100.1:10000"];
        let outbox = Outbox::new(ours.iter().map(|ours| ours.parse().unwrap()).collect());
        let mut reach = Reach::default();
        let local =
            |source, to, reach: &Reach| outbox.path_of(&transmit(source, to), reach).map(|path| path.local);
        assert_eq!(local(Some(ours[2]), "203.0.113.5:7", &reach), Some(2));
        assert_eq!(local(None, "203.0.113.5:7", &reach), Some(0));
        assert_eq!(local(None, "[2001:db8::5]:7", &reach), Some(1));
        let remote = transmit(None, "203.0.113.5:7").destination;
        Routes::default().bind(0, &mut reach, Path { local: 2, remote });
        assert_eq!(local(None, "203.0.113.5:7", &reach), Some(2));
    }
}
