//! An outage of the database.

use std::time::{Duration, Instant};

use proto::recorder::v1::{ListRecordingsRequest, RecordingState, RenditionState};
use testkit::servers::postgres::Postgres;
use tonic::Code;

use crate::{
    ingest::Push,
    render::{available, client, create, film, get, job, long_work, rendition, under_way},
    support::{TestBackend, ok, wait_for},
};

/// Duration of the outage.
const AWAY: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_and_a_render_survive_a_database_outage() {
    let postgres = Postgres::start();
    let backend = TestBackend::production_with(&postgres).await;
    let config = backend
        .config()
        .env("RECORDER__BLOB__S3__PART_BYTES", "5MiB")
        // The upload takes 15 s, so the outage begins during it.
        .env("RECORDER__BLOB__S3__BYTES_PER_SECOND", "2MiB")
        .env("RECORDER__JOBS__POLL", "500ms");
    let recorder = ok(config.start().await, "the recorder");
    let mut client = client(&recorder);
    let film = film(&recorder).await;
    let first = available(&mut client, &film).await;
    let requested = create(&mut client, &film, long_work()).await;
    under_way(&mut client, &requested).await;
    let push = Push::begin(recorder.channel(), "large", 30 << 20, Duration::from_millis(5));
    let sound = ok(push.end().await, "the push");
    let (uploading, _) = get(&mut client, &sound.id).await;
    assert_eq!(uploading.state(), RecordingState::Processing);

    let begun = Instant::now();
    postgres.stop_immediately();
    let refused = client.list_recordings(ListRecordingsRequest::default()).await;
    assert_eq!(refused.map(drop).map_err(|status| status.code()), Err(Code::Unavailable));
    tokio::time::sleep(AWAY.saturating_sub(begun.elapsed())).await;
    postgres.start_again();

    let second = available(&mut client, &sound.id).await;
    let made = rendition(&mut client, &requested, RenditionState::Available).await;
    // The lease is longer than the outage, so each job runs once.
    assert_eq!(job(&mut client, &requested).await.attempts, 1);
    assert_eq!((second.bytes, second.error.as_str()), (sound.bytes, ""));
    let mut keys = vec![first.object_key, second.object_key, made.object_key];
    keys.sort();
    assert_eq!(backend.keys().await, keys);
    let tidy = wait_for(Duration::from_secs(60), async || backend.uploads().await == 0).await;
    assert!(tidy, "an upload is left open");
}
