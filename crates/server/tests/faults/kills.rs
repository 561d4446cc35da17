//! SIGKILL at random moments while recordings are recorded, rendered in segments, uploaded, rendered, joined, cancelled and
//! deleted, all at the same time.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use blob::{BlobError, BlobStore as _, PartUploads as _, S3};
use model::{
    Job, JobKind, JobState, Recording, RecordingId, RecordingState, Rendition, RenditionId, RenditionState,
    Segment, TenantId,
};
use proto::recorder::v1::{DeleteRecordingRequest, recording_service_client::RecordingServiceClient};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use store::{RecordingFilter, Store as _};
use store_postgres::PostgresStore;
use testkit::{
    recorder::{Recorder, RecorderConfig},
    verify::{decode_strictly, probe},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::{
    ingest::{Push, length},
    support::{TestBackend, files_in, ok, wait_for},
};

/// Audio of three parts of the minimum size. Two parts are uploaded while it is recorded.
const BYTES: usize = 13 << 20;
/// Interval between two messages. The whole push takes 1.5 s.
const PUSH_INTERVAL: Duration = Duration::from_millis(30);
/// The error of a recording that was killed before any audio was on the disk.
const NO_MEDIA: &str = model::Recording::NO_MEDIA;
/// With at least this many kills, each kind of work must have been interrupted.
const MANY: usize = 30;
const KINDS: [JobKind; 3] = [JobKind::Upload, JobKind::Render, JobKind::Delete];

/// Two renditions of each recording: one is made while recording, the other is a file in several parts.
fn config(backend: &TestBackend) -> RecorderConfig {
    backend
        .config()
        .env("RECORDER__RENDITIONS", r#"[{ kind = "mp3", while_recording = true }, { kind = "wav" }]"#)
        .env("RECORDER__SEGMENTS__INTERVAL", "5s")
        .env("RECORDER__BLOB__S3__PART_BYTES", "5MiB")
        // Slows uploads down, so that kills hit them.
        .env("RECORDER__BLOB__S3__BYTES_PER_SECOND", "12MiB")
        .env("RECORDER__SPOOL__SYNC_INTERVAL", "100ms")
        .env("RECORDER__JOBS__FIRST_BACKOFF", "100ms")
        .env("RECORDER__JOBS__LEASE", "1s")
        .env("RECORDER__JOBS__POLL", "200ms")
}

/// A delete call in progress.
struct Deletion {
    recording: RecordingId,
    call: JoinHandle<Result<(), Code>>,
}

struct Trial<'a> {
    store: PostgresStore,
    bucket: &'a S3,
    recorder: Recorder,
    random: StdRng,
    pushed: usize,
    /// Audio bytes of each recording whose push was answered.
    answered: BTreeMap<RecordingId, usize>,
    /// Recordings whose delete call was answered.
    deleted: BTreeSet<RecordingId>,
    /// Recordings whose delete call failed: they may be deleted.
    perhaps_deleted: BTreeSet<RecordingId>,
    /// Renditions whose render was cancelled.
    cancelled: BTreeSet<RenditionId>,
    /// Sizes of finalized recordings.
    finalized: BTreeMap<RecordingId, u64>,
    /// How many kills interrupted each kind of work.
    hits: BTreeMap<String, usize>,
}

impl Trial<'_> {
    async fn recordings(&self) -> Vec<Recording> {
        let deleted = RecordingFilter { state: Some(RecordingState::Deleted), ..Default::default() };
        let mut all = Vec::new();
        for filter in [RecordingFilter::default(), deleted] {
            let page = self.store.list_recordings(&TenantId::default(), &filter, None, 1000).await;
            all.extend(ok(page, "the recordings").recordings);
        }
        all
    }

    async fn segments(&self, recording: &Recording) -> Vec<Segment> {
        let segments = self.store.segments_of(&recording.tenant, recording.id).await;
        ok(segments, "the segments")
    }

    async fn renditions(&self, recording: &Recording) -> Vec<Rendition> {
        let renditions = self.store.renditions_of(&recording.tenant, recording.id).await;
        ok(renditions, "the renditions")
    }

    /// Lets the recorder work for a random time, most of the time with a new push, and kills it.
    async fn round(&mut self) {
        let push = (self.pushed == 0 || self.random.random_bool(0.7)).then(|| {
            self.pushed += 1;
            Push::begin(self.recorder.channel(), "sound", BYTES, PUSH_INTERVAL)
        });
        let lives_for = Duration::from_millis(self.random.random_range(0..4_000));
        let deletion = self.delete_sometimes(lives_for).await;
        if push.is_some() && self.random.random_bool(0.4) {
            self.until_a_recording_ends().await;
        } else {
            tokio::time::sleep(lives_for).await;
        }
        self.recorder.kill9();
        self.note_answers(push, deletion).await;
        self.note_hits().await;
        self.assert_nothing_is_lost().await;
        if self.random.random_bool(0.2) {
            self.cancel_a_render().await;
        }
        ok(self.recorder.restart().await, "the restart");
    }

    /// Waits until just after the end of a recording: its last part is uploaded, its segments are joined, and its other
    /// rendition is made then.
    async fn until_a_recording_ends(&mut self) {
        let live = async || {
            let recordings = self.recordings().await;
            recordings.iter().filter(|one| one.state == RecordingState::Recording).count()
        };
        let mut before = live().await;
        wait_for(Duration::from_secs(5), async || {
            let now = live().await;
            std::mem::replace(&mut before, now) > now
        })
        .await;
        tokio::time::sleep(Duration::from_millis(self.random.random_range(0..500))).await;
    }

    /// Cancels an interrupted render as another node would, while this node is down. What its run stored must be removed too.
    async fn cancel_a_render(&mut self) {
        for recording in self.recordings().await {
            let jobs = ok(self.store.jobs_of(recording.id).await, "the jobs");
            let cut_short = |job: &&Job| job.kind == JobKind::Render && job.state == JobState::InProgress;
            if let Some(job) = jobs.iter().find(cut_short) {
                ok(self.store.cancel(&recording.tenant, job.id).await, "the cancellation");
                self.cancelled.extend(job.rendition);
                return;
            }
        }
    }

    /// In half of the rounds, deletes a recording in any state.
    async fn delete_sometimes(&mut self, within: Duration) -> Option<Deletion> {
        let recordings = self.recordings().await;
        if !self.random.random_bool(0.5) {
            return None;
        }
        // One of the newest, which have the most work left.
        let stored = recordings.iter().filter(|one| one.state != RecordingState::Deleted);
        let recording = stored.take(3).collect::<Vec<_>>().choose(&mut self.random)?.id;
        let before = Duration::from_millis(self.random.random_range(0..400));
        let after = within.saturating_sub(before);
        let channel = self.recorder.channel();
        let call = tokio::spawn(async move {
            tokio::time::sleep(after).await;
            let request = DeleteRecordingRequest { id: recording.to_string() };
            let answer = RecordingServiceClient::new(channel).delete_recording(request).await;
            answer.map(drop).map_err(|status| status.code())
        });
        Some(Deletion { recording, call })
    }

    async fn note_answers(&mut self, push: Option<Push>, deletion: Option<Deletion>) {
        if let Some(push) = push {
            let bytes = push.bytes;
            if let Ok(answer) = push.end().await {
                self.answered.insert(ok(answer.id.parse(), "an id"), bytes);
            }
        }
        match deletion {
            None => {}
            Some(Deletion { recording, call }) => match call.await {
                Ok(Ok(())) => drop(self.deleted.insert(recording)),
                // Its session is live.
                Ok(Err(Code::FailedPrecondition)) => {}
                _ => drop(self.perhaps_deleted.insert(recording)),
            },
        }
    }

    /// Counts the kinds of work that the kill interrupted.
    async fn note_hits(&mut self) {
        let mut hit = BTreeSet::new();
        for recording in self.recordings().await {
            if recording.state == RecordingState::Recording {
                hit.insert("RECORDING".to_owned());
            }
            let segments = !self.segments(&recording).await.is_empty();
            if segments && recording.state == RecordingState::Recording {
                hit.insert("segments".to_owned());
            }
            for job in ok(self.store.jobs_of(recording.id).await, "the jobs") {
                if job.state == JobState::InProgress {
                    hit.insert(job.kind.to_string());
                    if segments && job.kind == JobKind::Render {
                        hit.insert("promotion".to_owned());
                    }
                }
            }
        }
        if !ok(self.bucket.open("").await, "open uploads").is_empty() {
            hit.insert("open uploads".to_owned());
        }
        if hit.is_empty() {
            hit.insert("nothing".to_owned());
        }
        for what in hit {
            *self.hits.entry(what).or_default() += 1;
        }
    }

    /// While the recorder is down: every finalized recording is on the disk or in the bucket, and every available one is in
    /// the bucket.
    async fn assert_nothing_is_lost(&mut self) {
        let spool = self.recorder.data_dir().join("spool");
        for recording in self.recordings().await {
            let (Some(key), Some(container)) = (&recording.object_key, recording.container) else { continue };
            if recording.state == RecordingState::Deleted {
                continue;
            }
            let before = *self.finalized.entry(recording.id).or_insert(recording.bytes);
            assert_eq!(recording.bytes, before, "a finalized recording changed its size: {recording:?}");
            let name = format!("{}.{}", recording.id, container.extension());
            let local = spool.join(recording.id.to_string()).join(name);
            let on_disk = std::fs::metadata(local).is_ok_and(|file| file.len() == recording.bytes);
            if !on_disk || recording.state == RecordingState::Available {
                self.assert_stored(key, recording.bytes).await;
            }
            for rendition in self.renditions(&recording).await {
                if rendition.state == RenditionState::Available {
                    self.assert_stored(&rendition.object_key, rendition.bytes).await;
                }
            }
        }
    }

    async fn assert_stored(&self, key: &str, bytes: u64) {
        let stored = ok(self.bucket.head(key).await, "an object that should be stored");
        assert_eq!(stored.bytes, bytes, "{key}");
    }

    /// Waits until all jobs are done.
    async fn until_done(&self, patience: Duration) {
        let mut left = Vec::new();
        let done = wait_for(patience, async || {
            left.clear();
            for recording in self.recordings().await {
                let no_media = recording.object_key.is_none() && recording.error.as_deref() == Some(NO_MEDIA);
                let ended = matches!(recording.state, RecordingState::Available | RecordingState::Deleted);
                if !ended && !no_media {
                    left.push(format!("{} is {}: {:?}", recording.id, recording.state, recording.error));
                }
                let jobs = ok(self.store.jobs_of(recording.id).await, "the jobs");
                let ended = |state| matches!(state, JobState::Done | JobState::Cancelled);
                left.extend(jobs.iter().filter(|job| !ended(job.state)).map(|job| format!("{job:?}")));
            }
            left.is_empty()
        });
        assert!(done.await, "not done in time: {left:#?}");
    }

    /// Every recording and rendition exists once and is complete, and there are no other objects or files.
    async fn assert_complete(&self, backend: &TestBackend) {
        let downloads = ok(tempfile::tempdir(), "a directory");
        let mut expected = Vec::new();
        for recording in self.recordings().await {
            let deleted = recording.state == RecordingState::Deleted;
            assert!(deleted || !self.deleted.contains(&recording.id), "a deletion was undone: {recording:?}");
            let asked = self.deleted.contains(&recording.id) || self.perhaps_deleted.contains(&recording.id);
            assert!(asked || !deleted, "deleted without a call: {recording:?}");
            assert_eq!(self.segments(&recording).await, [], "{recording:?}");
            let Some(key) = recording.object_key.clone().filter(|_| !deleted) else { continue };
            assert_eq!(recording.error, None, "{recording:?}");
            let file = downloads.path().join("recording.mkv");
            self.download(&key, &file, recording.bytes, recording.sha256.as_deref()).await;
            ok(decode_strictly(&file), "strict decoding");
            if let Some(bytes) = self.answered.get(&recording.id) {
                assert_eq!(recording.duration.as_millis(), length(*bytes).as_millis(), "{recording:?}");
            }
            expected.push(key);
            let renditions = self.renditions(&recording).await;
            assert_eq!(renditions.len(), 2, "{renditions:?}");
            for rendition in renditions {
                if self.cancelled.contains(&rendition.id) {
                    assert_eq!(rendition.state, RenditionState::Cancelled, "{rendition:?}");
                    continue;
                }
                assert_eq!(rendition.state, RenditionState::Available, "{rendition:?}");
                let file = downloads.path().join(format!("rendition.{}", rendition.kind));
                self.download(&rendition.object_key, &file, rendition.bytes, rendition.sha256.as_deref())
                    .await;
                let seconds = ok(probe(&file), "the file's headers").duration().unwrap_or_default();
                let off = (seconds - recording.duration.as_secs_f64()).abs();
                assert!(off < 0.2, "{seconds} s of {rendition:?}");
                expected.push(rendition.object_key);
            }
        }
        expected.sort();
        assert_eq!(backend.keys().await, expected, "the bucket has other objects than the database");
        assert_eq!(ok(self.bucket.open("").await, "open uploads"), [], "orphans");
        for directory in ["spool", "work", "segments"] {
            let mut left = files_in(&self.recorder.data_dir().join(directory));
            // The lock of the running recorder.
            left.retain(|path| !path.ends_with(".lock"));
            assert!(left.is_empty(), "{left:?}");
        }
    }

    async fn download(&self, key: &str, file: &Path, bytes: u64, sha256: Option<&str>) {
        ok(self.bucket.get_file(key, file).await, "an object");
        let digest: Result<_, BlobError> = blob::file_digest(file, &CancellationToken::new()).await;
        let digest = ok(digest, "its digest");
        assert_eq!((digest.bytes, Some(digest.sha256.as_str())), (bytes, sha256), "{key}");
    }
}

