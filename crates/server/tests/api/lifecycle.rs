//! The life of a session, from its offer to its final row.

use proto::{
    recorder::v1::{
        Channel, EndReason, GetRecordingRequest, ListRecordingsRequest, ListSessionsRequest, Recording,
        RecordingState,
    },
    storage::UploadFileChannel,
    webrtc_recorder::{RenegotiateP2pVideoRequest, StopP2pVideoRequest, UploadP2pVideoRequest},
};
use serde_json::json;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::support::{OFFER, TestApp, answer, http, upload};

async fn begin(app: &TestApp, name: &str) -> String {
    let request = UploadP2pVideoRequest {
        name: name.to_owned(),
        uuid: format!("call of {name}"),
        channel: UploadFileChannel::CallChannel.into(),
        ..upload(OFFER)
    };
    app.webrtc().upload_p2p_video(request).await.unwrap().into_inner().id
}

async fn recording(app: &TestApp, id: &str) -> Recording {
    let request = GetRecordingRequest { id: id.to_owned() };
    app.recordings().get_recording(request).await.unwrap().into_inner().recording.unwrap()
}

async fn stop(app: &TestApp, id: &str) {
    app.webrtc().stop_p2p_video(StopP2pVideoRequest { id: id.to_owned() }).await.unwrap();
}

#[tokio::test]
async fn a_session_without_media_is_parked_with_the_reason() {
    let app = TestApp::start(&[]).await;
    let id = begin(&app, "visit").await;
    let live = recording(&app, &id).await;
    assert_eq!((live.state(), live.name.as_str()), (RecordingState::Recording, "visit"));
    assert_eq!((live.correlation_id.as_str(), live.channel()), ("call of visit", Channel::Call));

    stop(&app, &id).await;
    let ended = recording(&app, &id).await;
    assert_eq!((ended.state(), ended.end_reason()), (RecordingState::Parked, EndReason::Requested));
    assert_eq!(ended.error, "no media was received");
    assert!(ended.ended_at.is_some());
    app.stop().await;
}

#[tokio::test]
async fn stop_can_be_repeated_and_an_ended_session_can_not_be_renegotiated() {
    let app = TestApp::start(&[]).await;
    let id = begin(&app, "visit").await;
    stop(&app, &id).await;
    stop(&app, &id).await;
    let again = RenegotiateP2pVideoRequest { id, sdp_offer: OFFER.to_owned() };
    let status = app.webrtc().renegotiate_p2p_video(again).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(status.get_error_details().error_info().unwrap().reason, "SESSION_ENDED");
    app.stop().await;
}

#[tokio::test]
async fn a_failed_renegotiation_leaves_the_session_live() {
    let app = TestApp::start(&[]).await;
    let id = begin(&app, "visit").await;
    for offer in ["no sdp", ""] {
        let bad = RenegotiateP2pVideoRequest { id: id.clone(), sdp_offer: offer.to_owned() };
        let status = app.webrtc().renegotiate_p2p_video(bad).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
    }
    let sessions =
        app.recordings().list_sessions(ListSessionsRequest {}).await.unwrap().into_inner().sessions;
    assert_eq!(sessions.len(), 1);
    assert_eq!((sessions[0].id.as_str(), sessions[0].state()), (id.as_str(), RecordingState::Recording));
    app.stop().await;
}

#[tokio::test]
async fn recordings_are_listed_newest_first_in_pages_and_by_filters() {
    let app = TestApp::start(&[]).await;
    let mut ids = Vec::new();
    for name in ["one", "two", "three"] {
        ids.push(begin(&app, name).await);
    }
    ids.reverse();
    let mut found = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListRecordingsRequest { page_size: 2, page_token, ..Default::default() };
        let page = app.recordings().list_recordings(request).await.unwrap().into_inner();
        assert!(page.recordings.len() <= 2);
        found.extend(page.recordings.into_iter().map(|recording| recording.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(found, ids);

    stop(&app, &ids[2]).await;
    let list = async |request| {
        let page = app.recordings().list_recordings(request).await.unwrap().into_inner();
        page.recordings.into_iter().map(|recording| recording.name).collect::<Vec<_>>()
    };
    let by_name = ListRecordingsRequest { name: "two".to_owned(), ..Default::default() };
    assert_eq!(list(by_name).await, ["two"]);
    let by_caller =
        ListRecordingsRequest { correlation_id: "call of three".to_owned(), ..Default::default() };
    assert_eq!(list(by_caller).await, ["three"]);
    let parked = ListRecordingsRequest { state: RecordingState::Parked.into(), ..Default::default() };
    assert_eq!(list(parked).await, ["one"]);
    for bad in [
        ListRecordingsRequest { page_size: -1, ..Default::default() },
        ListRecordingsRequest { page_token: "x".to_owned(), ..Default::default() },
        ListRecordingsRequest { state: 99, ..Default::default() },
    ] {
        assert_eq!(app.recordings().list_recordings(bad).await.unwrap_err().code(), Code::InvalidArgument);
    }
    app.stop().await;
}

#[tokio::test]
async fn the_calls_of_webrtc_service_work_as_json() {
    let app = TestApp::start(&[]).await;
    let client = http();
    let body = json!({"sdp_offer": OFFER, "name": "visit", "channel": "CallChannel"});
    let (code, begun) = answer(client.post(app.url("/webrtc/video")).json(&body)).await;
    assert_eq!(code, 200, "{begun}");
    let id = begun["id"].as_str().unwrap();
    let session = app.url(&format!("/webrtc/video/{id}"));
    let (code, again) = answer(client.put(&session).json(&json!({"id": "x", "sdpOffer": OFFER}))).await;
    assert_eq!(code, 200, "{again}");
    assert!(again["sdpAnswer"].as_str().unwrap().starts_with("v=0"));
    for _ in 0..2 {
        assert_eq!(answer(client.delete(&session)).await, (200, json!({})));
    }
    assert_eq!(recording(&app, id).await.channel(), Channel::Call);
    app.stop().await;
}

#[tokio::test]
async fn shutdown_finalizes_live_sessions() {
    let app = TestApp::start(&[]).await;
    let id = begin(&app, "visit").await;
    let (ended, directory) = app.stop_and_return_files().await;
    assert_eq!(ended.unfinished, 0);
    let database = directory.path().join("recorder.db");
    let again = TestApp::start(&[("store.url", database.to_str().unwrap())]).await;
    let ended = recording(&again, &id).await;
    assert_eq!(ended.end_reason(), EndReason::Shutdown);
    again.stop().await;
}
