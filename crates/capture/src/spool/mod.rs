//! The spool: where recordings are written while they come, and made safe when they end.
//!
//! A session has the directory `<spool>/<id>/` with a [`manifest`] and `media.part`, which becomes `<id>.webm` or
//! `<id>.mkv` when it is sealed; and until then some room in reserve, so that a full disk doesn't keep it from that. One
//! [`SpoolFile`] feeds it; the [`writer`]'s threads do all that can block.

pub(crate) mod directory;
pub(crate) mod file;
pub(crate) mod manifest;
pub(crate) mod queue;
pub(crate) mod recover;
pub(crate) mod seal;
pub(crate) mod writer;

pub(crate) use directory::SessionDirectory;
pub(crate) use file::{Files, MediaFile, OsFiles};
pub(crate) use queue::{SpoolFailure, SpoolFile, Written};
pub(crate) use writer::Writers;

#[cfg(test)]
mod tests;
