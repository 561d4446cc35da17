//! Reads the sources. Each value gets an origin that a user can find; names that are no key become problems here, so that
//! `config` only merges known ones. (It takes `a[400000000]` for an entry, and would make all those before it.)

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use config::{ConfigError, Map, Source, Value, ValueKind};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    keys::{Key, Shape},
    problem::{Origin, Problem},
};

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// The longest name that a similar key is searched for, in bytes.
const MAX_NAME: usize = 100;

/// A key that a flag sets.
#[derive(Debug, Clone)]
pub struct Flag {
    /// The flag as written: `--set`.
    pub flag: String,
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

/// What to read. A later field overrides an earlier one.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The TOML file.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// Flags, in order.
    pub flags: Vec<Flag>,
}

impl Sources {
    /// The process's environment, with a file and flags.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>, flags: Vec<Flag>) -> Self {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        let environment = std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
        Self { file, environment, flags }
    }

    /// A variable, unless it is empty.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// The values of one source, by key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layer(Map<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}

/// Reads sources into layers.
pub(crate) struct Reader<'a> {
    pub(crate) keys: &'a [Key],
    pub(crate) problems: Vec<Problem>,
}

impl Reader<'_> {
    /// `config` reads TOML too, but without line numbers, and its syntax errors quote the line, secrets included.
    pub(crate) fn file(&mut self, path: &Path) -> Layer {
        let mut layer = Layer::default();
        let mut refuse = |origin, reason| self.refuse("configuration file", origin, reason);
        let text = match read(path) {
            Ok(text) => text,
            Err(error) => {
                refuse(path.display().to_string(), error.to_string());
                return layer;
            }
        };
        let line = |offset: usize| 1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
        let at = |offset: usize| format!("{}:{}", path.display(), line(offset));
        match DeTable::parse(&text) {
            Err(error) => {
                let offset = error.span().map_or(0, |span| span.start);
                refuse(at(offset), error.message().to_owned());
            }
            Ok(table) => self.table(table.get_ref(), "", &at, &mut layer),
        }
        layer
    }

    fn table(&mut self, table: &DeTable<'_>, prefix: &str, at: &dyn Fn(usize) -> String, layer: &mut Layer) {
        for (field, value) in table {
            let name = format!("{prefix}{}", field.get_ref());
            let below = format!("{name}.");
            match value.get_ref() {
                DeValue::Table(inner) if self.keys.iter().any(|key| key.name.starts_with(&below)) => {
                    self.table(inner, &below, at, layer);
                }
                _ => self.set(&name, from_toml(value, field.span().start, at), layer),
            }
        }
    }

    /// An empty variable with a key's older name is not set. The variable by rule overrides it.
    pub(crate) fn environment(&mut self, sources: &Sources) -> Layer {
        let mut layer = Layer::default();
        let mut rest: BTreeMap<&str, &str> =
            sources.environment.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        for key in self.keys {
            for name in &key.older {
                if let Some(text) = rest.remove(name.as_str()).filter(|text| !text.is_empty()) {
                    self.set(
                        &key.name,
                        from_text(text, Some(key), &format!("environment {name}")),
                        &mut layer,
                    );
                }
                self.secret_file(key, name, &mut rest, sources, &mut layer);
            }
        }
        for key in self.keys {
            let name = key.variable();
            if let Some(text) = rest.remove(name.as_str()) {
                self.set(&key.name, from_text(text, Some(key), &format!("environment {name}")), &mut layer);
            }
            self.secret_file(key, &name, &mut rest, sources, &mut layer);
        }
        // Others with the prefix are mistakes.
        for (name, text) in rest {
            if let Some(key) = name.strip_prefix("RECORDER__") {
                let key = key.to_lowercase().replace("__", ".");
                self.set(&key, from_text(text, None, &format!("environment {name}")), &mut layer);
            }
        }
        layer
    }

    /// Reads a secret from the file that `NAME_FILE` names.
    fn secret_file(
        &mut self,
        key: &Key,
        name: &str,
        rest: &mut BTreeMap<&str, &str>,
        sources: &Sources,
        layer: &mut Layer,
    ) {
        let variable = format!("{name}_FILE");
        let path = if key.secret { rest.remove(variable.as_str()) } else { None };
        let Some(path) = path.filter(|path| !path.is_empty()) else { return };
        let origin = format!("environment {variable}");
        if sources.variable(name).is_some() {
            return self.refuse(&key.name, origin, format!("{name} is set too"));
        }
        match read(Path::new(path)) {
            Ok(text) => self.set(&key.name, from_text(&text, Some(key), &origin), layer),
            Err(error) => self.refuse(&key.name, origin, error.to_string()),
        }
    }

    pub(crate) fn flag(&mut self, Flag { flag, key: name, value }: &Flag) -> Layer {
        let mut layer = Layer::default();
        let key = self.keys.iter().find(|key| key.name == *name);
        self.set(name, from_text(value, key, &format!("flag {flag}")), &mut layer);
        layer
    }

    fn set(&mut self, name: &str, value: Value, layer: &mut Layer) {
        if self.keys.iter().any(|key| key.name == name) {
            layer.0.insert(name.to_owned(), value);
            return;
        }
        let section = format!("{name}.");
        let distance = |key: &Key| (strsim::damerau_levenshtein(&key.name, name), key.name.clone());
        let near = if name.len() > MAX_NAME { None } else { self.keys.iter().map(distance).min() };
        let reason = match near {
            _ if self.keys.iter().any(|key| key.name.starts_with(&section)) => {
                "is a section, not a key".to_owned()
            }
            Some((..=3, near)) => format!("unknown key; did you mean {near}?"),
            _ => "unknown key".to_owned(),
        };
        self.refuse(name, value.origin().unwrap_or_default().to_owned(), reason);
    }

    fn refuse(&mut self, key: &str, origin: String, reason: String) {
        self.problems.push(Problem { key: key.to_owned(), origin: Origin::Set(origin), reason });
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let length = File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if length as u64 > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1MiB"));
    }
    Ok(text)
}

fn from_toml(value: &Spanned<DeValue<'_>>, offset: usize, at: &dyn Fn(usize) -> String) -> Value {
    let kind = match value.get_ref() {
        DeValue::Boolean(value) => ValueKind::Boolean(*value),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| ValueKind::String(number.to_string()), ValueKind::I64),
        DeValue::Float(number) => {
            number.as_str().parse().map_or_else(|_| ValueKind::String(number.to_string()), ValueKind::Float)
        }
        DeValue::String(text) => ValueKind::String(text.to_string()),
        DeValue::Datetime(date) => ValueKind::String(date.to_string()),
        DeValue::Array(entries) => {
            ValueKind::Array(entries.iter().map(|entry| from_toml(entry, entry.span().start, at)).collect())
        }
        DeValue::Table(fields) => {
            let field = |(name, value): (&Spanned<_>, &_)| {
                (std::borrow::Cow::to_string(name.get_ref()), from_toml(value, name.span().start, at))
            };
            ValueKind::Table(fields.iter().map(field).collect())
        }
    };
    Value::new(Some(&at(offset)), kind)
}

/// Text of a variable or a flag; a list may be TOML.
fn from_text(text: &str, key: Option<&Key>, origin: &str) -> Value {
    let (text, origin) = (text.trim(), origin.to_owned());
    if key.is_some_and(|key| matches!(key.shape, Shape::List(_)))
        && text.starts_with(['[', '{'])
        && let Ok(value) = DeValue::parse(text)
    {
        return from_toml(&value, 0, &|_| origin.clone());
    }
    Value::new(Some(&origin), text)
}
