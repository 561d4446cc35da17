//! `WatchRecording`.

use std::time::Duration;

use model::RecordingState as RowState;
use proto::recorder::v1 as pb;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::{
    rows::{create, film, finalize, mp3, row},
    support::{NOBODY, TestApp},
};

type Shown = pb::watch_recording_response::Event;

#[tokio::test]
async fn a_watch_sends_the_state_and_each_change_until_the_deletion() {
    let app = TestApp::start(&[]).await;
    let id = finalize(&app, &row("default", RowState::Processing, film())).await;
    let request = pb::WatchRecordingRequest { recording_id: id.clone() };
    let mut events = app.recordings().watch_recording(request).await.unwrap().into_inner();
    let mut next = async || {
        let event = tokio::time::timeout(Duration::from_secs(60), events.message()).await.unwrap().unwrap();
        event.map(|event| event.event.unwrap())
    };
    let Some(Shown::Recording(recording)) = next().await else { panic!("no recording") };
    assert_eq!((recording.id.as_str(), recording.state()), (id.as_str(), pb::RecordingState::Processing));

    let made = app.recordings().create_rendition(create(&id, mp3())).await.unwrap().into_inner();
    let made = made.rendition.unwrap();
    let Some(Shown::Rendition(rendition)) = next().await else { panic!("no rendition") };
    assert_eq!(rendition, made);
    let Some(Shown::Job(job)) = next().await else { panic!("no job") };
    assert_eq!((job.id.as_str(), job.rendition_id.as_str()), (made.job_id.as_str(), made.id.as_str()));

    app.recordings().cancel_job(pb::CancelJobRequest { id: made.job_id }).await.unwrap();
    let Some(Shown::Rendition(rendition)) = next().await else { panic!("no rendition") };
    assert_eq!(rendition.state(), pb::RenditionState::Cancelled);
    let Some(Shown::Job(job)) = next().await else { panic!("no job") };
    assert_eq!(job.state(), pb::JobState::Cancelled);

    app.recordings().delete_recording(pb::DeleteRecordingRequest { id }).await.unwrap();
    let Some(Shown::Recording(recording)) = next().await else { panic!("no recording") };
    assert_eq!(recording.state(), pb::RecordingState::Deleted);
    for (recording_id, code) in [("x", Code::InvalidArgument), (NOBODY, Code::NotFound)] {
        let request = pb::WatchRecordingRequest { recording_id: recording_id.to_owned() };
        assert_eq!(app.recordings().watch_recording(request).await.unwrap_err().code(), code);
    }
    app.stop().await;
}

#[tokio::test]
async fn shutdown_ends_watches_with_unavailable() {
    let app = TestApp::start(&[]).await;
    let id = finalize(&app, &row("default", RowState::Processing, film())).await;
    let request = pb::WatchRecordingRequest { recording_id: id };
    let mut events = app.recordings().watch_recording(request).await.unwrap().into_inner();
    events.message().await.unwrap().unwrap();
    let began = std::time::Instant::now();
    app.stop().await;
    let status = events.message().await.unwrap_err();
    // The watch ended with a status before the connection was closed.
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert_eq!(status.get_error_details().error_info().unwrap().reason, "DRAINING", "{status}");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}
