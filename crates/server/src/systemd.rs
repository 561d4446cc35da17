//! Notifications to systemd (`sd_notify(3)`): a datagram to the socket that `NOTIFY_SOCKET` names.

use std::os::{
    linux::net::SocketAddrExt as _,
    unix::net::{SocketAddr, UnixDatagram},
};

/// The start is complete.
pub(crate) const READY: &str = "READY=1";
/// The shutdown has begun.
pub(crate) const STOPPING: &str = "STOPPING=1";

/// Sends a state. Without `NOTIFY_SOCKET` it does nothing; a failure is logged only.
pub(crate) fn notify(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let text = path.to_string_lossy();
    // A leading @ stands for a socket of the abstract namespace.
    let address = match text.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&path),
    };
    let sent = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address));
    if let Err(error) = sent {
        tracing::debug!(%error, "could not notify systemd");
    }
}
