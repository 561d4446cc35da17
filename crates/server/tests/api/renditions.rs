//! What can be done with a recording: rows and answers. What is made of real media has tests of its own.

use std::time::Duration;

use model::{
    Channel, Codec, Container, EndReason, MediaKind, NodeId, Recording as Row, RecordingId,
    RecordingState as RowState, Source, TenantId, Track,
};
use proto::recorder::v1::{self as pb, create_download_url_request, rendition_spec::Kind};
use store::{Deletions as _, Sealed, Sessions as _};
use store_sqlite::SqliteStore;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::support::{NOBODY, OFFER, TOKENS, TestApp, http, upload, with_token};

/// Nobody runs the jobs of what is only in the database: its node is another.
const ELSEWHERE: &str = "elsewhere";

fn track(number: u32, kind: MediaKind, codec: Codec) -> Track {
    Track {
        number,
        mid: number.to_string(),
        kind,
        codec,
        width: 0,
        height: 0,
        start: Duration::ZERO,
        duration: Duration::from_secs(1),
        frames: 1,
        bytes: 1,
        packets_lost: 0,
    }
}

fn row(tenant: &str, state: RowState, tracks: Vec<Track>) -> Row {
    let (id, now) = (RecordingId::new(), chrono::Utc::now());
    let container = Some(Container::Webm).filter(|_| !tracks.is_empty());
    Row {
        id,
        tenant: tenant.parse::<TenantId>().unwrap(),
        name: "visit 7".to_owned(),
        correlation_id: String::new(),
        channel: Channel::Call,
        source: Source::Webrtc,
        node: ELSEWHERE.parse::<NodeId>().unwrap(),
        state,
        started_at: now,
        ended_at: Some(now),
        end_reason: Some(EndReason::Requested),
        object_key: container.map(|container| Row::object_key("records", id, now, container)),
        container,
        duration: Duration::from_secs(1),
        bytes: 5,
        sha256: Some("5e".repeat(32)),
        error: None,
        tracks,
        results: Vec::new(),
    }
}

fn film() -> Vec<Track> {
    vec![track(1, MediaKind::Video, Codec::Vp8), track(2, MediaKind::Audio, Codec::Opus)]
}

fn sound() -> Vec<Track> {
    vec![track(1, MediaKind::Audio, Codec::Opus)]
}

async fn seal(app: &TestApp, recording: &Row) -> String {
    let store = SqliteStore::open(app.directory.path().join("recorder.db")).await.unwrap();
    let sealed = Sealed { recording: recording.clone(), jobs: Vec::new(), renditions: Vec::new() };
    store.seal(&sealed).await.unwrap();
    recording.id.to_string()
}

fn create(id: &str, kind: Kind) -> pb::CreateRenditionRequest {
    let spec = Some(pb::RenditionSpec { kind: Some(kind) });
    pb::CreateRenditionRequest { recording_id: id.to_owned(), spec }
}

fn mp3() -> Kind {
    Kind::Mp3(pb::Mp3::default())
}

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().unwrap().reason.clone()
}

#[tokio::test]
async fn the_same_rendition_twice_is_one() {
    let app = TestApp::start(&[]).await;
    let id = seal(&app, &row("default", RowState::Processing, film())).await;
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
async fn what_can_not_be_made_is_refused_with_its_reason() {
    let app = TestApp::start(&[]).await;
    let ready = seal(&app, &row("default", RowState::Processing, sound())).await;
    let empty = seal(&app, &row("default", RowState::Parked, Vec::new())).await;
    let live = app.webrtc().upload_p2p_video(upload(OFFER)).await.unwrap().into_inner().id;
    let stem = |track| Kind::Stem(pb::Stem { track, ..Default::default() });
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
    ] {
        let status = app.recordings().create_rendition(create(id, kind)).await.unwrap_err();
        assert_eq!(status.code(), code, "{kind:?}: {status}");
        let told = match status.get_error_details().bad_request() {
            Some(bad) => bad.field_violations[0].field.clone(),
            None => reason(&status),
        };
        assert_eq!(told, want, "{kind:?}: {status}");
    }
    let nothing = pb::CreateRenditionRequest { recording_id: ready, spec: None };
    let status = app.recordings().create_rendition(nothing).await.unwrap_err();
    assert_eq!(status.get_error_details().bad_request().unwrap().field_violations[0].field, "spec");
    app.stop().await;
}

