//! Our speed beside that of the `ffmpeg` command with the same settings:
//! `cargo run --release -p transcode --example speed`. Each is run in turn, and the best of its runs counts.

use std::{
    error::Error,
    io::{Write, stdout},
    path::Path,
    process::Command,
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use transcode::{Plan, run};

const RUNS: usize = 5;
const SECONDS: u32 = 60;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let input = dir.path().join("call.webm");
    let picture = format!("testsrc2=size=1280x720:rate=30:duration={SECONDS},noise=alls=12:allf=t");
    let sound = format!("anoisesrc=colour=pink:sample_rate=48000:duration={SECONDS}:amplitude=0.3");
    let sources = ["-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &sound];
    let codecs = "-c:v libvpx -b:v 1500k -deadline realtime -cpu-used 8 -g 300 -c:a libopus -b:a 48k -ac 1";
    ffmpeg(&sources.iter().copied().chain(codecs.split(' ')).collect::<Vec<_>>(), &input)?;
    let read = ["-i", input.to_str().ok_or("a temporary path is UTF-8")?];

    let mp4 = "-c:v libx264 -preset veryfast -crf 23 -g 120 -c:a aac -b:a 64k -movflags +faststart";
    let mp3 = "-vn -c:a libmp3lame -b:a 80k";
    for (json, command, extension) in [(r#"{"kind": "mp4"}"#, mp4, "mp4"), (r#"{"kind": "mp3"}"#, mp3, "mp3")]
    {
        let plan = Plan {
            input: input.clone(),
            output: dir.path().join(format!("ours.{extension}")),
            rendition: serde_json::from_str(json)?,
        };
        let theirs = dir.path().join(format!("theirs.{extension}"));
        let arguments: Vec<&str> = read.into_iter().chain(command.split(' ')).collect();
        let mut best = [Duration::MAX; 2];
        for _ in 0..RUNS {
            best[0] = best[0].min(timed(|| Ok(run(&plan, &AtomicBool::new(false), &mut |_| {}).map(drop)?))?);
            best[1] = best[1].min(timed(|| ffmpeg(&arguments, &theirs))?);
        }
        let [ours, command] = best.map(|time| f64::from(SECONDS) / time.as_secs_f64());
        let ratio = ours / command;
        writeln!(
            stdout(),
            "{extension}: ours {ours:.1} × real time, ffmpeg {command:.1} ×: {ratio:.2} of it"
        )?;
    }
    Ok(())
}

fn timed(work: impl FnOnce() -> Result<(), Box<dyn Error>>) -> Result<Duration, Box<dyn Error>> {
    let started = Instant::now();
    work()?;
    Ok(started.elapsed())
}

fn ffmpeg(arguments: &[&str], output: &Path) -> Result<(), Box<dyn Error>> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-y"]).args(arguments).arg(output);
    if command.status()?.success() { Ok(()) } else { Err("ffmpeg failed".into()) }
}
