//! Metadata and job leases: what a back end has to do, its errors, and the suite that every back end passes.
//!
//! The back ends are crates of their own (`store-postgres`, `store-sqlite`), so that each has its queries checked
//! against its own database. What they share beyond the traits is here: [`row`], how rows and nouns turn into each
//! other, and [`JobSignal`], which wakes waiting workers.

#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
pub mod row;
mod signal;
mod traits;
mod uploads;

pub use error::StoreError;
pub use signal::JobSignal;
pub use traits::{
    JobOutcome, JobQueue, LeasedJob, NewJob, Node, Nodes, Page, RecordingFilter, Recordings, SealOutcome,
    Sealed, Sessions, Store,
};
pub use uploads::{Upload, UploadPart, UploadStatus, Uploads};
