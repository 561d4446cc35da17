//! `docs/configuration.md`, made from the table of keys.

use super::{Config, keys::keys};

const HEAD: &str = "\
# Configuration

This page is made from the table of keys in the code; `webrtc-recorder config reference` prints it.

Values come from one TOML file (`--config FILE`), then the environment, then flags; a later source goes before an
earlier one. Every key has an environment name, `RECORDER__SECTION__KEY`; the names that older deployments set work
too, after it. Any key can be given as a flag: `--set KEY=VALUE`. Unknown keys are refused.

Durations are written as in Go (`5s`, `1m30s`, `500ms`), sizes in bytes or with a unit (`256KiB`, `8MB`), lists as
TOML arrays, in the environment and flags also with commas between. `webrtc-recorder config check` prints the merged
result, with the origin of each value and without secrets; it exits with 64 if a value can't be used, and says which
and where it was set.

With no configuration at all the recorder listens on loopback only and keeps everything in the data directory. It
refuses to listen elsewhere without authentication unless it is told `--insecure`.

| key | environment | default | meaning |
| --- | --- | --- | --- |
";

/// The configuration reference, Markdown.
#[must_use]
pub fn reference() -> String {
    let mut defaults = Config::default();
    let mut text = HEAD.to_owned();
    for key in keys() {
        let environment = match key.legacy {
            Some(legacy) => format!("`{}`, `{legacy}`", key.environment()),
            None => format!("`{}`", key.environment()),
        };
        let default = key.default.map_or_else(|| format!("`{}`", (key.show)(&mut defaults)), str::to_owned);
        let help = key.help.replace('|', "\\|");
        text.push_str(&format!("| `{}` | {environment} | {default} | {help} |\n", key.name));
    }
    text
}
