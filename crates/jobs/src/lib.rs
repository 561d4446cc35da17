//! Lease a job, run it, retry it, or keep it for a person.
//!
//! A job is leased, runs while its lease is renewed, and ends in one transaction: done (with the recording's state and
//! the next jobs), to be run again, or parked. Nothing here deletes media that has not just been seen, whole, in the
//! object store.

mod clean_up;
mod config;
mod context;
mod delete;
mod dispatch;
mod error;
mod journal;
mod lease;
mod libav;
mod live_render;
mod live_upload;
mod maintenance;
mod metrics;
mod open_files;
mod render;
mod renderer;
mod retry;
mod spool;
mod upload;
mod work_directory;
mod worker;

pub use config::{JobsConfig, RetentionRule, SegmentsConfig};
pub use error::JobError;
pub use maintenance::DefaultRenditions;
pub use metrics::{describe as describe_metrics, enqueued as count_enqueued};
pub use open_files::{OpenFile, OpenFiles};
pub use renderer::{
    FollowRequest, Followed, FollowedSegment, Following, RenderError, RenderRequest, Rendered, Renderer,
};

pub use worker::Workers;
