//! The checked types of single values: how each is read and how it is shown. What is shown is TOML that reads back,
//! except for secrets, which show as `***`.

use std::{
    fmt,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    ops::RangeInclusive,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use capture::WebrtcConfig;
use model::{NodeId, TenantId};

use super::{
    duration::{parse_bytes, parse_duration, show_bytes, show_duration},
    raw::Raw,
};

/// What is shown instead of a secret.
pub(crate) const HIDDEN: &str = "***";

/// A value that can be configured. The text of an error never repeats a secret.
pub(crate) trait Setting: Sized {
    fn parse(raw: &Raw) -> Result<Self, String>;
    fn show(&self) -> String;
}

pub(crate) fn quote(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn text_of(raw: &Raw, want: &str) -> Result<String, String> {
    raw.scalar().ok_or_else(|| format!("{want} is wanted, not a list or table"))
}

fn parsed<T: FromStr>(raw: &Raw, want: &str) -> Result<T, String> {
    let text = text_of(raw, want)?;
    text.trim().parse().map_err(|_| format!("{text:?} is not {want}"))
}

macro_rules! number {
    ($($type:ty),+) => {$(
        impl Setting for $type {
            fn parse(raw: &Raw) -> Result<Self, String> {
                parsed(raw, concat!("a whole number that fits in ", stringify!($type)))
            }
            fn show(&self) -> String {
                self.to_string()
            }
        }
    )+};
}
number!(u32, usize);

impl Setting for bool {
    fn parse(raw: &Raw) -> Result<Self, String> {
        let text = text_of(raw, "true or false")?;
        match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "1" | "yes" | "on" => Ok(true),
            "false" | "f" | "0" | "no" | "off" => Ok(false),
            _ => Err(format!("{text:?} is not true or false")),
        }
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for String {
    fn parse(raw: &Raw) -> Result<Self, String> {
        text_of(raw, "a text")
    }
    fn show(&self) -> String {
        quote(self)
    }
}

impl Setting for PathBuf {
    fn parse(raw: &Raw) -> Result<Self, String> {
        match text_of(raw, "a path")?.as_str() {
            "" => Err("a path is wanted, not nothing".to_owned()),
            path => Ok(Self::from(path)),
        }
    }
    fn show(&self) -> String {
        quote(&self.to_string_lossy())
    }
}

impl Setting for IpAddr {
    fn parse(raw: &Raw) -> Result<Self, String> {
        parsed(raw, "an IP address")
    }
    fn show(&self) -> String {
        quote(&self.to_string())
    }
}

impl Setting for NodeId {
    fn parse(raw: &Raw) -> Result<Self, String> {
        text_of(raw, "a node id")?.parse().map_err(|error: model::InvalidId| error.to_string())
    }
    fn show(&self) -> String {
        quote(self.as_str())
    }
}

/// Empty text is none.
impl<T: Setting> Setting for Option<T> {
    fn parse(raw: &Raw) -> Result<Self, String> {
        if *raw == Raw::Text(String::new()) { Ok(None) } else { T::parse(raw).map(Some) }
    }
    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "\"\"".to_owned(), T::show)
    }
}

/// A list, or text with commas.
impl<T: Setting> Setting for Vec<T> {
    fn parse(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::List(values) => values.iter().map(T::parse).collect(),
            Raw::Text(text) => text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(|part| T::parse(&Raw::Text(part.to_owned())))
                .collect(),
            other => T::parse(other).map(|value| vec![value]),
        }
    }
    fn show(&self) -> String {
        format!("[{}]", self.iter().map(T::show).collect::<Vec<_>>().join(", "))
    }
}

/// A duration in Go's notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GoDuration(pub Duration);

