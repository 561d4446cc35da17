//! Objects under keys: a local directory (the embedded default), or S3.
//!
//! Whoever deletes a local file because "it is in the store" relies on two promises that every back end here keeps:
//! an object appears whole or not at all, and the SHA-256 that [`BlobStore::head`] reports is that of the bytes which
//! the store holds, not a note that the writer once left beside them.

mod attachment;
mod digest;
mod error;
mod key;
mod local;
mod part_uploads;
mod partial;
mod s3;
mod store;

pub use attachment::attachment;
pub use digest::{FileDigest, file_digest};
pub use error::BlobError;
pub use key::ObjectKey;
pub use local::LocalDir;
pub use part_uploads::{FilePart, OpenUpload, PartDigest, PartRange, PartUploads, SentPart};
pub use s3::{AccessKey, ChecksumMode, S3, S3Config, Secret};
pub use store::{BlobStore, ObjectInfo, PutFile};

/// The target of all spans and events of the object store: `RUST_LOG=blob=debug` shows them.
pub(crate) const TARGET: &str = "blob";
