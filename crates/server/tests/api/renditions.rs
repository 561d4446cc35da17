//! Renditions, jobs and deletions, on rows without media. Other tests render real media.

use model::RecordingState as RowState;
use proto::recorder::v1::{self as pb, create_download_url_request, rendition_spec::Kind};
use store::Store as _;
use store_sqlite::SqliteStore;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::{
    downloads::download,
    rows::{ELSEWHERE, create, film, finalize, mp3, row, sound},
    support::{NOBODY, OFFER, TOKENS, TestApp, upload, with_token},
};

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().unwrap().reason.clone()
}

#[tokio::test]
async fn requesting_the_same_rendition_twice_makes_one() {
    let app = TestApp::start(&[]).await;
    let id = finalize(&app, &row("default", RowState::Processing, film())).await;
    let first = app.recordings().create_rendition(create(&id, mp3())).await.unwrap().into_inner();
    let again = app.recordings().create_rendition(create(&id, mp3())).await.unwrap().into_inner();
    assert!(first.created && !again.created);
    assert_eq!(first.rendition, again.rendition);
    let made = first.rendition.unwrap();
    assert_eq!((made.state(), made.kind.as_str()), (pb::RenditionState::Queued, "mp3"));
    assert_eq!(made.spec.unwrap().kind, Some(mp3()));
    let hangs_below = format!("/{id}/mp3-");
    assert!(
        made.object_key.contains(&hangs_below) && made.object_key.ends_with(".mp3"),
        "{}",
        made.object_key
    );

    let other = Kind::Mp3(pb::Mp3 { audio: Some(pb::AudioOptions { channels: 1, ..Default::default() }) });
    let other = app.recordings().create_rendition(create(&id, other)).await.unwrap().into_inner();
    assert!(other.created);
    let got = app.recordings().get_recording(pb::GetRecordingRequest { id: id.clone() }).await.unwrap();
    let ids: Vec<_> = got.into_inner().renditions.into_iter().map(|one| one.id).collect();
    assert_eq!(ids, [made.id, other.rendition.unwrap().id]);
    app.stop().await;
}

#[tokio::test]
async fn an_impossible_rendition_is_refused_with_the_reason() {
    let app = TestApp::start(&[]).await;
    let ready = finalize(&app, &row("default", RowState::Processing, sound())).await;
    let video = finalize(&app, &row("default", RowState::Processing, film())).await;
    let empty = finalize(&app, &row("default", RowState::Parked, Vec::new())).await;
    let live = app.webrtc().upload_p2p_video(upload(OFFER)).await.unwrap().into_inner().id;
    let stem = |track| Kind::Stem(pb::Stem { track, ..Default::default() });
    let sound_of = |track| Kind::Stem(pb::Stem { track, format: pb::StemFormat::Mp3.into() });
    let loud = pb::AudioOptions { bit_rate: 500_000, ..Default::default() };
    let loud = Kind::Mp3(pb::Mp3 { audio: Some(loud) });
    let wide = pb::VideoOptions { width: 1_000_000, ..Default::default() };
    let wide = Kind::Mp4(pb::Mp4 { video: Some(wide), audio: None });
    for (id, kind, code, want) in [
        ("x", mp3(), Code::InvalidArgument, "recording_id"),
        (NOBODY, mp3(), Code::NotFound, "RECORDING_NOT_FOUND"),
        (&*live, mp3(), Code::FailedPrecondition, "WRONG_STATE"),
        (&*empty, mp3(), Code::FailedPrecondition, "WRONG_STATE"),
        (&*ready, Kind::Thumbnail(pb::Thumbnail::default()), Code::FailedPrecondition, "NO_SUCH_MEDIA"),
        (&*ready, Kind::Mosaic(pb::Mosaic::default()), Code::FailedPrecondition, "NO_SUCH_MEDIA"),
        (&*ready, wide, Code::InvalidArgument, "spec.mp4.video.width"),
        (&*ready, stem(0), Code::InvalidArgument, "spec.stem.track"),
        (&*ready, stem(2), Code::InvalidArgument, "spec.stem.track"),
        (&*video, sound_of(1), Code::InvalidArgument, "spec.stem.format"),
        (&*ready, loud, Code::InvalidArgument, "spec.mp3.audio.bit_rate"),
    ] {
        let status = app.recordings().create_rendition(create(id, kind)).await.unwrap_err();
        assert_eq!(status.code(), code, "{kind:?}: {status}");
        let found = match status.get_error_details().bad_request() {
            Some(bad) => bad.field_violations[0].field.clone(),
            None => reason(&status),
        };
        assert_eq!(found, want, "{kind:?}: {status}");
    }
    let nothing = pb::CreateRenditionRequest { recording_id: ready, spec: None };
    let status = app.recordings().create_rendition(nothing).await.unwrap_err();
    assert_eq!(status.get_error_details().bad_request().unwrap().field_violations[0].field, "spec");
    app.stop().await;
}

