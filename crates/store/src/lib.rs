//! Metadata and job leases: what a back end has to do, its errors, and the suite that every back end passes.
//!
//! The back ends are crates of their own (`store-postgres`, `store-sqlite`), so that each has its queries checked
//! against its own database. What they share beyond the traits is here: [`row`], how rows and nouns turn into each
//! other, [`JobSignal`], which wakes waiting workers, and [`Changes`], which tells who listens.

mod changes;
#[cfg(feature = "conformance")]
pub mod conformance;
mod deletion;
mod error;
mod jobs;
mod lost;
mod nodes;
mod recordings;
mod renditions;
pub mod row;
mod sessions;
mod signal;
mod store;
mod uploads;

pub use changes::{Change, Changes};
pub use deletion::{AuditEntry, Deletion, Expired, Expiry};
pub use error::StoreError;
pub use jobs::{Cancellation, JobFilter, JobOutcome, LeasedJob, NewJob};
pub use lost::LostRecording;
pub use nodes::Node;
pub use recordings::{Page, RecordingFilter};
pub use renditions::{Created, NewRendition, REQUEUED, RenderedFile};
pub use sessions::{FinalizeOutcome, FinalizedRecording};
pub use signal::JobSignal;
pub use store::Store;
pub use uploads::{Upload, UploadPart, UploadStatus};
