//! The checks of [`testkit::verify`] on files that ffmpeg muxes from the test signal.

use std::{fs, path::PathBuf, process::Command};

use tempfile::TempDir;
use testkit::{
    signal::{Clip, ClipSpec, Codec, clip},
    verify::{Counters, av_offsets_ms, decode_strictly, packets, pictures, probe, seek_everywhere, sound},
};

/// The frames of a VP8 clip as IVF, without those that `lost` names.
fn ivf(clip: &Clip, lost: &[usize]) -> Vec<u8> {
    let (width, height) = clip.spec.size;
    let mut file = b"DKIF\0\0\x20\0VP80".to_vec();
    file.extend([(width as u16).to_le_bytes(), (height as u16).to_le_bytes()].concat());
    file.extend([30u32, 1, clip.frames.len() as u32, 0].map(u32::to_le_bytes).concat());
    for (index, frame) in clip.frames.iter().enumerate().filter(|(index, _)| !lost.contains(index)) {
        file.extend((frame.data.len() as u32).to_le_bytes());
        file.extend((index as u64).to_le_bytes());
        file.extend_from_slice(&frame.data);
    }
    file
}

fn muxed(directory: &TempDir, lost: &[usize]) -> PathBuf {
    let video = clip(ClipSpec::small(Codec::Vp8)).expect("ffmpeg codes the clip");
    let (input, output) = (directory.path().join("video.ivf"), directory.path().join("muxed.webm"));
    fs::write(&input, ivf(&video, lost)).expect("the directory is writable");
    let beep = "aevalsrc=exprs='if(lt(mod(t,1),0.1),sin(2*PI*1000*t)/2,0)':s=48000:d=12";
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(&input)
        .args([
            "-f",
            "lavfi",
            "-i",
            beep,
            "-map",
            "0",
            "-map",
            "1",
            "-c:v",
            "copy",
            "-copyinkf",
            "-c:a",
            "libopus",
        ])
        .arg(&output)
        .status()
        .expect("ffmpeg is installed");
    assert!(status.success());
    output
}

#[test]
fn whole_file_passes_every_check() {
    let directory = TempDir::new().expect("a directory");
    let file = muxed(&directory, &[]);
    let probed = probe(&file).expect("probed");
    assert_eq!((probed.codecs("video"), probed.codecs("audio")), (vec!["vp8"], vec!["opus"]));
    assert!((probed.duration().expect("a duration") - 12.0).abs() < 0.05);
    decode_strictly(&file).expect("decodes");
    let pictures = pictures(&file, 0).expect("pictures");
    let counters = Counters::of(&pictures, 360);
    assert_eq!(pictures.len(), 360);
    assert!(counters.is_whole(), "{counters:?}");
    let offsets = av_offsets_ms(&pictures, &sound(&file, 0).expect("sound"));
    assert_eq!(offsets.len(), 12, "{offsets:?}");
    // ffmpeg 5.1 shifts video by Opus' CodecDelay when it writes, and audio by the same when it reads.
    assert!(offsets.values().all(|offset| (offset + 6.5).abs() < 1.0), "{offsets:?}");
    seek_everywhere(&file, 5, 1).expect("seeks");
    assert!(packets(&file).expect("packets").len() > 900);
}

#[test]
fn lost_frames_are_found_by_their_counters() {
    // The last before a keyframe, so that no other picture is damaged.
    let directory = TempDir::new().expect("a directory");
    let counters = Counters::of(&pictures(&muxed(&directory, &[118, 119]), 0).expect("pictures"), 360);
    assert_eq!(counters.missing, [118, 119]);
}

#[test]
fn damaged_file_is_not_clean() {
    let directory = TempDir::new().expect("a directory");
    let file = muxed(&directory, &[0]);
    decode_strictly(&file).expect_err("it begins without a keyframe");
}
