//! Measures the cost of following a recording of an hour: `cargo run --release -p transcode --example follow` (build the worker
//! too, by `cargo build --release -p transcode`). The file is complete from the start, so that it takes a minute instead of an hour.

use std::{
    error::Error,
    fs,
    io::{Write, stdout},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use transcode::{Follow, Followed, Worker};

const SECONDS: u32 = 3_600;
const INTERVAL: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let (minute, input) = (dir.path().join("minute.webm"), dir.path().join("hour.webm"));
    let noise = "anoisesrc=colour=pink:sample_rate=48000:duration=60:amplitude=0.3";
    ffmpeg(&["-f", "lavfi", "-i", noise, "-c:a", "libopus", "-b:a", "64k", "-ac", "2"], &minute)?;
    let turns = (SECONDS / 60 - 1).to_string();
    let minute = minute.to_str().ok_or("a temporary path is UTF-8")?;
    ffmpeg(&["-stream_loop", &turns, "-i", minute, "-c", "copy"], &input)?;
    let program = std::env::current_exe()?.with_file_name("../transcode-worker");
    for json in
        [r#"{"kind": "mp3"}"#, r#"{"kind": "wav"}"#, r#"{"kind": "ogg_opus", "audio": {"bit_rate": 64000}}"#]
    {
        let rendition = serde_json::from_str(json)?;
        let segments = dir.path().join("segments");
        fs::create_dir(&segments)?;
        let follow =
            Follow { input: input.clone(), segments: segments.clone(), rendition, interval: INTERVAL };
        let before = children_time()?;
        let mut follower = Worker::new(&program).follow(&follow)?;
        let bytes = fs::metadata(&input)?.len();
        follower.grown(64 << 10).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let child = child()?;
        let young = private_kib(child)?;
        follower.grown(bytes).await?;
        let mut made = 0;
        while made < SECONDS as usize / 10 - 1 {
            made += usize::from(matches!(follower.next().await?, Followed::Segment(_)));
        }
        // The rest is shorter than a segment: wait until it is read too.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (old, followed) = (private_kib(child)?, processor_time(child)?);
        let (ended, output) = (Instant::now(), dir.path().join("output"));
        follower.end(bytes, &output).await?;
        let produced = loop {
            match follower.next().await? {
                Followed::Segment(_) => {}
                Followed::Produced(produced) => break produced,
            }
        };
        let took = ended.elapsed();
        let started = Instant::now();
        fs::File::open(&output)?.sync_all()?;
        let synced = started.elapsed();
        let joined = children_time()? - before - followed;
        writeln!(
            stdout(),
            "{json}: {young} KiB private when it begins, {old} KiB after an hour; {followed:.1} s of processor for it; \
             the end took {took:.2?} and {joined:.2} s of processor for {} MB (another sync {synced:.2?})",
            produced.bytes / 1_000_000
        )?;
        fs::remove_dir_all(&segments)?;
    }
    Ok(())
}

/// The only child.
fn child() -> Result<u32, Box<dyn Error>> {
    let own = std::process::id();
    let list = fs::read_to_string(format!("/proc/{own}/task/{own}/children"))?;
    Ok(list.split_whitespace().next().ok_or("no child")?.parse()?)
}

fn private_kib(process: u32) -> Result<u64, Box<dyn Error>> {
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let lines = rollup.lines().filter(|line| line.starts_with("Private_Dirty:"));
    Ok(lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum())
}

/// Seconds: fields of proc(5) `stat` after the name, in hundredths.
fn times(stat: &Path) -> Result<Vec<f64>, Box<dyn Error>> {
    let stat = fs::read_to_string(stat)?;
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(4);
    Ok(fields.map(|field| field.parse::<f64>().map(|ticks| ticks / 100.0)).collect::<Result<_, _>>()?)
}

fn processor_time(process: u32) -> Result<f64, Box<dyn Error>> {
    Ok(times(Path::new(&format!("/proc/{process}/stat")))?.iter().take(2).sum())
}

/// CPU time of children that have ended.
fn children_time() -> Result<f64, Box<dyn Error>> {
    Ok(times(Path::new("/proc/self/stat"))?.iter().skip(2).sum())
}

fn ffmpeg(arguments: &[&str], output: &Path) -> Result<(), Box<dyn Error>> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-y"]).args(arguments).arg(output);
    if command.status()?.success() { Ok(()) } else { Err("ffmpeg failed".into()) }
}
