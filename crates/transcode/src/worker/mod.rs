//! Executing a plan in a child process.

mod child;
mod parent;
mod wire;

pub use child::worker_main;
pub use parent::Worker;
pub use wire::Limits;
