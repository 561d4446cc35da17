use super::*;

const MONO: AudioFormat = AudioFormat::Pcm { sample_rate: 44_100, channels: 1 };
const OPUS: AudioFormat = AudioFormat::Opus { channels: 2 };
/// 20 ms.
const PACKET: &[u8] = &[0b1111_1000, 1, 2, 3];

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn chunk(data: &[u8]) -> AudioChunk {
    AudioChunk { data: Bytes::copy_from_slice(data), ..AudioChunk::default() }
}

fn at(milliseconds: u64, data: &[u8]) -> AudioChunk {
    AudioChunk { timestamp: Some(ms(milliseconds)), ..chunk(data) }
}

fn frames(audio: &mut PushedAudio) -> Vec<(f64, usize)> {
    #[expect(clippy::cast_precision_loss, reason = "small")]
    std::iter::from_fn(|| audio.pop()).map(|frame| (frame.time.0 as f64 / 1e6, frame.data.len())).collect()
}

#[test]
fn frames_contain_all_samples_in_order_whatever_the_sizes_of_messages() {
    let samples: Vec<u8> = (0..44_100 * 2_u32).map(|index| (index * 7 / 3) as u8).collect();
    for size in [2, 100, 1_764, 1_766, 9_998, 88_200] {
        let mut audio = PushedAudio::new(MONO).unwrap();
        samples.chunks(size).for_each(|part| audio.push(chunk(part)).unwrap());
        audio.flush();
        let mut found = Vec::new();
        let mut expected = 0;
        while let Some(frame) = audio.pop() {
            assert_eq!(frame.time.0, expected * 1_000_000_000 / 44_100, "{size}");
            expected += (frame.data.len() / 2) as i64;
            found.extend_from_slice(&frame.data);
        }
        assert!(found == samples, "messages of {size} bytes");
    }
}

#[test]
fn a_rate_without_whole_milliseconds_does_not_drift() {
    let mut audio = PushedAudio::new(AudioFormat::Pcm { sample_rate: 11_025, channels: 1 }).unwrap();
    let mut last = MediaTime::ZERO;
    for _ in 0..3_600 {
        audio.push(chunk(&vec![0; 11_025 * 2])).unwrap();
        while let Some(frame) = audio.pop() {
            last = frame.time;
        }
    }
    audio.flush();
    let final_frame = audio.pop().unwrap();
    let end = final_frame.time.0 + (final_frame.data.len() as i64 / 2) * SECOND / 11_025;
    assert!((end - 3_600 * SECOND).abs() <= 1, "{end}");
    assert!(last < final_frame.time);
}

#[test]
fn a_later_timestamp_leaves_a_gap_and_a_rounded_one_does_not() {
    let mut audio = PushedAudio::new(OPUS).unwrap();
    // The clock may have any origin.
    for time in [5_000, 5_020, 5_043, 5_060, 5_200, 5_220] {
        audio.push(at(time, PACKET)).unwrap();
    }
    audio.push(chunk(PACKET)).unwrap();
    let times: Vec<_> = frames(&mut audio).into_iter().map(|(time, _)| time).collect();
    assert_eq!(times, [0.0, 20.0, 40.0, 60.0, 200.0, 220.0, 240.0]);
}

#[test]
fn held_back_samples_become_a_frame_before_a_gap() {
    let mut audio = PushedAudio::new(MONO).unwrap();
    audio.push(at(0, &[1; 882])).unwrap();
    audio.push(at(100, &[2; 1_764])).unwrap();
    assert_eq!(frames(&mut audio), [(0.0, 882), (100.0, 1_764)]);
}

#[test]
fn malformed_messages_are_refused_and_change_nothing() {
    let stated = |milliseconds, data| AudioChunk { duration: Some(ms(milliseconds)), ..chunk(data) };
    let mut pcm = PushedAudio::new(MONO).unwrap();
    pcm.push(at(1_000, &[0; 88_200])).unwrap();
    let large = vec![0; AudioFormat::MAX_CHUNK + 2];
    for (bad, field) in [
        (chunk(&[]), "data"),
        (chunk(&[1, 2, 3]), "data"),
        (chunk(&large), "data"),
        (stated(40, &[0; 1_764]), "duration"),
        (at(999, &[0; 2]), "timestamp"),
        (at(1_400, &[0; 2]), "timestamp"),
        (at(90_000_000, &[0; 2]), "timestamp"),
    ] {
        let error = pcm.push(bad).unwrap_err();
        assert_eq!(error.field(), field, "{error}");
    }
    pcm.push(at(1_600, &[0; 2])).unwrap();
    pcm.flush();
    assert_eq!(frames(&mut pcm).last(), Some(&(1_000.0, 2)));

    let mut opus = PushedAudio::new(OPUS).unwrap();
    opus.push(stated(20, PACKET)).unwrap();
    for (bad, field) in [(chunk(&[0b1111_1011, 0]), "data"), (stated(10, PACKET), "duration")] {
        assert_eq!(opus.push(bad).unwrap_err().field(), field);
    }
    assert_eq!(frames(&mut opus).len(), 1);
}

#[test]
fn rates_and_channels_out_of_range_are_refused() {
    for (sample_rate, channels, field) in [
        (7_999, 1, "sample_rate"),
        (192_001, 1, "sample_rate"),
        (48_000, 0, "channels"),
        (48_000, 3, "channels"),
    ] {
        let error = PushedAudio::new(AudioFormat::Pcm { sample_rate, channels }).unwrap_err();
        assert_eq!(error.field(), field, "{error}");
    }
    for (sample_rate, channels) in [(8_000, 1), (192_000, 2), (22_050, 2)] {
        PushedAudio::new(AudioFormat::Pcm { sample_rate, channels }).unwrap();
    }
    assert!(PushedAudio::new(AudioFormat::Opus { channels: 3 }).is_err());
}
