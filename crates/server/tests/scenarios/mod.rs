//! Scenarios for both configurations: the embedded default, and Postgres with S3.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod crashes;
pub mod kinds;
pub mod records;
pub mod renditions;
pub mod segments;
