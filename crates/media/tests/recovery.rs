//! Recovery of files that were not finished.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_precision_loss)]

mod harness;

use std::{io::Cursor, time::Duration};

use harness::{
    Harness, coded, ms, parse,
    player::OnDisk,
    script::{Random, Script, at_rate, send_coded_audio, send_coded_video},
    sender::{Source, opus_track, vp8_track},
};
use media::{Container, RecorderConfig, RecordingSummary, Recovery, recover};

/// Applies a recovery to a file.
fn apply(mut bytes: Vec<u8>, recovery: Recovery) -> (Vec<u8>, RecordingSummary) {
    match recovery {
        Recovery::Complete(summary) => (bytes, summary),
        Recovery::NoMedia => panic!("no media"),
        Recovery::Repair(repair) => {
            bytes.truncate(usize::try_from(repair.truncate).unwrap());
            bytes.extend_from_slice(&repair.append);
            for (offset, patch) in repair.patches {
                let start = usize::try_from(offset).unwrap();
                bytes[start..start + patch.len()].copy_from_slice(&patch);
            }
            (bytes, repair.summary)
        }
    }
}

/// Records a call. Returns the file after each output, and the finished file.
fn call(config: RecorderConfig, script: Script) -> (Vec<Vec<u8>>, Vec<u8>, RecordingSummary) {
    let mut harness = Harness::new(config);
    harness.record_states = true;
    harness.add(opus_track());
    harness.add(vp8_track());
    script.play(&mut harness);
    let (summary, bytes) = harness.finish();
    (std::mem::take(&mut harness.states), bytes, summary)
}

fn coded_call() -> Script {
    let mut script = Script::default();
    send_coded_video(&mut script, &mut Source::vp8(), coded::vp8(), ms(30));
    send_coded_audio(&mut script, &mut Source::opus(), &coded::opus()[..500], ms(30));
    script
}

fn small_call() -> Script {
    let mut script = Script::default();
    script.send_video(&mut Source::vp8(), &at_rate(25, Duration::ZERO, ms(1_600)), 25, ms(30));
    script.send_audio(&mut Source::opus(), Duration::ZERO, ms(1_600), ms(30));
    script
}

#[test]
fn a_file_truncated_at_any_byte_is_recovered_up_to_there() {
    let config = RecorderConfig { append_bytes: 1, max_cluster: ms(600), ..RecorderConfig::default() };
    let (_, complete, _) = call(config, small_call());
    let blocks = parse::blocks(&complete);
    let first_block = parse::segment(&complete).iter().find(|element| element.0 == 0x1F43_B675).unwrap().1;
    let mut frames_before = 0;
    for length in 0..=complete.len() {
        let cut = &complete[..length];
        let recovery = recover(Cursor::new(cut)).unwrap();
        if recovery == Recovery::NoMedia {
            assert!(length < first_block + 40, "{length}");
            continue;
        }
        let (fixed, summary) = apply(cut.to_vec(), recovery);
        assert_eq!(fixed.len() as u64, summary.bytes);
        let found = parse::blocks(&fixed);
        assert!(found[..] == blocks[..found.len()], "{length}");
        let frames: u64 = summary.tracks.iter().map(|track| track.frames).sum();
        assert_eq!(frames, found.len() as u64);
        assert!(frames >= frames_before, "{length}");
        frames_before = frames;
        assert!(!parse::cues(&fixed).is_empty());
        // A repaired file is complete.
        assert_eq!(recover(Cursor::new(&fixed)).unwrap(), Recovery::Complete(summary));
    }
    assert_eq!(frames_before, blocks.len() as u64);
}

