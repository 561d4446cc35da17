//! Encodes the signal with the `ffmpeg` command, once per machine.

use std::{
    collections::HashMap,
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use thiserror::Error;

use super::{BEEP_MS, Clip, ClipSpec, Codec, FRAME_RATE, SAMPLE_RATE, bitstream, picture};

/// Part of the names of cached files. Raise it when the drawing or the encoding changes.
const REVISION: u32 = 2;

/// Why a clip could not be made.
#[derive(Debug, Error)]
pub enum SignalError {
    /// The tool isn't there: install it.
    #[error("ffmpeg can't be started ({0}): install the Debian package ffmpeg")]
    NoFfmpeg(io::Error),
    /// The tool refused, most likely because it was built without the encoder.
    #[error("ffmpeg failed to code {codec}:\n{stderr}")]
    Ffmpeg {
        /// What was to be coded.
        codec: Codec,
        /// What the tool said.
        stderr: String,
    },
    /// The tool's output can't be parsed.
    #[error("the coded {codec} can't be read: {reason}")]
    Bitstream {
        /// What was coded.
        codec: Codec,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The cache can't be written.
    #[error("the cache of test clips: {0}")]
    Cache(#[from] io::Error),
}

/// The clip of `spec`: from memory, else from the cache directory, else encoded now (about a second).
///
/// # Errors
/// See [`SignalError`]. Each means that the machine lacks something.
pub fn clip(spec: ClipSpec) -> Result<Arc<Clip>, SignalError> {
    static CLIPS: OnceLock<Mutex<HashMap<ClipSpec, Arc<Clip>>>> = OnceLock::new();
    // Held while encoding: a second test that needs the same clip waits for it.
    let mut clips = CLIPS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(clip) = clips.get(&spec) {
        return Ok(clip.clone());
    }
    let clip = Arc::new(read(spec, &fs::read(clip_file(spec)?)?)?);
    clips.insert(spec, clip.clone());
    Ok(clip)
}

/// The file of a clip (IVF, Annex B or Ogg), encoded now if it isn't in the cache.
///
/// # Errors
/// See [`SignalError`].
pub fn clip_file(spec: ClipSpec) -> Result<PathBuf, SignalError> {
    let path = cache_dir().join(file_name(spec));
    if !path.exists() {
        fs::create_dir_all(cache_dir())?;
        // Another process may code the same clip at the same time: each writes its own file, and the rename is atomic.
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        encode(spec, &temporary)?;
        fs::rename(&temporary, &path)?;
    }
    Ok(path)
}

/// Beside the other build products, so that `cargo clean` removes it.
fn cache_dir() -> PathBuf {
    let target = env::current_exe().ok().and_then(|exe| {
        exe.ancestors().find(|path| path.join("CACHEDIR.TAG").exists()).map(Path::to_path_buf)
    });
    target.unwrap_or_else(env::temp_dir).join("testkit-clips")
}

fn file_name(spec: ClipSpec) -> String {
    let ClipSpec { codec, size: (width, height), bit_rate, seconds } = spec;
    format!("{codec}-{width}x{height}-{bit_rate}-{seconds}s-r{REVISION}")
}

fn read(spec: ClipSpec, file: &[u8]) -> Result<Clip, SignalError> {
    let codec = spec.codec;
    let (packets, rate) = match codec {
        Codec::Vp8 | Codec::Vp9 | Codec::Av1 => (bitstream::ivf(codec, file)?, FRAME_RATE),
        Codec::H264 => (bitstream::annex_b(file), FRAME_RATE),
        Codec::Opus => (bitstream::ogg(file)?, 50),
    };
    // Opus ends with one packet more, which flushes the encoder.
    let count = (spec.seconds * rate) as usize;
    if packets.len() < count {
        return Err(SignalError::Bitstream { codec, reason: "fewer frames than were drawn" });
    }
    let frames = bitstream::timed(codec, packets, rate, count);
    if frames.first().is_none_or(|frame| !frame.keyframe) {
        return Err(SignalError::Bitstream { codec, reason: "the first frame is no keyframe" });
    }
    Ok(Clip { spec, frames, duration: Duration::from_secs(u64::from(spec.seconds)) })
}

fn encode(spec: ClipSpec, path: &Path) -> Result<(), SignalError> {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-loglevel", "error", "-nostdin", "-y"]);
    if spec.codec.is_video() {
        video_arguments(spec, &mut command);
    } else {
        audio_arguments(spec, &mut command);
    }
    let mut ffmpeg = command
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(SignalError::NoFfmpeg)?;
    let input = ffmpeg.stdin.take();
    let fed = input.map_or(Ok(()), |mut input| feed(spec, &mut input));
    let output = ffmpeg.wait_with_output()?;
    // A tool that died closes its input. Its standard error says why.
    if output.status.success() && fed.is_ok() {
        return Ok(());
    }
    let _ = fs::remove_file(path);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(SignalError::Ffmpeg { codec: spec.codec, stderr })
}

fn feed(spec: ClipSpec, input: &mut impl Write) -> io::Result<()> {
    if !spec.codec.is_video() {
        return input.write_all(&beeps(spec.seconds));
    }
    let size = (spec.size.0 as usize, spec.size.1 as usize);
    let mut picture = Vec::new();
    for number in 0..spec.seconds * FRAME_RATE {
        picture::draw(number, size, 48, &mut picture);
        input.write_all(&picture)?;
    }
    Ok(())
}

/// Mono 16-bit samples.
fn beeps(seconds: u32) -> Vec<u8> {
    let sample = |n: u32| {
        let within = n % SAMPLE_RATE;
        let phase = f64::from(within) / f64::from(SAMPLE_RATE) * 1_000.0 * std::f64::consts::TAU;
        let on = within < SAMPLE_RATE / 1_000 * BEEP_MS;
        if on { (phase.sin() * 16_000.0) as i16 } else { 0 }
    };
    (0..seconds * SAMPLE_RATE).flat_map(|n| sample(n).to_le_bytes()).collect()
}

fn audio_arguments(spec: ClipSpec, command: &mut Command) {
    command.args(["-f", "s16le", "-ar", &SAMPLE_RATE.to_string(), "-ac", "1", "-i", "-"]);
    command.args(["-c:a", "libopus", "-application", "voip", "-frame_duration", "20", "-vbr", "on"]);
    // Otherwise the serial number of the Ogg stream is random.
    command.args(["-fflags", "+bitexact", "-b:a", &spec.bit_rate.to_string(), "-f", "ogg"]);
}

fn video_arguments(spec: ClipSpec, command: &mut Command) {
    let (width, height) = spec.size;
    let (rate, bits, gop) = (FRAME_RATE.to_string(), spec.bit_rate.to_string(), (FRAME_RATE * 2).to_string());
    command.args([
        "-f",
        "rawvideo",
        "-pix_fmt",
        "yuv420p",
        "-s",
        &format!("{width}x{height}"),
        "-r",
        &rate,
        "-i",
        "-",
    ]);
    // One thread: with more, x264's rate control depends on which thread is ahead.
    command.args(["-g", &gop, "-b:v", &bits, "-maxrate", &bits, "-bufsize", &bits, "-threads", "1"]);
    // As a browser codes: in one pass, without looking ahead, one visible picture a frame.
    match spec.codec {
        Codec::Vp8 | Codec::Vp9 => {
            let encoder = if spec.codec == Codec::Vp8 { "libvpx" } else { "libvpx-vp9" };
            // VP8's positive speeds follow the clock, so a busy machine writes other bytes. Negative speeds are fixed.
            let speed = if spec.codec == Codec::Vp8 { "-8" } else { "8" };
            command.args(["-c:v", encoder, "-deadline", "realtime", "-cpu-used", speed]);
            command.args([
                "-lag-in-frames",
                "0",
                "-minrate",
                &bits,
                "-auto-alt-ref",
                "0",
                "-error-resilient",
                "1",
                "-f",
                "ivf",
            ]);
        }
        Codec::Av1 => {
            command.args([
                "-c:v",
                "libaom-av1",
                "-usage",
                "realtime",
                "-cpu-used",
                "8",
                "-lag-in-frames",
                "0",
            ]);
            command.args(["-f", "ivf"]);
        }
        _ => {
            command.args([
                "-c:v",
                "libx264",
                "-profile:v",
                "baseline",
                "-preset",
                "veryfast",
                "-tune",
                "zerolatency",
            ]);
            command.args([
                "-bf",
                "0",
                "-x264-params",
                "aud=1:repeat-headers=1:scenecut=0:sliced-threads=0",
                "-f",
                "h264",
            ]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clip_of_each_codec_is_complete_and_starts_with_a_keyframe() {
        for codec in [Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::H264] {
            let clip = clip(ClipSpec::small(codec)).expect("ffmpeg codes the clip");
            assert_eq!(clip.frames.len(), 12 * 30, "{codec}");
            let keyframes = clip.frames.iter().filter(|frame| frame.keyframe).count();
            assert!((6..=12).contains(&keyframes), "{codec}: {keyframes} keyframes");
            let bytes: usize = clip.frames.iter().map(|frame| frame.data.len()).sum();
            assert!((200_000..900_000).contains(&bytes), "{codec}: {bytes} bytes in 12 s");
        }
        let beep = clip(ClipSpec::beep()).expect("ffmpeg codes the beep");
        assert_eq!(beep.frames.len(), 12 * 50);
    }

    #[test]
    fn a_clip_has_the_same_bytes_on_a_busy_machine() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for codec in [Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::H264, Codec::Opus] {
            let bit_rate = if codec.is_video() { 1_000_000 } else { 64_000 };
            let spec = ClipSpec { codec, size: (640, 360), bit_rate, seconds: 2 };
            let coded = |name: &str| {
                let path = dir.path().join(name);
                encode(spec, &path).expect("ffmpeg codes the clip");
                fs::read(path).expect("it is there")
            };
            let alone = coded("alone");
            // Each of these slows the others down.
            let together: Vec<Vec<u8>> = std::thread::scope(|scope| {
                let coding = ["a", "b", "c", "d"].map(|name| scope.spawn(move || coded(name)));
                coding.into_iter().map(|thread| thread.join().expect("it codes")).collect()
            });
            assert!(together.iter().all(|other| *other == alone), "{codec}");
        }
    }
}
