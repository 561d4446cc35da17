//! The table of every key: its name, its environment names, what it means, and where its value lives. Loading,
//! `config check` and the configuration reference are all made from it.

mod network;
mod node;
mod storage;
mod work;

use super::{Config, raw::Raw, settings::Setting};

type Set = Box<dyn Fn(&mut Config, &Raw) -> Result<(), String> + Send + Sync>;
type Show = Box<dyn Fn(&mut Config) -> String + Send + Sync>;

/// One key.
pub(crate) struct Key {
    /// Its dotted name.
    pub(crate) name: &'static str,
    /// The name that older deployments set in the environment.
    pub(crate) legacy: Option<&'static str>,
    /// What it means.
    pub(crate) help: &'static str,
    /// The default in words, where it is made at the start.
    pub(crate) default: Option<&'static str>,
    /// Checks a value and puts it in its place.
    pub(crate) set: Set,
    /// The value as TOML, secrets hidden.
    pub(crate) show: Show,
}

impl Key {
    fn legacy(self, name: &'static str) -> Self {
        Self { legacy: Some(name), ..self }
    }

    fn default(self, words: &'static str) -> Self {
        Self { default: Some(words), ..self }
    }

    /// The environment name by rule: `grpc.listen` is `RECORDER__GRPC__LISTEN`.
    pub(crate) fn environment(&self) -> String {
        format!("RECORDER__{}", self.name.replace('.', "__").to_ascii_uppercase())
    }
}

fn key<T: Setting + 'static>(name: &'static str, at: fn(&mut Config) -> &mut T, help: &'static str) -> Key {
    Key {
        name,
        legacy: None,
        help,
        default: None,
        set: Box::new(move |config, raw| {
            *at(config) = T::parse(raw)?;
            Ok(())
        }),
        show: Box::new(move |config| at(config).show()),
    }
}

/// Every key, by section.
pub(crate) fn keys() -> Vec<Key> {
    [
        node::general(),
        network::ports(),
        network::webrtc(),
        network::limits(),
        storage::storage(),
        storage::blob(),
        work::jobs(),
        work::wanted(),
        work::segments(),
        node::access(),
        node::telemetry(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
