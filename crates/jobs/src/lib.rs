//! Lease a job, run it, retry it, or keep it for a person.
//!
//! A job is leased, runs while its lease is renewed, and ends in one transaction: done (with the recording's state and
//! the next jobs), to be run again, or parked. Nothing here deletes media that has not just been seen, whole, in the
//! object store.

mod clean_up;
mod config;
mod delete;
mod depth;
mod error;
mod lease;
mod libav;
mod lost;
mod metrics;
mod perform;
mod progress;
mod render;
mod renderer;
mod retention;
mod retry;
mod segments;
mod spool;
mod stream;
mod upload;
mod work;
mod worker;

pub use config::{JobsConfig, SegmentsConfig};
pub use error::JobError;
pub use metrics::{describe as describe_metrics, enqueued as count_enqueued};
pub use renderer::{
    FollowRequest, Followed, FollowedSegment, Following, RenderError, RenderRequest, Rendered, Renderer,
};
pub use retention::RetentionRule;
pub use stream::{OpenFile, OpenFiles};
pub use worker::{DefaultRenditions, Workers};
