//! Pushed audio, from the first message to the object.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use proto::{
    recorder::v1::{
        AudioData, AudioFormat, AudioHeader, AudioResult, Channel, Codec, Container, EndReason,
        GetRecordingRequest, ListRecordingsRequest, ListSessionsRequest, OpusFormat, PauseRecordingRequest,
        PcmFormat, RecordAudioRequest, RecordAudioResponse, Recording, RecordingState,
        ResumeRecordingRequest, Source, StemFormat, audio_header::Format, record_audio_request::Message,
        rendition_spec,
    },
    webrtc_recorder::{RenegotiateP2pVideoRequest, StopP2pVideoRequest},
};
use testkit::signal::{ClipSpec, clip};
use tokio::sync::mpsc;
use tokio_stream::{iter, wrappers::ReceiverStream};
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

use crate::support::{OFFER, TOKENS, TestApp, with_token};

/// Time-out of every wait, long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn header(format: Format) -> AudioHeader {
    AudioHeader {
        name: "agent".to_owned(),
        correlation_id: "call-7".to_owned(),
        channel: Channel::Call.into(),
        format: Some(format),
        results: vec![AudioFormat::Wav.into(), AudioFormat::OggOpus.into(), AudioFormat::Wav.into()],
    }
}

fn pcm(sample_rate: i32, channels: i32) -> Format {
    Format::Pcm(PcmFormat { sample_rate, channels })
}

fn first(header: AudioHeader) -> RecordAudioRequest {
    RecordAudioRequest { message: Some(Message::Header(header)) }
}

fn audio(data: &[u8]) -> RecordAudioRequest {
    let data = AudioData { data: data.to_vec(), timestamp: None, duration: None };
    RecordAudioRequest { message: Some(Message::Audio(data)) }
}

fn at(milliseconds: i64, data: &[u8]) -> RecordAudioRequest {
    let nanos = (milliseconds % 1_000) as i32 * 1_000_000;
    let timestamp = Some(prost_types::Duration { seconds: milliseconds / 1_000, nanos });
    let data = AudioData { data: data.to_vec(), timestamp, duration: None };
    RecordAudioRequest { message: Some(Message::Audio(data)) }
}

/// Samples that don't repeat.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut roll = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..bytes).map(|_| roll()).collect()
}

async fn push(app: &TestApp, messages: Vec<RecordAudioRequest>) -> Result<RecordAudioResponse, Status> {
    app.ingest().record_audio(iter(messages)).await.map(Response::into_inner)
}

async fn recording(app: &TestApp, id: &str) -> Recording {
    let get = GetRecordingRequest { id: id.to_owned() };
    app.recordings().get_recording(get).await.unwrap().into_inner().recording.unwrap()
}

/// Waits for the recording's object.
async fn object(app: &TestApp, id: &str) -> PathBuf {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = recording(app, id).await;
        if found.state() == RecordingState::Available {
            return app.directory.path().join("objects").join(found.object_key);
        }
        assert!(Instant::now() < deadline, "{id} was not uploaded");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn decoded(file: &Path) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "error", "-nostdin", "-xerror", "-i"])
        .arg(file)
        .args(["-f", "s16le", "-c:a", "pcm_s16le", "-"])
        .output()
        .expect("ffmpeg must be installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn pcm_is_recorded_sample_for_sample_and_uploaded() {
    let app = TestApp::start(&[]).await;
    // Two minutes of audio, sent as fast as possible.
    let sent = noise(44_100 * 4 * 120 + 44);
    let mut messages = vec![first(header(pcm(44_100, 2)))];
    messages.extend(sent.chunks(40_000).map(audio));
    let answer = push(&app, messages).await.unwrap();
    assert_eq!((answer.container(), answer.codec()), (Container::Matroska, Codec::Pcm));
    assert_eq!(answer.end_reason(), EndReason::Requested);
    let duration = answer.duration.unwrap();
    assert_eq!((duration.seconds, duration.nanos / 1_000), (120, 249));
    assert!(answer.ended_at.unwrap().seconds >= answer.started_at.unwrap().seconds);
    let results: Vec<_> = answer.results.iter().map(AudioResult::format).collect();
    assert_eq!(results, [AudioFormat::Wav, AudioFormat::OggOpus]);
    let get = GetRecordingRequest { id: answer.id.clone() };
    let renditions = app.recordings().get_recording(get).await.unwrap().into_inner().renditions;
    let mut expected: Vec<_> = renditions.into_iter().map(|made| (made.object_key, made.id)).collect();
    let results =
        answer.results.iter().map(|result| (result.object_key.clone(), result.rendition_id.clone()));
    let mut results: Vec<_> = results.collect();
    expected.sort_unstable();
    results.sort_unstable();
    assert_eq!(results, expected);

    let row = recording(&app, &answer.id).await;
    assert_eq!((row.source(), row.channel()), (Source::Audio, Channel::Call));
    assert_eq!((row.name.as_str(), row.correlation_id.as_str()), ("agent", "call-7"));
    assert_eq!((&row.object_key, row.bytes), (&answer.object_key, answer.bytes));
    let object = object(&app, &answer.id).await;
    assert_eq!(object.metadata().unwrap().len(), answer.bytes as u64);
    assert!(decoded(&object) == sent);
    app.stop().await;
}

