//! Inputs of all kinds, made of the test signal.
#![allow(dead_code, unreachable_pub)] // Each test file uses some of it.

pub mod matroska;
pub mod recording;

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use testkit::{
    signal::{ClipSpec, Codec, Frame, clip},
    verify::{self, Picture, Sound},
};
use transcode::{Plan, Produced, Rendition, TranscodeError};

use matroska::MatroskaFile;

pub const SIZE: (u32, u32) = (640, 360);
pub const SECONDS: u32 = 6;
/// Of a picture, in seconds.
pub const FRAME: f64 = 1.0 / 30.0;

pub fn frames(codec: Codec, size: (u32, u32)) -> Vec<Frame> {
    let bit_rate = if codec == Codec::Opus { 64_000 } else { 1_000_000 };
    let size = if codec == Codec::Opus { (0, 0) } else { size };
    clip(ClipSpec { codec, size, bit_rate, seconds: SECONDS })
        .expect("the ffmpeg command works")
        .frames
        .clone()
}

/// A recording of one browser: VP8 and Opus.
pub fn call() -> MatroskaFile {
    let mut film = MatroskaFile::default();
    let video = film.add_video("V_VP8", SIZE, 0.0);
    film.add_frames(video, &frames(Codec::Vp8, SIZE), 0);
    let audio = film.add_opus();
    film.add_frames(audio, &frames(Codec::Opus, SIZE), 0);
    film
}

/// A second pair that begins `late` milliseconds after the first.
pub fn call_of_two(late: i64) -> MatroskaFile {
    let mut film = call();
    let video = film.add_video("V_VP8", SIZE, 0.0);
    film.add_frames(video, &frames(Codec::Vp8, SIZE), late);
    let audio = film.add_opus();
    film.add_frames(audio, &frames(Codec::Opus, SIZE), late);
    film
}

pub struct TestDirectory {
    pub dir: tempfile::TempDir,
}

impl TestDirectory {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, film: &MatroskaFile) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, film.bytes()).expect("the disk takes it");
        path
    }

    pub fn plan(&self, input: &Path, json: &str) -> Plan {
        let rendition: Rendition = serde_json::from_str(json).expect("the rendition is well-formed");
        let output = self.path(&format!("{}.{}", rendition.kind(), rendition.file_type().extension()));
        Plan { input: input.to_owned(), output, rendition }
    }

    pub fn make(&self, input: &Path, json: &str) -> Result<(PathBuf, Produced), TranscodeError> {
        let plan = self.plan(input, json);
        let produced = transcode::run(&plan, &AtomicBool::new(false), &mut |_| {})?;
        assert_eq!(std::fs::metadata(&plan.output).expect("it is there").len(), produced.bytes);
        Ok((plan.output, produced))
    }

    /// The files in the directory except the input.
    pub fn leftovers(&self, input: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.dir.path()).expect("the directory is there");
        entries.map(|entry| entry.expect("an entry").path()).filter(|path| path != input).collect()
    }
}

pub fn pictures(file: &Path) -> Vec<Picture> {
    verify::pictures(file, 0).expect("the pictures decode")
}

pub fn sound(file: &Path) -> Sound {
    verify::sound(file, 0).expect("the sound decodes")
}

/// The largest difference between beep and flash of all seconds, in milliseconds.
pub fn worst_offset(file: &Path) -> f64 {
    let offsets = verify::av_offsets_ms(&pictures(file), &sound(file));
    assert!(offsets.len() >= SECONDS as usize - 2, "too few flashes with beeps: {offsets:?}");
    offsets.values().fold(0.0, |worst, offset| worst.max(offset.abs()))
}

/// The RMS level between two times in seconds.
pub fn level(sound: &Sound, from: f64, to: f64) -> f64 {
    let at = |time: f64| ((time * 48_000.0) as usize).min(sound.samples.len());
    let samples = &sound.samples[at(from)..at(to)];
    let sum: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    (sum / samples.len().max(1) as f64).sqrt()
}

/// The output of ffprobe.
pub fn ffprobe(file: &Path, arguments: &[&str]) -> String {
    let output =
        Command::new("ffprobe").args(["-v", "error", "-of", "csv=p=0"]).args(arguments).arg(file).output();
    String::from_utf8(output.expect("ffprobe runs").stdout).expect("it says text").trim().to_owned()
}

