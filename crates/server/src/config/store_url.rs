//! The database's URL, which may contain a password.

use std::{fmt, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use settings::Secret;

/// Which database.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, with = "String", extend("writeOnly" = true))]
pub enum StoreUrl {
    /// A file of this machine.
    Sqlite(PathBuf),
    /// A Postgres URL.
    Postgres(Secret),
}

impl StoreUrl {
    /// The URL with `***` for its password and its options, which may contain passwords too.
    #[must_use]
    pub fn redacted(&self) -> String {
        const HIDDEN: &str = Secret::HIDDEN;
        let url = match self {
            Self::Sqlite(path) => return path.to_string_lossy().into_owned(),
            Self::Postgres(url) => url.reveal(),
        };
        let base = url.split_once('?').map_or(url, |(base, _)| base);
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

impl Serialize for StoreUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.redacted())
    }
}

impl TryFrom<String> for StoreUrl {
    type Error = &'static str;

    /// The error does not repeat the text: it may contain a password.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.split_once("://") {
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(Secret::new(text))),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(PathBuf::from(path))),
            None if !text.is_empty() && !text.contains('=') => Ok(Self::Sqlite(PathBuf::from(text))),
            _ => {
                Err("a URL postgres://user:password@host/database or the path of an SQLite file is expected")
            }
        }
    }
}
