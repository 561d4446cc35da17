//! The service's configuration: its own sections, those of the other crates, and the checks that take more than one of them.
//! Each field is a key, its doc comment the help text. Loading binds nothing.

mod default_rendition;
mod directories;
mod faults;
mod interfaces;
mod listen;
mod parts;
mod sections;
mod store_url;
#[cfg(test)]
mod tests;
mod token;

use std::path::PathBuf;

use blob::BlobConfig;
use capture::{Limits, SpoolConfig, WebrtcConfig};
use jobs::{RetentionRule, SegmentsConfig, WorkersConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::{Fault, Origins, Settings};

pub use default_rendition::DefaultRendition;
pub(crate) use interfaces::outer_address;
pub use listen::Listen;
pub use sections::{Auth, Consul, Grpc, Http, Level, Log, Node, Otel, Shutdown, StoreConfig, Tls};
pub use settings::{Flag, Origin, Problem, Problems, Secret, Sources};
pub use store_url::StoreUrl;
pub use token::{Role, Token};

/// The merged, checked configuration. `Debug` shows no secret.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// Directory of `recorder.db`, `spool/`, `work/`, `segments/` and `objects/`, unless their keys name others.
    #[schemars(extend(
        "default_text" = "`$STATE_DIRECTORY`, else `$XDG_STATE_HOME/webrtc-recorder`, else `~/.local/state/webrtc-recorder`"
    ))]
    pub data_dir: PathBuf,
    /// Listen beyond loopback without authentication.
    pub insecure: bool,
    /// This node of a cluster.
    pub node: Node,
    /// The end of the process.
    pub shutdown: Shutdown,
    /// The gRPC port.
    pub grpc: Grpc,
    /// The HTTP port.
    pub http: Http,
    /// How media is received.
    pub webrtc: WebrtcConfig,
    /// Limits of sessions and recordings.
    pub limits: Limits,
    /// The files of recordings until the object store has them.
    pub spool: SpoolConfig,
    /// The database.
    pub store: StoreConfig,
    /// Where finished files are stored.
    pub blob: BlobConfig,
    /// Work on finished recordings.
    pub jobs: WorkersConfig,
    /// Default renditions: one `[[renditions]]` each, with `kind` and the parameters of that kind (docs/renditions.md), and
    /// `tenant` if it is for one tenant alone. `while_recording = true` makes a rendition of audio while its recording is
    /// open, so that it is ready soon after the end.
    pub renditions: Vec<DefaultRendition>,
    /// Ages at which recordings and renditions are deleted: one `[[retention]]` each, with `after`, longer than 0. With
    /// `rendition`, a kind, the rule is for renditions of that kind, else for recordings with all their renditions. With
    /// `tenant` it is for one tenant alone, and replaces the rule for all tenants. Parked recordings are not deleted, except
    /// those without media.
    pub retention: Vec<RetentionRule>,
    /// Renditions that are made in segments while their recordings are open.
    pub segments: SegmentsConfig,
    /// Who may call.
    pub auth: Auth,
    /// Encryption of both ports.
    pub tls: Tls,
    /// The log.
    pub log: Log,
    /// Traces.
    pub otel: Otel,
    /// Service discovery.
    pub consul: Consul,
    #[serde(skip)]
    origins: Origins,
}

impl Config {
    /// Reads, merges and checks. Binds nothing and writes nothing.
    ///
    /// # Errors
    /// Every value that can't be used, with its key and its origin.
    pub fn load(sources: &Sources) -> Result<Self, Problems> {
        let (config, origins) = settings::load::<Self>(sources)?;
        Ok(Self { origins, ..config })
    }

    /// Where a key's value was set.
    #[must_use]
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.of(key)
    }

    /// Whether callers need a token.
    #[must_use]
    pub fn authenticates(&self) -> bool {
        !self.auth.tokens.is_empty()
    }

    /// The configuration as TOML that reads back, each value with its origin, secrets as `***`.
    #[must_use]
    pub fn print(&self) -> String {
        settings::print(self, &self.origins)
    }
}

impl Settings for Config {
    /// Puts what no source names below the data directory.
    fn complete(&mut self, sources: &Sources, origins: &Origins) {
        if !origins.is_set("data_dir") {
            self.data_dir = default_data_dir(sources);
        }
        for (key, directory) in [
            ("spool.directory", &mut self.spool.directory),
            ("jobs.work_directory", &mut self.jobs.work_directory),
            ("segments.directory", &mut self.segments.directory),
            ("blob.local.directory", &mut self.blob.local.directory),
        ] {
            if !origins.is_set(key) {
                *directory = self.data_dir.join(&*directory);
            }
        }
        if let (false, StoreUrl::Sqlite(path)) = (origins.is_set("store.url"), &mut self.store.url) {
            *path = self.data_dir.join(&*path);
        }
    }

    fn faults(&self) -> Vec<Fault> {
        self.all_faults()
    }
}

fn default_data_dir(sources: &Sources) -> PathBuf {
    // systemd separates several directories by colons if the unit requests several.
    if let Some(state) = sources.variable("STATE_DIRECTORY").and_then(|all| all.split(':').next()) {
        return PathBuf::from(state);
    }
    let state = sources.variable("XDG_STATE_HOME").map_or_else(
        || PathBuf::from(sources.variable("HOME").unwrap_or(".")).join(".local/state"),
        PathBuf::from,
    );
    state.join("webrtc-recorder")
}

const HEAD: &str = "\
# Configuration

`webrtc-recorder config reference` prints this page. It is made from the configuration structs of the crates.

Values come from one TOML file (`--config FILE`), then the environment, then flags. A later source overrides an earlier
one. Every key has an environment name, `RECORDER__SECTION__KEY`. The second names in the table are those of older
deployments; the first name overrides them, and an empty variable of an older name is not set. Any key can be given as a
flag: `--set KEY=VALUE`. Unknown keys are refused.

Durations are written as in Go (`5s`, `1m30s`, `500ms`), sizes in bytes or with a unit (`256KiB`, `8MB`), lists as
TOML arrays, in the environment and in flags also separated by commas. Keys whose default is `\"\"` have no value by default.

A secret can be read from a file: the variable's name with `_FILE` appended, such as `DATA_SOURCE_FILE`, names it.

`webrtc-recorder config check` prints the merged result with the origin of each value, and secrets as `***`. It exits with 64 if a
value can't be used, and prints every such value with its key and its origin.

Without any configuration, gRPC and HTTP listen on loopback only, and all data is in the data directory. The recorder
refuses to listen elsewhere without authentication unless `--insecure` is set.

";

/// The configuration reference, Markdown.
#[must_use]
pub fn reference() -> String {
    format!("{HEAD}{}", settings::reference::<Config>())
}
