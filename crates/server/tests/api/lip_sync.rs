//! The A/V offset in the statistics of live sessions.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use proto::recorder::v1::{Codec, ListSessionsRequest, SessionTrack};
use testkit::{
    call::Call,
    sender::{Driver, SenderConfig, Track},
    signal::{self, ClipSpec, clip},
};

use crate::support::TestApp;

/// In milliseconds.
fn offset(tracks: &[SessionTrack], codec: Codec) -> Option<f64> {
    let offset = tracks.iter().find(|track| track.codec() == codec)?.av_offset?;
    Some(offset.seconds as f64 * 1e3 + f64::from(offset.nanos) / 1e6)
}

#[tokio::test]
async fn the_av_offset_of_a_late_camera_is_reported() {
    let app = TestApp::start(&[]).await;
    let driver = Driver::start().unwrap();
    for (video_lag, audio_lag) in [(120, 0), (0, 80)] {
        let lag = |track: Track, lag| track.lagging(Duration::from_millis(lag));
        let video = lag(Track::of(clip(ClipSpec::small(signal::Codec::Vp8)).unwrap()), video_lag);
        let audio = lag(Track::of(clip(ClipSpec::beep()).unwrap()), audio_lag);
        let config = SenderConfig::playing([video, audio]);
        let session = driver.add(config, IpAddr::V4(Ipv4Addr::LOCALHOST)).await.unwrap();
        let call = Call::begin(&mut app.webrtc(), &session, "late").await.unwrap();

        let expected = f64::from(video_lag as u32) - f64::from(audio_lag as u32);
        let deadline = Instant::now() + Duration::from_secs(60);
        let (mut video, mut audio) = (None, None);
        // Later frames smooth out the jitter of a busy machine.
        while video.is_none_or(|found: f64| (found - expected).abs() > 10.0) {
            assert!(Instant::now() < deadline, "{video:?} and {audio:?}, not {expected} ms and 0");
            tokio::time::sleep(Duration::from_millis(100)).await;
            let sessions = app.recordings().list_sessions(ListSessionsRequest {}).await.unwrap().into_inner();
            let tracks = sessions.sessions.into_iter().next().map(|live| live.tracks).unwrap_or_default();
            video = offset(&tracks, Codec::Vp8);
            audio = offset(&tracks, Codec::Opus);
        }
        assert_eq!(audio, Some(0.0));
        call.stop(&mut app.webrtc()).await.unwrap();
    }
    app.stop().await;
}
