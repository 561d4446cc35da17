//! Files that were cut off.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_precision_loss)]

mod harness;

use std::{io::Cursor, time::Duration};

use harness::{
    Harness, coded, ms, parse,
    player::OnDisk,
    script::{Dice, Script, at_rate, film_coded, talk_coded},
    sender::{Source, opus_track, vp8_track},
};
use media::{Container, RecorderConfig, RecordingSummary, Recovery, recover};

/// Does to a file what a recovery says.
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

/// What is on disk after each output of a call, and what it is when closed.
fn call(config: RecorderConfig, script: Script) -> (Vec<Vec<u8>>, Vec<u8>, RecordingSummary) {
    let mut studio = Harness::new(config);
    studio.keep_states = true;
    studio.add(opus_track());
    studio.add(vp8_track());
    script.play(&mut studio);
    let (summary, bytes) = studio.finish();
    (std::mem::take(&mut studio.states), bytes, summary)
}

fn coded_call() -> Script {
    let mut script = Script::default();
    film_coded(&mut script, &mut Source::vp8(), coded::vp8(), ms(30));
    talk_coded(&mut script, &mut Source::opus(), &coded::opus()[..500], ms(30));
    script
}

fn small_call() -> Script {
    let mut script = Script::default();
    script.film(&mut Source::vp8(), &at_rate(25, Duration::ZERO, ms(1_600)), 25, ms(30));
    script.talk(&mut Source::opus(), Duration::ZERO, ms(1_600), ms(30));
    script
}

#[test]
fn a_file_cut_at_any_byte_is_whole_up_to_the_cut() {
    let config = RecorderConfig { append_bytes: 1, max_cluster: ms(600), ..RecorderConfig::default() };
    let (_, whole, _) = call(config, small_call());
    let blocks = parse::blocks(&whole);
    let first_block = parse::segment(&whole).iter().find(|element| element.0 == 0x1F43_B675).unwrap().1;
    let mut frames_before = 0;
    for length in 0..=whole.len() {
        let cut = &whole[..length];
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
        // What was made whole is left alone the next time.
        assert_eq!(recover(Cursor::new(&fixed)).unwrap(), Recovery::Complete(summary));
    }
    assert_eq!(frames_before, blocks.len() as u64);
}

#[test]
fn a_recorder_killed_between_any_two_writes_loses_at_most_what_it_had_not_handed_out() {
    let (states, _, closed) = call(RecorderConfig::default(), coded_call());
    assert!(states.len() > 15);
    let mut last = Duration::ZERO;
    for (index, state) in states.iter().enumerate() {
        let (fixed, summary) = apply(state.clone(), recover(Cursor::new(state)).unwrap());
        // What takes a draft's place holds frames back for order that the draft had not.
        assert!(summary.duration + ms(100) >= last, "{:?} after {last:?}", summary.duration);
        assert!(summary.duration <= last + ms(1_000), "{:?} after {last:?}", summary.duration);
        last = summary.duration;
        if index % 4 == 0 {
            OnDisk::new(&fixed, "webm").decodes_clean();
        }
    }
    assert!(last.abs_diff(closed.duration) <= ms(1));
}

#[test]
fn what_was_final_is_so_after_a_crash_too_and_comes_near_the_end_of_the_file() {
    let mut studio = Harness::new(RecorderConfig::default());
    studio.add(opus_track());
    studio.add(vp8_track());
    let (mut kept, mut furthest_behind) = (Vec::new(), 0);
    let mut script = coded_call();
    script.0.sort_by_key(|(at, _)| *at);
    while let Some((at, _)) = script.0.first() {
        let until = *at + ms(250);
        let next = script.0.iter().position(|(at, _)| *at > until).unwrap_or(script.0.len());
        let rest = script.0.split_off(next);
        std::mem::replace(&mut script, Script(rest)).play(&mut studio);
        if let Some(settled) = studio.disk.settled {
            kept.push((settled, studio.disk.bytes.clone()));
            furthest_behind = furthest_behind.max(studio.disk.bytes.len() as u64 - settled.until);
        }
    }
    let (_, closed) = studio.finish();
    assert!(kept.len() > 20, "{}", kept.len());
    let (last, _) = kept.last().unwrap();
    assert!(last.until > closed.len() as u64 / 3, "{last:?} of {}", closed.len());
    assert!(furthest_behind < closed.len() as u64 / 2, "{furthest_behind} of {}", closed.len());
    for (settled, bytes) in kept {
        let range = usize::try_from(settled.from).unwrap()..usize::try_from(settled.until).unwrap();
        let (fixed, _) = apply(bytes.clone(), recover(Cursor::new(&bytes)).unwrap());
        assert!(fixed.get(range.clone()) == bytes.get(range.clone()), "{settled:?}");
        assert!(closed.get(range.clone()) == bytes.get(range.clone()), "{settled:?}");
        let behind = parse::blocks_behind(&closed, range.end).iter().map(|block| block.time).min();
        let time = i64::try_from(settled.time.as_millis()).unwrap();
        assert!(
            behind.is_none_or(|first| (time..time + 100).contains(&first)),
            "{behind:?} behind {settled:?}"
        );
    }
}