#[tokio::test]
async fn jobs_are_listed_cancelled_and_retried() {
    let app = TestApp::start(&[]).await;
    let id = seal(&app, &row("default", RowState::Processing, film())).await;
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
    let id = seal(&app, &row("default", RowState::Processing, film())).await;
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
async fn a_deletion_may_be_repeated_is_written_down_and_leaves_live_sessions_alone() {
    let app = TestApp::start(&[("auth.tokens", TOKENS)]).await;
    let recording = row("acme", RowState::Processing, film());
    let id = seal(&app, &recording).await;
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

fn download(source: create_download_url_request::Source) -> pb::CreateDownloadUrlRequest {
    pb::CreateDownloadUrlRequest { source: Some(source), ..Default::default() }
}

#[tokio::test]
async fn a_link_leads_to_the_file_or_a_part_of_it_until_it_is_over() {
    use create_download_url_request::Source;
    let app = TestApp::start(&[]).await;
    let recording = row("default", RowState::Available, film());
    let id = seal(&app, &recording).await;
    let object = app.directory.path().join("objects").join(recording.object_key.as_ref().unwrap());
    std::fs::create_dir_all(object.parent().unwrap()).unwrap();
    std::fs::write(&object, b"media").unwrap();

    let request = download(Source::RecordingId(id.clone()));
    let link = app.recordings().create_download_url(request.clone()).await.unwrap().into_inner();
    assert_eq!(link.file_name, "visit 7.webm");
    let lasts = link.expires_at.unwrap().seconds - chrono::Utc::now().timestamp();
    assert!((895..=901).contains(&lasts), "{lasts} s");
    assert!(link.url.starts_with(&app.url("/download/")), "{}", link.url);
    let response = http().get(&link.url).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    assert_eq!(response.headers()["content-disposition"], "attachment; filename=\"visit 7.webm\"");
    assert_eq!(response.headers()["content-type"], "video/webm");
    assert_eq!(response.headers()["accept-ranges"], "bytes");
    let tag = response.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(response.bytes().await.unwrap(), "media");

    for (range, code, place, body) in [
        ("bytes=1-2", 206, Some("bytes 1-2/5"), "ed"),
        ("bytes=-2", 206, Some("bytes 3-4/5"), "ia"),
        ("bytes=9-", 416, Some("bytes */5"), ""),
        ("bytes=0-0,2-2", 200, None, "media"),
    ] {
        let response = http().get(&link.url).header("range", range).send().await.unwrap();
        assert_eq!(response.status().as_u16(), code, "{range}");
        assert_eq!(response.headers().get("content-range").map(|place| place.to_str().unwrap()), place);
        assert_eq!(response.bytes().await.unwrap(), body, "{range}");
    }
    let head = http().head(&link.url).send().await.unwrap();
    assert_eq!((head.status().as_u16(), &head.headers()["content-length"]), (200, &"5".parse().unwrap()));
    let same = http().get(&link.url).header("if-none-match", tag).send().await.unwrap();
    assert_eq!(same.status().as_u16(), 304);

    let status = async |url: String| http().get(url).send().await.unwrap().status().as_u16();
    for changed in [
        link.url.replace("visit", "other"),
        link.url.replace("tenant=default", "tenant=acme"),
        link.url.replace("expires=", "expires=9"),
        format!("{}0", link.url),
    ] {
        assert_eq!(status(changed.clone()).await, 403, "{changed}");
    }
    let valid_for = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    let short = pb::CreateDownloadUrlRequest { valid_for, file_name: "a/ü.webm".to_owned(), ..request };
    let short = app.recordings().create_download_url(short).await.unwrap().into_inner();
    let response = http().get(&short.url).send().await.unwrap();
    let disposition = response.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert!(disposition.ends_with("filename*=UTF-8''a_%C3%BC.webm"), "{disposition}");
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(status(short.url).await, 410);

    app.recordings().delete_recording(pb::DeleteRecordingRequest { id }).await.unwrap();
    assert_eq!(status(link.url).await, 410);
    app.stop().await;
}

#[tokio::test]
async fn a_link_to_what_is_not_there_is_refused() {
    use create_download_url_request::Source;
    let app = TestApp::start(&[]).await;
    let id = seal(&app, &row("default", RowState::Processing, film())).await;
    app.recordings().create_rendition(create(&id, mp3())).await.unwrap();
    let recording = |id: &str| download(Source::RecordingId(id.to_owned()));
    let rendition = |id: &str| download(Source::RenditionId(id.to_owned()));
    let lasting = |seconds| pb::CreateDownloadUrlRequest {
        valid_for: Some(prost_types::Duration { seconds, nanos: 0 }),
        ..recording(&id)
    };
    let named = pb::CreateDownloadUrlRequest { file_name: "x".repeat(2000), ..recording(&id) };
    let waiting = made_id(&app, &id).await;
    for (request, code) in [
        (pb::CreateDownloadUrlRequest::default(), Code::InvalidArgument),
        (recording("x"), Code::InvalidArgument),
        (rendition("x"), Code::InvalidArgument),
        (lasting(0), Code::InvalidArgument),
        (lasting(-1), Code::InvalidArgument),
        (lasting(7 * 24 * 3600 + 1), Code::InvalidArgument),
        (named, Code::InvalidArgument),
        (recording(NOBODY), Code::NotFound),
        (rendition(NOBODY), Code::NotFound),
        (recording(&id), Code::FailedPrecondition),
        (rendition(&waiting), Code::FailedPrecondition),
    ] {
        let status = app.recordings().create_download_url(request.clone()).await.unwrap_err();
        assert_eq!(status.code(), code, "{request:?}: {status}");
    }
    app.stop().await;
}

async fn made_id(app: &TestApp, id: &str) -> String {
    let got = app.recordings().get_recording(pb::GetRecordingRequest { id: id.to_owned() }).await.unwrap();
    got.into_inner().renditions.remove(0).id
}

#[tokio::test]
async fn a_viewer_looks_watches_and_downloads_and_changes_nothing_and_another_tenant_finds_nothing() {
    use create_download_url_request::Source;
    let app = TestApp::start(&[("auth.tokens", TOKENS)]).await;
    let id = seal(&app, &row("acme", RowState::Available, film())).await;
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

type Shown = pb::watch_recording_response::Event;

#[tokio::test]
async fn a_watcher_is_told_the_state_and_each_change_until_the_deletion() {
    let app = TestApp::start(&[]).await;
    let id = seal(&app, &row("default", RowState::Processing, film())).await;
    let request = pb::WatchRecordingRequest { recording_id: id.clone() };
    let mut events = app.recordings().watch_recording(request).await.unwrap().into_inner();
    let mut next = async || {
        let event = tokio::time::timeout(Duration::from_secs(10), events.message()).await.unwrap().unwrap();
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
async fn a_shutdown_sends_watchers_away() {
    let app = TestApp::start(&[]).await;
    let id = seal(&app, &row("default", RowState::Processing, film())).await;
    let request = pb::WatchRecordingRequest { recording_id: id };
    let mut events = app.recordings().watch_recording(request).await.unwrap().into_inner();
    events.message().await.unwrap().unwrap();
    let began = std::time::Instant::now();
    app.stop().await;
    assert_eq!(events.message().await.unwrap_err().code(), Code::Unavailable);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}
