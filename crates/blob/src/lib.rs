//! Object stores: a local directory (the embedded default), or S3.
//!
//! The clean-up job deletes a local file because its object is stored. It relies on two guarantees of every back end: an
//! object appears whole or not at all, and the SHA-256 that [`BlobStore::head`] returns is that of the stored bytes, not
//! only a value that the writer recorded with them.

mod attachment;
mod config;
mod digest;
mod error;
mod key;
mod local;
mod object;
mod part_uploads;
mod partial;
mod s3;
mod store;

pub use attachment::attachment;
pub use config::{BlobConfig, LocalConfig};
pub use digest::{FileDigest, file_digest};
pub use error::BlobError;
pub use local::LocalDir;
pub use object::ObjectInfo;
pub use part_uploads::{FilePart, OpenUpload, PartDigest, PartRange, PartUploads, SentPart};
pub use s3::{S3, S3Config};
pub use settings::Secret;
pub use store::{BlobStore, PutFile};

use key::ObjectKey;

/// The target of all spans and events of the object store: `RUST_LOG=blob=debug` shows them.
pub(crate) const TARGET: &str = "blob";
