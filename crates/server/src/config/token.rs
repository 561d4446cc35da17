//! Tokens of callers, stored as hashes.

use std::fmt;

use model::TenantId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::Secret;

/// What the holder of a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look at recordings.
    Viewer,
    /// Look, and record.
    Recorder,
    /// Everything.
    Admin,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Viewer => "viewer",
            Self::Recorder => "recorder",
            Self::Admin => "admin",
        })
    }
}

/// A static token, stored as its hash.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The owner of the recordings that its holder sees.
    #[serde(default)]
    #[schemars(with = "String")]
    pub tenant: TenantId,
    /// What its holder may do.
    pub role: Role,
    /// Its name in the log.
    #[serde(default)]
    pub name: String,
    /// SHA-256 of the token.
    #[serde(with = "digest")]
    #[schemars(with = "String")]
    pub sha256: [u8; 32],
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenant, role, name, .. } = self;
        f.debug_struct("Token")
            .field("tenant", tenant)
            .field("role", role)
            .field("name", name)
            .field("sha256", &Secret::HIDDEN)
            .finish()
    }
}

/// A SHA-256 in hexadecimal digits, written as `***`.
mod digest {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use settings::Secret;

    pub(super) fn serialize<S: Serializer>(_: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(Secret::HIDDEN)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let bad = || D::Error::custom("has to be the token's SHA-256 in 64 hexadecimal digits");
        parse(&String::deserialize(deserializer).map_err(|_| bad())?).ok_or_else(bad)
    }

    fn parse(hex: &str) -> Option<[u8; 32]> {
        let mut bytes = [0; 32];
        if hex.len() != 64 || !hex.is_ascii() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(bytes)
    }
}
