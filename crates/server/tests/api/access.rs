//! Authentication, permissions of roles, and separation of tenants.

use proto::{
    recorder::v1::{GetRecordingRequest, ListRecordingsRequest, ListSessionsRequest},
    webrtc_recorder::{RenegotiateP2pVideoRequest, StopP2pVideoRequest},
};
use serde_json::json;
use tonic::{Code, Request};

use crate::support::{OFFER, TOKENS, TestApp, answer, http, upload, with_token};

#[tokio::test]
async fn a_call_without_a_known_token_is_unauthenticated() {
    let app = TestApp::start(&[("auth.tokens", TOKENS)]).await;
    for request in [Request::new(upload(OFFER)), with_token("wrong", upload(OFFER))] {
        let status = app.webrtc().upload_p2p_video(request).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated);
    }
    let request = ListRecordingsRequest::default();
    assert_eq!(app.recordings().list_recordings(request).await.unwrap_err().code(), Code::Unauthenticated);
    let (code, body) = answer(http().post(app.url("/webrtc/video")).json(&json!({"sdpOffer": OFFER}))).await;
    assert_eq!((code, body["code"].as_i64()), (401, Some(16)));
    app.stop().await;
}

#[tokio::test]
async fn a_viewer_may_read_and_not_record() {
    let app = TestApp::start(&[("auth.tokens", TOKENS)]).await;
    let status = app.webrtc().upload_p2p_video(with_token("viewer-token", upload(OFFER))).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    let list = with_token("viewer-token", ListRecordingsRequest::default());
    app.recordings().list_recordings(list).await.unwrap();
    let post = http().post(app.url("/webrtc/video")).bearer_auth("viewer-token");
    assert_eq!(answer(post.json(&json!({"sdpOffer": OFFER}))).await.0, 403);
    app.stop().await;
}

#[tokio::test]
async fn the_token_header_of_existing_clients_is_accepted() {
    let app = TestApp::start(&[("auth.tokens", TOKENS)]).await;
    let mut request = Request::new(upload(OFFER));
    request.metadata_mut().insert("x-webitel-access", "recorder-token".parse().unwrap());
    app.webrtc().upload_p2p_video(request).await.unwrap();
    let post = http().post(app.url("/webrtc/video")).header("X-Webitel-Access", "recorder-token");
    assert_eq!(answer(post.json(&json!({"sdpOffer": OFFER}))).await.0, 200);
    app.stop().await;
}

#[tokio::test]
async fn another_tenants_session_is_not_found_while_live_and_after_its_end() {
    let app = TestApp::start(&[("auth.tokens", TOKENS)]).await;
    let begun = app.webrtc().upload_p2p_video(with_token("recorder-token", upload(OFFER))).await.unwrap();
    let id = begun.into_inner().id;
    for live in [true, false] {
        let stop = StopP2pVideoRequest { id: id.clone() };
        let get = GetRecordingRequest { id: id.clone() };
        let renegotiate = RenegotiateP2pVideoRequest { id: id.clone(), sdp_offer: OFFER.to_owned() };
        let refusals = [
            app.webrtc().stop_p2p_video(with_token("other-token", stop.clone())).await.unwrap_err(),
            app.webrtc().renegotiate_p2p_video(with_token("other-token", renegotiate)).await.unwrap_err(),
            app.recordings().get_recording(with_token("other-token", get.clone())).await.unwrap_err(),
        ];
        for status in refusals {
            assert_eq!(status.code(), Code::NotFound, "{status}");
        }
        let theirs = app.recordings().list_sessions(with_token("other-token", ListSessionsRequest {})).await;
        assert!(theirs.unwrap().into_inner().sessions.is_empty());
        let ours = app.recordings().list_sessions(with_token("viewer-token", ListSessionsRequest {})).await;
        assert_eq!(ours.unwrap().into_inner().sessions.len(), usize::from(live));
        app.recordings().get_recording(with_token("viewer-token", get)).await.unwrap();
        app.webrtc().stop_p2p_video(with_token("recorder-token", stop)).await.unwrap();
    }
    app.stop().await;
}
