//! `ListJobs`, `RetryJob`, `CancelJob`.

use model::{Job, JobId, JobKind, JobState, RecordingState, RenditionState};
use proto::recorder::v1 as pb;
use store::{Cancellation, JobFilter, StoreError};
use tracing::{Span, field::display};

use super::{Api, check, recordings::page_size};
use crate::{auth::Caller, error::ApiError, wire};

impl Api {
    /// A page of the tenant's jobs.
    ///
    /// # Errors
    /// `Invalid`, `Store`.
    pub async fn list_jobs(
        &self,
        caller: &Caller,
        request: pb::ListJobsRequest,
    ) -> Result<pb::ListJobsResponse, ApiError> {
        let limit = page_size(request.page_size)?;
        let before = match request.page_token.as_str() {
            "" => None,
            token => Some(
                token.parse::<JobId>().map_err(|_| ApiError::invalid("page_token", "is not a page token"))?,
            ),
        };
        let recording = match request.recording_id.as_str() {
            "" => None,
            id => Some(check::recording_id("recording_id", id)?),
        };
        let filter = JobFilter {
            recording,
            kind: wire::job_kind(request.kind)
                .ok_or_else(|| ApiError::invalid("kind", "is not a JobKind"))?,
            state: wire::job_state(request.state)
                .ok_or_else(|| ApiError::invalid("state", "is not a JobState"))?,
        };
        // One more than the page shows whether another page follows.
        let mut jobs = self.store.list_jobs(&caller.tenant, &filter, before, limit + 1).await?;
        let more = jobs.len() > limit as usize;
        jobs.truncate(limit as usize);
        let last = jobs.last().filter(|_| more).map(|job| job.id.to_string());
        Ok(pb::ListJobsResponse {
            jobs: jobs.iter().map(wire::job).collect(),
            next_page_token: last.unwrap_or_default(),
        })
    }

    /// Makes a job due now.
    ///
    /// # Errors
    /// `Invalid`, `Missing`, `Precondition`, `Store`.
    pub async fn retry_job(
        &self,
        caller: &Caller,
        request: pb::RetryJobRequest,
    ) -> Result<pb::RetryJobResponse, ApiError> {
        let id = job_id(&request.id)?;
        let job = self.job(caller, id).await?;
        match self.store.retry(&caller.tenant, id).await {
            Err(StoreError::NotFound { .. }) => Err(self.not_retried(caller, id).await?),
            retried => {
                retried?;
                tracing::info!(job_id = %id, recording_id = %job.recording, kind = %job.kind, "job will be retried");
                Ok(pb::RetryJobResponse { job: Some(wire::job(&self.job(caller, id).await?)) })
            }
        }
    }

    /// Cancels a render.
    ///
    /// # Errors
    /// `Invalid`, `Missing`, `Precondition`, `Store`.
    pub async fn cancel_job(
        &self,
        caller: &Caller,
        request: pb::CancelJobRequest,
    ) -> Result<pb::CancelJobResponse, ApiError> {
        let id = job_id(&request.id)?;
        let job = self.job(caller, id).await?;
        if !job.kind.can_be_cancelled() {
            return Err(ApiError::Precondition {
                reason: "NOT_CANCELLABLE",
                problem: format!("only a {} can be cancelled, not a {}", JobKind::Render, job.kind),
            });
        }
        match self.store.cancel(&caller.tenant, id).await? {
            Cancellation::Refused(state) => {
                Err(ApiError::Precondition { reason: "WRONG_STATE", problem: format!("the job is {state}") })
            }
            Cancellation::Cancelled | Cancellation::AlreadyCancelled => {
                Ok(pb::CancelJobResponse { job: Some(wire::job(&self.job(caller, id).await?)) })
            }
        }
    }

    /// Why the store refused to retry a job, by the state of the job and of its subject now.
    async fn not_retried(&self, caller: &Caller, id: JobId) -> Result<ApiError, ApiError> {
        let job = self.job(caller, id).await?;
        if !matches!(job.state, JobState::Parked | JobState::Failed | JobState::Cancelled) {
            let problem = format!(
                "a job that is {} can't be retried: only one that is PARKED, FAILED or CANCELLED",
                job.state
            );
            return Ok(ApiError::Precondition { reason: "WRONG_STATE", problem });
        }
        let deleted = |what: &str| ApiError::Precondition {
            reason: "DELETED",
            problem: format!("the {what} of the job was deleted"),
        };
        if self.recording(caller, job.recording).await?.state == RecordingState::Deleted {
            return Ok(deleted("recording"));
        }
        if let Some(rendition) = job.rendition {
            let rendition = self.store.rendition(&caller.tenant, rendition).await?;
            if rendition.state == RenditionState::Deleted {
                return Ok(deleted("rendition"));
            }
            if rendition.job != id {
                let problem = format!("job {} makes the rendition now", rendition.job);
                return Ok(ApiError::Precondition { reason: "REPLACED", problem });
            }
        }
        // By now it could be retried.
        Ok(ApiError::Precondition { reason: "WRONG_STATE", problem: "the job has just changed".to_owned() })
    }

    async fn job(&self, caller: &Caller, id: JobId) -> Result<Job, ApiError> {
        match self.store.job(&caller.tenant, id).await {
            Err(StoreError::NotFound { .. }) => Err(ApiError::Missing { what: "job", id: id.to_string() }),
            found => Ok(found?),
        }
    }
}

fn job_id(id: &str) -> Result<JobId, ApiError> {
    let id: JobId = check::uuid("id", id)?;
    Span::current().record("job_id", display(id));
    Ok(id)
}
