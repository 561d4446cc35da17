//! Tracks that join, leave and change, all in one file.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_precision_loss)]

mod harness;

use std::time::Duration;

use harness::{
    Harness, coded, ms, ntp, packetize, parse,
    player::OnDisk,
    script::{Script, captured, send_coded_audio, send_coded_video, spread, vp8},
    sender::{Source, VIDEO, format, opus_track, track, vp8_track},
};
use media::{Codec, Input, KeyframeReason, LayerId, MediaKind, RecorderConfig, TrackId};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn tracks_join_late_and_leave_early_in_one_file() {
    let mut harness = Harness::new(RecorderConfig::default());
    harness.add(opus_track());
    harness.add(vp8_track());
    let mut script = Script::default();
    send_coded_video(&mut script, &mut Source::vp8(), &coded::vp8()[..150], ms(30));
    send_coded_audio(&mut script, &mut Source::opus(), &coded::opus()[..500], ms(30));
    let (late, early): (Vec<_>, Vec<_>) = script.0.into_iter().partition(|(arrival, _)| *arrival > ms(6_100));
    Script(early).play(&mut harness);
    let at = harness.instant();
    harness.input(Input::EndTrack { track: VIDEO, at });
    let screen = TrackId(7);
    harness.add(track(screen, MediaKind::Video, vec![format(98, Codec::Vp9, 90_000, 0)]));
    let mut source = Source::new(99, 98, 90_000);
    let mut script = Script(late);
    for (index, frame) in coded::vp9()[..75].iter().enumerate() {
        let at = ms(7_000 + 40 * index as u64);
        let packets = source.frame(at, packetize::vp9(frame, index as u16));
        script.rtp(at + ms(30), screen, packets);
    }
    script.play(&mut harness);
    let (summary, bytes) = harness.finish();
    let file = OnDisk::new(&bytes, "webm");
    file.decodes_clean();
    let streams = file.streams();
    let names: Vec<_> =
        streams.iter().map(|stream| (&*stream["codec_name"], &*stream["nb_read_packets"])).collect();
    assert_eq!(names, [("opus", "500"), ("vp8", "150"), ("vp9", "75")]);
    assert_eq!(summary.tracks[2].name, "t7");
    assert!((file.packet_times(2)[0] - 7.0).abs() < 0.05);
}

#[test]
fn a_codec_that_changes_is_another_track_of_the_file() {
    let mut harness = Harness::new(RecorderConfig::default());
    let formats = vec![format(96, Codec::Vp8, 90_000, 0), format(102, Codec::H264, 90_000, 0)];
    harness.add(track(VIDEO, MediaKind::Video, formats));
    let mut source = Source::vp8();
    let mut script = Script::default();
    let h264 = coded::h264();
    for index in 0..150_u16 {
        let at = ms(40 * u64::from(index));
        // VP8, H264, VP8 for two seconds each.
        let payloads = if (50..100).contains(&index) {
            source.payload_type = 102;
            packetize::h264(&h264[usize::from(index - 50)])
        } else {
            source.payload_type = 96;
            packetize::vp8(&coded::vp8()[usize::from(index % 50)], index)
        };
        let packets = source.frame(at, payloads);
        script.rtp(at, VIDEO, packets);
    }
    script.play(&mut harness);
    let (summary, bytes) = harness.finish();
    let found: Vec<_> = summary.tracks.iter().map(|track| (track.codec, track.frames, track.track)).collect();
    assert_eq!(found, [(Codec::Vp8, 100, VIDEO), (Codec::H264, 50, VIDEO)]);
    OnDisk::new(&bytes, "mkv").decodes_clean();
}

