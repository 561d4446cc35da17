//! MP4 and WebM: their content, and whether video and audio are in sync.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use support::{
    FRAME, SECONDS, SIZE, TestDirectory, call, call_of_two, frames, level, matroska::MatroskaFile, pictures,
    sound, worst_offset,
};
use testkit::{
    signal::Codec,
    verify::{self, Counters},
};

/// Checks container, codecs, duration, size, that every frame is there once, and that beep and flash coincide.
fn assert_film(json: &str, codecs: [&str; 2], tolerance_ms: f64) {
    let directory = TestDirectory::new();
    let input = directory.write("call.webm", &call());
    let (output, produced) = directory.make(&input, json).unwrap();
    let probe = verify::probe(&output).unwrap();
    assert_eq!(probe.codecs("video"), [codecs[0]]);
    assert_eq!(probe.codecs("audio"), [codecs[1]]);
    assert!((probe.duration().unwrap() - f64::from(SECONDS)).abs() <= FRAME, "{:?}", probe.duration());
    assert!((produced.duration.as_secs_f64() - f64::from(SECONDS)).abs() <= FRAME, "{produced:?}");
    assert_eq!((produced.width, produced.height), SIZE);
    assert_eq!((probe.streams[0].width, probe.streams[0].height), SIZE);
    verify::decode_strictly(&output).unwrap();
    let counters = Counters::of(&pictures(&output), u16::MAX);
    assert!(counters.is_whole(), "{counters:?}");
    assert_eq!(counters.last, Some(SECONDS as u16 * 30 - 1));
    let worst = worst_offset(&output);
    assert!(worst <= tolerance_ms, "{worst} ms");
}

#[test]
fn the_input_itself_is_in_sync() {
    let directory = TestDirectory::new();
    let input = directory.write("call.webm", &call());
    let worst = worst_offset(&input);
    assert!(worst <= 2.0, "{worst} ms");
}