#[test]
fn a_crash_between_any_two_writes_loses_only_bytes_that_were_not_returned() {
    let (states, _, finished) = call(RecorderConfig::default(), coded_call());
    assert!(states.len() > 15);
    let mut last = Duration::ZERO;
    for (index, state) in states.iter().enumerate() {
        let (fixed, summary) = apply(state.clone(), recover(Cursor::new(state)).unwrap());
        // The file that replaces a draft may be shorter: frames are held back for order.
        assert!(summary.duration + ms(100) >= last, "{:?} after {last:?}", summary.duration);
        assert!(summary.duration <= last + ms(1_000), "{:?} after {last:?}", summary.duration);
        last = summary.duration;
        if index % 4 == 0 {
            OnDisk::new(&fixed, "webm").decodes_clean();
        }
    }
    assert!(last.abs_diff(finished.duration) <= ms(1));
}

#[test]
fn final_bytes_survive_a_crash_and_reach_near_the_end_of_the_file() {
    let mut harness = Harness::new(RecorderConfig::default());
    harness.add(opus_track());
    harness.add(vp8_track());
    let (mut states, mut furthest_behind) = (Vec::new(), 0);
    let mut script = coded_call();
    script.0.sort_by_key(|(at, _)| *at);
    while let Some((at, _)) = script.0.first() {
        let until = *at + ms(250);
        let next = script.0.iter().position(|(at, _)| *at > until).unwrap_or(script.0.len());
        let rest = script.0.split_off(next);
        std::mem::replace(&mut script, Script(rest)).play(&mut harness);
        if let Some(final_bytes) = harness.disk.final_bytes {
            states.push((final_bytes, harness.disk.bytes.clone()));
            furthest_behind = furthest_behind.max(harness.disk.bytes.len() as u64 - final_bytes.until);
        }
    }
    let (_, finished) = harness.finish();
    assert!(states.len() > 20, "{}", states.len());
    let (last, _) = states.last().unwrap();
    assert!(last.until > finished.len() as u64 / 3, "{last:?} of {}", finished.len());
    assert!(furthest_behind < finished.len() as u64 / 2, "{furthest_behind} of {}", finished.len());
    for (final_bytes, bytes) in states {
        let range = usize::try_from(final_bytes.from).unwrap()..usize::try_from(final_bytes.until).unwrap();
        let (fixed, _) = apply(bytes.clone(), recover(Cursor::new(&bytes)).unwrap());
        assert!(fixed.get(range.clone()) == bytes.get(range.clone()), "{final_bytes:?}");
        assert!(finished.get(range.clone()) == bytes.get(range.clone()), "{final_bytes:?}");
        let behind = parse::blocks_behind(&finished, range.end).iter().map(|block| block.time).min();
        let time = i64::try_from(final_bytes.time.as_millis()).unwrap();
        assert!(
            behind.is_none_or(|first| (time..time + 100).contains(&first)),
            "{behind:?} behind {final_bytes:?}"
        );
    }
}

#[test]
fn a_crash_before_the_tracks_are_aligned_leaves_a_draft() {
    let mut harness = Harness::new(RecorderConfig::default());
    harness.add(opus_track());
    harness.add(vp8_track());
    // Without sender reports the beginning is held back for `alignment_wait`.
    let mut script = coded_call();
    script.0.retain(|(arrival, _)| *arrival < ms(2_400));
    script.play(&mut harness);
    assert!(harness.recorder.statistics().position == media::MediaTime::ZERO);
    let draft = harness.disk.bytes.clone();
    let Recovery::Complete(summary) = recover(Cursor::new(&draft)).unwrap() else {
        panic!("no complete draft")
    };
    assert!(summary.duration >= ms(1_800), "{:?}", summary.duration);
    assert_eq!(summary.tracks.len(), 2);
    OnDisk::new(&draft, "webm").decodes_clean();
}