pub fn ffmpeg(arguments: &[&str]) {
    let output = Command::new("ffmpeg").args(["-v", "error", "-y", "-nostdin"]).args(arguments).output();
    let output = output.expect("ffmpeg runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The brightness of all pixels of the frame that is shown at a time in seconds.
pub fn luma(file: &Path, size: (usize, usize), at: f64) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(file)
        .args(["-ss", &at.to_string(), "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "gray", "-"])
        .output()
        .expect("ffmpeg runs");
    assert_eq!(output.stdout.len(), size.0 * size.1, "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The audio packets of an Ogg file (RFC 3533 §6), without the two header packets.
pub fn ogg_packets(file: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(file).expect("it is there");
    let (mut packets, mut packet, mut at) = (Vec::new(), Vec::new(), 0);
    while at < bytes.len() {
        let mut body = at + 27 + usize::from(bytes[at + 26]);
        for length in bytes[at + 27..body].iter().copied() {
            packet.extend_from_slice(&bytes[body..body + usize::from(length)]);
            body += usize::from(length);
            if length < 255 {
                packets.push(std::mem::take(&mut packet));
            }
        }
        at = body;
    }
    packets.split_off(2)
}

/// A recording of one audio track of several seconds, in which one cluster has the timestamp of another second.
pub fn with_stray_cluster(film: &MatroskaFile, second: i64, claimed: i64) -> Vec<u8> {
    let mut bytes = film.bytes();
    let cluster = |at: i64| [&[0xE7, 0x10, 0, 0, 8][..], &(at * 1_000).to_be_bytes()].concat();
    let (real, claimed) = (cluster(second), cluster(claimed));
    let at = bytes.windows(real.len()).position(|window| window == real).expect("a cluster begins there");
    bytes[at..at + claimed.len()].copy_from_slice(&claimed);
    bytes
}

/// The frames of an IVF file of VP8 with 30 frames a second.
pub fn ivf(file: &Path) -> Vec<Frame> {
    let bytes = std::fs::read(file).expect("it is there");
    let mut rest = &bytes[32..];
    let mut frames = Vec::new();
    while let Some((head, tail)) = rest.split_first_chunk::<12>() {
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let time = Duration::from_micros(frames.len() as u64 * 1_000_000 / 30);
        frames.push(Frame { time, keyframe: tail[0] & 1 == 0, data: tail[..length].into() });
        rest = &tail[length..];
    }
    frames
}

/// The time within which a cancelled child must have ended.
pub const AT_ONCE: Duration = Duration::from_millis(200);

/// The best of several attempts must be within [`AT_ONCE`], since a loaded machine is sometimes late; no attempt may take
/// long.
pub fn assert_at_once(took: &[Duration]) {
    eprintln!("ended after {took:?}");
    assert!(took.iter().any(|took| *took < AT_ONCE), "ended after {took:?}");
    assert!(took.iter().all(|took| *took < Duration::from_secs(10)), "ended after {took:?}");
}

/// Writes a shell script and returns its path.
pub fn script(directory: &TestDirectory, text: &str) -> PathBuf {
    let path = directory.path("script.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("the disk takes it");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("the file is ours");
    path
}

/// The number of processes that have the file open.
pub fn workers_on(input: &Path) -> usize {
    let open = |process: &Path| {
        let files = std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        files.filter_map(|file| std::fs::read_link(file.path()).ok()).any(|file| file == input)
    };
    let own = PathBuf::from(format!("/proc/{}", std::process::id()));
    let processes =
        std::fs::read_dir("/proc").expect("this is Linux").flatten().map(|process| process.path());
    processes.filter(|process| *process != own && open(process)).count()
}

pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A copy of a file with random damage in a few places.
pub fn damaged(whole: &[u8], seed: u64) -> Vec<u8> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut bytes = whole.to_vec();
    for _ in 0..random.random_range(1..30) {
        // One in a hundred is in the headers, where most damage makes the file unreadable.
        let end = if random.random_ratio(1, 100) { 600 } else { bytes.len() };
        let at = random.random_range(0..end.min(bytes.len()));
        match random.random_range(0..6) {
            0 if random.random_ratio(1, 10) => bytes.truncate(at.max(300)),
            1 => drop(bytes.drain(at..(at + 7).min(bytes.len()))),
            2 => bytes.insert(at, random.random()),
            _ => bytes[at] = random.random(),
        }
    }
    bytes
}
