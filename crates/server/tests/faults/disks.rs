//! A full disk under each directory. Each disk is a small tmpfs in the recorder's own mount namespace
//! ([`RecorderConfig::disk`](testkit::recorder::RecorderConfig::disk)). A file of the test fills it, and removing the file makes
//! room again. RLIMIT_FSIZE gives another error than a full disk, and quotas need an administrator. The kernel must allow
//! unprivileged user namespaces; otherwise these tests fail with a message.

use std::{
    fs::File,
    io::Write as _,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use proto::recorder::v1::{
    CreateRenditionRequest, EndReason, GetRecordingRequest, JobKind, JobState, ListJobsRequest,
    ListRecordingsRequest, RecordingState, RenditionSpec, RenditionState, Wav, rendition_spec::Kind,
};
use testkit::{
    recorder::{Recorder, RecorderConfig},
    verify::decode_strictly,
};
use tonic::Code;

use crate::{
    ingest::{Push, length},
    render::{Client, PATIENCE, available, client, create, get, rendition},
    support::{TestBackend, files_in, ok, wait_for},
};

const DISK: u64 = 32 << 20;
/// Much less than a disk and more than half of one of these.
const SOUND: usize = 20 << 20;
const NO_PAUSE: Duration = Duration::ZERO;

async fn start(config: RecorderConfig) -> Recorder {
    let may = Command::new("unshare").args(["--user", "--map-root-user", "--mount", "true"]).output();
    let may = ok(may, "unshare, of util-linux");
    assert!(
        may.status.success(),
        "this kernel lets users have no namespaces, without which no disk can be filled: set the sysctls \
         user.max_user_namespaces above 0, kernel.unprivileged_userns_clone to 1 and \
         kernel.apparmor_restrict_unprivileged_userns to 0, where there are such, or give a container CAP_SYS_ADMIN: {}",
        String::from_utf8_lossy(&may.stderr)
    );
    let config = config
        .env("RECORDER__JOBS__FIRST_BACKOFF", "100ms")
        .env("RECORDER__JOBS__MAX_BACKOFF", "300ms")
        .env("RECORDER__LIMITS__MIN_FREE_BYTES", "0");
    ok(config.start().await, "the recorder")
}

/// A file that fills a disk except for `left` bytes. Dropping it removes the file.
struct Ballast(PathBuf);

impl Ballast {
    fn leaving(recorder: &Recorder, disk: &str, left: usize) -> Self {
        let path = recorder.inside(disk).join("ballast");
        let mut file = ok(File::create(&path), "the ballast");
        while file.write_all(&[1; 4096]).is_ok() {}
        let bytes = ok(file.metadata(), "the ballast").len();
        ok(file.set_len(bytes.saturating_sub(left as u64)), "the ballast");
        Self(path)
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        ok(std::fs::remove_file(&self.0), "the ballast");
    }
}

fn push(recorder: &Recorder, name: &str, bytes: usize) -> Push {
    Push::begin(recorder.channel(), name, bytes, NO_PAUSE)
}

/// Waits until a job of the recording has failed at least twice. Returns its error.
async fn failure(client: &mut Client, recording: &str, kind: JobKind) -> String {
    let mut last = Vec::new();
    let failed = wait_for(PATIENCE, async || {
        let request = ListJobsRequest { recording_id: recording.to_owned(), ..Default::default() };
        last = ok(client.list_jobs(request).await, "the jobs").into_inner().jobs;
        last.retain(|job| job.kind() == kind);
        last.iter().any(|job| job.state() == JobState::Failed && job.attempts >= 2)
    });
    assert!(failed.await, "{last:?}");
    last.pop().map(|job| job.error).unwrap_or_default()
}

#[tokio::test]
async fn a_full_spool_ends_the_session_and_what_was_written_is_stored() {
    let recorder = start(TestBackend::embedded().config().disk("spool", DISK)).await;
    let mut client = client(&recorder);
    let push = push(&recorder, "too much", 2 * DISK as usize);
    let answer = ok(push.end().await, "what fitted");
    assert_eq!(answer.end_reason(), EndReason::DiskFull);
    let recording = available(&mut client, &answer.id).await;
    assert_eq!(recording.end_reason(), EndReason::DiskFull);
    assert_eq!(recording.error, "");
    assert!(recording.bytes as u64 > DISK / 2 && recording.bytes as u64 <= DISK, "{recording:?}");
    let object = recorder.data_dir().join("objects").join(&recording.object_key);
    ok(decode_strictly(&object), "strict decoding");
    // The next session has room again.
    let local = recorder.inside("spool").join(&answer.id);
    assert!(wait_for(PATIENCE, async || !local.exists()).await, "{:?}", files_in(&local));
    let next = ok(self::push(&recorder, "next", 1 << 20).end().await, "the next");
    available(&mut client, &next.id).await;
}

#[tokio::test]
async fn a_full_work_directory_fails_renders_with_the_reason_until_there_is_room() {
    let recorder = start(
        TestBackend::embedded()
            .config()
            .env("RECORDER__JOBS__TRANSCODING_MAX_RETRY", "1000")
            .disk("work", DISK),
    )
    .await;
    let mut client = client(&recorder);
    let sound = ok(push(&recorder, "sound", SOUND).end().await, "the push");
    available(&mut client, &sound.id).await;
    // Hard links don't cross disks, so a run that reads the local copy fails when the copy is removed.
    let local = recorder.data_dir().join("spool").join(&sound.id);
    assert!(wait_for(PATIENCE, async || !local.exists()).await, "the local copy stays");
    let full = Ballast::leaving(&recorder, "work", SOUND / 2);
    let wav = create(&mut client, &sound.id, Kind::Wav(Wav::default())).await;
    let error = failure(&mut client, &sound.id, JobKind::Render).await;
    assert!(error.contains("the disk is full"), "{error:?}");
    let (recording, renditions) = get(&mut client, &sound.id).await;
    assert_eq!((recording.state(), recording.error.as_str()), (RecordingState::Available, ""));
    assert!(renditions.iter().all(|one| one.error.contains("the disk is full")), "{renditions:?}");
    drop(full);
    let made = rendition(&mut client, &wav, RenditionState::Available).await;
    assert_eq!(made.error, "");
    ok(decode_strictly(&recorder.data_dir().join("objects").join(&made.object_key)), "strict decoding");
    let work = recorder.inside("work");
    assert!(wait_for(PATIENCE, async || files_in(&work).is_empty()).await, "{:?}", files_in(&work));
}

#[tokio::test]
async fn a_full_segment_directory_loses_only_segments() {
    let config = TestBackend::embedded()
        .config()
        .env("RECORDER__RENDITIONS", r#"[{ kind = "wav", while_recording = true }]"#)
        .env("RECORDER__SEGMENTS__INTERVAL", "1s")
        .env("RECORDER__SPOOL__SYNC_INTERVAL", "300ms");
    let recorder = start(config.disk("segments", DISK)).await;
    let mut client = client(&recorder);
    // It has room for two seconds.
    let full = Ballast::leaving(&recorder, "segments", 400_000);
    let live = Push::begin(recorder.channel(), "live", 8 << 20, Duration::from_millis(250));
    let request = || ListRecordingsRequest { name: "live".to_owned(), ..Default::default() };
    let mut last = None;
    let failed = wait_for(PATIENCE, async || {
        let listed = ok(client.list_recordings(request()).await, "the list").into_inner().recordings;
        let Some(found) = listed.first() else { return false };
        let get = GetRecordingRequest { id: found.id.clone() };
        last = ok(client.get_recording(get).await, "the recording").into_inner().segments.pop();
        last.as_ref().is_some_and(|segments| segments.error.contains("the disk is full"))
    });
    assert!(failed.await, "{last:?}");
    let sound = ok(live.end().await, "the push");
    assert_eq!(sound.duration.map(|one| one.seconds as u64), Some(length(8 << 20).as_secs()));
    let recording = available(&mut client, &sound.id).await;
    assert_eq!((recording.error.as_str(), recording.end_reason()), ("", EndReason::Requested));
    let (_, made) = get(&mut client, &sound.id).await;
    let wav = rendition(&mut client, &made[0], RenditionState::Available).await;
    assert_eq!((wav.error.as_str(), wav.duration), ("", sound.duration));
    let objects = recorder.data_dir().join("objects");
    for key in [&recording.object_key, &wav.object_key] {
        ok(decode_strictly(&objects.join(key)), "strict decoding");
    }
    drop(full);
    let segments = recorder.inside("segments");
    assert!(wait_for(PATIENCE, async || files_in(&segments).is_empty()).await, "{:?}", files_in(&segments));
    let request = GetRecordingRequest { id: sound.id };
    let segments = ok(client.get_recording(request).await, "the recording").into_inner().segments;
    assert_eq!(segments, []);
}

#[tokio::test]
async fn with_a_full_object_directory_the_local_file_is_retained_until_there_is_room() {
    let recorder = start(TestBackend::embedded().config().disk("objects", DISK)).await;
    let mut client = client(&recorder);
    let full = Ballast::leaving(&recorder, "objects", SOUND / 2);
    let sound = ok(push(&recorder, "sound", SOUND).end().await, "the push");
    let error = failure(&mut client, &sound.id, JobKind::Upload).await;
    assert!(error.contains("No space left on device"), "{error:?}");
    let (recording, _) = get(&mut client, &sound.id).await;
    assert_eq!(recording.state(), RecordingState::Processing);
    let local = recorder.data_dir().join("spool").join(&sound.id).join(format!("{}.mkv", sound.id));
    assert_eq!(ok(std::fs::metadata(&local), "the local file").len(), sound.bytes as u64);
    drop(full);
    let recording = available(&mut client, &sound.id).await;
    assert_eq!(recording.error, "");
    let objects = recorder.inside("objects");
    ok(decode_strictly(&objects.join(&recording.object_key)), "strict decoding");
    assert!(wait_for(PATIENCE, async || !local.exists()).await, "the local copy stays");
    assert_eq!(files_in(&objects.join(".incoming")), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn with_a_full_database_disk_new_sessions_are_refused_and_live_ones_are_not_lost() {
    let config = TestBackend::embedded().config().env("RECORDER__STORE__URL", "database/recorder.db");
    let recorder = start(config.disk("database", DISK)).await;
    let mut client = client(&recorder);
    // Two seconds. The disk fills up halfway.
    let live = Push::begin(recorder.channel(), "live", 4 << 20, Duration::from_millis(125));
    let begun = wait_for(PATIENCE, async || {
        let request = ListRecordingsRequest { name: "live".to_owned(), ..Default::default() };
        !ok(client.list_recordings(request).await, "the recordings").into_inner().recordings.is_empty()
    });
    assert!(begun.await, "no session has begun");
    let full = Ballast::leaving(&recorder, "database", 0);
    let (mut stored, begun) = (Vec::new(), Instant::now());
    let refused = loop {
        // The database accepts sessions while its write-ahead log has room.
        match push(&recorder, "small", 1 << 10).end().await {
            Ok(answer) => stored.push(answer),
            Err(status) => break status,
        }
        assert!(begun.elapsed() < PATIENCE, "a full disk takes everything");
    };
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    let spec = Some(RenditionSpec { kind: Some(Kind::Wav(Wav::default())) });
    for recording in &stored {
        let request = CreateRenditionRequest { recording_id: recording.id.clone(), spec };
        let made = client.create_rendition(request).await.map(drop).map_err(|status| status.code());
        assert!(matches!(made, Ok(()) | Err(Code::Unavailable)), "{made:?}");
    }
    // The live session ends while the disk is full.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    drop(full);
    let live = ok(live.end().await, "the end of what was live").id;
    let recording = available(&mut client, &live).await;
    assert_eq!(recording.duration.map(|one| one.seconds as u64), Some(length(4 << 20).as_secs()));
    for recording in &stored {
        available(&mut client, &recording.id).await;
    }
    let next = ok(push(&recorder, "next", 1 << 20).end().await, "the push after there is room again");
    available(&mut client, &next.id).await;
}
