//! The checked types of single values: how each is read and how it is shown. What is shown is TOML that reads back,
//! except for secrets, which show as `***`.

use std::{
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    ops::RangeInclusive,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use capture::WebrtcConfig;
use model::NodeId;

use super::{
    duration::{parse_bytes, parse_duration, show_bytes, show_duration},
    raw::Raw,
};

/// A value that can be configured. The text of an error never repeats a secret.
pub(crate) trait Setting: Sized {
    fn parse(raw: &Raw) -> Result<Self, String>;
    fn show(&self) -> String;
}

pub(crate) fn quote(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

pub(crate) fn text_of(raw: &Raw, want: &str) -> Result<String, String> {
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
            Raw::List(values) => {
                values.iter().enumerate().map(|(index, value)| entry(index, value)).collect()
            }
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

/// One of a list. A scalar tells which it is by being quoted where it is refused, a table by its place, from 1.
fn entry<T: Setting>(index: usize, raw: &Raw) -> Result<T, String> {
    let read = T::parse(raw);
    match raw {
        Raw::Table(_) => read.map_err(|problem| format!("entry {}: {problem}", index + 1)),
        _ => read,
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
