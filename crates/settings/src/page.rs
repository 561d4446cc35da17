//! What users see of all keys: the reference page, and the result of a load as TOML.

use serde_json::Value as Json;

use crate::{
    keys::{Key, keys},
    load::Settings,
    problem::Origins,
};

/// The reference of every key, a Markdown table.
#[must_use]
pub fn reference<T: Settings>() -> String {
    let defaults = serde_json::to_value(T::default()).unwrap_or_default();
    let mut page = "| key | environment | default | meaning |\n| --- | --- | --- | --- |\n".to_owned();
    for key in keys::<T>() {
        let names = std::iter::once(key.variable()).chain(key.older.clone());
        let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
        let default = key.default_text.clone().unwrap_or_else(|| format!("`{}`", value(&defaults, &key)));
        let secret = if key.secret { " Secret." } else { "" };
        let help = format!("{}{secret}", key.help).replace('|', "\\|");
        page.push_str(&format!("| `{}` | {} | {default} | {help} |\n", key.name, names.join(", ")));
    }
    page
}

/// The settings as TOML that reads back, each value with its origin, secrets as `***`.
#[must_use]
pub fn print<T: Settings>(settings: &T, origins: &Origins) -> String {
    let settings = serde_json::to_value(settings).unwrap_or_default();
    let mut keys = keys::<T>();
    let order: Vec<String> = keys.iter().map(|key| split(&key.name).0.to_owned()).collect();
    // TOML needs keys of the top level before the first section, and each section once.
    keys.sort_by_key(|key| {
        let section = split(&key.name).0;
        (!section.is_empty(), order.iter().position(|one| one == section))
    });
    let (mut text, mut current) = (String::new(), String::new());
    for key in &keys {
        let (section, name) = split(&key.name);
        if section != current {
            text.push_str(&format!("\n[{section}]\n"));
            section.clone_into(&mut current);
        }
        text.push_str(&format!("{name} = {}  # {}\n", value(&settings, key), origins.of(&key.name)));
    }
    text
}

/// The section of a key, and its name there.
fn split(key: &str) -> (&str, &str) {
    key.rsplit_once('.').unwrap_or(("", key))
}

/// Variables that set a key by an older name, with that key.
#[must_use]
pub fn older_names<T: Settings>() -> Vec<(String, String)> {
    let pairs = |key: Key| key.older.into_iter().map(move |name| (name, key.name.clone()));
    keys::<T>().into_iter().flat_map(pairs).collect()
}

/// A key's value as TOML on one line; `""` for none.
fn value(settings: &Json, key: &Key) -> String {
    let json = settings.pointer(&format!("/{}", key.name.replace('.', "/"))).unwrap_or(&Json::Null);
    if json.is_null() {
        return "\"\"".to_owned();
    }
    let shown = toml::Value::try_from(json);
    debug_assert!(shown.is_ok(), "{} has no TOML form: {json}", key.name);
    shown.map(|value| value.to_string()).unwrap_or_default()
}
