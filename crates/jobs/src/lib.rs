//! Lease a job, run it, retry it, or keep it for a person.
//!
//! A job is leased, runs while its lease is renewed, and ends in one transaction: done (with the recording's state and
//! the next jobs), to be run again, or parked. Nothing here deletes media that has not just been seen, whole, in the
//! object store.

mod clean_up;
mod config;
mod delete;
mod dispatch;
mod error;
mod finalized_file;
mod journal;
mod lease;
mod libav;
mod live_render;
mod live_upload;
mod maintenance;
mod metrics;
mod render;
mod renderer;
mod retry;
mod upload;
mod work_directory;
mod worker;

pub use config::{JobsConfig, SegmentsConfig};
pub use error::JobError;
pub use live_upload::{OpenFile, OpenFiles};
pub use maintenance::retention::RetentionRule;
pub use metrics::{describe as describe_metrics, enqueued as count_enqueued};
pub use renderer::{
    FollowRequest, Followed, FollowedSegment, Following, RenderError, RenderRequest, Rendered, Renderer,
};

pub use worker::{DefaultRenditions, Workers};
