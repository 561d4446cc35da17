//! Deletion of recordings and renditions, by callers and by retention.

use chrono::{DateTime, Utc};
use model::{RecordingId, RenditionId, TenantId};

/// The result of [`Store::delete_recording`](crate::Store::delete_recording) and
/// [`Store::delete_rendition`](crate::Store::delete_rendition).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// This call deleted it. Jobs that were inserted now remove its files.
    Deleted {
        /// The number of jobs.
        jobs: u64,
    },
    /// It was deleted before; nothing was changed.
    AlreadyDeleted,
}

/// A retention rule, as a query: which rows are past it.
#[derive(Debug, Clone, PartialEq)]
pub struct Expiry {
    /// The rows of this tenant; none: of all tenants.
    pub tenant: Option<TenantId>,
    /// Tenants that have rules of their own, and are left out.
    pub except: Vec<TenantId>,
    /// Renditions of this kind; none: recordings, with all their renditions.
    pub rendition: Option<String>,
    /// Recordings that ended, or renditions that became available, before this time.
    pub before: DateTime<Utc>,
}

/// A recording or rendition past its retention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    /// The owner.
    pub tenant: TenantId,
    /// The recording.
    pub recording: RecordingId,
    /// The rendition; none: the whole recording.
    pub rendition: Option<RenditionId>,
}

/// An entry of the audit table: who deleted what, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// When it was deleted.
    pub at: DateTime<Utc>,
    /// The name of the caller's token, or `retention`; empty if callers are not authenticated.
    pub actor: String,
    /// `DELETE_RECORDING` or `DELETE_RENDITION`.
    pub action: String,
    /// The recording.
    pub recording: RecordingId,
    /// The rendition; none if the whole recording was deleted.
    pub rendition: Option<RenditionId>,
}