#[tokio::test]
async fn a_configured_stem_selects_its_track_by_the_number_in_the_api() {
    let configured = "[{ kind = \"stem\", track = 1, format = \"wav\" }, { kind = \"stem\", track = 2, format = \"wav\" }]";
    let app = TestApp::start(&[("renditions", configured)]).await;
    let header = AudioHeader { results: Vec::new(), ..header(pcm(16_000, 1)) };
    let answer = push(&app, vec![first(header), audio(&noise(3_200))]).await.unwrap();
    let got =
        app.recordings().get_recording(GetRecordingRequest { id: answer.id }).await.unwrap().into_inner();
    let numbers: Vec<i32> = got.recording.unwrap().tracks.iter().map(|track| track.number).collect();
    let stems = got.renditions.iter().map(|made| match made.spec.unwrap().kind {
        Some(rendition_spec::Kind::Stem(stem)) => (stem.track, stem.format()),
        other => panic!("{other:?}"),
    });
    assert_eq!((numbers, stems.collect()), (vec![1], vec![(1, StemFormat::Wav)]));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opus_is_recorded_packet_for_packet_into_webm() {
    let app = TestApp::start(&[]).await;
    let beep = clip(ClipSpec::beep()).unwrap();
    let packets: Vec<_> = beep.frames.iter().map(|frame| frame.data.to_vec()).take(200).collect();
    let mut messages = vec![first(header(Format::Opus(OpusFormat { channels: 2 })))];
    messages.extend(packets.iter().map(|packet| audio(packet)));
    let answer = push(&app, messages).await.unwrap();
    assert_eq!((answer.container(), answer.codec()), (Container::Webm, Codec::Opus));
    let row = recording(&app, &answer.id).await;
    assert_eq!(
        (row.tracks[0].frames, row.tracks[0].bytes),
        (200, packets.iter().map(Vec::len).sum::<usize>() as i64)
    );
    testkit::verify::decode_strictly(&object(&app, &answer.id).await).unwrap();
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_header_creates_no_recording() {
    let app = TestApp::start(&[]).await;
    let bad = |change: fn(&mut AudioHeader)| {
        let mut header = header(pcm(48_000, 1));
        change(&mut header);
        vec![first(header), audio(&[0; 4])]
    };
    for (messages, field) in [
        (vec![], "header"),
        (vec![audio(&[0; 4])], "header"),
        (vec![RecordAudioRequest { message: None }], "message"),
        (bad(|header| header.format = None), "header.format"),
        (bad(|header| header.format = Some(pcm(7_999, 1))), "header.pcm.sample_rate"),
        (bad(|header| header.format = Some(pcm(-1, 1))), "header.pcm.sample_rate"),
        (bad(|header| header.format = Some(pcm(48_000, 3))), "header.pcm.channels"),
        (
            bad(|header| header.format = Some(Format::Opus(OpusFormat { channels: 0 }))),
            "header.opus.channels",
        ),
        (bad(|header| header.channel = 99), "header.channel"),
        (bad(|header| header.results = vec![1, 0]), "header.results[1]"),
        (bad(|header| header.results = vec![1; 9]), "header.results"),
        (bad(|header| header.name = "x".repeat(100_000)), "header.name"),
    ] {
        let status = push(&app, messages).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{field}: {status}");
        let details = status.get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, field);
    }
    let all = app.recordings().list_recordings(ListRecordingsRequest::default()).await.unwrap().into_inner();
    assert_eq!(all.recordings.len(), 0);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_audio_is_refused_and_the_audio_before_it_is_recorded() {
    let app = TestApp::start(&[]).await;
    let good = noise(16_000);
    let stated = RecordAudioRequest {
        message: Some(Message::Audio(AudioData {
            data: vec![0; 3_200],
            timestamp: None,
            // 100 ms at 16 kHz, 200 ms at 8 kHz.
            duration: Some(prost_types::Duration { seconds: 0, nanos: 200_000_000 }),
        })),
    };
    for (bad, field) in [
        (audio(&[]), "audio.data"),
        (audio(&[1, 2, 3]), "audio.data"),
        (audio(&vec![0; (1 << 20) + 2]), "audio.data"),
        (audio(&vec![0; 5 << 20]), "audio.data"),
        (stated, "audio.duration"),
        (at(-1, &[0; 2]), "audio.timestamp"),
        (at(4_000, &[0; 2]), "audio.timestamp"),
        (first(header(pcm(16_000, 1))), "header"),
        (RecordAudioRequest { message: None }, "message"),
    ] {
        let messages = vec![first(header(pcm(16_000, 1))), at(5_000, &good), bad, audio(&good)];
        let status = push(&app, messages).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{field}: {status}");
        let details = status.get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, field, "{status}");
        let info = details.error_info().unwrap();
        assert_eq!(info.reason, "AUDIO_REFUSED");
        let id = &info.metadata["recording_id"];
        assert_eq!(recording(&app, id).await.end_reason(), EndReason::InvalidMedia);
        assert!(decoded(&object(&app, id).await) == good, "{field}");
    }
    let status = push(&app, vec![first(header(pcm(16_000, 1)))]).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let details = status.get_error_details();
    assert_eq!(details.bad_request().unwrap().field_violations[0].field, "audio");
    let id = &details.error_info().unwrap().metadata["recording_id"];
    assert!(status.message().contains(id), "{status}");
    assert_eq!(recording(&app, id).await.state(), RecordingState::Parked);
    app.stop().await;
}

/// A push in progress, and its session's id.
async fn under_way(app: &TestApp, sent: &[u8]) -> (mpsc::Sender<RecordAudioRequest>, Push, String) {
    let (sender, messages) = mpsc::channel(4);
    let mut client = app.ingest();
    let push = tokio::spawn(async move { client.record_audio(ReceiverStream::new(messages)).await });
    sender.send(first(header(pcm(16_000, 1)))).await.unwrap();
    sender.send(audio(sent)).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let live =
            app.recordings().list_sessions(ListSessionsRequest {}).await.unwrap().into_inner().sessions;
        if let Some(session) =
            live.first().filter(|session| !session.tracks.is_empty() && session.tracks[0].frames > 0)
        {
            return (sender, push, session.id.clone());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the session is not live")
}

type Push = tokio::task::JoinHandle<Result<Response<RecordAudioResponse>, Status>>;

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_ends_where_its_client_disconnected() {
    let app = TestApp::start(&[]).await;
    let sent = noise(32_000);
    let (sender, push, id) = under_way(&app, &sent).await;
    // The stream stays open: its end would be an end on request.
    push.abort();
    let file = object(&app, &id).await;
    drop(sender);
    assert_eq!(recording(&app, &id).await.end_reason(), EndReason::PeerClosed);
    assert!(decoded(&file) == sent);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_ends_where_its_clients_deadline_passed() {
    let app = TestApp::start(&[]).await;
    let sent = noise(32_000);
    let (sender, messages) = mpsc::channel(4);
    let mut request = tonic::Request::new(ReceiverStream::new(messages));
    // Long enough for all audio to be received before.
    request.set_timeout(Duration::from_secs(5));
    sender.send(first(header(pcm(16_000, 1)))).await.unwrap();
    sender.send(audio(&sent)).await.unwrap();
    let status = app.ingest().record_audio(request).await.unwrap_err();
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status}");
    let deadline = Instant::now() + PATIENCE;
    let found = loop {
        let list = ListRecordingsRequest { correlation_id: "call-7".to_owned(), ..Default::default() };
        let found = app.recordings().list_recordings(list).await.unwrap().into_inner().recordings;
        if found.first().is_some_and(|found| found.ended_at.is_some()) {
            break found;
        }
        assert!(Instant::now() < deadline, "{found:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(found[0].end_reason(), EndReason::PeerClosed);
    assert!(decoded(&object(&app, &found[0].id).await) == sent);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_can_be_paused_and_stopped_and_not_renegotiated() {
    let app = TestApp::start(&[]).await;
    let sent = noise(96_000);
    let (sender, push, id) = under_way(&app, &sent[..32_000]).await;
    let mut client = app.recordings();
    let renegotiate = RenegotiateP2pVideoRequest { id: id.clone(), sdp_offer: OFFER.to_owned() };
    let status = app.webrtc().renegotiate_p2p_video(renegotiate).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");

    client.pause_recording(PauseRecordingRequest { id: id.clone() }).await.unwrap();
    assert_eq!(recording(&app, &id).await.state(), RecordingState::Paused);
    sender.send(audio(&sent[32_000..64_000])).await.unwrap();
    let taken = async || {
        let live =
            app.recordings().list_sessions(ListSessionsRequest {}).await.unwrap().into_inner().sessions;
        live[0].tracks[0].packets
    };
    while taken().await < 100 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    client.resume_recording(ResumeRecordingRequest { id: id.clone() }).await.unwrap();
    sender.send(audio(&sent[64_000..])).await.unwrap();
    while taken().await < 150 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    app.webrtc().stop_p2p_video(StopP2pVideoRequest { id: id.clone() }).await.unwrap();
    let answer = push.await.unwrap().unwrap().into_inner();
    assert_eq!((&answer.id, answer.end_reason()), (&id, EndReason::Requested));
    assert!(decoded(&object(&app, &id).await) == [&sent[..32_000], &sent[64_000..]].concat());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_shutdown_end_a_push_with_a_response() {
    let app = TestApp::start(&[("limits.session_time", "5s")]).await;
    let (_sender, push, _) = under_way(&app, &noise(32_000)).await;
    let answer = push.await.unwrap().unwrap().into_inner();
    assert_eq!(answer.end_reason(), EndReason::TimeLimit);
    app.stop().await;

    let app = TestApp::start(&[]).await;
    let (_sender, push, _) = under_way(&app, &noise(32_000)).await;
    app.stop().await;
    assert_eq!(push.await.unwrap().unwrap().into_inner().end_reason(), EndReason::Shutdown);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_needs_the_role_recorder_and_a_free_session() {
    let app = TestApp::start(&[("auth.tokens", TOKENS), ("limits.sessions", "1")]).await;
    let messages = || iter(vec![first(header(pcm(16_000, 1))), audio(&[0; 640])]);
    for (token, code) in [("viewer-token", Code::PermissionDenied), ("no-token", Code::Unauthenticated)] {
        let status = app.ingest().record_audio(with_token(token, messages())).await.unwrap_err();
        assert_eq!(status.code(), code, "{status}");
    }
    let (sender, held) = mpsc::channel(4);
    let mut client = app.ingest();
    let request = with_token("recorder-token", ReceiverStream::new(held));
    let first_push = tokio::spawn(async move { client.record_audio(request).await });
    sender.send(first(header(pcm(16_000, 1)))).await.unwrap();
    sender.send(audio(&[0; 640])).await.unwrap();
    let live = async || {
        let list = with_token("recorder-token", ListSessionsRequest {});
        app.recordings().list_sessions(list).await.unwrap().into_inner().sessions.len()
    };
    while live().await == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let second = app.ingest().record_audio(with_token("recorder-token", messages())).await;
    let status = second.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.get_error_details().retry_info().is_some());
    drop(sender);
    first_push.await.unwrap().unwrap();
    app.stop().await;
}
