//! Values that hold a secret: shown and debugged as `***`.

use std::{fmt, path::PathBuf};

use super::{
    raw::Raw,
    settings::{Setting, quote, text_of},
};

/// What is shown instead of a secret.
pub(crate) const HIDDEN: &str = "***";

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Setting for Secret {
    fn parse(raw: &Raw) -> Result<Self, String> {
        text_of(raw, "a text").map(Self)
    }
    fn show(&self) -> String {
        quote(HIDDEN)
    }
}

/// Which database.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A file of this machine.
    Sqlite(PathBuf),
    /// A Postgres URL, which may hold a password.
    Postgres(Secret),
}

impl StoreUrl {
    /// The URL without what is secret in it.
    #[must_use]
    pub fn redacted(&self) -> String {
        let Self::Postgres(Secret(url)) = self else {
            return match self {
                Self::Sqlite(path) => path.to_string_lossy().into_owned(),
                Self::Postgres(_) => HIDDEN.to_owned(),
            };
        };
        // Everything but scheme, user, host and database name goes: options may hold passwords too.
        let base = url.split_once('?').map_or(url.as_str(), |(base, _)| base);
        let options = if base.len() == url.len() { String::new() } else { format!("?{HIDDEN}") };
        let Some((scheme, rest)) = base.split_once("://") else { return HIDDEN.to_owned() };
        match rest.rsplit_once('@') {
            None => format!("{scheme}://{rest}{options}"),
            Some((user, host)) => match user.split_once(':') {
                None => format!("{scheme}://{user}@{host}{options}"),
                Some((user, _)) => format!("{scheme}://{user}:{HIDDEN}@{host}{options}"),
            },
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl Setting for StoreUrl {
    fn parse(raw: &Raw) -> Result<Self, String> {
        let text = text_of(raw, "a database URL")?;
        match text.split_once("://") {
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(Secret(text))),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(PathBuf::from(path))),
            None if !text.is_empty() && !text.contains('=') => Ok(Self::Sqlite(PathBuf::from(text))),
            _ => Err("a URL postgres://user:password@host/database or the path of an SQLite file is wanted"
                .to_owned()),
        }
    }
    fn show(&self) -> String {
        quote(&self.redacted())
    }
}
