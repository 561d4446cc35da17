//! Ids. Each kind is a type of its own, so that the compiler refuses one in place of another.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A text that is not a valid id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {expected}")]
pub struct InvalidId {
    /// The kind of id that was expected.
    pub what: &'static str,
    /// What such an id looks like.
    pub expected: &'static str,
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id. Ids sort by their time of creation (UUID version 7, RFC 9562 §5.7).
            #[must_use]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The UUID.
            #[must_use]
            pub fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::parse_str(text).map(Self).map_err(|_| InvalidId { what: $what, expected: "a UUID" })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
    };
}

uuid_id! {
    /// A session: one connection that is recorded, a WebRTC peer or a pushed stream.
    SessionId, "session id"
}
uuid_id! {
    /// A recording: the result of one session. Its UUID is that of the session.
    RecordingId, "recording id"
}
uuid_id! {
    /// A job on a recording.
    JobId, "job id"
}
uuid_id! {
    /// A rendition of a recording.
    RenditionId, "rendition id"
}

impl From<SessionId> for RecordingId {
    fn from(session: SessionId) -> Self {
        Self(session.0)
    }
}

impl From<RecordingId> for SessionId {
    fn from(recording: RecordingId) -> Self {
        Self(recording.0)
    }
}

macro_rules! name_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $default:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self($default.to_owned())
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::try_from(text.to_owned())
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
                if text.is_empty() || text.len() > 64 || !text.chars().all(allowed) || text.starts_with('.') {
                    let expected = "1 to 64 letters, digits, '-', '_' or '.', not beginning with '.'";
                    return Err(InvalidId { what: $what, expected });
                }
                Ok(Self(text))
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_id! {
    /// The owner of recordings. Every query of a caller is limited to one tenant. Without authentication all callers are
    /// the tenant `default`.
    TenantId, "tenant", "default"
}
name_id! {
    /// A node: one recorder process of a cluster that shares a database.
    NodeId, "node id", "node-1"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_has_the_uuid_of_its_session() {
        let session = SessionId::new();
        assert_eq!(RecordingId::from(session).as_uuid(), session.as_uuid());
    }

    #[test]
    fn an_id_that_is_not_a_uuid_is_refused_with_its_name() {
        let error = "../../etc".parse::<SessionId>().unwrap_err();
        assert_eq!(error.to_string(), "session id must be a UUID");
    }

    #[test]
    fn a_tenant_can_not_be_a_path() {
        for bad in ["", "a/b", "..", ".hidden", "a b", &"x".repeat(65)] {
            assert!(bad.parse::<TenantId>().is_err(), "{bad:?}");
        }
        assert!("acme-1.eu_west".parse::<TenantId>().is_ok());
    }
}
