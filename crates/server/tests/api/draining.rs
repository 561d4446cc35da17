//! The time between the shutdown signal and the exit.

use std::time::Duration;

use proto::recorder::v1::{EndReason, GetRecordingRequest, RecordingState};
use serde_json::json;
use testkit::servers::postgres::Postgres;
use tokio::time::{Instant, sleep, timeout};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::support::{OFFER, TestApp, answer, http, upload};

#[tokio::test]
async fn while_draining_new_sessions_are_refused_with_retry_info() {
    let postgres = Postgres::start();
    let url = postgres.create_database();
    let app = TestApp::start(&[("store.url", url.as_str())]).await;
    let live = app.webrtc().upload_p2p_video(upload(OFFER)).await.unwrap().into_inner().id;
    let mut client = app.webrtc();
    let (alive, ready, video) = (app.url("/healthz"), app.url("/readyz"), app.url("/webrtc/video"));
    let readiness = async || {
        let response = http().get(&ready).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(readiness().await, (200, "ready\n".to_owned()));

    // Finalizing can't complete before its row is committed.
    postgres.stop_immediately();
    let stopping = tokio::spawn(app.stop_and_return_files());
    let deadline = Instant::now() + Duration::from_secs(60);
    while readiness().await != (503, "draining\n".to_owned()) {
        assert!(Instant::now() < deadline, "{:?}", readiness().await);
        sleep(Duration::from_millis(20)).await;
    }
    // Liveness stays: a restart by an orchestrator would interrupt finalizing.
    assert_eq!(http().get(&alive).send().await.unwrap().status().as_u16(), 200);

    let status = client.upload_p2p_video(upload(OFFER)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "DRAINING");
    assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_secs(1)));
    let (code, body) = answer(http().post(&video).json(&json!({ "sdpOffer": OFFER }))).await;
    assert_eq!((code, &body["code"]), (503, &json!(14)), "{body}");
    assert!(!stopping.is_finished());

    postgres.start_again();
    let (ended, files) = timeout(Duration::from_secs(60), stopping).await.unwrap().unwrap();
    assert_eq!(ended.unfinished, 0);
    drop(files);
    let next = TestApp::start(&[("store.url", url.as_str())]).await;
    let row = next.recordings().get_recording(GetRecordingRequest { id: live }).await.unwrap().into_inner();
    let row = row.recording.unwrap();
    // No media was sent.
    assert_eq!((row.end_reason(), row.state()), (EndReason::Shutdown, RecordingState::Parked));
    next.stop().await;
}
