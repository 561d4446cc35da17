//! Every kind of rendition, of a call with two cameras.

use std::path::Path;

use proto::recorder::v1::{
    self as pb, create_download_url_request::Source, recording_service_client::RecordingServiceClient,
    rendition_spec::Kind,
};
use testkit::{
    call::Call,
    recorder::Recorder,
    sender::SenderConfig,
    signal::Codec,
    verify::{decode_strictly, pictures, probe, sound},
};

use super::renditions::{create, download, link, made, watch};
use crate::support::{TestBackend, assert_in_sync, beep, driver, ok, played, sender, video};

const SECONDS: u64 = 4;
/// In milliseconds: the duration of one picture, and the delay of audio codecs.
const A_PICTURE: f64 = 40.0;

/// The expected codecs and picture size of a file.
struct Expected {
    kind: Kind,
    video: &'static [&'static str],
    audio: &'static [&'static str],
    size: (i32, i32),
}

fn expected() -> Vec<Expected> {
    let encoded =
        || Some(pb::VideoOptions { height: 120, preset: pb::Preset::Ultrafast.into(), ..Default::default() });
    let webm = |codec: pb::webm::VideoCodec| {
        Kind::Webm(pb::Webm { codec: codec.into(), video: encoded(), audio: None })
    };
    let mosaic = |format: pb::FilmFormat| {
        let video = Some(pb::VideoOptions { preset: pb::Preset::Ultrafast.into(), ..Default::default() });
        Kind::Mosaic(pb::Mosaic {
            format: format.into(),
            width: 640,
            height: 240,
            video,
            ..Default::default()
        })
    };
    let stem = |track: i32| Kind::Stem(pb::Stem { track, ..Default::default() });
    let film = |kind, video, audio, size| Expected { kind, video, audio, size };
    let sound = |kind, audio| Expected { kind, video: &[], audio, size: (0, 0) };
    let picture = |kind, size| Expected { kind, video: &["mjpeg"], audio: &[], size };
    vec![
        film(Kind::Mp4(pb::Mp4 { video: encoded(), audio: None }), &["h264"], &["aac"], (160, 120)),
        film(webm(pb::webm::VideoCodec::Vp9), &["vp9"], &["opus"], (160, 120)),
        film(webm(pb::webm::VideoCodec::Av1), &["av1"], &["opus"], (160, 120)),
        film(mosaic(pb::FilmFormat::Mp4), &["h264"], &["aac"], (640, 240)),
        film(mosaic(pb::FilmFormat::Webm), &["vp9"], &["opus"], (640, 240)),
        film(stem(1), &["vp8"], &[], (320, 240)),
        sound(stem(3), &["opus"]),
        sound(Kind::Mp3(pb::Mp3::default()), &["mp3"]),
        sound(Kind::OggOpus(pb::OggOpus::default()), &["opus"]),
        sound(Kind::Wav(pb::Wav::default()), &["pcm_s16le"]),
        sound(Kind::Mix(pb::Mix { format: pb::AudioFormat::Wav.into(), channels: 2 }), &["pcm_s16le"]),
        picture(Kind::Thumbnail(pb::Thumbnail::default()), (320, 240)),
        picture(Kind::ContactSheet(pb::ContactSheet { columns: 2, rows: 2, width: 640 }), (640, 480)),
        Expected { kind: Kind::Waveform(pb::Waveform::default()), video: &[], audio: &[], size: (0, 0) },
    ]
}

/// Records two cameras and a microphone that send the test signal.
async fn record(recorder: &Recorder) -> String {
    let (driver, mut client) = (driver(), recorder.client());
    let tracks = [video(Codec::Vp8), video(Codec::Vp8), beep()];
    let play_for = Some(std::time::Duration::from_secs(SECONDS));
    let session = sender(&driver, SenderConfig { play_for, ..SenderConfig::playing(tracks) }).await;
    let call = ok(Call::begin(&mut client, &session, "two cameras").await, "the offer");
    played(&session, SECONDS * 30).await;
    ok(call.stop(&mut client).await, "the stop");
    call.id
}

pub async fn every_kind_of_rendition_of_a_call_is_made_and_in_sync(backend: &TestBackend) {
    let recorder = backend.start().await;
    let mut client = RecordingServiceClient::new(recorder.channel());
    let id = record(&recorder).await;
    let mut events = watch(&mut client, &id).await;
    let folder = ok(tempfile::tempdir(), "a directory");
    for expected in expected() {
        let kind = create(&mut client, &id, expected.kind).await.kind;
        let rendition = made(&mut events, &kind).await;
        let link = link(&mut client, Source::RenditionId(rendition.id.clone())).await;
        let file = folder.path().join(&link.file_name);
        download(&link.url, &file).await;
        assert_eq!((rendition.width, rendition.height), expected.size, "{rendition:?}");
        if kind == "waveform" {
            check_peaks(&file);
        } else {
            check(&expected, &rendition, &file);
        }
    }
}

fn check(expected: &Expected, rendition: &pb::Rendition, file: &Path) {
    let probed = ok(probe(file), "the file's headers");
    assert_eq!(
        (probed.codecs("video"), probed.codecs("audio")),
        (expected.video.into(), expected.audio.into())
    );
    if expected.video == ["mjpeg"] {
        assert_eq!(ok(pictures(file, 0), "decoding").len(), 1);
        return;
    }
    ok(decode_strictly(file), "strict decoding");
    let seconds = rendition.duration.map_or(0.0, |one| one.seconds as f64 + f64::from(one.nanos) / 1e9);
    assert!((seconds - SECONDS as f64).abs() < 0.3, "{seconds} s of {rendition:?}");
    if !expected.video.is_empty() && !expected.audio.is_empty() {
        assert_in_sync(file, &ok(pictures(file, 0), "decoding"), A_PICTURE, SECONDS as usize - 1);
    } else if !expected.audio.is_empty() {
        let beeps = ok(sound(file, 0), "decoding").beeps();
        let apart = |pair: &[f64]| (pair[1] - pair[0] - 1.0).abs() < 0.01;
        assert!(beeps.len() + 1 >= SECONDS as usize && beeps.windows(2).all(apart), "{beeps:?}");
    }
}

/// A waveform has twenty pairs per second. The beep of each second fills the first two.
fn check_peaks(file: &Path) {
    let drawn: serde_json::Value = ok(serde_json::from_slice(&ok(std::fs::read(file), "the peaks")), "JSON");
    let values: Vec<i64> =
        drawn["data"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_i64).collect();
    let (pairs, loud) = (values.len() / 2, values.chunks(2).filter(|pair| pair[1] > 40).count());
    assert!(pairs.abs_diff(SECONDS as usize * 20) <= 6, "{drawn}");
    assert!((2 * SECONDS as usize - 2..=3 * SECONDS as usize + 1).contains(&loud), "{loud}: {drawn}");
}
