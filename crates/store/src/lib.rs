//! The database of recordings and jobs: the trait [`Store`], its types and errors, and the conformance suite of its back
//! ends.
//!
//! Each back end is a crate of its own (`store-postgres`, `store-sqlite`), because sqlx checks a crate's queries against
//! one database. They share the code in this crate: [`row`] converts between rows and the types of `model`,
//! [`JobSignal`] wakes waiting workers, [`Changes`] reports changes to subscribers, and [`traced`] runs a query in a span.

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
mod trace;
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
pub use trace::{TARGET, traced};
pub use uploads::{Upload, UploadPart, UploadStatus};
