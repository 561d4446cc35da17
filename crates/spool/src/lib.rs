//! The spool: the directory on the node's disk that holds recordings until the object store has a verified copy.
//!
//! ```text
//! <spool>/.lock                    held by the process that uses the spool
//! <spool>/<id>/manifest.json       from which the recording's row can be rebuilt
//! <spool>/<id>/media.part          the open file
//! <spool>/<id>/reserve             room on the disk that finishing the file needs
//! <spool>/<id>/<id>.webm or .mkv   the finished file
//! ```
//!
//! | module | what it does |
//! | --- | --- |
//! | `directory` | the layout: names of files, removal |
//! | `root` | the lock, free space, recovery of the whole spool |
//! | `create`, `finish`, `recover` | the three steps of a recording on disk |
//! | `manifest` | `manifest.json` |
//! | `file`, `queue`, `writer`, `spool_file` | the way of bytes from a session to the disk |
//! | `open_files` | how far each open file is final |
//!
//! A session writes to its [`SpoolFile`], which never blocks. The threads of [`Writers`] do the disk's work.

mod convert;
mod create;
mod directory;
mod file;
mod finish;
mod manifest;
mod metrics;
mod open_files;
mod queue;
mod recover;
mod root;
mod spool_file;
mod writer;

pub use convert::{codec, container};
pub use create::{create, sync_created};
pub use directory::RecordingDirectory;
pub use file::{Files, MediaFile, OsFiles};
pub use finish::{End, finish_written, is_whole, mark_committed};
pub use manifest::ManifestError;
pub use metrics::describe as describe_metrics;
pub use open_files::{OpenFile, OpenFiles};
pub use queue::{Queue, SpoolFailure, WriteOutcome};
pub use recover::{RecoverError, repair_and_finish};
pub use root::{OpenError, Spool, free_bytes};
pub use spool_file::SpoolFile;
pub use writer::{Writer, Writers};

#[cfg(test)]
mod tests;
