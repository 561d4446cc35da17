//! `POST /webrtc/video`, `PUT` and `DELETE /webrtc/video/{id}`.

use axum::{
    body::Bytes,
    extract::{Path, State},
    response::Response,
};
use http::HeaderMap;
use prost::{Message, Name};
use proto::webrtc_recorder::{RenegotiateP2pVideoRequest, StopP2pVideoRequest};

use super::{HttpState, json};
use crate::{
    api::Api,
    auth::Caller,
    calls::{Method, Transport},
    error::ApiError,
};

pub(super) async fn upload(State(state): State<HttpState>, headers: HeaderMap, body: Bytes) -> Response {
    call(&state, Method::UploadP2pVideo, &headers, body, Api::upload).await
}

pub(super) async fn renegotiate(
    State(state): State<HttpState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    // The path has the id. An id in the body is ignored.
    let handler = async |api: &Api, caller: &Caller, message| {
        api.renegotiate(caller, RenegotiateP2pVideoRequest { id, ..message }).await
    };
    call(&state, Method::RenegotiateP2pVideo, &headers, body, handler).await
}

pub(super) async fn stop(
    State(state): State<HttpState>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let handler = async |api: &Api, caller: &Caller, _: StopP2pVideoRequest| {
        api.stop(caller, StopP2pVideoRequest { id }).await
    };
    call(&state, Method::StopP2pVideo, &headers, Bytes::new(), handler).await
}

/// Runs a call with a message from a JSON body. The body is parsed after the caller is authorised.
async fn call<Q: Message + Name + Default, A: Message + Name>(
    state: &HttpState,
    method: Method,
    headers: &HeaderMap,
    body: Bytes,
    handler: impl AsyncFnOnce(&Api, &Caller, Q) -> Result<A, ApiError>,
) -> Response {
    let parse_and_handle =
        async |api: &Api, caller: &Caller, body: Bytes| handler(api, caller, json::parse(&body)?).await;
    json::response(state.calls.run(Transport::Http, method, headers, body, parse_and_handle).await)
}
