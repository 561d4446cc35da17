//! Things that break while recordings are stored and rendered: the recorder itself, what it works with, its disks.

#[path = "../support/mod.rs"]
mod support;

mod cluster;
mod disks;
mod ingest;
mod kills;
mod outage;
mod render;
mod workers;