/// Kills the recorder `rounds` times while it records, uploads, renders and deletes. `seed` determines the moments.
async fn killed_at_any_moment(rounds: usize, seed: u64) {
    let backend = TestBackend::production().await;
    let (store, bucket) = match (backend.database().await, backend.bucket()) {
        (Some(store), Some(bucket)) => (store, bucket),
        _ => return assert!(matches!(backend, TestBackend::Production(_))),
    };
    let mut trial = Trial {
        store,
        bucket,
        recorder: ok(config(&backend).start().await, "the recorder"),
        random: StdRng::seed_from_u64(seed),
        pushed: 0,
        answered: BTreeMap::new(),
        deleted: BTreeSet::new(),
        perhaps_deleted: BTreeSet::new(),
        cancelled: BTreeSet::new(),
        finalized: BTreeMap::new(),
        hits: BTreeMap::new(),
    };
    for _ in 0..rounds {
        trial.round().await;
    }
    trial.until_done(Duration::from_secs(60 + 5 * rounds as u64)).await;
    trial.assert_complete(&backend).await;
    let recordings = trial.recordings().await;
    let hits = &trial.hits;
    eprintln!(
        "{rounds} kills, seed {seed}: {} recordings, {} renders cancelled; interrupted: {hits:?}",
        recordings.len(),
        trial.cancelled.len(),
    );
    if rounds >= MANY {
        for kind in KINDS {
            assert!(hits.contains_key(kind.as_str()), "no kill has hit {kind}: {hits:?}");
        }
        for what in ["segments", "promotion", "open uploads"] {
            assert!(hits.contains_key(what), "no kill has hit {what}: {hits:?}");
        }
    }
}

/// A number from the environment: a longer run than the default takes minutes.
fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kills_at_any_moment_every_recording_and_rendition_exists_once() {
    killed_at_any_moment(
        from_environment("RECORDER_KILLS", 8) as usize,
        from_environment("RECORDER_SEED", 1),
    )
    .await;
}
