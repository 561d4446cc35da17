//! Recordings of headless Chromium.

mod support;

use std::time::Duration;

use proto::webrtc_recorder::{RenegotiateP2pVideoRequest, StopP2pVideoRequest};
use serde_json::{Value, json};
use support::{assert_in_sync, config, counted, object, ok, start};
use testkit::{
    call::upload_request,
    client::Client,
    recorder::Recorder,
    verify::{Counters, decode_strictly, probe, seek_everywhere},
};
use tokio::{sync::Mutex, time::sleep};

/// A browser uses the whole machine, so the tests run one at a time.
static BROWSER: Mutex<()> = Mutex::const_new(());

/// The frame counter of the page's signal does not wrap within a test.
const NO_END: u16 = u16::MAX;

struct Page<'a> {
    recorder: &'a Recorder,
    name: &'a str,
    id: String,
}

impl<'a> Page<'a> {
    /// Opens a page and records it. Returns once it is connected.
    async fn record(browser: &mut Client, recorder: &'a Recorder, name: &'a str, options: Value) -> Self {
        ok(browser.open_page(name, options).await, "the page");
        let offer = ok(browser.offer(name).await, "the browser's offer");
        let response = ok(recorder.client().upload_p2p_video(upload_request(offer, name)).await, "the offer");
        let response = response.into_inner();
        ok(browser.answer(name, &response.sdp_answer).await, "the browser takes the answer");
        Self { recorder, name, id: response.id }
    }

    async fn renegotiate(&self, browser: &mut Client, change: &str) {
        ok(browser.ask(self.name, change).await, "the change");
        let sdp_offer = ok(browser.offer(self.name).await, "the browser's next offer");
        let request = RenegotiateP2pVideoRequest { id: self.id.clone(), sdp_offer };
        let response = ok(self.recorder.client().renegotiate_p2p_video(request).await, "the renegotiation");
        ok(
            browser.answer(self.name, &response.into_inner().sdp_answer).await,
            "the browser takes the answer",
        );
    }

    async fn stop(&self) -> std::path::PathBuf {
        let request = StopP2pVideoRequest { id: self.id.clone() };
        ok(self.recorder.client().stop_p2p_video(request).await, "the stop");
        object(self.recorder, &self.id).await
    }
}

fn signal(codec: &str) -> Value {
    json!({ "source": "signal", "codec": codec, "width": 320, "height": 240 })
}

/// Records the page's signal for 4 s, adds a second video after 2 s, and checks the file.
async fn records_with_a_second_video(codec: &str, name_in_file: &str) {
    let _one_at_a_time = BROWSER.lock().await;
    let recorder = start(config()).await;
    let mut browser = ok(Client::chromium().await, "Chromium");
    let page = Page::record(&mut browser, &recorder, "camera", signal(codec)).await;
    let begin = std::time::Instant::now();
    sleep(Duration::from_secs(2)).await;
    page.renegotiate(&mut browser, "addVideo").await;
    sleep(Duration::from_secs(2)).await;
    let stats = ok(browser.ask("camera", "stats").await, "the browser's figures");
    let sent = begin.elapsed().as_secs_f64();
    let file = page.stop().await;

    let probed = ok(probe(&file), "the headers");
    assert_eq!(probed.codecs("video"), [name_in_file, name_in_file]);
    assert_eq!(probed.codecs("audio"), ["opus"]);
    assert_eq!(file.extension().is_some_and(|extension| extension == "webm"), probed.is_webm());
    ok(decode_strictly(&file), "strict decoding");
    ok(seek_everywhere(&file, 20, 1), "seeking");
    let duration = probed.duration().unwrap_or_default();
    assert!((duration - sent).abs() < 0.25, "{duration} s recorded of {sent} s sent; {stats}");

    let (pictures, counters) = counted(&file, 0, NO_END);
    assert_eq!(counters.unreadable, 0, "{counters:?}");
    // On a keyframe request before the next picture, a browser sends its previous picture again.
    assert!(counters.repeated.iter().all(|repeated| Some(*repeated) == counters.first), "{counters:?}");
    // The encoder may drop pictures, so the expected number is the one that the browser reports as sent.
    let encoded = stats["video"][0]["framesSent"].as_u64().unwrap_or_default();
    assert!(pictures.len() as u64 + 2 >= encoded, "{} of {encoded} pictures", pictures.len());
    // The page draws by the audio clock, with a tolerance of one picture and the audio buffers.
    assert_in_sync(&file, &pictures, 100.0, 3);
    let (added, counters) = counted(&file, 1, NO_END);
    assert!(!added.is_empty() && counters.unreadable == 0, "{counters:?}");
    assert!(added.first().is_some_and(|picture| picture.time > 1.5), "{:?}", added.first());
}

#[tokio::test]
async fn chromium_is_recorded_in_vp8_with_a_second_video() {
    records_with_a_second_video("video/VP8", "vp8").await;
}