#[test]
fn two_hundred_truncated_files_of_a_call_decode_and_seek() {
    let (states, complete, _) = call(RecorderConfig::default(), coded_call());
    let mut random = Random::new(11);
    for round in 0..200 {
        let state =
            if round % 2 == 0 { &complete } else { &states[random.below(states.len() as u64) as usize] };
        let cut = &state[..20_000 + random.below(state.len() as u64 - 20_000) as usize];
        let (fixed, summary) = apply(cut.to_vec(), recover(Cursor::new(cut)).unwrap());
        assert_eq!(summary.container, Some(Container::Webm));
        if round % 20 > 1 {
            continue;
        }
        let file = OnDisk::new(&fixed, "webm");
        file.decodes_clean();
        let duration: f64 = file.format()["duration"].parse().unwrap();
        assert!((duration - summary.duration.as_secs_f64()).abs() < 0.001);
        assert_eq!(file.format()["start_time"], "0.000000");
        let cues = parse::cues(&fixed);
        for (_, _, cluster) in cues {
            assert_eq!(fixed[cluster..cluster + 4], [0x1F, 0x43, 0xB6, 0x75]);
        }
    }
}

#[test]
fn a_finished_file_is_complete_with_the_summary_of_its_recorder() {
    let (_, complete, finished) = call(RecorderConfig::default(), coded_call());
    let Recovery::Complete(mut found) = recover(Cursor::new(&complete)).unwrap() else {
        panic!("not complete")
    };
    assert!(found.duration.abs_diff(finished.duration) < ms(1));
    found.duration = finished.duration;
    for (found, finished) in found.tracks.iter_mut().zip(&finished.tracks) {
        assert!((found.start.0 - finished.start.0).abs() <= 500_000);
        assert!((found.end.0 - finished.end.0).abs() <= 1_000_000);
        (found.start, found.end) = (finished.start, finished.end);
    }
    assert_eq!(found, finished);
}

#[test]
fn other_files_are_refused_and_empty_ones_have_no_media() {
    assert_eq!(recover(Cursor::new(&[][..])).unwrap(), Recovery::NoMedia);
    assert!(recover(Cursor::new(&[0; 4_000][..])).is_err());
    assert!(recover(Cursor::new(&b"RIFF and further bytes, as many as a header has"[..])).is_err());
}

#[test]
fn no_bytes_make_recovery_panic_or_loop() {
    let config = RecorderConfig { max_cluster: ms(500), ..RecorderConfig::default() };
    let (_, complete, _) = call(config, small_call());
    let mut random = Random::new(5);
    for _ in 0..3_000 {
        let mut bytes = complete.clone();
        for _ in 0..=random.below(6) {
            let at = random.below(bytes.len() as u64) as usize;
            let at = if random.below(2) == 0 { at % 600 } else { at };
            match random.below(3) {
                0 => bytes[at] = random.next() as u8,
                1 => bytes[at] ^= 1 << random.below(8),
                _ => {
                    let to = (at + random.below(60) as usize).min(bytes.len());
                    bytes[at..to].fill(if random.below(2) == 0 { 0 } else { 0xff });
                }
            }
        }
        if let Ok(Recovery::Repair(repair)) = recover(Cursor::new(&bytes)) {
            assert!(repair.truncate <= bytes.len() as u64);
            for (offset, patch) in &repair.patches {
                assert!(offset + patch.len() as u64 <= repair.truncate, "a patch beyond the file");
            }
        }
    }
}

#[test]
fn a_file_without_a_keyframe_is_repaired_once() {
    let mut harness = Harness::new(RecorderConfig::default());
    harness.add(vp8_track());
    let mut script = Script::default();
    script.send_video(
        &mut Source::vp8(),
        &at_rate(25, Duration::ZERO, Duration::from_secs(2)),
        1_000,
        ms(30),
    );
    script.play(&mut harness);
    let (_, mut complete) = harness.finish();
    // The flags of the only keyframe, damaged on disk.
    let block = complete.windows(4).position(|window| window == [0x9d, 0x01, 0x2a, 0x40]).unwrap();
    assert_eq!(complete[block - 4], 0x80);
    complete[block - 4] = 0;
    let cut = complete.len() - 40;
    let (fixed, summary) = apply(complete[..cut].to_vec(), recover(Cursor::new(&complete[..cut])).unwrap());
    assert!(parse::cues(&fixed).is_empty());
    assert_eq!(recover(Cursor::new(&fixed)).unwrap(), Recovery::Complete(summary));
}