impl Setting for GoDuration {
    fn parse(raw: &Raw) -> Result<Self, String> {
        parse_duration(&text_of(raw, "a duration")?).map(Self)
    }
    fn show(&self) -> String {
        quote(&show_duration(self.0))
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// As a length in memory.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Setting for ByteSize {
    fn parse(raw: &Raw) -> Result<Self, String> {
        parse_bytes(&text_of(raw, "a size")?).map(Self)
    }
    fn show(&self) -> String {
        quote(&show_bytes(self.0))
    }
}

/// `first-last` or `first:last`; one number is a range of one; 0 is any free port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortRange(pub RangeInclusive<u16>);

impl Setting for PortRange {
    fn parse(raw: &Raw) -> Result<Self, String> {
        let text = text_of(raw, "a port range")?;
        let bad = || format!("{text:?} is no port range such as 10000-10999");
        let (first, last) = text.split_once(['-', ':']).unwrap_or((&text, &text));
        let first: u16 = first.trim().parse().map_err(|_| bad())?;
        let last: u16 = last.trim().parse().map_err(|_| bad())?;
        if first > last { Err(bad()) } else { Ok(Self(first..=last)) }
    }
    fn show(&self) -> String {
        quote(&format!("{}-{}", self.0.start(), self.0.end()))
    }
}

/// Where a port listens: `host:port`, `:port` for every IPv4 address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    text: String,
    address: SocketAddr,
}

impl Listen {
    pub(crate) fn loopback(port: u16) -> Self {
        Self { text: format!("localhost:{port}"), address: SocketAddr::from(([127, 0, 0, 1], port)) }
    }

    /// The address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether only this machine reaches it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.address.ip().is_loopback()
    }
}

impl Setting for Listen {
    fn parse(raw: &Raw) -> Result<Self, String> {
        let text = text_of(raw, "host:port")?;
        let bad = |why: &str| format!("{text:?} is no host:port to listen on{why}");
        let (host, port) = text.rsplit_once(':').ok_or_else(|| bad(""))?;
        let port: u16 = port.parse().map_err(|_| bad(""))?;
        let host = if host.is_empty() { "0.0.0.0" } else { host.trim_matches(['[', ']']) };
        let found: Vec<SocketAddr> =
            (host, port).to_socket_addrs().map_err(|error| bad(&format!(": {error}")))?.collect();
        // `localhost` often has ::1 first, which machines without IPv6 can't bind.
        let address = found.iter().find(|address| address.is_ipv4()).or(found.first());
        let address = *address.ok_or_else(|| bad(": the host has no address"))?;
        Ok(Self { text, address })
    }
    fn show(&self) -> String {
        quote(&self.text)
    }
}

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

/// The name of a codec as [`WebrtcConfig::DEFAULT_CODECS`] spells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codec(pub String);

impl Setting for Codec {
    /// `VP8`, in any case, also as a media type: `video/VP8`.
    fn parse(raw: &Raw) -> Result<Self, String> {
        let text = text_of(raw, "a codec")?;
        let name = text.rsplit_once('/').map_or(text.as_str(), |(_, name)| name);
        let known = WebrtcConfig::DEFAULT_CODECS.iter().find(|known| known.eq_ignore_ascii_case(name));
        known.map(|known| Self((*known).to_owned())).ok_or_else(|| {
            format!("{text:?} is no codec that can be recorded: {}", WebrtcConfig::DEFAULT_CODECS.join(", "))
        })
    }
    fn show(&self) -> String {
        quote(&self.0)
    }
}

/// A level of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level(pub tracing::Level);

impl Level {
    pub(crate) const INFO: Self = Self(tracing::Level::INFO);
}

impl Setting for Level {
    fn parse(raw: &Raw) -> Result<Self, String> {
        let text = text_of(raw, "a level")?;
        match text.to_ascii_lowercase().as_str() {
            "trace" => Ok(tracing::Level::TRACE),
            "debug" => Ok(tracing::Level::DEBUG),
            "info" => Ok(tracing::Level::INFO),
            "warn" | "warning" => Ok(tracing::Level::WARN),
            "error" | "critical" | "fatal" => Ok(tracing::Level::ERROR),
            _ => Err(format!("{text:?} is none of trace, debug, info, warn, error")),
        }
        .map(Self)
    }
    fn show(&self) -> String {
        quote(&self.0.to_string().to_ascii_lowercase())
    }
}

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
