//! `config check`: the merged result as a TOML file, with the origin of each value, secrets hidden.

use super::{Config, keys::keys};

impl Config {
    /// The configuration as TOML that reads back, except for secrets.
    #[must_use]
    pub fn print(&self) -> String {
        let mut copy = self.clone();
        let mut text = String::new();
        let mut section = String::new();
        // Keys of the top level have to come before the first section.
        let mut known = keys();
        known.sort_by_key(|key| key.name.contains('.'));
        let order: Vec<&str> = known.iter().map(|key| split(key.name).0).collect();
        known.sort_by_key(|key| order.iter().position(|one| *one == split(key.name).0));
        for key in &known {
            let (of, name) = split(key.name);
            if of != section {
                text.push_str(&format!("\n[{of}]\n"));
                of.clone_into(&mut section);
            }
            text.push_str(&format!("{name} = {}  # {}\n", (key.show)(&mut copy), self.origin(key.name)));
        }
        text
    }
}

fn split(key: &str) -> (&str, &str) {
    key.rsplit_once('.').unwrap_or(("", key))
}