#[test]
fn a_recorder_killed_before_its_tracks_are_placed_has_a_draft_on_disk() {
    let mut studio = Harness::new(RecorderConfig::default());
    studio.add(opus_track());
    studio.add(vp8_track());
    // No sender report comes, so the beginning is held back for as long as is allowed.
    let mut script = coded_call();
    script.0.retain(|(arrival, _)| *arrival < ms(2_400));
    script.play(&mut studio);
    assert!(studio.recorder.statistics().position == media::MediaTime::ZERO);
    let draft = studio.disk.bytes.clone();
    let Recovery::Complete(summary) = recover(Cursor::new(&draft)).unwrap() else { panic!("no whole draft") };
    assert!(summary.duration >= ms(1_800), "{:?}", summary.duration);
    assert_eq!(summary.tracks.len(), 2);
    OnDisk::new(&draft, "webm").decodes_clean();
}

#[test]
fn two_hundred_cuts_of_a_real_call_decode_and_seek() {
    let (states, whole, _) = call(RecorderConfig::default(), coded_call());
    let mut dice = Dice::new(11);
    for round in 0..200 {
        let state = if round % 2 == 0 { &whole } else { &states[dice.below(states.len() as u64) as usize] };
        let cut = &state[..20_000 + dice.below(state.len() as u64 - 20_000) as usize];
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
fn a_closed_file_is_left_alone_and_described_as_it_was_closed() {
    let (_, whole, closed) = call(RecorderConfig::default(), coded_call());
    let Recovery::Complete(mut found) = recover(Cursor::new(&whole)).unwrap() else { panic!("not complete") };
    assert!(found.duration.abs_diff(closed.duration) < ms(1));
    found.duration = closed.duration;
    for (found, closed) in found.tracks.iter_mut().zip(&closed.tracks) {
        assert!((found.start.0 - closed.start.0).abs() <= 500_000);
        assert!((found.end.0 - closed.end.0).abs() <= 1_000_000);
        (found.start, found.end) = (closed.start, closed.end);
    }
    assert_eq!(found, closed);
}

#[test]
fn what_is_not_ours_is_refused_or_empty() {
    assert_eq!(recover(Cursor::new(&[][..])).unwrap(), Recovery::NoMedia);
    assert!(recover(Cursor::new(&[0; 4_000][..])).is_err());
    assert!(recover(Cursor::new(&b"RIFF and so on, for long enough to be a file"[..])).is_err());
}

#[test]
fn no_bytes_make_recovery_panic_or_loop() {
    let config = RecorderConfig { max_cluster: ms(500), ..RecorderConfig::default() };
    let (_, whole, _) = call(config, small_call());
    let mut dice = Dice::new(5);
    for _ in 0..3_000 {
        let mut bytes = whole.clone();
        for _ in 0..=dice.below(6) {
            let at = dice.below(bytes.len() as u64) as usize;
            let at = if dice.below(2) == 0 { at % 600 } else { at };
            match dice.below(3) {
                0 => bytes[at] = dice.roll() as u8,
                1 => bytes[at] ^= 1 << dice.below(8),
                _ => {
                    let to = (at + dice.below(60) as usize).min(bytes.len());
                    bytes[at..to].fill(if dice.below(2) == 0 { 0 } else { 0xff });
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
    let mut studio = Harness::new(RecorderConfig::default());
    studio.add(vp8_track());
    let mut script = Script::default();
    script.film(&mut Source::vp8(), &at_rate(25, Duration::ZERO, Duration::from_secs(2)), 1_000, ms(30));
    script.play(&mut studio);
    let (_, mut whole) = studio.finish();
    // The flags of the only keyframe, as a bad disk may leave them.
    let block = whole.windows(4).position(|window| window == [0x9d, 0x01, 0x2a, 0x40]).unwrap();
    assert_eq!(whole[block - 4], 0x80);
    whole[block - 4] = 0;
    let cut = whole.len() - 40;
    let (fixed, summary) = apply(whole[..cut].to_vec(), recover(Cursor::new(&whole[..cut])).unwrap());
    assert!(parse::cues(&fixed).is_empty());
    assert_eq!(recover(Cursor::new(&fixed)).unwrap(), Recovery::Complete(summary));
}
