//! The API as its callers see it, on a recorder in this process or on the binary. Media has its own tests.

mod access;
mod binary;
mod cluster;
mod encryption;
mod lifecycle;
mod refusals;
mod standard;
mod support;
