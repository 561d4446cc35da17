//! The process that renders is killed from outside, as the kernel's OOM killer does.

use std::{collections::BTreeSet, path::PathBuf};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use proto::recorder::v1::{Preset, RecordingState, RenditionState, RetryJobRequest};
use testkit::verify::decode_strictly;

use crate::{
    render::{PATIENCE, available, children, client, create, film, get, job, mp4, rendition, work},
    support::{TestBackend, ok, wait_for},
};

fn sigkill(child: i32) {
    // It may have exited already.
    let _ = kill(Pid::from_raw(child), Signal::SIGKILL);
}

#[tokio::test]
async fn a_render_whose_process_was_killed_is_retried() {
    let backend = TestBackend::embedded();
    let config = backend.config().env("RECORDER__JOBS__FIRST_BACKOFF", "100ms");
    let recorder = ok(config.start().await, "the recorder");
    let mut client = client(&recorder);
    let id = film(&recorder).await;
    let requested = create(&mut client, &id, mp4(240, Preset::Medium)).await;
    // Killed as soon as it exists, so that it can't complete before.
    let mut running = Vec::new();
    let begun = wait_for(PATIENCE, async || {
        running = children(&recorder);
        !running.is_empty()
    });
    assert!(begun.await, "{:?}", get(&mut client, &id).await);
    assert_eq!(running.len(), 1, "{running:?}");
    running.into_iter().for_each(sigkill);
    let made = rendition(&mut client, &requested, RenditionState::Available).await;
    assert_eq!(made.error, "");
    assert_eq!(job(&mut client, &requested).await.attempts, 2);
    let object = recorder.data_dir().join("objects").join(&made.object_key);
    ok(decode_strictly(&object), "strict decoding");
    available(&mut client, &id).await;
    assert_eq!(recorder.objects().len(), 2, "{:?}", recorder.objects());
    assert_eq!(work(&recorder), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_render_whose_process_is_killed_every_time_is_parked_and_the_recording_is_unchanged() {
    let backend = TestBackend::embedded();
    let config = backend
        .config()
        .env("RECORDER__JOBS__FIRST_BACKOFF", "50ms")
        .env("RECORDER__JOBS__TRANSCODING_MAX_RETRY", "2");
    let recorder = ok(config.start().await, "the recorder");
    let mut client = client(&recorder);
    let id = film(&recorder).await;
    available(&mut client, &id).await;
    let requested = create(&mut client, &id, mp4(1080, Preset::Slower)).await;
    let mut killed = BTreeSet::new();
    let parked = wait_for(PATIENCE, async || {
        for child in children(&recorder) {
            killed.insert(child);
            sigkill(child);
        }
        let (_, renditions) = get(&mut client, &id).await;
        renditions.iter().any(|one| one.state() == RenditionState::Parked)
    });
    assert!(parked.await, "{:?}", get(&mut client, &id).await);
    assert_eq!((killed.len(), job(&mut client, &requested).await.attempts), (3, 3));
    let parked = rendition(&mut client, &requested, RenditionState::Parked).await;
    // The error names the signal.
    assert!(parked.error.contains("was killed (signal 9)"), "{:?}", parked.error);
    assert!(parked.error.contains("memory"), "{:?}", parked.error);
    let (recording, _) = get(&mut client, &id).await;
    assert_eq!((recording.state(), recording.error.as_str()), (RecordingState::Available, ""));
    assert_eq!(recorder.objects().len(), 1, "{:?}", recorder.objects());
    assert_eq!(work(&recorder), Vec::<PathBuf>::new());

    // After the cause is gone, RetryJob makes the rendition.
    ok(client.retry_job(RetryJobRequest { id: requested.job_id.clone() }).await, "the repetition");
    let again = wait_for(PATIENCE, async || !children(&recorder).is_empty()).await;
    assert!(again, "{:?}", get(&mut client, &id).await);
}
