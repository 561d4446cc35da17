//! Segments in the API, on rows. Other tests make real segments.

use std::time::Duration;

use model::{RecordingId, Segment, SegmentState};
use proto::recorder::v1::{self as pb, rendition_spec::Kind};
use store::Store as _;
use store_sqlite::SqliteStore;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::support::{NOBODY, OFFER, TOKENS, TestApp, upload, with_token};

const MP3: &str = r#"{"kind":"mp3","audio":{}}"#;
const WAV: &str = r#"{"kind":"wav"}"#;

fn segment(recording: &str, parameters: &str, number: u32, state: SegmentState) -> Segment {
    Segment {
        recording: recording.parse::<RecordingId>().unwrap(),
        parameters: parameters.to_owned(),
        number,
        node: "a".parse().unwrap(),
        state,
        start: Duration::from_secs(10) * number,
        duration: Duration::from_secs(10),
        media_bytes: 1_000 + u64::from(number),
        bytes: if state == SegmentState::Done { 160_000 } else { 0 },
        error: (state == SegmentState::Failed).then(|| "killed by signal 9".to_owned()),
        created_at: chrono::Utc::now(),
    }
}

/// A live session with these rows of segments.
async fn session(app: &TestApp, segments: &[(&str, u32, SegmentState)]) -> String {
    let id = app.webrtc().upload_p2p_video(upload(OFFER)).await.unwrap().into_inner().id;
    let store = SqliteStore::open(app.directory.path().join("recorder.db")).await.unwrap();
    for (parameters, number, state) in segments {
        store.write_segment(&segment(&id, parameters, *number, *state)).await.unwrap();
    }
    id
}

fn list(id: &str) -> pb::ListSegmentsRequest {
    pb::ListSegmentsRequest { recording_id: id.to_owned(), ..Default::default() }
}

#[tokio::test]
async fn get_recording_counts_segments_by_state_and_the_buffered_time() {
    use SegmentState::{Done, Failed, InProgress, Queued};
    let app = TestApp::start(&[]).await;
    let id = session(
        &app,
        &[(MP3, 0, Done), (MP3, 1, Done), (MP3, 2, InProgress), (MP3, 3, Queued), (WAV, 0, Failed)],
    )
    .await;
    let got = app.recordings().get_recording(pb::GetRecordingRequest { id }).await.unwrap().into_inner();
    let [mp3, wav] = &got.segments[..] else { panic!("{:?}", got.segments) };
    assert_eq!(mp3.spec.unwrap().kind, Some(Kind::Mp3(pb::Mp3::default())));
    assert_eq!((mp3.queued, mp3.in_progress, mp3.done, mp3.failed), (1, 1, 2, 0));
    assert_eq!((mp3.buffered.unwrap().seconds, mp3.buffered_bytes), (20, 1_002 + 1_003));
    assert_eq!((mp3.done_bytes, mp3.error.as_str()), (320_000, ""));
    assert_eq!((wav.failed, wav.error.as_str()), (1, "killed by signal 9"));
    app.stop().await;
}

#[tokio::test]
async fn segments_are_listed_in_pages_and_by_state() {
    use SegmentState::{Done, InProgress};
    let app = TestApp::start(&[]).await;
    let states = [(MP3, 0, Done), (MP3, 1, Done), (MP3, 2, InProgress), (WAV, 0, Done), (WAV, 1, Done)];
    let id = session(&app, &states).await;
    let (mut listed, mut token) = (Vec::new(), String::new());
    loop {
        let request = pb::ListSegmentsRequest { page_size: 2, page_token: token, ..list(&id) };
        let page = app.recordings().list_segments(request).await.unwrap().into_inner();
        assert!(page.segments.len() <= 2);
        listed.extend(page.segments);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let numbers: Vec<_> = listed.iter().map(|segment| segment.number).collect();
    assert_eq!(numbers, [0, 1, 2, 0, 1]);
    assert_eq!((listed[2].state(), listed[2].start.unwrap().seconds), (pb::SegmentState::InProgress, 20));
    assert_eq!((listed[1].bytes, listed[1].recorded_bytes, listed[1].node.as_str()), (160_000, 1_001, "a"));
    let state = pb::SegmentState::InProgress.into();
    let some = pb::ListSegmentsRequest { state, ..list(&id) };
    let some = app.recordings().list_segments(some).await.unwrap().into_inner();
    assert_eq!((some.segments.len(), some.next_page_token.as_str()), (1, ""));
    app.stop().await;
}

#[tokio::test]
async fn invalid_list_segments_requests_are_refused() {
    let app = TestApp::start(&[("auth.tokens", TOKENS)]).await;
    for (request, code, want) in [
        (list("x"), Code::InvalidArgument, "recording_id"),
        (pb::ListSegmentsRequest { page_size: -1, ..list(NOBODY) }, Code::InvalidArgument, "page_size"),
        (
            pb::ListSegmentsRequest { page_token: "x".to_owned(), ..list(NOBODY) },
            Code::InvalidArgument,
            "page_token",
        ),
        (pb::ListSegmentsRequest { state: 99, ..list(NOBODY) }, Code::InvalidArgument, "state"),
        (list(NOBODY), Code::NotFound, ""),
    ] {
        let status = app.recordings().list_segments(with_token("viewer-token", request)).await.unwrap_err();
        let field = status.get_error_details().bad_request().map(|bad| bad.field_violations[0].field.clone());
        assert_eq!((status.code(), field.unwrap_or_default().as_str()), (code, want), "{status}");
    }
    app.stop().await;
}
