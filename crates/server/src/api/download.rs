//! `CreateDownloadUrl`, and the file of a link that this recorder signed.

use std::{path::PathBuf, time::Duration};

use chrono::{DateTime, Utc};
use model::{JobKind, JobState, Recording, RecordingState, Rendition, RenditionId, RenditionState};
use proto::recorder::v1::{self as pb, create_download_url_request::Source};
use store::StoreError;

use super::{Api, check};
use crate::{auth::Caller, downloads::Link, error::ApiError};

const DEFAULT_VALID: Duration = Duration::from_secs(15 * 60);
/// The maximum of S3 (AWS Signature Version 4).
const MAX_VALID: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A local file to send.
pub(crate) struct Download {
    pub(crate) path: PathBuf,
    pub(crate) content_type: String,
    pub(crate) sha256: Option<String>,
}

/// The object of a link: a recording, or a rendition of it.
struct Subject {
    recording: Recording,
    rendition: Option<Rendition>,
}

impl Api {
    /// A link to an object. The object store presigns it if it can, else this recorder signs it.
    ///
    /// # Errors
    /// `Invalid`, `NotFound`, `Missing`, `Precondition`, `Store`, `Blob`.
    pub async fn create_download_url(
        &self,
        caller: &Caller,
        request: pb::CreateDownloadUrlRequest,
    ) -> Result<pb::CreateDownloadUrlResponse, ApiError> {
        let valid = valid_for(request.valid_for)?;
        let mut violations = Vec::new();
        check::text("file_name", &request.file_name, self.limits, &mut violations);
        if !violations.is_empty() {
            return Err(ApiError::Invalid(violations));
        }
        let subject = self.subject(caller, request.source).await?;
        let key = self.stored_key(&subject).await?;
        let file_name = match request.file_name.as_str() {
            "" => subject.file_name(),
            name => name.to_owned(),
        };
        let now = Utc::now();
        let expires = expiry(now, valid);
        let url = match self.blobs.download_url(&key, presigned_for(now, expires), Some(&file_name)).await? {
            Some(url) => url,
            None => self.downloads.url(&Link {
                tenant: caller.tenant.clone(),
                recording: subject.recording.id,
                rendition: subject.rendition.as_ref().map(|rendition| rendition.id),
                file_name: file_name.clone(),
                expires,
            }),
        };
        let expires_at = Some(prost_types::Timestamp { seconds: expires, nanos: 0 });
        Ok(pb::CreateDownloadUrlResponse { url, expires_at, file_name })
    }

    /// The file of a link that this recorder signed.
    ///
    /// # Errors
    /// `NotFound`, `Missing`, `Precondition`, `Store`, `Blob`.
    pub(crate) async fn resolve(&self, link: &Link) -> Result<Download, ApiError> {
        let caller =
            Caller { tenant: link.tenant.clone(), name: String::new(), token: None, forwarded_by: None };
        let source = match link.rendition {
            Some(id) => Source::RenditionId(id.to_string()),
            None => Source::RecordingId(link.recording.to_string()),
        };
        let subject = self.subject(&caller, Some(source)).await?;
        let key = self.stored_key(&subject).await?;
        let path = self.blobs.local_path(&key)?;
        let path =
            path.ok_or_else(|| ApiError::Internal(format!("object {key:?} is not on this machine")))?;
        let Subject { recording, rendition } = subject;
        let (content_type, sha256) = match rendition {
            Some(rendition) => (rendition.content_type, rendition.sha256),
            None => {
                let container = recording.container;
                let content_type =
                    container.map_or("application/octet-stream", model::Container::content_type);
                (content_type.to_owned(), recording.sha256)
            }
        };
        Ok(Download { path, content_type, sha256 })
    }

    async fn subject(&self, caller: &Caller, source: Option<Source>) -> Result<Subject, ApiError> {
        match source {
            None => Err(ApiError::invalid("source", "names neither a recording nor a rendition")),
            Some(Source::RecordingId(id)) => {
                let id = check::recording_id("recording_id", &id)?;
                let recording = self.recording(caller, id).await?;
                Ok(Subject { recording, rendition: None })
            }
            Some(Source::RenditionId(id)) => {
                let id: RenditionId = check::uuid("rendition_id", &id)?;
                let rendition = match self.store.rendition(&caller.tenant, id).await {
                    Err(StoreError::NotFound { .. }) => {
                        return Err(ApiError::Missing { what: "rendition", id: id.to_string() });
                    }
                    found => found?,
                };
                let recording = self.recording(caller, rendition.recording).await?;
                Ok(Subject { recording, rendition: Some(rendition) })
            }
        }
    }

