//! Failures while recordings are stored and rendered: of the recorder, its child processes, its database, its disks.

#[path = "../support/mod.rs"]
mod support;

mod cluster;
mod disks;
mod ingest;
mod kills;
mod outage;
mod render;
mod workers;
