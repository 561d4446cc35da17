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
mod lost;
mod renditions;
pub mod row;
mod segments;
mod signal;
mod traits;
mod uploads;

pub use changes::{Change, Changes};
pub use deletion::{AuditEntry, Deletion, Deletions, Expired, Expiry};
pub use error::StoreError;
pub use lost::{LostRecording, LostRecordings};
pub use renditions::{Created, NewRendition, REQUEUED, RenderedFile, Renditions};
pub use segments::Segments;
pub use signal::JobSignal;
pub use traits::{
    Cancellation, FinalizeOutcome, FinalizedRecording, JobFilter, JobOutcome, JobQueue, LeasedJob, NewJob,
    Node, Nodes, Page, RecordingFilter, Recordings, Sessions, Store,
};
pub use uploads::{Upload, UploadPart, UploadStatus, Uploads};
