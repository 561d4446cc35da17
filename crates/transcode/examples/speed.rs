//! Compares the speed with that of the `ffmpeg` command with the same settings:
//! `cargo run --release -p transcode --example speed`. They run alternately, and the best run of each
//! counts, in wall time and in CPU time. On a machine with other load, only CPU time is meaningful.

use std::{
    error::Error,
    io::{Write, stdout},
    path::Path,
    process::Command,
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use transcode::{Plan, run};

const RUNS: usize = 3;
const SECONDS: u32 = 20;

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
        let (mut ours, mut command) = (Cost::MOST, Cost::MOST);
        for _ in 0..RUNS {
            ours.improve(&cost(|| Ok(run(&plan, &AtomicBool::new(false), &mut |_| {}).map(drop)?))?);
            command.improve(&cost(|| ffmpeg(&arguments, &theirs))?);
        }
        let speed = f64::from(SECONDS) / ours.wall.as_secs_f64();
        let by_clock = command.wall.as_secs_f64() / ours.wall.as_secs_f64();
        let by_processor = command.processor / ours.processor;
        writeln!(
            stdout(),
            "{extension}: {speed:.1} × real time; {by_clock:.2} × ffmpeg by the clock, {by_processor:.2} × by the \
             processor ({:.2} s against {:.2} s)",
            ours.processor,
            command.processor
        )?;
    }
    Ok(())
}

struct Cost {
    wall: Duration,
    /// Seconds, of all threads and of children that have ended.
    processor: f64,
}

impl Cost {
    const MOST: Self = Self { wall: Duration::MAX, processor: f64::INFINITY };

    fn improve(&mut self, other: &Self) {
        self.wall = self.wall.min(other.wall);
        self.processor = self.processor.min(other.processor);
    }
}

fn cost(work: impl FnOnce() -> Result<(), Box<dyn Error>>) -> Result<Cost, Box<dyn Error>> {
    let (started, before) = (Instant::now(), processor_time()?);
    work()?;
    Ok(Cost { wall: started.elapsed(), processor: processor_time()? - before })
}

/// utime, stime, cutime and cstime of proc(5), in hundredths of a second.
fn processor_time() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(4);
    Ok(fields.map(str::parse::<f64>).sum::<Result<f64, _>>()? / 100.0)
}

fn ffmpeg(arguments: &[&str], output: &Path) -> Result<(), Box<dyn Error>> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-y"]).args(arguments).arg(output);
    if command.status()?.success() { Ok(()) } else { Err("ffmpeg failed".into()) }
}
