//! Removing recordings and renditions, on request or because their time is over.

use std::time::Duration;

use chrono::{DateTime, Utc};
use model::{RecordingId, RenditionId, TenantId};

use crate::StoreError;

/// What [`Deletions::delete_recording`] found.
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

/// Deletion, and what remembers it.
#[async_trait::async_trait]
pub trait Deletions: Send + Sync {
    /// Marks the tenant's recording and its renditions DELETED, cancels their renders, makes the jobs that remove the
    /// objects and the local file, and writes an audit entry, all in one transaction.
    ///
    /// # Errors
    /// `NotFound`; `WrongState` while its session is live. Then nothing was changed.
    async fn delete_recording(
        &self,
        tenant: &TenantId,
        id: RecordingId,
        actor: &str,
    ) -> Result<Deletion, StoreError>;

    /// The same for one rendition. A running render of it is cancelled.
    ///
    /// # Errors
    /// `NotFound`.
    async fn delete_rendition(
        &self,
        tenant: &TenantId,
        id: RenditionId,
        actor: &str,
    ) -> Result<Deletion, StoreError>;

    /// Recordings or renditions whose time is over, oldest first, at most `limit`: those that are AVAILABLE, and recordings
    /// that are PARKED because no media came. What else is parked waits for a person, and is never among them.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn expired(&self, expiry: &Expiry, limit: u32) -> Result<Vec<Expired>, StoreError>;

    /// What was removed of the tenant's recording, oldest first.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn audit_of(
        &self,
        tenant: &TenantId,
        recording: RecordingId,
    ) -> Result<Vec<AuditEntry>, StoreError>;

    /// Whether it is the caller's turn to do what one node does for all every so often. Of all that ask within `every`,
    /// one is told so.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn claim_run(&self, task: &str, every: Duration) -> Result<bool, StoreError>;
}
