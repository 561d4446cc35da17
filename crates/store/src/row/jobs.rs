//! Rows of `jobs`.

use chrono::{DateTime, Utc};
use model::{Job, NodeId, Progress, TenantId};
use uuid::{Uuid, fmt::Hyphenated};

use super::{duration, known, unsigned};
use crate::StoreError;

/// A nullable id, converted from the type of either database.
#[derive(Debug, Clone, Copy)]
pub struct MaybeId(pub Option<Uuid>);

impl From<Option<Uuid>> for MaybeId {
    fn from(id: Option<Uuid>) -> Self {
        Self(id)
    }
}

impl From<Option<Hyphenated>> for MaybeId {
    fn from(id: Option<Hyphenated>) -> Self {
        Self(id.map(Hyphenated::into_uuid))
    }
}

/// The columns of `jobs` that make a [`Job`].
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of `jobs`, see the migrations")]
pub struct JobRow {
    pub id: Uuid,
    pub recording: Uuid,
    pub tenant: String,
    pub rendition: MaybeId,
    pub kind: String,
    pub state: String,
    pub node: Option<String>,
    pub attempts: i64,
    pub run_at: DateTime<Utc>,
    pub error: Option<String>,
    pub fraction: Option<f64>,
    pub speed: Option<f64>,
    pub remaining_ns: Option<i64>,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
}

impl JobRow {
    /// The job.
    ///
    /// # Errors
    /// `Corrupt` if a column has a value that this version does not know.
    pub fn read(self) -> Result<Job, StoreError> {
        let remaining = self.remaining_ns.map(duration).transpose()?;
        let speed = self.speed.unwrap_or_default();
        Ok(Job {
            id: self.id.into(),
            recording: self.recording.into(),
            tenant: known::<TenantId>(&self.tenant)?,
            rendition: self.rendition.0.map(Into::into),
            kind: known(&self.kind)?,
            state: known(&self.state)?,
            node: self.node.as_deref().map(known::<NodeId>).transpose()?,
            attempts: unsigned(self.attempts, "attempts")?,
            run_at: self.run_at,
            error: self.error,
            progress: self.fraction.map(|fraction| Progress { fraction, speed, remaining }),
            created_at: self.created_at,
            started_at: self.started_at,
            ended_at: self.ended_at,
        })
    }
}
