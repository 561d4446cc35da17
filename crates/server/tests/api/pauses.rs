//! Pause and resume.

use proto::{
    recorder::v1::{
        GetRecordingRequest, ListSessionsRequest, PauseRecordingRequest, RecordingState,
        ResumeRecordingRequest,
    },
    webrtc_recorder::StopP2pVideoRequest,
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::{NOBODY, OFFER, TOKENS, TestApp, upload, with_token};

fn pause(id: &str) -> PauseRecordingRequest {
    PauseRecordingRequest { id: id.to_owned() }
}

fn resume(id: &str) -> ResumeRecordingRequest {
    ResumeRecordingRequest { id: id.to_owned() }
}

#[tokio::test]
async fn pause_and_resume_show_in_the_row_and_in_list_sessions() {
    let app = TestApp::start(&[]).await;
    let id = app.webrtc().upload_p2p_video(upload(OFFER)).await.unwrap().into_inner().id;
    let mut client = app.recordings();
    for paused in [true, true, false, false, true] {
        let (answer, expected) = if paused {
            let answer = client.pause_recording(pause(&id)).await.unwrap().into_inner();
            (answer.state(), RecordingState::Paused)
        } else {
            let answer = client.resume_recording(resume(&id)).await.unwrap().into_inner();
            (answer.state(), RecordingState::Recording)
        };
        assert_eq!(answer, expected);
        let get = GetRecordingRequest { id: id.clone() };
        let row = client.get_recording(get).await.unwrap().into_inner().recording.unwrap();
        assert_eq!(row.state(), expected);
        let live = client.list_sessions(ListSessionsRequest {}).await.unwrap().into_inner().sessions;
        assert_eq!((live.len(), live[0].state()), (1, expected));
    }
    app.webrtc().stop_p2p_video(StopP2pVideoRequest { id: id.clone() }).await.unwrap();
    let ended = [
        client.pause_recording(pause(&id)).await.unwrap_err(),
        client.resume_recording(resume(&id)).await.unwrap_err(),
    ];
    for status in ended {
        assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
        assert_eq!(status.get_error_details().error_info().unwrap().reason, "SESSION_ENDED");
    }
    app.stop().await;
}

#[tokio::test]
async fn an_impossible_pause_is_refused() {
    let app = TestApp::start(&[("auth.tokens", TOKENS)]).await;
    let begun = app.webrtc().upload_p2p_video(with_token("recorder-token", upload(OFFER))).await.unwrap();
    let id = begun.into_inner().id;
    let both = async |token: &str, id: &str| -> [Status; 2] {
        let mut client = app.recordings();
        [
            client.pause_recording(with_token(token, pause(id))).await.unwrap_err(),
            client.resume_recording(with_token(token, resume(id))).await.unwrap_err(),
        ]
    };
    for (token, id, code) in [
        ("recorder-token", "x", Code::InvalidArgument),
        ("recorder-token", NOBODY, Code::NotFound),
        ("other-token", &id, Code::NotFound),
        ("viewer-token", &id, Code::PermissionDenied),
        ("no-token", &id, Code::Unauthenticated),
    ] {
        for status in both(token, id).await {
            assert_eq!(status.code(), code, "{token} {id}: {status}");
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn a_pause_is_forwarded_to_the_owner() {
    let shared = tempfile::tempdir().unwrap();
    let database = shared.path().join("recorder.db");
    let common = [("store.url", database.to_str().unwrap()), ("auth.tokens", TOKENS)];
    let owner = TestApp::start(&[&common[..], &[("node.id", "owner")]].concat()).await;
    let other = TestApp::start(&[&common[..], &[("node.id", "other")]].concat()).await;
    let begun = owner.webrtc().upload_p2p_video(with_token("recorder-token", upload(OFFER))).await.unwrap();
    let id = begun.into_inner().id;
    let live = async || {
        let list = with_token("recorder-token", ListSessionsRequest {});
        owner.recordings().list_sessions(list).await.unwrap().into_inner().sessions[0].state()
    };
    let mut client = other.recordings();
    client.pause_recording(with_token("recorder-token", pause(&id))).await.unwrap();
    assert_eq!(live().await, RecordingState::Paused);
    client.resume_recording(with_token("recorder-token", resume(&id))).await.unwrap();
    assert_eq!(live().await, RecordingState::Recording);
    let theirs = client.pause_recording(with_token("other-token", pause(&id))).await.unwrap_err();
    assert_eq!(theirs.code(), Code::NotFound);
    owner.stop().await;
    let gone = client.pause_recording(with_token("recorder-token", pause(&id))).await.unwrap_err();
    assert_eq!(gone.code(), Code::FailedPrecondition, "{gone}");
    other.stop().await;
}
