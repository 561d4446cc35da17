//! Tokens that may call, kept as hashes.

use std::fmt;

use model::TenantId;

use super::{
    raw::Raw,
    secret::HIDDEN,
    settings::{Setting, quote},
};

/// What the holder of a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// A static token, kept as its hash.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Whose recordings its holder sees.
    pub tenant: TenantId,
    /// What its holder may do.
    pub role: Role,
    /// What it is called in the log.
    pub name: String,
    /// SHA-256 of the token.
    pub sha256: [u8; 32],
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.show())
    }
}

impl Setting for Token {
    fn parse(raw: &Raw) -> Result<Self, String> {
        let Raw::Table(fields) = raw else {
            return Err("a token is a table {tenant, role, sha256, name}".to_owned());
        };
        if let Some(unknown) =
            fields.keys().find(|key| !["tenant", "role", "sha256", "name"].contains(&key.as_str()))
        {
            return Err(format!("a token has no field {unknown:?}: only tenant, role, sha256, name"));
        }
        let field = |name: &str| fields.get(name).and_then(Raw::scalar);
        let tenant = field("tenant").map_or_else(|| Ok(TenantId::default()), |tenant| tenant.parse());
        let role = match field("role").unwrap_or_default().as_str() {
            "viewer" => Role::Viewer,
            "recorder" => Role::Recorder,
            "admin" => Role::Admin,
            other => return Err(format!("{other:?} is no role: viewer, recorder, admin")),
        };
        let sha256 = field("sha256").and_then(|hex| digest(&hex));
        Ok(Self {
            tenant: tenant.map_err(|error: model::InvalidId| error.to_string())?,
            role,
            name: field("name").unwrap_or_default(),
            sha256: sha256.ok_or("sha256 has to be the token's SHA-256 in 64 hexadecimal digits")?,
        })
    }
    fn show(&self) -> String {
        let Self { tenant, role, name, .. } = self;
        format!(
            "{{ tenant = {}, role = \"{role}\", name = {}, sha256 = \"{HIDDEN}\" }}",
            quote(tenant.as_str()),
            quote(name)
        )
    }
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}