#[test]
fn ten_changes_of_size_stay_in_one_track() {
    let mut harness = Harness::new(RecorderConfig::default());
    harness.add(vp8_track());
    let small = coded::vp8_of("320x180");
    let large = coded::vp8_of("1280x720");
    let mut source = Source::vp8();
    let mut script = Script::default();
    let mut index = 0_u16;
    for change in 0..10 {
        for frame in if change % 2 == 0 { &small[..25] } else { &large[..25] } {
            let at = ms(40 * u64::from(index));
            let packets = source.frame(at, packetize::vp8(frame, index));
            script.rtp(at, VIDEO, packets);
            index += 1;
        }
    }
    script.play(&mut harness);
    assert_eq!(harness.recorder.statistics().tracks[0].1.width, 1_280);
    let (summary, bytes) = harness.finish();
    assert_eq!((summary.tracks.len(), summary.tracks[0].frames), (1, 250));
    let file = OnDisk::new(&bytes, "webm");
    file.decodes_clean();
    assert_eq!(file.streams()[0]["nb_read_frames"], "250");
}

#[test]
fn a_new_source_continues_its_track() {
    let mut harness = Harness::new(RecorderConfig::default());
    harness.add(vp8_track());
    let mut script = Script::default();
    let mut index = 0_u16;
    for restart in 0..4_u32 {
        let mut source = Source::vp8();
        source.ssrc += restart;
        source.base = source.base.wrapping_mul(restart + 1);
        source.sequence_number = source.sequence_number.wrapping_mul(restart as u16 * 3 + 1);
        let from = 2 * SECOND * restart;
        for frame in &coded::vp8()[..50] {
            let at = ms(40 * u64::from(index));
            let packets = source.frame(at, packetize::vp8(frame, index));
            script.rtp(at + ms(30), VIDEO, packets);
            index += 1;
        }
        script.reports(VIDEO, &source, from + ms(200), from + 2 * SECOND, SECOND);
    }
    script.play(&mut harness);
    let (summary, bytes) = harness.finish();
    assert_eq!((summary.tracks.len(), summary.tracks[0].frames), (1, 200));
    let file = OnDisk::new(&bytes, "webm");
    file.decodes_clean();
    for (index, time) in file.packet_times(0).into_iter().enumerate() {
        assert!((time - 0.04 * index as f64).abs() <= 0.002, "{index}: {time}");
    }
}

/// Records three layers of 25 fps for `seconds`, with a keyframe every `gop` frames. `sends` decides which layer sends when.
fn simulcast(
    gop: usize,
    seconds: u32,
    sends: impl Fn(usize, Duration) -> bool,
) -> (Harness, Vec<parse::Block>) {
    let mut harness = Harness::new(RecorderConfig::default());
    harness.add(vp8_track());
    let mut script = Script::default();
    let mut sources: Vec<_> = (0..3_u32)
        .map(|layer| Source { ssrc: 10 + layer, base: 77_777_777 * layer, ..Source::vp8() })
        .collect();
    for index in 0..25 * seconds {
        let at = ms(40) * index;
        for (layer, source) in sources.iter_mut().enumerate() {
            if !sends(layer, at) {
                continue;
            }
            let size = [(320, 180), (640, 360), (1_280, 720)][layer];
            let frame = vp8(at, (index as usize).is_multiple_of(gop), size);
            let packets = source.frame(at, packetize::vp8(&frame, index as u16));
            script.layer(at + ms(30 + 5 * layer as u64), VIDEO, LayerId(layer as u8), packets);
            if index % 25 == 7 {
                script.report_of(at + ms(30), VIDEO, LayerId(layer as u8), source, at, ntp(at));
            }
        }
    }
    script.play(&mut harness);
    let blocks = parse::blocks(&harness.finish().1);
    (harness, blocks)
}

#[test]
fn the_best_active_layer_is_written() {
    let (harness, blocks) = simulcast(25, 10, |_, _| true);
    let summary = harness.summary.unwrap();
    assert_eq!((summary.tracks.len(), summary.tracks[0].width, blocks.len()), (1, 1_280, 250));
    assert!(spread(&blocks) <= 2.0, "{}", spread(&blocks));
    assert_eq!(harness.keyframes, []);
}

