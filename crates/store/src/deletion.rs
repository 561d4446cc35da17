//! Removing recordings and renditions, on request or because their time is over.

use chrono::{DateTime, Utc};
use model::{RecordingId, RenditionId, TenantId};

/// What [`Store::delete_recording`](crate::Store::delete_recording) found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// It was there; its objects are removed by jobs that were made now, of this number.
    Now {
        /// How many.
        jobs: u64,
    },
    /// It had been deleted before; nothing was changed.
    Before,
}

/// What is to go because of its age.
#[derive(Debug, Clone, PartialEq)]
pub struct Expiry {
    /// Of this tenant; none: of all.
    pub tenant: Option<TenantId>,
    /// Not of these tenants, which have rules of their own.
    pub except: Vec<TenantId>,
    /// Renditions of this kind; none: recordings with all that was made of them.
    pub rendition: Option<String>,
    /// What ended, or became available, before this.
    pub before: DateTime<Utc>,
}

/// Something whose time is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    /// Whose it is.
    pub tenant: TenantId,
    /// The recording.
    pub recording: RecordingId,
    /// The rendition; none: the recording itself.
    pub rendition: Option<RenditionId>,
}

/// Who removed what, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// When.
    pub at: DateTime<Utc>,
    /// The name of the caller's token, or `retention`; empty where nobody had to say who they are.
    pub actor: String,
    /// What was done: `DELETE_RECORDING` or `DELETE_RENDITION`.
    pub action: String,
    /// The recording.
    pub recording: RecordingId,
    /// The rendition, where it was one.
    pub rendition: Option<RenditionId>,
}