    /// The object key, if the object store has the object.
    async fn stored_key(&self, subject: &Subject) -> Result<String, ApiError> {
        let recording = &subject.recording;
        let (what, state, key, is_stored) = match &subject.rendition {
            None => (
                "recording",
                recording.state.as_str(),
                recording.object_key.clone(),
                self.is_stored(recording).await?,
            ),
            Some(rendition) => (
                "rendition",
                rendition.state.as_str(),
                Some(rendition.object_key.clone()),
                rendition.state == RenditionState::Available,
            ),
        };
        key.filter(|_| is_stored).ok_or(ApiError::Store(StoreError::WrongState { what, state }))
    }

    /// A recording that was parked after its upload is in the object store too.
    async fn is_stored(&self, recording: &Recording) -> Result<bool, ApiError> {
        match recording.state {
            RecordingState::Available => Ok(true),
            RecordingState::Parked => {
                let jobs = self.store.jobs_of(recording.id).await?;
                Ok(jobs.iter().any(|job| job.kind == JobKind::Upload && job.state == JobState::Done))
            }
            _ => Ok(false),
        }
    }
}

impl Subject {
    /// The recording's name with the file's extension; for a picture or a text also the kind of rendition.
    fn file_name(&self) -> String {
        let name = &self.recording.name;
        let of_recording = self.recording.object_key.as_deref().unwrap_or_default();
        let key = self.rendition.as_ref().map_or(of_recording, |rendition| &rendition.object_key);
        let extension = key.rsplit_once('.').map_or("bin", |(_, extension)| extension);
        match &self.rendition {
            // A thumbnail and a contact sheet have the same extension.
            Some(rendition) if rendition.kind != extension => {
                format!("{name}-{}.{extension}", rendition.kind)
            }
            _ => format!("{name}.{extension}"),
        }
    }
}

fn valid_for(requested: Option<prost_types::Duration>) -> Result<Duration, ApiError> {
    let Some(requested) = requested else { return Ok(DEFAULT_VALID) };
    let bad = || ApiError::invalid("valid_for", "must be within 1 second and 7 days");
    let valid = Duration::try_from(requested).map_err(|_| bad())?;
    if valid < Duration::from_secs(1) || valid > MAX_VALID { Err(bad()) } else { Ok(valid) }
}

/// When a link expires, in seconds since 1970: links have whole seconds, so it is rounded up.
fn expiry(now: DateTime<Utc>, valid: Duration) -> i64 {
    let end = now + valid;
    end.timestamp() + i64::from(end.timestamp_subsec_nanos() > 0)
}

/// The validity to presign a link with. S3 counts it from the start of the current second.
fn presigned_for(now: DateTime<Utc>, expires: i64) -> Duration {
    let valid = expires.saturating_sub(now.timestamp());
    Duration::from_secs(u64::try_from(valid).unwrap_or(0)).min(MAX_VALID)
}

/// Whether a link has expired.
pub(crate) fn is_expired(link: &Link, now: DateTime<Utc>) -> bool {
    now.timestamp() >= link.expires
}

#[cfg(test)]
mod tests {
    use model::{RecordingId, TenantId};

    use super::*;

    fn at(milliseconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_800_000_000_000 + milliseconds).unwrap()
    }

    #[test]
    fn a_link_is_valid_for_the_requested_time_and_less_than_a_second_longer() {
        for (made, valid) in [(0, 1_000), (999, 1_000), (1, 1_000), (500, 1_500), (999, 604_800_000)] {
            let expires = expiry(at(made), Duration::from_millis(valid as u64));
            let link = Link {
                tenant: TenantId::default(),
                recording: RecordingId::new(),
                rendition: None,
                file_name: String::new(),
                expires,
            };
            assert!(!is_expired(&link, at(made + valid - 1)), "made at {made}, for {valid} ms");
            assert!(is_expired(&link, at(made + valid + 999)), "made at {made}, for {valid} ms");
        }
    }

    #[test]
    fn a_presigned_link_counts_from_the_start_of_its_second() {
        for (made, valid, want) in [(0, 1, 1), (999, 1, 2), (500, 900, 901), (500, 604_800, 604_800)] {
            let now = at(made);
            let presigned = presigned_for(now, expiry(now, Duration::from_secs(valid)));
            assert_eq!(presigned, Duration::from_secs(want), "made at {made}, for {valid} s");
        }
    }
}
