//! A recording of camera and microphone, checked by ffmpeg and ffprobe.

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_precision_loss)]

mod harness;

use harness::{
    Harness, coded, ms, ntp, packetize,
    player::OnDisk,
    script::Script,
    sender::{AUDIO, Source, VIDEO, opus_track, vp8_track},
};
use media::{Container, RecorderConfig};

/// Ten seconds of camera and microphone, as a browser sends them.
fn record_call(harness: &mut Harness) {
    harness.add(opus_track());
    harness.add(vp8_track());
    let (mut audio, mut video) = (Source::opus(), Source::vp8());
    for tick in 0..10_000_u64 {
        let at = ms(tick);
        let arrival = at + ms(30);
        if tick % 1000 == 300 {
            harness.report(arrival, VIDEO, video.ssrc, ntp(at), video.timestamp(at));
            harness.report(arrival, AUDIO, audio.ssrc, ntp(at), audio.timestamp(at));
        }
        if let Some(packet) =
            coded::opus().get(usize::try_from(tick / 20).unwrap()).filter(|_| tick % 20 == 0)
        {
            for packet in audio.frame(at, vec![packet.clone()]) {
                harness.rtp(arrival, AUDIO, packet);
            }
        }
        if tick % 40 == 0 {
            let index = tick / 40;
            let frame = &coded::vp8()[usize::try_from(index).unwrap()];
            for packet in video.frame(at, packetize::vp8(frame, u16::try_from(index).unwrap())) {
                harness.rtp(arrival, VIDEO, packet);
            }
        }
    }
}

#[test]
fn a_call_is_recorded_as_webm_that_decodes() {
    let mut harness = Harness::new(RecorderConfig::default());
    record_call(&mut harness);
    let (summary, bytes) = harness.finish();
    assert_eq!(summary.container, Some(Container::Webm));
    assert_eq!(summary.bytes, bytes.len() as u64);
    let file = OnDisk::new(&bytes, "webm");
    file.decodes_clean();
    let format = file.format();
    assert_eq!(format["start_time"], "0.000000", "{format:?}");
    let duration: f64 = format["duration"].parse().unwrap();
    assert!((duration - 10.0).abs() < 0.05, "{duration}");
    assert!((duration - summary.duration.as_secs_f64()).abs() < 0.001);
    let streams = file.streams();
    assert_eq!(streams[0]["codec_name"], "opus");
    assert_eq!(streams[1]["codec_name"], "vp8");
    assert_eq!(streams[1]["width"], "320");
    assert_eq!(streams[1]["nb_read_frames"], "250");
    assert_eq!(streams[0]["nb_read_packets"], coded::opus().len().min(500).to_string());
    assert_eq!(summary.tracks[1].frames, 250);
    assert_eq!(harness.keyframes, []);
}

#[test]
fn audio_and_video_captured_together_are_presented_within_2_ms() {
    for video_first in [0, 25, 400] {
        let mut harness = Harness::new(RecorderConfig::default());
        harness.add(opus_track());
        harness.add(vp8_track());
        let (mut audio, mut video) = (Source::opus(), Source::vp8());
        let mut script = Script::default();
        for (index, packet) in coded::opus_beep().into_iter().enumerate() {
            let at = ms(20 * index as u64 + video_first);
            let packets = audio.frame(at, vec![packet]);
            script.rtp(at + ms(30), AUDIO, packets);
        }
        for (index, frame) in coded::vp8().iter().take(75).enumerate() {
            let at = ms(40 * index as u64);
            let packets = video.frame(at, packetize::vp8(frame, index as u16));
            script.rtp(at + ms(45), VIDEO, packets);
        }
        script.reports(AUDIO, &audio, ms(250), ms(3_000), ms(1_000));
        script.reports(VIDEO, &video, ms(300), ms(3_000), ms(1_000));
        script.play(&mut harness);
        let file = OnDisk::new(&harness.finish().1, "webm");
        assert_eq!(file.format()["start_time"], "0.000000");
        // Frame 25 was captured a second after frame 0; the beep a second after the first sample.
        let picture = file.packet_times(1)[25] + video_first as f64 / 1_000.0;
        let beep = file.first_sound();
        assert!((beep - picture).abs() <= 0.002, "audio at {beep}, video at {picture}");
    }
}
