//! The UDP sockets of a shard.

use std::{
    io::{self, IoSliceMut},
    net::{SocketAddr, UdpSocket},
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use nix::{
    cmsg_space,
    errno::Errno,
    sys::{
        socket::{
            ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage, recvmmsg, setsockopt,
            sockopt::{RcvBufForce, ReceiveTimestampns},
        },
        time::TimeSpec,
    },
};
use socket2::{Domain, Protocol, Socket, Type};
use tracing::warn;

/// Datagrams per system call.
const BATCH: usize = 64;
/// A larger datagram is no WebRTC: the largest packets of clients fit an Ethernet frame.
const DATAGRAM: usize = 2048;

/// Bytes that the kernel charges a receive buffer for a datagram of an Ethernet frame's size. The socket's limit, as
/// `SO_RCVBUF` reports it, is doubled for this overhead (socket(7)).
const CHARGED: usize = 2304;

/// Binds a UDP socket whose datagrams have kernel timestamps. The receive buffer is at most as large as the kernel allows.
pub(crate) fn bind(address: SocketAddr, receive_buffer: usize) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // More than net.core.rmem_max needs CAP_NET_ADMIN; without it the kernel grants that much.
    if setsockopt(&socket, RcvBufForce, &receive_buffer).is_err() {
        socket.set_recv_buffer_size(receive_buffer)?;
    }
    // The kernel reports twice the size that it grants (socket(7)).
    let granted = socket.recv_buffer_size()? / 2;
    if granted < receive_buffer {
        warn!(%address, granted, configured = receive_buffer, "the receive buffer is smaller than configured");
    }
    setsockopt(&socket, ReceiveTimestampns, &true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// The memory that datagrams are received into; shared by a shard's sockets.
pub(crate) struct Buffers(Box<[[u8; DATAGRAM]; BATCH]>);

impl Buffers {
    pub(crate) fn new() -> Self {
        Self(Box::new([[0; DATAGRAM]; BATCH]))
    }
}

/// A socket that receives many datagrams per system call. Not `Send`: created on the shard's thread.
pub(crate) struct Receiver {
    socket: UdpSocket,
    headers: MultiHeaders<SockaddrStorage>,
    capacity: usize,
    /// When the socket was last empty: datagrams received now arrived later.
    drained_at: Instant,
}

/// The result of one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Whether more may wait.
    pub(crate) more: bool,
    /// Datagrams that did not fit, dropped.
    pub(crate) truncated: u64,
}

impl Receiver {
    pub(crate) fn new(socket: UdpSocket, now: Instant) -> Self {
        let headers = MultiHeaders::preallocate(BATCH, Some(cmsg_space!(TimeSpec)));
        // If the kernel does not answer, its default.
        let granted = socket2::SockRef::from(&socket).recv_buffer_size().unwrap_or(212_992);
        Self { socket, headers, capacity: granted / CHARGED, drained_at: now }
    }

    /// How many large datagrams the receive buffer holds.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Calls `take` for each waiting datagram with the time of the call, its source, its arrival and its bytes. Receives at
    /// most one batch.
    pub(crate) fn receive(
        &mut self,
        buffers: &mut Buffers,
        mut take: impl FnMut(Instant, SocketAddr, Instant, &[u8]),
    ) -> Result<Batch, Errno> {
        let mut slices = buffers.0.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
        let (fd, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        let received = match recvmmsg(fd, &mut self.headers, slices.iter_mut(), flags, None) {
            Ok(received) => received,
            Err(Errno::EAGAIN) => {
                self.drained_at = Instant::now();
                return Ok(Batch::default());
            }
            Err(error) => return Err(error),
        };
        let clock = Clock { now: Instant::now(), wall: SystemTime::now(), not_before: self.drained_at };
        let (mut count, mut truncated) = (0, 0);
        for message in received {
            count += 1;
            if message.flags.contains(MsgFlags::MSG_TRUNC) {
                truncated += 1;
                continue;
            }
            let arrival = kernel_time(&message).map_or(clock.now, |stamp| clock.instant_of(stamp));
            let source = message.address.as_ref().and_then(socket_address);
            if let (Some(source), Some(datagram)) = (source, message.iovs().next()) {
                take(clock.now, source, arrival, datagram);
            }
        }
        if count < BATCH {
            self.drained_at = clock.now;
        }
        Ok(Batch { more: count == BATCH, truncated })
    }

    /// Sends a datagram. If the kernel has no room it is dropped: peers repeat what matters.
    pub(crate) fn send(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.socket.send_to(datagram, to).map(drop)
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Converts kernel timestamps, which are wall time, to the monotonic clock. Both clocks are read once per batch. The result
/// is clamped to the time since the socket was last empty, so that a step of the wall clock does not affect media.
#[derive(Debug, Clone, Copy)]
struct Clock {
    now: Instant,
    wall: SystemTime,
    not_before: Instant,
}

impl Clock {
    fn instant_of(&self, stamp: Duration) -> Instant {
        let age = self
            .wall
            .duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|wall| wall.checked_sub(stamp))
            .unwrap_or(Duration::ZERO);
        self.now.checked_sub(age).unwrap_or(self.not_before).clamp(self.not_before.min(self.now), self.now)
    }
}

fn kernel_time(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<Duration> {
    message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
        _ => None,
    })
}

fn socket_address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = storage.as_sockaddr_in() {
        return Some((*v4).into());
    }
    storage.as_sockaddr_in6().map(|v6| (*v6).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(drained_ms_ago: u64) -> (Clock, Duration) {
        let now = Instant::now() + Duration::from_secs(1000);
        let wall = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let not_before = now - Duration::from_millis(drained_ms_ago);
        (Clock { now, wall, not_before }, Duration::from_secs(1_700_000_000))
    }

    #[test]
    fn a_kernel_timestamp_becomes_the_instant_of_arrival() {
        let (clock, wall) = clock(5);
        let age = Duration::from_micros(3200);
        assert_eq!(clock.instant_of(wall - age), clock.now - age);
    }

    #[test]
    fn a_step_of_the_wall_clock_moves_no_arrival_out_of_the_tick() {
        let (clock, wall) = clock(5);
        let day = Duration::from_secs(86_400);
        assert_eq!(clock.instant_of(wall - day), clock.not_before);
        assert_eq!(clock.instant_of(wall + day), clock.now);
    }

    #[test]
    fn datagrams_have_source_and_arrival_and_too_large_ones_are_counted() {
        for ip in ["127.0.0.1", "::1"] {
            let Ok(socket) = bind(SocketAddr::new(ip.parse().unwrap(), 0), 1 << 20) else {
                assert_ne!(ip, "127.0.0.1", "IPv4 is required, IPv6 is not");
                continue;
            };
            let to = socket.local_addr().unwrap();
            let sender = UdpSocket::bind((to.ip(), 0)).unwrap();
            let before = Instant::now();
            let mut receiver = Receiver::new(socket, before);
            sender.send_to(&[7; 1200], to).unwrap();
            sender.send_to(&[8; 4000], to).unwrap();
            sender.send_to(&[9; 20], to).unwrap();
            let mut seen = Vec::new();
            let mut buffers = Buffers::new();
            let batch = receiver
                .receive(&mut buffers, |now, source, arrival, datagram| {
                    assert!(before <= arrival && arrival <= now);
                    seen.push((source, datagram.to_vec()));
                })
                .unwrap();
            let source = sender.local_addr().unwrap();
            assert_eq!(seen, [(source, vec![7; 1200]), (source, vec![9; 20])]);
            assert_eq!(batch, Batch { more: false, truncated: 1 });
            assert_eq!(
                receiver.receive(&mut buffers, |_, _, _, _| panic!("nothing waits")),
                Ok(Batch::default())
            );
        }
    }
}
