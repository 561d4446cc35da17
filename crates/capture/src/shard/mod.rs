//! Media shards. A shard is one thread with its own sockets and its own sessions. A packet goes from the socket to its
//! session's write buffer without a channel, a lock or a task switch.

pub(crate) mod commands;
mod demux;
pub(crate) mod kernel_drops;
mod outbox;
mod sessions;
mod socket;
mod tcp;
mod thread;
mod ticker;
mod webrtc;

pub(crate) use commands::{Begin, Command, Shard, ShardGone};
pub(crate) use socket::bind;
pub(crate) use tcp::TcpLimits;
pub(crate) use thread::{ShardConfig, spawn};
