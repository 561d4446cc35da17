//! Renditions of a real recording, from its end to its deletion.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use proto::recorder::v1::{
    self as pb, create_download_url_request::Source, recording_service_client::RecordingServiceClient,
    rendition_spec::Kind, watch_recording_response::Event,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use testkit::{
    call::Call,
    recorder::Recorder,
    sender::SenderConfig,
    signal::Codec,
    verify::{decode_strictly, probe},
};
use tonic::{Code, Streaming, transport::Channel};

use crate::support::{TestBackend, beep, driver, ok, played, sender, video, wait_for};

type Client = RecordingServiceClient<Channel>;

const SECONDS: u64 = 4;
/// The promised time of a cancellation. The test prints how often a busy machine achieves it; unit tests enforce it.
const A_MOMENT: Duration = Duration::from_millis(200);
/// Without a notification, a run would notice its cancellation one second after its last progress.
const WITHOUT_NOTIFICATION: Duration = Duration::from_secs(1);
/// Time-out of a rendition, long enough for a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);

/// Records the test signal and stops.
async fn record(recorder: &Recorder) -> String {
    let driver = driver();
    let mut client = recorder.client();
    let play_for = Some(Duration::from_secs(SECONDS));
    let config = SenderConfig { play_for, ..SenderConfig::playing([video(Codec::Vp8), beep()]) };
    let session = sender(&driver, config).await;
    let call = ok(Call::begin(&mut client, &session, "visit").await, "the offer");
    let mut recordings = RecordingServiceClient::new(recorder.channel());
    let live = recordings.delete_recording(pb::DeleteRecordingRequest { id: call.id.clone() }).await;
    assert_eq!(live.map(drop).map_err(|status| status.code()), Err(Code::FailedPrecondition));
    played(&session, SECONDS * 30).await;
    let sessions = recordings.list_sessions(pb::ListSessionsRequest {}).await;
    let sessions = ok(sessions, "the sessions").into_inner().sessions;
    let tracks = sessions.first().map(|session| session.tracks.clone()).unwrap_or_default();
    let codecs: Vec<_> = tracks.iter().map(pb::SessionTrack::codec).collect();
    assert!(codecs.contains(&pb::Codec::Vp8) && codecs.contains(&pb::Codec::Opus), "{tracks:?}");
    assert!(tracks.iter().all(|track| track.bit_rate > 5_000 && track.loss < 0.5), "{tracks:?}");
    ok(call.stop(&mut client).await, "the stop");
    call.id
}

pub(super) async fn create(client: &mut Client, id: &str, kind: Kind) -> pb::Rendition {
    let spec = Some(pb::RenditionSpec { kind: Some(kind) });
    let request = pb::CreateRenditionRequest { recording_id: id.to_owned(), spec };
    let created = ok(client.create_rendition(request).await, "the rendition").into_inner();
    created.rendition.unwrap_or_default()
}

pub(super) async fn watch(client: &mut Client, id: &str) -> Streaming<pb::WatchRecordingResponse> {
    let request = pb::WatchRecordingRequest { recording_id: id.to_owned() };
    ok(client.watch_recording(request).await, "the watch").into_inner()
}

/// Waits for the next event that `select` accepts.
pub(super) async fn until<T>(
    events: &mut Streaming<pb::WatchRecordingResponse>,
    select: impl Fn(Event) -> Option<T>,
) -> T {
    let found = async {
        loop {
            let event = ok(events.message().await, "an event").and_then(|event| event.event);
            if let Some(found) = event.and_then(&select) {
                return found;
            }
        }
    };
    ok(tokio::time::timeout(PATIENCE, found).await, "what is watched for")
}

/// Waits until a rendition of this kind is available.
pub(super) async fn made(events: &mut Streaming<pb::WatchRecordingResponse>, kind: &str) -> pb::Rendition {
    let made = until(events, |event| match event {
        Event::Rendition(rendition) if rendition.kind == kind => match rendition.state() {
            pb::RenditionState::Available | pb::RenditionState::Parked => Some(rendition),
            _ => None,
        },
        _ => None,
    });
    let made = made.await;
    assert_eq!(made.state(), pb::RenditionState::Available, "{made:?}");
    made
}

pub(super) async fn link(client: &mut Client, source: Source) -> pb::CreateDownloadUrlResponse {
    let request = pb::CreateDownloadUrlRequest { source: Some(source), ..Default::default() };
    ok(client.create_download_url(request).await, "the link").into_inner()
}

