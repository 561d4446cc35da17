//! What is run on the embedded default and on the configuration of production alike.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod crashes;
pub mod kinds;
pub mod records;
pub mod renditions;
pub mod segments;
