//! A value as its source wrote it, before anything is known of its type.

use std::collections::BTreeMap;

use toml::de::DeValue;

/// A value from a file, or text from the environment or a flag.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Raw {
    /// Text. From the environment and from flags everything is text.
    Text(String),
    /// An integer.
    Integer(i64),
    /// True or false.
    Boolean(bool),
    /// Several.
    List(Vec<Raw>),
    /// Named ones.
    Table(BTreeMap<String, Raw>),
    /// What no setting takes: a float, a date.
    Other(String),
}

impl Raw {
    /// Text, or a list or table in TOML's words.
    pub(crate) fn from_text(text: &str) -> Self {
        let trimmed = text.trim();
        let structured = trimmed.starts_with('[') || trimmed.starts_with('{');
        if structured && let Ok(value) = DeValue::parse(trimmed) {
            return Self::from_toml(value.get_ref());
        }
        Self::Text(trimmed.to_owned())
    }

    /// A value of a TOML file.
    pub(crate) fn from_toml(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.to_string()),
            DeValue::Boolean(value) => Self::Boolean(*value),
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
                .map_or_else(|_| Self::Other(integer.as_str().to_owned()), Self::Integer),
            DeValue::Float(float) => Self::Other(float.as_str().to_owned()),
            DeValue::Datetime(datetime) => Self::Other(datetime.to_string()),
            DeValue::Array(values) => {
                Self::List(values.iter().map(|value| Self::from_toml(value.get_ref())).collect())
            }
            DeValue::Table(table) => Self::Table(
                table
                    .iter()
                    .map(|(key, value)| (key.get_ref().to_string(), Self::from_toml(value.get_ref())))
                    .collect(),
            ),
        }
    }

    /// As text where it is a scalar.
    pub(crate) fn scalar(&self) -> Option<String> {
        match self {
            Self::Text(text) | Self::Other(text) => Some(text.clone()),
            Self::Integer(integer) => Some(integer.to_string()),
            Self::Boolean(value) => Some(value.to_string()),
            Self::List(_) | Self::Table(_) => None,
        }
    }
}