pub(super) fn http() -> reqwest::Client {
    // Fails if another test has installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

pub(super) async fn download(url: &str, to: &Path) {
    let response = ok(http().get(url).send().await, "the download");
    assert_eq!(response.status().as_u16(), 200, "{url}");
    ok(std::fs::write(to, ok(response.bytes().await, "its bytes")), "the file");
}

pub async fn a_recording_is_rendered_watched_downloaded_and_deleted(backend: &TestBackend) {
    let default_renditions =
        r#"[{ kind = "mp3" }, { kind = "thumbnail" }, { tenant = "other", kind = "wav" }]"#;
    let recorder =
        ok(backend.config().env("RECORDER__RENDITIONS", default_renditions).start().await, "the recorder");
    let mut client = RecordingServiceClient::new(recorder.channel());
    let id = record(&recorder).await;
    let mut events = watch(&mut client, &id).await;

    // The default renditions are made without a call.
    let got = ok(client.get_recording(pb::GetRecordingRequest { id: id.clone() }).await, "the recording");
    let mut kinds: Vec<_> = got.into_inner().renditions.into_iter().map(|one| one.kind).collect();
    kinds.sort();
    assert_eq!(kinds, ["mp3", "thumbnail"]);
    let small = pb::VideoOptions { height: 120, ..Default::default() };
    create(&mut client, &id, Kind::Mp4(pb::Mp4 { video: Some(small), audio: None })).await;
    create(&mut client, &id, Kind::Waveform(pb::Waveform::default())).await;
    let stem = Kind::Stem(pb::Stem { track: 2, format: pb::StemFormat::Wav.into() });
    create(&mut client, &id, stem).await;
    let mut files = Vec::new();
    let mut waiting = vec!["mp3", "thumbnail", "mp4", "waveform", "stem"];
    while !waiting.is_empty() {
        let one = until(&mut events, |event| match event {
            Event::Rendition(one) if one.state() == pb::RenditionState::Available => Some(one),
            Event::Rendition(one) if one.state() == pb::RenditionState::Parked => Some(one),
            _ => None,
        });
        let one = one.await;
        assert_eq!(one.state(), pb::RenditionState::Available, "{one:?}");
        waiting.retain(|kind| *kind != one.kind);
        files.push(one);
    }
    let folder = ok(tempfile::tempdir(), "a directory");
    for one in &files {
        let link = link(&mut client, Source::RenditionId(one.id.clone())).await;
        let path = folder.path().join(&link.file_name);
        download(&link.url, &path).await;
        check(one, &path);
    }
    let jobs = pb::ListJobsRequest { recording_id: id.clone(), ..Default::default() };
    let jobs = ok(client.list_jobs(jobs).await, "the jobs").into_inner().jobs;
    let renders = jobs.iter().filter(|job| job.kind() == pb::JobKind::Render);
    assert!(renders.clone().all(|job| job.state() == pb::JobState::Done && job.progress.is_some()));
    assert_eq!(renders.count(), 5);

    let whole = link(&mut client, Source::RecordingId(id.clone())).await;
    assert_eq!(whole.file_name, "visit.webm");
    let response = http().get(&whole.url).header("range", "bytes=0-3").send().await;
    let response = ok(response, "a range");
    assert_eq!(response.status().as_u16(), 206);
    let disposition = response.headers()["content-disposition"].to_str().unwrap_or_default().to_owned();
    assert_eq!(disposition, "attachment; filename=\"visit.webm\"");
    // The EBML header's id (RFC 8794 §11.2.1).
    assert_eq!(ok(response.bytes().await, "its bytes").as_ref(), [0x1A, 0x45, 0xDF, 0xA3]);

    for _ in 0..2 {
        let delete = client.delete_recording(pb::DeleteRecordingRequest { id: id.clone() });
        ok(delete.await, "the deletion");
    }
    let is_deleted = until(&mut events, |event| match event {
        Event::Recording(recording) => Some(recording.state()),
        _ => None,
    });
    assert_eq!(is_deleted.await, pb::RecordingState::Deleted);
    let first = files.first().map(|one| one.id.clone()).unwrap_or_default();
    let request =
        pb::CreateDownloadUrlRequest { source: Some(Source::RenditionId(first)), ..Default::default() };
    let refused = client.create_download_url(request).await;
    assert_eq!(refused.map(drop).map_err(|status| status.code()), Err(Code::FailedPrecondition));
    let gone = wait_for(PATIENCE, async || {
        let response = ok(http().get(&whole.url).send().await, "a download of what was deleted");
        matches!(response.status().as_u16(), 404 | 410)
            && recorder.objects().is_empty()
            && !recorder.data_dir().join("spool").join(&id).exists()
    });
    assert!(gone.await, "objects: {:?}", recorder.objects());
    assert_eq!(work(&recorder), Vec::<PathBuf>::new());
}

fn check(rendition: &pb::Rendition, file: &Path) {
    let bytes = ok(std::fs::metadata(file), "the file").len();
    assert_eq!(bytes as i64, rendition.bytes, "{rendition:?}");
    let seconds = rendition.duration.map_or(0.0, |one| one.seconds as f64 + f64::from(one.nanos) / 1e9);
    if rendition.kind == "waveform" {
        let text = ok(std::fs::read_to_string(file), "the peaks");
        assert!(text.starts_with('{') && text.contains("\"data\""), "{text}");
        return;
    }
    let probed = ok(probe(file), "the file's headers");
    let codecs = |kind| probed.codecs(kind);
    match rendition.kind.as_str() {
        "mp4" => {
            assert_eq!((codecs("video"), codecs("audio")), (vec!["h264"], vec!["aac"]));
            assert_eq!((rendition.width, rendition.height), (160, 120));
        }
        "mp3" => assert_eq!((codecs("video"), codecs("audio")), (vec![], vec!["mp3"])),
        "stem" => assert_eq!((codecs("video"), codecs("audio")), (vec![], vec!["pcm_s16le"])),
        "thumbnail" => return assert_eq!(codecs("video"), ["mjpeg"]),
        other => assert_eq!(other, "", "not judged"),
    }
    ok(decode_strictly(file), "strict decoding");
    let want = SECONDS as f64;
    assert!((seconds - want).abs() < 0.3, "{seconds} s of {want} s in {rendition:?}");
}

/// The entries of the work directory of renders.
fn work(recorder: &Recorder) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(recorder.data_dir().join("work")).into_iter().flatten();
    entries.flatten().map(|entry| entry.path()).collect()
}

