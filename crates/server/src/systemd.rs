//! Words to systemd (`sd_notify(3)`): a datagram to the socket that `NOTIFY_SOCKET` names.

use std::os::{
    linux::net::SocketAddrExt as _,
    unix::net::{SocketAddr, UnixDatagram},
};

/// The node is up.
pub(crate) const READY: &str = "READY=1";
/// The node is going down.
pub(crate) const STOPPING: &str = "STOPPING=1";

/// Says it, if somebody listens. Nobody listening is no fault.
pub(crate) fn notify(word: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let said = path.to_string_lossy();
    // A leading @ stands for a socket of the abstract namespace.
    let address = match said.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&path),
    };
    let sent = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(word.as_bytes(), &address));
    if let Err(error) = sent {
        tracing::debug!(%error, "NOTIFY_SOCKET took nothing");
    }
}
