//! Executes a plan, or follows an open recording, in a child process.

mod child;
mod events;
mod follower;
mod parent;
mod protocol;

pub use child::worker_main;
pub use follower::Follower;
pub use parent::Worker;
pub use protocol::Limits;
