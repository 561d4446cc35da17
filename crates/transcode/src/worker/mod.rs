//! Executing a plan, or following a recording, in a child process.

mod child;
mod follower;
mod parent;
mod protocol;

pub use child::worker_main;
pub use follower::Follower;
pub use parent::Worker;
pub use protocol::Limits;
