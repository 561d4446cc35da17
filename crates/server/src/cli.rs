//! The command line.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::config::{Flag, Sources};

/// Records WebRTC sessions and pushed audio into files, uploads them to an object store, and makes renditions of them.
#[derive(Debug, Parser)]
#[command(name = "webrtc-recorder", version)]
pub struct Cli {
    #[command(flatten)]
    settings: Settings,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve until SIGTERM or SIGINT, then finalize every recording.
    Server,
    /// Check or describe the configuration.
    Config {
        /// The action.
        #[command(subcommand)]
        what: ConfigCommand,
    },
    /// Check configuration, libssl, directories, database, object store and ports; exit with 1 if anything is wrong.
    Doctor,
    /// Apply pending migrations to the database.
    Migrate,
    /// Print the version.
    Version,
    /// Make the rendition that standard input requests. The server starts this process itself.
    #[command(name = "transcode-worker", hide = true)]
    TranscodeWorker,
}

/// Actions on the configuration.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ConfigCommand {
    /// Print the merged configuration without secrets; exit with 64 if a value is invalid.
    Check,
    /// Print the reference of every key.
    Reference,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
struct Settings {
    /// A TOML file to read.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of the database, the spool and the objects.
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
    /// Allow listening beyond loopback without authentication.
    #[arg(long, global = true)]
    insecure: bool,
    /// Address of the gRPC port.
    #[arg(long, global = true, value_name = "HOST:PORT")]
    grpc_listen: Option<String>,
    /// Address of the HTTP port.
    #[arg(long, global = true, value_name = "HOST:PORT")]
    http_listen: Option<String>,
    /// UDP ports for media; the first ones of the range are used, one for each shard.
    #[arg(long, global = true, value_name = "FIRST-LAST")]
    udp_port_range: Option<String>,
    /// Addresses that media listens on, separated by commas.
    #[arg(long, global = true, value_name = "IPS")]
    listen_ips: Option<String>,
    /// Addresses that are announced to clients instead (NAT 1:1), separated by commas.
    #[arg(long, global = true, value_name = "IPS")]
    public_ips: Option<String>,
    /// Log level: trace, debug, info, warn or error.
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Log one JSON object per line.
    #[arg(long, global = true)]
    log_json: bool,
    /// Set any key of the configuration; may be repeated.
    #[arg(long, global = true, value_name = "KEY=VALUE", action = ArgAction::Append, value_parser = pair)]
    set: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

impl Cli {
    /// Where the configuration is read from.
    #[must_use]
    pub fn sources(&self) -> Sources {
        let Settings { config, set, .. } = &self.settings;
        let mut flags: Vec<Flag> = set
            .iter()
            .map(|(key, value)| Flag { flag: "--set".to_owned(), key: key.clone(), value: value.clone() })
            .collect();
        flags.extend(self.settings.flags());
        Sources::of_process(config.clone(), flags)
    }
}

impl Settings {
    fn flags(&self) -> impl Iterator<Item = Flag> {
        let truth = |given: bool| given.then(|| "true".to_owned());
        [
            ("--data-dir", "data_dir", self.data_dir.clone()),
            ("--insecure", "insecure", truth(self.insecure)),
            ("--grpc-listen", "grpc.listen", self.grpc_listen.clone()),
            ("--http-listen", "http.listen", self.http_listen.clone()),
            ("--udp-port-range", "webrtc.udp_port_range", self.udp_port_range.clone()),
            ("--listen-ips", "webrtc.listen_ips", self.listen_ips.clone()),
            ("--public-ips", "webrtc.public_ips", self.public_ips.clone()),
            ("--log-level", "log.level", self.log_level.clone()),
            ("--log-json", "log.json", truth(self.log_json)),
        ]
        .into_iter()
        .filter_map(|(flag, key, value)| {
            Some(Flag { flag: flag.to_owned(), key: key.to_owned(), value: value? })
        })
    }
}
