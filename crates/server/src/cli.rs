//! The command line.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::config::{Flag, Sources};

/// Records WebRTC sessions and pushed audio into files, keeps them in an object store, and makes renditions of them.
#[derive(Debug, Parser)]
#[command(name = "webrtc-recorder", version)]
pub struct Cli {
    #[command(flatten)]
    settings: Settings,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Record: serve until SIGTERM or SIGINT, then seal every session.
    Server,
    /// Look at the configuration.
    Config {
        /// What about it.
        #[command(subcommand)]
        what: ConfigCommand,
    },
    /// Bring the database's schema up to date.
    Migrate,
    /// Print the version.
    Version,
    /// Make a rendition that is ordered on standard input: what the server starts for itself.
    #[command(name = "transcode-worker", hide = true)]
    TranscodeWorker,
}

/// What about the configuration.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ConfigCommand {
    /// Print the merged configuration without secrets; exit with 64 if a value can't be used.
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
    /// Where database, spool and objects are kept.
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
    /// Listen beyond loopback without authentication.
    #[arg(long, global = true)]
    insecure: bool,
    /// Where gRPC listens.
    #[arg(long, global = true, value_name = "HOST:PORT")]
    grpc_listen: Option<String>,
    /// Where HTTP listens.
    #[arg(long, global = true, value_name = "HOST:PORT")]
    http_listen: Option<String>,
    /// Media listens on the first ports of this range.
    #[arg(long, global = true, value_name = "FIRST-LAST")]
    udp_port_range: Option<String>,
    /// Addresses that media listens on, with commas between.
    #[arg(long, global = true, value_name = "IPS")]
    listen_ips: Option<String>,
    /// Addresses that are announced instead (NAT 1:1), with commas between.
    #[arg(long, global = true, value_name = "IPS")]
    public_ips: Option<String>,
    /// trace, debug, info, warn or error.
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Log JSON objects.
    #[arg(long, global = true)]
    log_json: bool,
    /// Set any key of the configuration; may be repeated.
    #[arg(long, global = true, value_name = "KEY=VALUE", action = ArgAction::Append, value_parser = pair)]
    set: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("KEY=VALUE is wanted")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

impl Cli {
    /// What the configuration is read from.
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
