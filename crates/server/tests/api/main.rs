//! The API, on a recorder in this process or on the binary. Other tests cover media.

#![allow(clippy::unwrap_used, clippy::panic)] // Also outside of the tests' own functions.

mod access;
mod binary;
mod cluster;
mod debug_log;
mod downloads;
mod draining;
mod encryption;
mod ingest;
mod lifecycle;
mod lip_sync;
mod metrics;
mod pauses;
mod postgres;
mod refusals;
mod renditions;
mod rows;
mod segments;
mod standard;
mod support;
mod traces;
mod watching;
