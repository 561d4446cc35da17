//! `GetRecording` and `ListRecordings`.

use chrono::{DateTime, SecondsFormat, Utc};
use model::{Recording, RecordingId};
use proto::recorder::v1 as pb;
use store::{RecordingFilter, StoreError};

use super::{Api, check};
use crate::{auth::Caller, error::ApiError, wire};

const DEFAULT_PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 1000;

impl Api {
    /// One recording with its renditions and the progress of their segments.
    ///
    /// # Errors
    /// `Invalid`, `NotFound`, `Store`.
    pub async fn get_recording(
        &self,
        caller: &Caller,
        request: pb::GetRecordingRequest,
    ) -> Result<pb::GetRecordingResponse, ApiError> {
        let id = check::recording_id("id", &request.id)?;
        let recording = self.recording(caller, id).await?;
        let renditions = self.store.renditions_of(&caller.tenant, id).await?;
        Ok(pb::GetRecordingResponse {
            recording: Some(wire::recording(&recording)),
            renditions: renditions.iter().map(wire::rendition).collect(),
            segments: self.segment_progress(caller, id).await?,
        })
    }

    pub(super) async fn recording(&self, caller: &Caller, id: RecordingId) -> Result<Recording, ApiError> {
        match self.store.recording(&caller.tenant, id).await {
            Err(StoreError::NotFound { .. }) => Err(ApiError::NotFound(id.to_string())),
            found => Ok(found?),
        }
    }

    /// A page of the tenant's recordings.
    ///
    /// # Errors
    /// `Invalid`, `Store`.
    pub async fn list_recordings(
        &self,
        caller: &Caller,
        request: pb::ListRecordingsRequest,
    ) -> Result<pb::ListRecordingsResponse, ApiError> {
        let limit = page_size(request.page_size)?;
        let after = match request.page_token.as_str() {
            "" => None,
            token => Some(
                read_token(token).ok_or_else(|| ApiError::invalid("page_token", "is not a page token"))?,
            ),
        };
        let state = wire::recording_state(request.state)
            .ok_or_else(|| ApiError::invalid("state", "is not a RecordingState"))?;
        let source = wire::source_filter(request.source)
            .ok_or_else(|| ApiError::invalid("source", "is not a Source"))?;
        let time = |field: &'static str, at: Option<prost_types::Timestamp>| match at {
            None => Ok(None),
            Some(at) => {
                wire::instant(at).map(Some).ok_or_else(|| ApiError::invalid(field, "is not a valid time"))
            }
        };
        let filter = RecordingFilter {
            name: Some(request.name).filter(|name| !name.is_empty()),
            correlation_id: Some(request.correlation_id).filter(|id| !id.is_empty()),
            state,
            source,
            started_from: time("started_from", request.started_from)?,
            started_until: time("started_until", request.started_until)?,
        };
        let page = self.store.list_recordings(&caller.tenant, &filter, after, limit).await?;
        Ok(pb::ListRecordingsResponse {
            recordings: page.recordings.iter().map(wire::recording).collect(),
            next_page_token: page.next.map(write_token).unwrap_or_default(),
        })
    }
}

/// The page size of a list call.
pub(super) fn page_size(asked: i32) -> Result<u32, ApiError> {
    match u32::try_from(asked) {
        Ok(0) => Ok(DEFAULT_PAGE),
        Ok(size) => Ok(size.min(LARGEST_PAGE)),
        Err(_) => Err(ApiError::invalid("page_size", "must not be negative")),
    }
}

/// A page token is the start time and the id of the last recording of its page. The caller knows both.
fn write_token((at, id): (DateTime<Utc>, RecordingId)) -> String {
    format!("{}_{id}", at.to_rfc3339_opts(SecondsFormat::Nanos, true))
}

fn read_token(token: &str) -> Option<(DateTime<Utc>, RecordingId)> {
    let (at, id) = token.split_once('_')?;
    let at = DateTime::parse_from_rfc3339(at).ok()?.with_timezone(&Utc);
    Some((at, id.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_token_preserves_nanoseconds() {
        let position = ("2026-03-04T05:06:07.123456789Z".parse().unwrap(), RecordingId::new());
        assert_eq!(read_token(&write_token(position)), Some(position));
    }

    #[test]
    fn other_text_is_not_a_page_token() {
        for token in [
            "x",
            "_",
            "2026-03-04T05:06:07Z",
            "2026-03-04T05:06:07Z_x",
            "x_01890a5d-ac96-774b-bcce-b302099a8057",
        ] {
            assert_eq!(read_token(token), None, "{token}");
        }
    }
}