#[tokio::test]
async fn chromium_is_recorded_in_vp9_with_a_second_video() {
    records_with_a_second_video("video/VP9", "vp9").await;
}

#[tokio::test]
async fn chromium_is_recorded_in_h264_with_a_second_video() {
    records_with_a_second_video("video/H264", "h264").await;
}

#[tokio::test]
async fn chromium_is_recorded_in_av1_with_a_second_video() {
    records_with_a_second_video("video/AV1", "av1").await;
}

#[tokio::test]
async fn the_bitrate_of_chromium_rises_to_its_maximum() {
    const MAXIMUM: f64 = 1_200_000.0;
    let _one_at_a_time = BROWSER.lock().await;
    let recorder = start(config()).await;
    let mut browser = ok(Client::chromium().await, "Chromium");
    let options = json!({ "source": "signal", "codec": "video/VP8", "maxBitrate": MAXIMUM });
    let page = Page::record(&mut browser, &recorder, "camera", options).await;
    let mut stats = Value::Null;
    let climbed = support::wait_for(Duration::from_secs(12), async || {
        sleep(Duration::from_millis(250)).await;
        stats = ok(browser.ask("camera", "stats").await, "the browser's figures");
        let targets = stats["bitrates"].as_array().map(Vec::as_slice).unwrap_or_default();
        let last = targets.iter().rev().take(4);
        targets.len() >= 4
            && last.filter_map(|row| row["target"].as_f64()).all(|target| target >= 0.95 * MAXIMUM)
    });
    let climbed = climbed.await;
    assert!(climbed, "{stats}");
    ok(decode_strictly(&page.stop().await), "strict decoding");
}

#[tokio::test]
async fn two_browsers_send_camera_and_microphone_to_one_port() {
    let _one_at_a_time = BROWSER.lock().await;
    let recorder = start(config().env("RECORDER__WEBRTC__SHARDS", "1")).await;
    let (first, second) = tokio::join!(Client::chromium(), Client::chromium());
    let (mut first, mut second) = (ok(first, "Chromium"), ok(second, "Chromium"));
    let options = json!({ "source": "fake", "codec": "video/VP8", "width": 320, "height": 240 });
    let one = Page::record(&mut first, &recorder, "one", options.clone()).await;
    let two = Page::record(&mut second, &recorder, "two", options).await;
    sleep(Duration::from_secs(3)).await;
    for page in [one, two] {
        let file = page.stop().await;
        let probed = ok(probe(&file), "the headers");
        assert_eq!((probed.codecs("video"), probed.codecs("audio")), (vec!["vp8"], vec!["opus"]));
        assert!(probed.duration().is_some_and(|duration| duration > 2.5), "{:?}", probed.duration());
        ok(decode_strictly(&file), "strict decoding");
    }
}

#[tokio::test]
async fn simulcast_of_chromium_is_recorded_as_one_track() {
    let _one_at_a_time = BROWSER.lock().await;
    let recorder = start(config()).await;
    let mut browser = ok(Client::chromium().await, "Chromium");
    let options = json!({ "source": "signal", "codec": "video/VP8", "simulcast": true });
    let page = Page::record(&mut browser, &recorder, "camera", options).await;
    sleep(Duration::from_secs(5)).await;
    let stats = ok(browser.ask("camera", "stats").await, "the browser's figures");
    let file = page.stop().await;
    let probed = ok(probe(&file), "the headers");
    assert_eq!((probed.codecs("video"), probed.codecs("audio")), (vec!["vp8"], vec!["opus"]), "{stats}");
    ok(decode_strictly(&file), "strict decoding");
    let (_, Counters { unreadable, repeated, .. }) = counted(&file, 0, NO_END);
    assert_eq!((unreadable, repeated), (0, Vec::new()), "{stats}");
}

#[tokio::test]
async fn video_that_the_page_stops_ends_and_the_other_tracks_continue() {
    let _one_at_a_time = BROWSER.lock().await;
    let recorder = start(config()).await;
    let mut browser = ok(Client::chromium().await, "Chromium");
    let page = Page::record(&mut browser, &recorder, "camera", signal("video/VP8")).await;
    page.renegotiate(&mut browser, "addVideo").await;
    sleep(Duration::from_secs(2)).await;
    page.renegotiate(&mut browser, "removeVideo").await;
    sleep(Duration::from_secs(2)).await;
    let file = page.stop().await;
    ok(decode_strictly(&file), "strict decoding");
    let (continued, _) = counted(&file, 0, NO_END);
    let (ended, _) = counted(&file, 1, NO_END);
    let last = |pictures: &[testkit::verify::Picture]| pictures.last().map_or(0.0, |picture| picture.time);
    assert!(last(&continued) > last(&ended) + 1.5, "{} {}", last(&continued), last(&ended));
}
