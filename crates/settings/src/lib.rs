//! Configuration, without knowing its keys. Each crate describes its own keys in a struct: a field is a key, its doc comment
//! is the help text, `Default` has the default. This crate reads such structs from one TOML file, the environment and
//! flags, and prints their reference page.
//!
//! ```
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//! use settings::{Duration, Fault, Flag, Settings, Sources};
//!
//! #[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
//! #[serde(default)]
//! struct Service {
//!     upload: Upload,
//! }
//!
//! #[derive(Debug, Serialize, Deserialize, JsonSchema)]
//! #[serde(default)]
//! struct Upload {
//!     /// Uploads at a time.
//!     workers: usize,
//!     /// Wait after the first failure.
//!     backoff: Duration,
//! }
//!
//! impl Default for Upload {
//!     fn default() -> Self {
//!         Self { workers: 4, backoff: Duration::from_secs(1) }
//!     }
//! }
//!
//! impl Settings for Service {
//!     fn faults(&self) -> Vec<Fault> {
//!         Vec::new()
//!     }
//! }
//!
//! let flag = Flag { flag: "--set".into(), key: "upload.backoff".into(), value: "1m30s".into() };
//! let (service, origins) = settings::load::<Service>(&Sources { flags: vec![flag], ..Sources::default() }).unwrap();
//! assert_eq!(service.upload.backoff.0.as_secs(), 90);
//! assert_eq!(origins.of("upload.backoff").to_string(), "flag --set");
//! assert!(settings::reference::<Service>().contains("| `upload.workers` | `RECORDER__UPLOAD__WORKERS` | `4` | Uploads"));
//! ```

mod keys;
mod layers;
mod load;
mod page;
mod problem;
#[cfg(test)]
mod tests;
mod values;

pub use layers::{Flag, Sources};
pub use load::{Settings, load};
pub use page::{older_names, print, reference};
pub use problem::{Fault, Origin, Origins, Problem, Problems};
pub use values::{ByteSize, Duration, Secret, changed};
