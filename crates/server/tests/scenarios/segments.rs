//! Renditions that are made while their recordings are open.

use std::{
    f64::consts::TAU,
    time::{Duration, Instant},
};

use proto::recorder::v1::{
    self as pb, create_download_url_request::Source, ingest_service_client::IngestServiceClient,
    recording_service_client::RecordingServiceClient, rendition_spec::Kind,
};
use testkit::{
    call::Call,
    recorder::Recorder,
    sender::SenderConfig,
    signal::Codec,
    verify::{decode_strictly, sound},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use super::renditions::{PATIENCE, children, create, download, http, link, made, watch};
use crate::support::{TestBackend, beep, connected, driver, ok, sender, video, wait_for};

type Client = RecordingServiceClient<Channel>;

/// The default renditions.
const WANTED: &str = r#"[{ kind = "mp3", while_recording = true }]"#;

async fn start(backend: &TestBackend) -> Recorder {
    let config =
        backend.config().env("RECORDER__RENDITIONS", WANTED).env("RECORDER__SEGMENTS__INTERVAL", "2s");
    ok(config.start().await, "the recorder")
}

async fn progress(client: &mut Client, id: &str) -> Option<pb::SegmentProgress> {
    let request = pb::GetRecordingRequest { id: id.to_owned() };
    ok(client.get_recording(request).await, "the recording").into_inner().segments.pop()
}

fn seconds_of(span: Option<prost_types::Duration>) -> i64 {
    span.map_or(0, |span| span.seconds)
}

/// The files of segments on the disk.
fn files(recorder: &Recorder) -> usize {
    std::fs::read_dir(recorder.data_dir().join("segments")).map_or(0, Iterator::count)
}

async fn metric(recorder: &Recorder, line: &str) -> bool {
    let metrics = ok(http().get(format!("http://{}/metrics", recorder.http())).send().await, "metrics");
    ok(metrics.text().await, "metrics").lines().any(|one| one == line)
}

/// Checks that the joined rendition has the same bytes as one rendered from the whole recording.
async fn is_what_the_whole_gives(client: &mut Client, id: &str, joined: &pb::Rendition) {
    let mut events = watch(client, id).await;
    create(client, id, Kind::Mix(pb::Mix { format: pb::AudioFormat::Mp3.into(), channels: 0 })).await;
    let whole = made(&mut events, "mix").await;
    assert_eq!((joined.bytes, &joined.sha256), (whole.bytes, &whole.sha256));
    assert_eq!(joined.duration, whole.duration);
}

pub async fn the_mp3_of_a_call_is_available_right_after_the_stop(backend: &TestBackend) {
    let recorder = start(backend).await;
    let mut recordings = RecordingServiceClient::new(recorder.channel());
    let (driver, mut client) = (driver(), recorder.client());
    let config = SenderConfig {
        play_for: Some(Duration::from_secs(60)),
        ..SenderConfig::playing([video(Codec::Vp8), beep()])
    };
    let session = sender(&driver, config).await;
    let call = ok(Call::begin(&mut client, &session, "visit").await, "the offer");
    // On a busy machine the follower may lag behind, and catches up.
    let mut now = pb::SegmentProgress::default();
    let some = wait_for(PATIENCE, async || {
        now = progress(&mut recordings, &call.id).await.unwrap_or_default();
        now.done >= 3 && now.queued + now.in_progress <= 4
    });
    assert!(some.await, "{now:?}\n{}", recorder.log());
    assert!(now.failed == 0 && now.done_bytes > 10_000, "{now:?}");
    let buffered = seconds_of(now.buffered);
    assert_eq!((buffered > 0, now.buffered_bytes > 0), (now.queued + now.in_progress > 0, buffered > 0));
    let request = pb::ListSegmentsRequest { recording_id: call.id.clone(), ..Default::default() };
    let listed = ok(recordings.list_segments(request).await, "the segments").into_inner().segments;
    let length = listed[0].duration.map_or(0.0, |one| one.seconds as f64 + f64::from(one.nanos) / 1e9);
    assert!((length - 2.0).abs() < 0.05 && listed[0].state() == pb::SegmentState::Done, "{listed:?}");
    let one = wait_for(PATIENCE, async || (children(&recorder), files(&recorder)) == (1, 1));
    assert!(one.await, "{} children, {} directories", children(&recorder), files(&recorder));

    let mut events = watch(&mut recordings, &call.id).await;
    ok(call.stop(&mut client).await, "the stop");
    let joined = made(&mut events, "mp3").await;
    assert!(metric(&recorder, r#"recorder_segment_renditions_total{joined="true"} 1"#).await);
    let gone = wait_for(PATIENCE, async || {
        progress(&mut recordings, &call.id).await.is_none()
            && files(&recorder) == 0
            && children(&recorder) == 0
    });
    assert!(gone.await, "{} files, {} children", files(&recorder), children(&recorder));

    let link = link(&mut recordings, Source::RenditionId(joined.id.clone())).await;
    let folder = ok(tempfile::tempdir(), "a directory");
    let file = folder.path().join(&link.file_name);
    download(&link.url, &file).await;
    ok(decode_strictly(&file), "strict decoding");
    let beeps = ok(sound(&file, 0), "its sound").beeps();
    assert!(beeps.len() >= 6, "{beeps:?}");
    let apart = beeps.windows(2).map(|two| two[1] - two[0]);
    assert!(apart.clone().all(|apart| (apart - 1.0).abs() < 0.005), "{:?}", apart.collect::<Vec<_>>());
    is_what_the_whole_gives(&mut recordings, &call.id, &joined).await;
}

/// Much of the recorded media is not on the disk yet and can't be in segments. It counts as buffered too.
pub async fn the_buffered_time_is_all_recorded_time_without_a_finished_segment(backend: &TestBackend) {
    let config =
        backend.config().env("RECORDER__RENDITIONS", WANTED).env("RECORDER__SEGMENTS__INTERVAL", "1s");
    let recorder = ok(config.env("RECORDER__SPOOL__SYNC_INTERVAL", "10s").start().await, "the recorder");
    let mut recordings = RecordingServiceClient::new(recorder.channel());
    let driver = driver();
    let session = sender(&driver, SenderConfig::playing([video(Codec::Vp8), beep()])).await;
    let call = ok(Call::begin(&mut recorder.client(), &session, "buffered").await, "the offer");
    connected(&session).await;
    let begun = Instant::now();
    // Read twice, because the rows are not written in one transaction.
    let (mut behind, mut before) = (0, 0);
    let long = wait_for(Duration::from_secs(60), async || {
        let Some(now) = progress(&mut recordings, &call.id).await else { return false };
        let covered = i64::from(now.done) + seconds_of(now.buffered);
        let recorded = begun.elapsed().as_secs() as i64;
        assert!(covered <= recorded + 2, "{now:?} after {recorded} s");
        behind = behind.max((recorded - covered).min(before));
        before = recorded - covered;
        // Within this time the file is synced twice.
        recorded >= 21 && now.done >= 8
    });
    assert!(long.await, "{:?}\n{}", progress(&mut recordings, &call.id).await, recorder.log());
    // The last interval is incomplete, and the rows are up to two seconds old.
    assert!(behind <= 5, "{behind} s of what is recorded are neither made nor buffered");
    ok(call.stop(&mut recorder.client()).await, "the stop");
}

const RATE: i32 = 48_000;
const TONE: f64 = 997.0;
const LEVEL: f64 = 12_000.0;

/// Second number `second` of a tone.
fn tone(second: i32) -> Vec<u8> {
    let sample = |at: i32| (LEVEL * (TAU * TONE * f64::from(at) / f64::from(RATE)).sin()).round() as i16;
    (second * RATE..(second + 1) * RATE).flat_map(|at| sample(at).to_le_bytes()).collect()
}

pub async fn a_pushed_tone_is_continuous_across_joined_segments(backend: &TestBackend) {
    const SECONDS: i32 = 30;
    let recorder = start(backend).await;
    let mut recordings = RecordingServiceClient::new(recorder.channel());
    let (messages, stream) = mpsc::channel(4);
    let mut ingest = IngestServiceClient::new(recorder.channel());
    let pushing = tokio::spawn(async move { ingest.record_audio(ReceiverStream::new(stream)).await });
    let header = pb::AudioHeader {
        correlation_id: "tone".to_owned(),
        format: Some(pb::audio_header::Format::Pcm(pb::PcmFormat { sample_rate: RATE, channels: 1 })),
        ..Default::default()
    };
    let send = async |message| {
        ok(messages.send(pb::RecordAudioRequest { message: Some(message) }).await, "a message");
    };
    send(pb::record_audio_request::Message::Header(header)).await;
    for second in 0..SECONDS {
        let data = pb::AudioData { data: tone(second), ..Default::default() };
        send(pb::record_audio_request::Message::Audio(data)).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let request = pb::ListRecordingsRequest { correlation_id: "tone".to_owned(), ..Default::default() };
    let found = ok(recordings.list_recordings(request).await, "the list").into_inner().recordings;
    let id = found[0].id.clone();
    let some = wait_for(PATIENCE, async || {
        progress(&mut recordings, &id).await.is_some_and(|now| now.done >= SECONDS / 2 - 4)
    });
    assert!(some.await, "{:?}", progress(&mut recordings, &id).await);
    let mut events = watch(&mut recordings, &id).await;
    drop(messages);
    let stopped = Instant::now();
    ok(ok(pushing.await, "the push"), "the answer");
    let joined = made(&mut events, "mp3").await;
    // Time for the last segment and the join on a busy machine.
    assert!(stopped.elapsed() < Duration::from_secs(60), "{:?}", stopped.elapsed());
    assert!(metric(&recorder, r#"recorder_segment_renditions_total{joined="true"} 1"#).await);

    let link = link(&mut recordings, Source::RenditionId(joined.id.clone())).await;
    let folder = ok(tempfile::tempdir(), "a directory");
    let file = folder.path().join(&link.file_name);
    download(&link.url, &file).await;
    let samples = ok(sound(&file, 0), "its sound").samples;
    let whole = (RATE * SECONDS) as usize;
    assert!(samples.len().abs_diff(whole) <= 1152, "{} samples of {whole}", samples.len());
    // Each sample of a tone follows from the two before. A gap or a click breaks that.
    let turn = 2.0 * (TAU * TONE / f64::from(RATE)).cos();
    let inside = &samples[2_000..whole - 2_000];
    let worst = inside.windows(3).map(|three| {
        let [a, b, c] = [three[0], three[1], three[2]].map(f64::from);
        (c - turn * b + a).abs()
    });
    let worst = worst.fold(0.0, f64::max);
    assert!(worst < LEVEL * 0.01, "a step of {worst}");
    is_what_the_whole_gives(&mut recordings, &id, &joined).await;
}

/// Without default renditions.
pub async fn requested_results_of_a_push_are_made_while_recording(backend: &TestBackend) {
    const SECONDS: i32 = 30;
    let config = backend.config().env("RECORDER__SEGMENTS__INTERVAL", "2s");
    let recorder = ok(config.env("RECORDER__SPOOL__SYNC_INTERVAL", "300ms").start().await, "the recorder");
    let mut recordings = RecordingServiceClient::new(recorder.channel());
    let (messages, stream) = mpsc::channel(4);
    let mut ingest = IngestServiceClient::new(recorder.channel());
    let pushing = tokio::spawn(async move { ingest.record_audio(ReceiverStream::new(stream)).await });
    let send = async |message| {
        ok(messages.send(pb::RecordAudioRequest { message: Some(message) }).await, "a message");
    };
    let asked = [pb::AudioFormat::Wav, pb::AudioFormat::OggOpus, pb::AudioFormat::Mp3];
    let header = pb::AudioHeader {
        correlation_id: "asked".to_owned(),
        format: Some(pb::audio_header::Format::Pcm(pb::PcmFormat { sample_rate: RATE, channels: 1 })),
        results: asked.map(Into::into).to_vec(),
        ..Default::default()
    };
    send(pb::record_audio_request::Message::Header(header)).await;
    for second in 0..SECONDS {
        let data = pb::AudioData { data: tone(second), ..Default::default() };
        send(pb::record_audio_request::Message::Audio(data)).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let request = pb::ListRecordingsRequest { correlation_id: "asked".to_owned(), ..Default::default() };
    let found = ok(recordings.list_recordings(request).await, "the list").into_inner().recordings;
    let id = found[0].id.clone();
    let mut last = Vec::new();
    let all = wait_for(PATIENCE, async || {
        let request = pb::GetRecordingRequest { id: id.clone() };
        last = ok(recordings.get_recording(request).await, "the recording").into_inner().segments;
        last.len() == asked.len() && last.iter().all(|one| one.done >= SECONDS / 2 - 4)
    });
    assert!(all.await, "{last:?}");
    assert_eq!(children(&recorder), asked.len());
    drop(messages);
    ok(ok(pushing.await, "the push"), "the answer");
    let joined = all_made(&mut recordings, &id, asked.len()).await;
    assert!(metric(&recorder, r#"recorder_segment_renditions_total{joined="true"} 3"#).await);
    for format in asked {
        create(&mut recordings, &id, Kind::Mix(pb::Mix { format: format.into(), channels: 0 })).await;
    }
    let mut wholes = all_made(&mut recordings, &id, 2 * asked.len()).await;
    wholes.retain(|one| one.kind == "mix");
    for one in &joined {
        // The serial number of an Ogg stream is random.
        let same = |whole: &pb::Rendition| {
            whole.bytes == one.bytes && (whole.sha256 == one.sha256 || one.kind == "ogg_opus")
        };
        assert!(wholes.iter().any(same), "{one:?} is none of {wholes:?}");
    }
}

/// Waits until `number` renditions are available.
async fn all_made(client: &mut Client, id: &str, number: usize) -> Vec<pb::Rendition> {
    let mut last = Vec::new();
    let made = wait_for(PATIENCE, async || {
        let request = pb::GetRecordingRequest { id: id.to_owned() };
        last = ok(client.get_recording(request).await, "the recording").into_inner().renditions;
        last.len() == number && last.iter().all(|one| one.state() == pb::RenditionState::Available)
    });
    assert!(made.await, "{last:?}");
    last
}

/// Kills the recorder while segments are made, and while they are joined.
pub async fn a_kill_loses_segments_and_not_the_rendition(backend: &TestBackend) {
    let mut recorder = start(backend).await;
    let mut recordings = RecordingServiceClient::new(recorder.channel());
    let (driver, mut client) = (driver(), recorder.client());
    let config = SenderConfig {
        play_for: Some(Duration::from_secs(60)),
        ..SenderConfig::playing([video(Codec::Vp8), beep()])
    };
    let session = sender(&driver, config).await;
    let call = ok(Call::begin(&mut client, &session, "visit").await, "the offer");
    let some = wait_for(PATIENCE, async || {
        progress(&mut recordings, &call.id).await.is_some_and(|now| now.done >= 2)
    });
    assert!(some.await, "{:?}", progress(&mut recordings, &call.id).await);
    recorder.kill9();
    assert_eq!(files(&recorder), 1);
    ok(recorder.restart().await, "the restart");
    let mut recordings = RecordingServiceClient::new(recorder.channel());
    let mut events = watch(&mut recordings, &call.id).await;
    let joined = made(&mut events, "mp3").await;
    let seconds = joined.duration.map_or(0, |one| one.seconds);
    assert!(seconds >= 4, "{joined:?}");
    let gone = wait_for(PATIENCE, async || {
        progress(&mut recordings, &call.id).await.is_none() && files(&recorder) == 0
    });
    assert!(gone.await, "{} directories", files(&recorder));
}