#[test]
fn mp4_is_h264_and_aac_in_sync() {
    assert_film(r#"{"kind": "mp4"}"#, ["h264", "aac"], 25.0);
}

#[test]
fn webm_is_vp9_and_opus_in_sync() {
    assert_film(r#"{"kind": "webm"}"#, ["vp9", "opus"], 10.0);
}

#[test]
fn webm_with_encoded_opus_is_in_sync() {
    assert_film(
        r#"{"kind": "webm", "video": {"preset": "ultrafast"}, "audio": {"bit_rate": 48000}}"#,
        ["vp9", "opus"],
        10.0,
    );
}

#[test]
fn webm_can_be_av1() {
    assert_film(
        r#"{"kind": "webm", "codec": "av1", "video": {"preset": "ultrafast"}}"#,
        ["av1", "opus"],
        10.0,
    );
}

#[test]
fn tracks_with_webm_codecs_are_copied() {
    let directory = TestDirectory::new();
    let mut film = MatroskaFile::default();
    let video = film.add_video("V_VP9", SIZE, 0.0);
    film.add_frames(video, &frames(Codec::Vp9, SIZE), 0);
    let audio = film.add_opus();
    film.add_frames(audio, &frames(Codec::Opus, SIZE), 0);
    let input = directory.write("vp9.webm", &film);
    let (output, produced) = directory.make(&input, r#"{"kind": "webm"}"#).unwrap();
    let packets = |file| -> Vec<(usize, usize, i64)> {
        let packets = verify::packets(file).unwrap();
        let mut packets: Vec<_> = packets
            .into_iter()
            .map(|packet| (packet.stream, packet.size, (packet.time * 1_000.0).round() as i64))
            .collect();
        packets.sort_by_key(|packet| (packet.0, packet.2));
        packets
    };
    assert_eq!(packets(&input), packets(&output));
    assert_eq!((produced.width, produced.height), SIZE);
    verify::seek_everywhere(&output, 10, 1).unwrap();
    let worst = worst_offset(&output);
    assert!(worst <= 2.0, "{worst} ms");
}

#[test]
fn index_and_cues_are_in_front() {
    let directory = TestDirectory::new();
    let input = directory.write("call.webm", &call());
    let find = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).position(|window| window == what);
    let mp4 = std::fs::read(directory.make(&input, r#"{"kind": "mp4"}"#).unwrap().0).unwrap();
    assert!(find(&mp4, b"moov") < find(&mp4, b"mdat"));
    let (webm, _) = directory.make(&input, r#"{"kind": "webm", "video": {"preset": "ultrafast"}}"#).unwrap();
    verify::seek_everywhere(&webm, 10, 1).unwrap();
    let webm = std::fs::read(webm).unwrap();
    // Cues before the first Cluster.
    assert!(find(&webm, &[0x1C, 0x53, 0xBB, 0x6B]) < find(&webm, &[0x1F, 0x43, 0xB6, 0x75]));
}

#[test]
fn size_frame_rate_and_bit_rate_are_as_requested() {
    let directory = TestDirectory::new();
    let input = directory.write("call.webm", &call());
    let json = r#"{"kind": "mp4", "video": {"height": 180, "frame_rate": 10, "bit_rate": 100000}, "audio": {"channels": 2}}"#;
    let (output, produced) = directory.make(&input, json).unwrap();
    assert_eq!((produced.width, produced.height), (320, 180));
    let shown = pictures(&output);
    assert!((58..=61).contains(&shown.len()), "{}", shown.len());
    assert_eq!(support::ffprobe(&output, &["-select_streams", "a", "-show_entries", "stream=channels"]), "2");
    let rate: f64 = support::ffprobe(&output, &["-select_streams", "v", "-show_entries", "stream=bit_rate"])
        .parse()
        .unwrap();
    assert!((60_000.0..170_000.0).contains(&rate), "{rate}");
    let square = r#"{"kind": "mp4", "video": {"width": 320, "height": 320}}"#;
    let (output, produced) = directory.make(&input, square).unwrap();
    assert_eq!((produced.width, produced.height), (320, 320));
    // Black above, since the video is wider than the box.
    let shown = support::luma(&output, (320, 320), 1.5);
    let mean = |rows: std::ops::Range<usize>| {
        let sum: u32 = shown[rows.start * 320..rows.end * 320].iter().copied().map(u32::from).sum();
        sum / (rows.len() * 320) as u32
    };
    // 180 rows of video between bars of 70 rows each. Encoding can change a single pixel.
    let (above, picture, below) = (mean(8..62), mean(78..242), mean(258..312));
    assert!(above < 30 && below < 30 && picture > 40, "{above}, {picture}, {below}");
}

#[test]
fn audio_that_begins_late_stays_late() {
    let directory = TestDirectory::new();
    let mut film = MatroskaFile::default();
    let video = film.add_video("V_VP8", SIZE, 0.0);
    film.add_frames(video, &frames(Codec::Vp8, SIZE), 0);
    let audio = film.add_opus();
    film.add_frames(audio, &frames(Codec::Opus, SIZE)[75..], 0);
    let input = directory.write("late.webm", &film);
    for json in [r#"{"kind": "mp4"}"#, r#"{"kind": "webm", "video": {"preset": "ultrafast"}}"#] {
        let (output, _) = directory.make(&input, json).unwrap();
        let worst = worst_offset_but_first(&output);
        assert!(worst <= 25.0, "{json}: {worst} ms");
        assert!(level(&sound(&output), 0.1, 1.4) < 50.0);
    }
}

fn worst_offset_but_first(file: &std::path::Path) -> f64 {
    let offsets = verify::av_offsets_ms(&pictures(file), &sound(file));
    assert!(offsets.len() >= 4, "{offsets:?}");
    offsets.values().fold(0.0, |worst, offset| worst.max(offset.abs()))
}

#[test]
fn video_that_begins_late_stays_late() {
    let directory = TestDirectory::new();
    let mut film = MatroskaFile::default();
    let video = film.add_video("V_VP8", SIZE, 0.0);
    film.add_frames(video, &frames(Codec::Vp8, SIZE), 2_000);
    let audio = film.add_opus();
    film.add_frames(audio, &frames(Codec::Opus, SIZE), 0);
    let input = directory.write("late.webm", &film);
    for json in [r#"{"kind": "mp4"}"#, r#"{"kind": "webm", "video": {"preset": "ultrafast"}}"#] {
        let (output, _) = directory.make(&input, json).unwrap();
        assert!((pictures(&output)[0].time - 2.0).abs() < 0.005);
        let worst = worst_offset_but_first(&output);
        assert!(worst <= 25.0, "{json}: {worst} ms");
    }
}

#[test]
fn frames_have_their_uneven_times_and_gaps() {
    let directory = TestDirectory::new();
    let mut film = MatroskaFile::default();
    let video = film.add_video("V_VP8", SIZE, 0.0);
    film.add_frames(video, &frames(Codec::Vp8, SIZE), 0);
    // Every frame except the flash is up to 12 ms late, and from 2.0 to 4.0 s there is none.
    film.blocks.retain(|block| !(2_001..4_000).contains(&block.0));
    for (number, block) in film.blocks.iter_mut().enumerate() {
        block.0 += if block.0 % 1_000 == 0 { 0 } else { number as i64 * 7 % 13 };
    }
    let times: Vec<f64> = film.blocks.iter().map(|block| block.0 as f64 / 1_000.0).collect();
    let input = directory.write("uneven.webm", &film);
    for json in [r#"{"kind": "mp4"}"#, r#"{"kind": "webm", "video": {"preset": "ultrafast"}}"#] {
        let (output, _) = directory.make(&input, json).unwrap();
        let shown: Vec<f64> = pictures(&output).iter().map(|picture| picture.time).collect();
        assert_eq!(shown.len(), times.len(), "{json}");
        let worst = shown.iter().zip(&times).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst < 0.002, "{json}: {worst}");
    }
}

#[test]
fn video_that_grows_is_scaled_to_its_largest_size() {
    let directory = TestDirectory::new();
    let mut film = MatroskaFile::default();
    let video = film.add_video("V_VP8", (320, 180), 0.0);
    film.add_frames(video, &frames(Codec::Vp8, (320, 180))[..60], 0);
    film.add_frames(video, &frames(Codec::Vp8, SIZE)[..60], 2_000);
    film.add_frames(video, &frames(Codec::Vp8, (180, 320))[..30], 4_000);
    let input = directory.write("grows.webm", &film);
    let (output, produced) = directory.make(&input, r#"{"kind": "mp4"}"#).unwrap();
    // The largest width and the largest height.
    assert_eq!((produced.width, produced.height), SIZE);
    let shown = pictures(&output);
    assert_eq!(shown.len(), 150);
    assert!(shown[..120].iter().all(|picture| picture.counter.is_some()));
    assert_eq!(shown[119].counter, Some(59));
}

#[test]
fn rotated_video_becomes_upright() {
    let directory = TestDirectory::new();
    let (upright, turned) = ((360, 640), (640, 360));
    let clip =
        testkit::signal::ClipSpec { codec: Codec::Vp8, size: upright, bit_rate: 1_000_000, seconds: SECONDS };
    let clip = testkit::signal::clip_file(clip).unwrap();
    let ivf = directory.path("turned.ivf");
    // Coded so that it must be rotated clockwise, which the recorder writes as a roll of −90°.
    let video =
        ["-vf", "transpose=cclock", "-c:v", "libvpx", "-b:v", "2M", "-deadline", "realtime", "-g", "60"];
    support::ffmpeg(
        &[&["-i", clip.to_str().unwrap()], &video[..], &["-f", "ivf", ivf.to_str().unwrap()]].concat(),
    );
    let mut film = MatroskaFile::default();
    let track = film.add_video("V_VP8", turned, -90.0);
    film.add_frames(track, &support::ivf(&ivf), 0);
    let input = directory.write("turned.webm", &film);
    for json in [r#"{"kind": "mp4"}"#, r#"{"kind": "webm", "video": {"preset": "ultrafast"}}"#] {
        let (output, produced) = directory.make(&input, json).unwrap();
        assert_eq!((produced.width, produced.height), upright);
        let counters = Counters::of(&pictures(&output), u16::MAX);
        assert!(counters.is_whole() && counters.last == Some(179), "{json}: {counters:?}");
    }
    let (thumbnail, produced) =
        directory.make(&input, r#"{"kind": "thumbnail", "at": 2.5, "width": 180}"#).unwrap();
    assert_eq!((produced.width, produced.height), (180, 320));
    assert_eq!(pictures(&thumbnail)[0].counter, Some(75));
}

#[test]
fn all_audio_tracks_are_mixed_and_the_first_video_is_shown() {
    let directory = TestDirectory::new();
    let input = directory.write("two.webm", &call_of_two(3_300));
    let (output, produced) = directory.make(&input, r#"{"kind": "mp4"}"#).unwrap();
    let probe = verify::probe(&output).unwrap();
    assert_eq!((probe.codecs("video").len(), probe.codecs("audio").len()), (1, 1));
    assert!((produced.duration.as_secs_f64() - 9.3).abs() <= FRAME, "{produced:?}");
    let sound = sound(&output);
    for beep in [1.0, 3.0, 3.3, 4.3, 5.0, 5.3, 8.3] {
        assert!(level(&sound, beep + 0.03, beep + 0.08) > 5_000.0, "{beep}");
        assert!(level(&sound, beep + 0.15, beep + 0.25) < 400.0, "after {beep}");
    }
    assert!(level(&sound, 7.03, 7.08) < 400.0, "the first has ended");
}
