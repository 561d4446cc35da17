//! `ListSegments`, and the progress of segments for `GetRecording`.

use model::{RecordingId, Segment};
use proto::recorder::v1 as pb;

use super::{Api, check, recordings::page_size};
use crate::{auth::Caller, error::ApiError, wire};

impl Api {
    /// A page of a recording's segments.
    ///
    /// # Errors
    /// `Invalid`, `NotFound`, `Store`.
    pub async fn list_segments(
        &self,
        caller: &Caller,
        request: pb::ListSegmentsRequest,
    ) -> Result<pb::ListSegmentsResponse, ApiError> {
        let id = check::recording_id("recording_id", &request.recording_id)?;
        let limit = page_size(request.page_size)? as usize;
        let after = match request.page_token.as_str() {
            "" => None,
            token => Some(
                read_token(token).ok_or_else(|| ApiError::invalid("page_token", "is not a page token"))?,
            ),
        };
        let state = wire::segment_state(request.state)
            .ok_or_else(|| ApiError::invalid("state", "is not a SegmentState"))?;
        let recording = self.recording(caller, id).await?;
        let segments = self.store.segments_of(&recording.tenant, id).await?;
        // Sorted by rendition, then by number: the order of the token's parts.
        let mut matching = segments.iter().filter(|segment| {
            state.is_none_or(|state| segment.state == state)
                && after.is_none_or(|after| (segment.parameters.as_str(), segment.number) > after)
        });
        let page: Vec<&Segment> = matching.by_ref().take(limit).collect();
        let last = page.last().filter(|_| matching.next().is_some()).map(|last| write_token(last));
        Ok(pb::ListSegmentsResponse {
            segments: page.into_iter().map(wire::segment).collect(),
            next_page_token: last.unwrap_or_default(),
        })
    }

    /// The progress of each rendition that is made while the recording is open.
    pub(super) async fn segment_progress(
        &self,
        caller: &Caller,
        id: RecordingId,
    ) -> Result<Vec<pb::SegmentProgress>, ApiError> {
        let segments = self.store.segments_of(&caller.tenant, id).await?;
        let of_renditions = segments.chunk_by(|one, next| one.parameters == next.parameters);
        Ok(of_renditions.map(wire::segment_progress).collect())
    }
}

/// A page token is the number and the rendition of the last segment of its page. The caller knows both.
fn write_token(last: &Segment) -> String {
    format!("{}_{}", last.number, last.parameters)
}

fn read_token(token: &str) -> Option<(&str, u32)> {
    let (number, parameters) = token.split_once('_')?;
    Some((parameters, number.parse().ok()?))
}