#[test]
fn a_stalled_layer_is_replaced_and_selected_again_at_keyframes() {
    let away = ms(4_500)..ms(8_500);
    let (harness, blocks) = simulcast(25, 14, |layer, at| layer < 2 || !away.contains(&at));
    assert!(spread(&blocks) <= 2.0, "{}", spread(&blocks));
    assert!(blocks.windows(2).all(|pair| pair[0].time < pair[1].time));
    // The stall is detected after one second, and the next keyframe takes up to another.
    let gap = blocks.windows(2).map(|pair| captured(&pair[1]) - captured(&pair[0])).max().unwrap();
    assert!(gap <= ms(2_100), "{gap:?}");
    assert!(blocks.len() > 290, "{}", blocks.len());
    assert!(
        harness
            .keyframes
            .iter()
            .any(|(.., layer, reason)| *layer == LayerId(1) && *reason == KeyframeReason::LayerSwitch)
    );
    let widths: Vec<_> = blocks
        .iter()
        .filter(|block| block.keyframe)
        .map(|block| u16::from_le_bytes([block.data[6], block.data[7]]))
        .collect();
    assert_eq!(widths.first(), Some(&1_280));
    assert!(widths.contains(&640) && !widths.contains(&320), "{widths:?}");
    assert_eq!(widths.last(), Some(&1_280));
}

#[test]
fn a_better_layer_that_starts_later_is_selected_after_a_keyframe_request() {
    // The synthetic sender ignores requests. Each layer has a keyframe every four seconds.
    let (harness, blocks) = simulcast(100, 12, |layer, at| layer < 2 || at >= 5 * SECOND);
    assert!(harness.keyframes.iter().any(|(at, _, layer, reason)| *layer == LayerId(2)
        && *reason == KeyframeReason::LayerSwitch
        && *at < ms(5_200)));
    // The picture of the switch may be in the file in both sizes.
    assert!((300..=301).contains(&blocks.len()), "{}", blocks.len());
    assert!(spread(&blocks) <= 2.0);
}

#[test]
fn tracks_without_room_in_the_header_are_dropped_and_counted() {
    let mut harness = Harness::new(RecorderConfig::default());
    let mut sources = Vec::new();
    for number in 0..80_u32 {
        let name = "a name of about a hundred bytes, which is much longer than the names that browsers give to their tracks";
        let config = media::TrackConfig { id: TrackId(number), name: name.to_owned(), ..opus_track() };
        harness.add(config);
        sources.push(Source { ssrc: number, ..Source::opus() });
    }
    for index in 0..100_u32 {
        let at = ms(20) * index;
        for (number, source) in sources.iter_mut().enumerate() {
            let packets = source.frame(at, vec![harness::script::opus(at)]);
            for packet in packets {
                harness.rtp(at, TrackId(number as u32), packet);
            }
        }
    }
    let (summary, bytes) = harness.finish();
    assert!(summary.tracks.len() > 20 && summary.tracks.len() < 80, "{}", summary.tracks.len());
    assert!(summary.tracks.iter().all(|track| track.frames == 100));
    let dropped = harness
        .recorder
        .statistics()
        .tracks
        .iter()
        .filter(|(_, track)| track.frames_without_entry == 100)
        .count();
    assert_eq!(dropped + summary.tracks.len(), 80);
    assert_eq!(OnDisk::new(&bytes, "webm").streams().len(), summary.tracks.len());
}

#[test]
fn a_session_without_a_frame_leaves_no_file() {
    let mut harness = Harness::new(RecorderConfig::default());
    harness.add(opus_track());
    let mut video = Source::vp8();
    // It sends packets, but no keyframe.
    harness.add(vp8_track());
    for packet in video.frame(ms(0), packetize::vp8(&vp8(ms(0), false, (2, 2)), 0)) {
        harness.rtp(ms(10), VIDEO, packet);
    }
    let (summary, bytes) = harness.finish();
    assert_eq!((summary.container, summary.bytes, bytes.len()), (None, 0, 0));
}
