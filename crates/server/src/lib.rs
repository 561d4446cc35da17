//! Configuration, wiring, gRPC, HTTP, telemetry and shutdown of the recorder.
//!
//! [`Config::load`] reads and binds nothing, [`App::build`] binds and serves nothing, [`App::run`] serves until it is
//! told to stop.

mod api;
mod app;
mod auth;
mod backends;
mod cli;
pub mod config;
mod descriptors;
mod downloads;
mod grpc;
mod http;
mod introduce;
mod kept;
mod ledger;
pub mod logs;
mod metrics;
mod node;
mod notify;
mod open_recordings;
mod readiness;
mod renditions;
mod run;
pub mod signals;
mod tls;
mod traces;
mod wire;

pub use app::{App, StartError};
pub use backends::Database;
pub use cli::{Cli, Command, ConfigCommand};
pub use config::Config;
pub use run::{Ended, RunError};
pub use traces::Traces;
