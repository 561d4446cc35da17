//! Configuration, wiring, gRPC, HTTP, telemetry and shutdown of the recorder.
//!
//! [`Config::load`] reads and binds nothing, [`App::build`] binds and serves nothing, [`App::run`] serves until its
//! shutdown future is ready.

mod api;
mod app;
mod auth;
mod backends;
mod calls;
mod cli;
mod cluster;
pub mod config;
mod descriptors;
pub mod doctor;
mod downloads;
mod error;
mod grpc;
mod http;
mod ledger;
pub mod logs;
mod metrics;
mod node;
mod open_recordings;
mod private_file;
mod readiness;
mod renditions;
mod run;
pub mod signals;
mod start_error;
mod startup_log;
mod systemd;
mod tls;
mod traces;
mod wire;

pub use app::App;
pub use backends::Database;
pub use cli::{Cli, Command, ConfigCommand};
pub use config::Config;
pub use run::{Ended, RunError};
pub use start_error::StartError;
pub use startup_log::openssl_fault;
pub use traces::Traces;
