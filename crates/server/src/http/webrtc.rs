//! `POST /webrtc/video`, `PUT` and `DELETE /webrtc/video/{id}`.

use axum::{
    body::Bytes,
    extract::{Path, State},
    response::Response,
};
use http::HeaderMap;
use proto::webrtc_recorder::{RenegotiateP2pVideoRequest, StopP2pVideoRequest, UploadP2pVideoRequest};

use super::{HttpState, json};
use crate::{
    api::Api,
    auth::Caller,
    calls::{Method, Transport},
};

pub(super) async fn upload(State(state): State<HttpState>, headers: HeaderMap, body: Bytes) -> Response {
    let handler = async |api: &Api, caller: &Caller, body: Bytes| {
        let request: UploadP2pVideoRequest = json::read("webrtc_recorder.UploadP2PVideoRequest", &body)?;
        api.upload(caller, request).await
    };
    let result = state.calls.run(Transport::Http, Method::UploadP2pVideo, &headers, body, handler).await;
    json::answer("webrtc_recorder.UploadP2PVideoResponse", result)
}

pub(super) async fn renegotiate(
    State(state): State<HttpState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let handler = async |api: &Api, caller: &Caller, body: Bytes| {
        let request: RenegotiateP2pVideoRequest =
            json::read("webrtc_recorder.RenegotiateP2PVideoRequest", &body)?;
        // The id of the path counts, not one of the body.
        api.renegotiate(caller, RenegotiateP2pVideoRequest { id, ..request }).await
    };
    let result = state.calls.run(Transport::Http, Method::RenegotiateP2pVideo, &headers, body, handler).await;
    json::answer("webrtc_recorder.RenegotiateP2PVideoResponse", result)
}

pub(super) async fn stop(
    State(state): State<HttpState>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let request = StopP2pVideoRequest { id };
    let result = state.calls.run(Transport::Http, Method::StopP2pVideo, &headers, request, Api::stop).await;
    json::answer("webrtc_recorder.StopP2PVideoResponse", result)
}