/// Child processes of the recorder.
pub(super) fn children(recorder: &Recorder) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", recorder.pid())).into_iter().flatten();
    let lists = tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists.map(|list| list.split_whitespace().count()).sum()
}

pub async fn a_cancelled_render_stops_at_once_and_leaves_no_files(backend: &TestBackend) {
    let recorder = backend.start().await;
    let mut client = RecordingServiceClient::new(recorder.channel());
    let id = record(&recorder).await;
    let mut events = watch(&mut client, &id).await;
    // It takes long and reports progress early.
    let preset = pb::Preset::Slower.into();
    let video = pb::VideoOptions { width: 1920, height: 1080, preset, ..Default::default() };
    let large = Kind::Mp4(pb::Mp4 { video: Some(video), audio: None });
    let mut took = Vec::new();
    while took.len() < 5 && took.iter().all(|took| *took >= A_MOMENT) {
        let rendition = create(&mut client, &id, large).await;
        let progress = until(&mut events, |event| match event {
            Event::Job(job) if job.id == rendition.job_id => job.progress.filter(|now| now.percent > 0.0),
            _ => None,
        });
        let progress = progress.await;
        assert!(progress.percent < 100.0 && progress.speed > 0.0, "{progress:?}");
        assert_eq!(children(&recorder), 1);

        let asked = Instant::now();
        let cancel = client.cancel_job(pb::CancelJobRequest { id: rendition.job_id.clone() });
        ok(cancel.await, "the cancellation");
        while children(&recorder) > 0 || !work(&recorder).is_empty() {
            assert!(asked.elapsed() < Duration::from_secs(10), "the render continues");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        took.push(asked.elapsed());
        let state = until(&mut events, |event| match event {
            Event::Rendition(one) if one.id == rendition.id => Some(one.state()),
            _ => None,
        });
        assert_eq!(state.await, pb::RenditionState::Cancelled);
    }
    eprintln!("no process and file left after {took:?}");
    assert!(took.iter().any(|took| *took < WITHOUT_NOTIFICATION), "no process and file left after {took:?}");

    // A cancelled rendition can be requested again, also with other parameters.
    create(&mut client, &id, Kind::OggOpus(pb::OggOpus::default())).await;
    made(&mut events, "ogg_opus").await;
}

pub async fn an_unreadable_object_parks_the_rendition_and_not_the_recording(backend: &TestBackend) {
    let recorder = backend.start().await;
    let mut client = RecordingServiceClient::new(recorder.channel());
    let id = record(&recorder).await;
    let mut events = watch(&mut client, &id).await;
    until(&mut events, |event| match event {
        Event::Job(job) if job.kind() == pb::JobKind::CleanUp => {
            Some(()).filter(|()| job.state() == pb::JobState::Done)
        }
        _ => None,
    })
    .await;
    backend.corrupt(&recorder, &id).await;
    let rendition = create(&mut client, &id, Kind::Mp3(pb::Mp3::default())).await;
    let parked = until(&mut events, |event| match event {
        Event::Rendition(one) if one.id == rendition.id && one.state() == pb::RenditionState::Parked => {
            Some(one)
        }
        _ => None,
    });
    let parked = parked.await;
    assert!(!parked.error.is_empty(), "{parked:?}");
    let got = ok(client.get_recording(pb::GetRecordingRequest { id }).await, "the recording");
    let state = got.into_inner().recording.map(|recording| recording.state());
    assert_eq!(state, Some(pb::RecordingState::Available));
}

pub async fn retention_deletes_old_recordings(backend: &TestBackend) {
    let rules = r#"[{ after = "1s" }, { tenant = "other", after = "1ms" }]"#;
    let config =
        backend.config().env("RECORDER__RETENTION", rules).env("RECORDER__JOBS__RETENTION_INTERVAL", "200ms");
    let recorder = ok(config.start().await, "the recorder");
    let mut client = RecordingServiceClient::new(recorder.channel());
    let id = record(&recorder).await;
    let mut events = watch(&mut client, &id).await;
    let deleted = until(&mut events, |event| match event {
        Event::Recording(recording) => Some(()).filter(|()| recording.state() == pb::RecordingState::Deleted),
        _ => None,
    });
    deleted.await;
    assert!(wait_for(PATIENCE, async || recorder.objects().is_empty()).await, "{:?}", recorder.objects());
    let mut metrics = String::new();
    for want in [
        "recorder_retention_deleted_total 1",
        "recorder_jobs_enqueued_total{kind=\"DELETE\"}",
        "recorder_jobs_enqueued_total{kind=\"UPLOAD\"} 1",
        "recorder_jobs_succeeded_total{kind=\"DELETE\"}",
        "recorder_job_duration_seconds_count{kind=\"UPLOAD\"} 1",
    ] {
        // A job is counted shortly after its work is done.
        let counted = wait_for(PATIENCE, async || {
            let said = http().get(format!("http://{}/metrics", recorder.http())).send().await;
            metrics = ok(ok(said, "metrics").text().await, "metrics");
            metrics.contains(want)
        });
        assert!(counted.await, "{want} is not in\n{metrics}");
    }
}

/// Kills the recorder at `rounds` moments while it renders, and once right after a deletion.
pub async fn kills_while_rendering_and_deleting_lose_nothing_and_leave_no_files(
    backend: &TestBackend,
    rounds: u32,
) {
    let config = backend.config().env("RECORDER__JOBS__LEASE", "3s").env("RECORDER__JOBS__POLL", "200ms");
    let mut recorder = ok(config.start().await, "the recorder");
    let mut client = RecordingServiceClient::new(recorder.channel());
    let id = record(&recorder).await;
    let mut random = StdRng::seed_from_u64(7);
    let mut requested = Vec::new();
    for round in 0..rounds {
        let height = 64 + 2 * i32::try_from(round).unwrap_or_default();
        let video = Some(pb::VideoOptions { height, ..Default::default() });
        requested.push(create(&mut client, &id, Kind::Mp4(pb::Mp4 { video, audio: None })).await.id);
        tokio::time::sleep(Duration::from_millis(random.random_range(0..1500))).await;
        recorder.kill9();
        ok(recorder.restart().await, "the restart");
        client = RecordingServiceClient::new(recorder.channel());
    }
    let get = async |client: &mut Client| {
        let got = client.get_recording(pb::GetRecordingRequest { id: id.clone() });
        ok(got.await, "the recording").into_inner()
    };
    let made = wait_for(PATIENCE, async || {
        let renditions = get(&mut client).await.renditions;
        renditions.iter().all(|one| one.state() == pb::RenditionState::Available)
    });
    assert!(made.await, "{:?}", get(&mut client).await);
    let got = get(&mut client).await;
    assert_eq!(got.recording.map(|recording| recording.state()), Some(pb::RecordingState::Available));
    assert_eq!(got.renditions.into_iter().map(|one| one.id).collect::<Vec<_>>(), requested);
    if matches!(backend, TestBackend::Embedded) {
        assert_eq!(recorder.objects().len(), requested.len() + 1, "{:?}", recorder.objects());
    }
    assert!(wait_for(PATIENCE, async || work(&recorder).is_empty()).await, "{:?}", work(&recorder));
    let folder = ok(tempfile::tempdir(), "a directory");
    for rendition in requested {
        let link = link(&mut client, Source::RenditionId(rendition)).await;
        let path = folder.path().join("film.mp4");
        download(&link.url, &path).await;
        ok(decode_strictly(&path), "strict decoding");
    }
    let whole = link(&mut client, Source::RecordingId(id.clone())).await;
    ok(client.delete_recording(pb::DeleteRecordingRequest { id: id.clone() }).await, "the deletion");
    recorder.kill9();
    ok(recorder.restart().await, "the restart");
    let gone = wait_for(PATIENCE, async || {
        let response = ok(http().get(&whole.url).send().await, "a download of what was deleted");
        matches!(response.status().as_u16(), 404 | 410) && recorder.objects().is_empty()
    });
    assert!(gone.await, "objects: {:?}", recorder.objects());
}
