//! Things that break while recordings are stored and rendered: the recorder itself, what it works with, its disks.

#[path = "../support/mod.rs"]
mod support;

mod ingest;
mod kills;