#[tokio::test]
async fn jobs_are_listed_cancelled_and_retried() {
    let app = TestApp::start(&[]).await;
    let id = finalize(&app, &row("default", RowState::Processing, film())).await;
    let mut jobs = Vec::new();
    for kind in [mp3(), Kind::Wav(pb::Wav::default()), Kind::Waveform(pb::Waveform::default())] {
        let made = app.recordings().create_rendition(create(&id, kind)).await.unwrap().into_inner();
        jobs.insert(0, made.rendition.unwrap().job_id);
    }
    let list = async |request: pb::ListJobsRequest| {
        let page = app.recordings().list_jobs(request).await.unwrap().into_inner();
        (page.jobs.into_iter().map(|job| job.id).collect::<Vec<_>>(), page.next_page_token)
    };
    let request = pb::ListJobsRequest { recording_id: id, page_size: 2, ..Default::default() };
    let (page, token) = list(request.clone()).await;
    assert_eq!(page, jobs[..2]);
    assert_eq!(
        list(pb::ListJobsRequest { page_token: token, ..request.clone() }).await,
        (jobs[2..].to_vec(), String::new())
    );

    let cancel = pb::CancelJobRequest { id: jobs[0].clone() };
    for _ in 0..2 {
        let job = app.recordings().cancel_job(cancel.clone()).await.unwrap().into_inner().job.unwrap();
        assert_eq!((job.state(), job.kind()), (pb::JobState::Cancelled, pb::JobKind::Render));
    }
    let cancelled = pb::ListJobsRequest { state: pb::JobState::Cancelled.into(), ..Default::default() };
    assert_eq!(list(cancelled).await.0, [jobs[0].clone()]);
    let retry = pb::RetryJobRequest { id: jobs[0].clone() };
    let job = app.recordings().retry_job(retry.clone()).await.unwrap().into_inner().job.unwrap();
    assert_eq!(job.state(), pb::JobState::Queued);
    let status = app.recordings().retry_job(retry).await.unwrap_err();
    assert_eq!((status.code(), &*reason(&status)), (Code::FailedPrecondition, "WRONG_STATE"));

    for (id, code) in [("x", Code::InvalidArgument), (NOBODY, Code::NotFound)] {
        let id = id.to_owned();
        let cancel = app.recordings().cancel_job(pb::CancelJobRequest { id: id.clone() }).await;
        let retry = app.recordings().retry_job(pb::RetryJobRequest { id }).await;
        assert_eq!((cancel.unwrap_err().code(), retry.unwrap_err().code()), (code, code));
    }
    for bad in [
        pb::ListJobsRequest { page_size: -1, ..Default::default() },
        pb::ListJobsRequest { page_token: "x".to_owned(), ..Default::default() },
        pb::ListJobsRequest { recording_id: "x".to_owned(), ..Default::default() },
        pb::ListJobsRequest { kind: 99, ..Default::default() },
        pb::ListJobsRequest { state: 99, ..Default::default() },
    ] {
        let status = app.recordings().list_jobs(bad.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{bad:?}");
    }
    app.stop().await;
}

#[tokio::test]
async fn only_a_render_can_be_cancelled() {
    let app = TestApp::start(&[]).await;
    let id = finalize(&app, &row("default", RowState::Processing, film())).await;
    app.recordings().delete_recording(pb::DeleteRecordingRequest { id: id.clone() }).await.unwrap();
    let request = pb::ListJobsRequest { recording_id: id, ..Default::default() };
    let jobs = app.recordings().list_jobs(request).await.unwrap().into_inner().jobs;
    let bound = jobs.iter().find(|job| job.node == ELSEWHERE).unwrap();
    assert_eq!((bound.kind(), bound.state()), (pb::JobKind::Delete, pb::JobState::Queued));
    let status =
        app.recordings().cancel_job(pb::CancelJobRequest { id: bound.id.clone() }).await.unwrap_err();
    assert_eq!((status.code(), &*reason(&status)), (Code::FailedPrecondition, "NOT_CANCELLABLE"));
    app.stop().await;
}

#[tokio::test]
async fn a_deletion_can_be_repeated_is_audited_and_is_refused_for_a_live_session() {
    let app = TestApp::start(&[("auth.tokens", TOKENS)]).await;
    let recording = row("acme", RowState::Processing, film());
    let id = finalize(&app, &recording).await;
    let live = app.webrtc().upload_p2p_video(with_token("recorder-token", upload(OFFER))).await;
    let live = live.unwrap().into_inner().id;
    let delete = async |id: &str| {
        let request = pb::DeleteRecordingRequest { id: id.to_owned() };
        app.recordings().delete_recording(with_token("recorder-token", request)).await
    };
    for _ in 0..2 {
        delete(&id).await.unwrap();
    }
    let get = with_token("viewer-token", pb::GetRecordingRequest { id: id.clone() });
    let deleted = app.recordings().get_recording(get).await.unwrap().into_inner().recording.unwrap();
    assert_eq!(deleted.state(), pb::RecordingState::Deleted);
    let list = with_token("viewer-token", pb::ListRecordingsRequest::default());
    let listed = app.recordings().list_recordings(list).await.unwrap().into_inner().recordings;
    assert_eq!(listed.into_iter().map(|one| one.id).collect::<Vec<_>>(), std::slice::from_ref(&live));

    let store = SqliteStore::open(app.directory.path().join("recorder.db")).await.unwrap();
    let audit = store.audit_of(&recording.tenant, recording.id).await.unwrap();
    assert_eq!(audit.len(), 1);
    assert_eq!((audit[0].actor.as_str(), audit[0].action.as_str()), ("pbx", "DELETE_RECORDING"));

    let status = delete(&live).await.unwrap_err();
    assert_eq!((status.code(), &*reason(&status)), (Code::FailedPrecondition, "WRONG_STATE"));
    assert_eq!(delete("x").await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(delete(NOBODY).await.unwrap_err().code(), Code::NotFound);
    let status = app.recordings().create_rendition(with_token("recorder-token", create(&id, mp3()))).await;
    assert_eq!(status.unwrap_err().code(), Code::FailedPrecondition);
    app.stop().await;
}

#[tokio::test]
async fn a_viewer_may_only_read_and_another_tenant_finds_nothing() {
    use create_download_url_request::Source;
    let app = TestApp::start(&[("auth.tokens", TOKENS)]).await;
    let id = finalize(&app, &row("acme", RowState::Available, film())).await;
    let owner = with_token("recorder-token", create(&id, mp3()));
    let made = app.recordings().create_rendition(owner).await.unwrap().into_inner().rendition.unwrap();
    for (token, changing, looking) in [
        ("viewer-token", Code::PermissionDenied, None),
        ("other-token", Code::NotFound, Some(Code::NotFound)),
    ] {
        let code = |result: Result<(), Status>| result.err().map(|status| status.code());
        let mut client = app.recordings();
        let render = client.create_rendition(with_token(token, create(&id, mp3()))).await.map(drop);
        let cancel = pb::CancelJobRequest { id: made.job_id.clone() };
        let cancel = client.cancel_job(with_token(token, cancel)).await.map(drop);
        let retry = pb::RetryJobRequest { id: made.job_id.clone() };
        let retry = client.retry_job(with_token(token, retry)).await.map(drop);
        let delete = pb::DeleteRecordingRequest { id: id.clone() };
        let delete = client.delete_recording(with_token(token, delete)).await.map(drop);
        for refused in [render, cancel, retry, delete] {
            assert_eq!(code(refused), Some(changing), "{token}");
        }
        let watch = pb::WatchRecordingRequest { recording_id: id.clone() };
        let watch = client.watch_recording(with_token(token, watch)).await.map(drop);
        let link = download(Source::RecordingId(id.clone()));
        let link = client.create_download_url(with_token(token, link)).await.map(drop);
        for looked in [watch, link] {
            assert_eq!(code(looked), looking, "{token}");
        }
        let rendition = download(Source::RenditionId(made.id.clone()));
        let rendition = client.create_download_url(with_token(token, rendition)).await.map(drop);
        assert_eq!(code(rendition), Some(looking.unwrap_or(Code::FailedPrecondition)), "{token}");
        let jobs = client.list_jobs(with_token(token, pb::ListJobsRequest::default())).await.unwrap();
        assert_eq!(jobs.into_inner().jobs.is_empty(), looking.is_some(), "{token}");
    }
    let nobody = Request::new(pb::ListJobsRequest::default());
    assert_eq!(app.recordings().list_jobs(nobody).await.unwrap_err().code(), Code::Unauthenticated);
    app.stop().await;
}

#[tokio::test]
async fn a_refused_retry_gives_the_state_or_the_deletion_as_reason() {
    let app = TestApp::start(&[]).await;
    let id = finalize(&app, &row("default", RowState::Processing, film())).await;
    let made = app.recordings().create_rendition(create(&id, mp3())).await.unwrap().into_inner();
    let job = made.rendition.unwrap().job_id;
    let refusal = async || {
        let retry = app.recordings().retry_job(pb::RetryJobRequest { id: job.clone() }).await;
        let status = retry.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
        (reason(&status), status.message().to_owned())
    };
    let (why, message) = refusal().await;
    assert_eq!(why, "WRONG_STATE");
    assert!(message.contains("QUEUED") && !message.contains("deleted"), "{message}");
    app.recordings().delete_recording(pb::DeleteRecordingRequest { id }).await.unwrap();
    let (why, message) = refusal().await;
    assert_eq!((&*why, &*message), ("DELETED", "the recording of the job was deleted"));
    app.stop().await;
}
