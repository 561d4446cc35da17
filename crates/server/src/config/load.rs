//! Merging: defaults, the file, the environment, flags; a later source goes before an earlier one.

use std::{collections::BTreeMap, fmt, fs, path::PathBuf};

use jobs::JobsConfig;
use model::NodeId;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Config, StoreUrl,
    keys::{Key, keys},
    raw::Raw,
};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The file, and the line in it, from 1.
    File {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// A variable of the environment.
    Environment(String),
    /// A flag of the command line.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// A value that can't be used. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, or what was taken for one.
    pub key: String,
    /// Where it was set.
    pub origin: Origin,
    /// What is wrong.
    pub problem: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.key, self.origin, self.problem)
    }
}

/// Every value that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(pub Vec<Problem>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

/// A key that a flag sets.
#[derive(Debug, Clone)]
pub struct Flag {
    /// The flag's name, as it was written.
    pub flag: String,
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

/// What to read.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The TOML file.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// Flags.
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

    fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// Found values by key, and what is wrong with the sources.
#[derive(Default)]
struct Found {
    values: BTreeMap<String, (Raw, Origin)>,
    problems: Vec<Problem>,
}

impl Found {
    fn insert(&mut self, known: &[Key], key: &str, raw: Raw, origin: Origin) {
        if known.iter().any(|one| one.name == key) {
            self.values.insert(key.to_owned(), (raw, origin));
        } else {
            self.unknown(known, key, origin);
        }
    }

    fn unknown(&mut self, known: &[Key], key: &str, origin: Origin) {
        let near = known.iter().map(|one| (distance(one.name, key), one.name)).min();
        let problem = match near {
            Some((distance, name)) if distance <= 3 => format!("unknown key; did you mean {name}?"),
            _ => "unknown key".to_owned(),
        };
        self.problems.push(Problem { key: key.to_owned(), origin, problem });
    }
}

impl Config {
    /// Reads, merges and checks. Binds nothing and writes nothing.
    ///
    /// # Errors
    /// Every value that can't be used, with its key and where it was set.
    pub fn load(sources: &Sources) -> Result<Self, ConfigErrors> {
        let known = keys();
        let mut found = Found::default();
        read_file(sources, &known, &mut found);
        read_environment(sources, &known, &mut found);
        for Flag { flag, key, value } in &sources.flags {
            found.insert(&known, key, Raw::from_text(value), Origin::Flag(flag.clone()));
        }
        let mut config = Self::default();
        for key in &known {
            let Some((raw, origin)) = found.values.remove(key.name) else { continue };
            match (key.set)(&mut config, &raw) {
                Ok(()) => {
                    config.origins.insert(key.name, origin);
                }
                Err(problem) => {
                    found.problems.push(Problem { key: key.name.to_owned(), origin, problem });
                }
            }
        }
        if found.problems.is_empty() {
            config.place(sources);
            config.count_workers();
            found.problems = config.contradictions();
        }
        if found.problems.is_empty() { Ok(config) } else { Err(ConfigErrors(found.problems)) }
    }

    /// Says how many are one a core here, so that `config check` prints what holds.
    fn count_workers(&mut self) {
        let defaults = JobsConfig::new(NodeId::default(), PathBuf::new());
        self.jobs.transcoding_workers.get_or_insert(defaults.render_workers);
    }

    /// Puts what nobody placed below the data directory.
    fn place(&mut self, sources: &Sources) {
        if self.origin("data_dir") == Origin::Default {
            self.data_dir = default_data_dir(sources);
        }
        if self.origin("spool.directory") == Origin::Default {
            self.spool.directory = self.data_dir.join("spool");
        }
        if self.origin("store.url") == Origin::Default {
            self.store.url = StoreUrl::Sqlite(self.data_dir.join("recorder.db"));
        }
        if self.origin("segments.directory") == Origin::Default {
            self.segments.directory = self.data_dir.join("segments");
        }
        if self.origin("jobs.work_directory") == Origin::Default {
            self.jobs.work_directory = self.data_dir.join("work");
        }
        if self.origin("blob.local.directory") == Origin::Default {
            self.blob.local.directory = self.data_dir.join("objects");
        }
    }
}

fn default_data_dir(sources: &Sources) -> PathBuf {
    // systemd names several directories with colons between them if the unit asks for several.
    if let Some(state) = sources.variable("STATE_DIRECTORY").and_then(|all| all.split(':').next()) {
        return PathBuf::from(state);
    }
    let state = sources.variable("XDG_STATE_HOME").map_or_else(
        || PathBuf::from(sources.variable("HOME").unwrap_or(".")).join(".local/state"),
        PathBuf::from,
    );
    state.join("webrtc-recorder")
}

fn read_file(sources: &Sources, known: &[Key], found: &mut Found) {
    let Some(path) = &sources.file else { return };
    let mut fail = |line: usize, problem: String| {
        let origin = Origin::File { path: path.clone(), line };
        found.problems.push(Problem { key: "configuration file".to_owned(), origin, problem });
    };
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return fail(0, error.to_string()),
    };
    let line_of = |offset: usize| 1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count();
    match DeTable::parse(&text) {
        // The parser's own text quotes the line, which may hold a secret: only its message is used.
        Err(error) => fail(line_of(error.span().map_or(0, |span| span.start)), error.message().to_owned()),
        Ok(table) => walk(table.get_ref(), "", known, found, &|offset| Origin::File {
            path: path.clone(),
            line: line_of(offset),
        }),
    }
}

fn walk(
    table: &DeTable<'_>,
    prefix: &str,
    known: &[Key],
    found: &mut Found,
    origin: &dyn Fn(usize) -> Origin,
) {
    for (name, value) in table {
        let key = if prefix.is_empty() {
            name.get_ref().to_string()
        } else {
            format!("{prefix}.{}", name.get_ref())
        };
        let section = format!("{key}.");
        match Spanned::get_ref(value) {
            DeValue::Table(inner) if known.iter().any(|one| one.name.starts_with(&section)) => {
                walk(inner, &key, known, found, origin);
            }
            value => found.insert(known, &key, Raw::from_toml(value), origin(name.span().start)),
        }
    }
}

fn read_environment(sources: &Sources, known: &[Key], found: &mut Found) {
    for key in known {
        // An empty variable of an older deployment means that it is not set.
        if let Some((name, value)) = key.legacy.and_then(|name| Some((name, sources.variable(name)?))) {
            found.insert(known, key.name, Raw::from_text(value), Origin::Environment(name.to_owned()));
        }
    }
    for (name, value) in &sources.environment {
        let Some(rest) = name.strip_prefix("RECORDER__") else { continue };
        let key = rest.to_ascii_lowercase().replace("__", ".");
        found.insert(known, &key, Raw::from_text(value), Origin::Environment(name.clone()));
    }
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut beside = i + 1;
        for (cell, right) in row.iter_mut().skip(1).zip(b.chars()) {
            let changed = diagonal + usize::from(left != right);
            diagonal = *cell;
            beside = changed.min(*cell + 1).min(beside + 1);
            *cell = beside;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}
