//! The spool: where recordings are written while they come, and made safe when they end.
//!
//! A session has the directory `<spool>/<id>/` with a [`manifest`] and `media.part`, which becomes `<id>.webm` or
//! `<id>.mkv` when it is sealed; and until then some room in reserve, so that a full disk doesn't keep it from that. One
//! [`SpoolFile`] feeds it; the [`writer`]'s threads do all that can block.

mod convert;
mod directory;
mod file;
pub mod finish;
pub mod manifest;
pub mod metrics;
mod open_files;
pub mod queue;
pub mod recover;
pub mod writer;

pub use convert::{codec, container};
pub use directory::SessionDirectory;
pub use file::{Files, MediaFile, OsFiles};
pub use open_files::{OpenFile, OpenFiles};
pub use queue::{SpoolFailure, SpoolFile, Written};
pub use writer::Writers;

#[cfg(test)]
mod tests;
