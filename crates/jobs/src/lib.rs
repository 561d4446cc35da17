//! Background work on recordings: upload, clean-up, render, delete; and the work that repeats at an interval.
//!
//! A job is leased and runs while its lease is renewed. Its outcome is one transaction: done (with the recording's state and
//! the next jobs), to be retried, or parked. Open files are uploaded and rendered part by part, so that little is left to the
//! jobs. Local media is deleted only after the object store has confirmed the whole object.
//!
//! Where to begin reading: [`Workers`] starts everything; `dispatch` runs one job of any kind; `maintenance` lists the periodic
//! tasks; `context` is what all of them work with.

mod clean_up;
mod config;
mod context;
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
mod open_files;
mod render;
mod renderer;
mod retry;
mod upload;
mod work_directory;
mod worker;

pub use config::{JobsConfig, RetentionRule, SegmentsConfig, WorkersConfig};
pub use error::JobError;
pub use maintenance::DefaultRenditions;
pub use metrics::{describe as describe_metrics, enqueued as count_enqueued};
pub use open_files::{OpenFile, OpenFiles};
pub use renderer::{
    FollowRequest, Followed, FollowedSegment, Following, RenderError, RenderRequest, Rendered, Renderer,
};

pub use worker::Workers;
