//! `POST /webrtc/video`, `PUT` and `DELETE /webrtc/video/{id}`.

use axum::{
    body::Bytes,
    extract::{Path, State},
    response::Response,
};
use http::HeaderMap;
use proto::webrtc_recorder::{RenegotiateP2pVideoRequest, StopP2pVideoRequest, UploadP2pVideoRequest};

use super::{HttpState, json};
use crate::{api::observed, auth::Permission};

pub(super) async fn upload(State(state): State<HttpState>, headers: HeaderMap, body: Bytes) -> Response {
    let call = async {
        let caller = state.auth.caller(&headers, Permission::Record)?;
        let request: UploadP2pVideoRequest = json::read("webrtc_recorder.UploadP2PVideoRequest", &body)?;
        state.api.upload(&caller, request).await
    };
    let result = observed("http", "UploadP2PVideo", &headers, call).await;
    json::answer("webrtc_recorder.UploadP2PVideoResponse", result)
}

pub(super) async fn renegotiate(
    State(state): State<HttpState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let call = async {
        let caller = state.auth.caller(&headers, Permission::Record)?;
        let request: RenegotiateP2pVideoRequest =
            json::read("webrtc_recorder.RenegotiateP2PVideoRequest", &body)?;
        // The path names the session, whatever the body says.
        state.api.renegotiate(&caller, RenegotiateP2pVideoRequest { id, ..request }).await
    };
    let result = observed("http", "RenegotiateP2PVideo", &headers, call).await;
    json::answer("webrtc_recorder.RenegotiateP2PVideoResponse", result)
}

pub(super) async fn stop(
    State(state): State<HttpState>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let call = async {
        let caller = state.auth.caller(&headers, Permission::Record)?;
        state.api.stop(&caller, StopP2pVideoRequest { id }).await
    };
    let result = observed("http", "StopP2PVideo", &headers, call).await;
    json::answer("webrtc_recorder.StopP2PVideoResponse", result)
}
