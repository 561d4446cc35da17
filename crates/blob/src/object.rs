//! The properties of stored objects.

/// The properties of a stored object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of the content, lower-case hexadecimal: verified by the store, or by reading the object back. None if it is
    /// unknown.
    pub sha256: Option<String>,
}
