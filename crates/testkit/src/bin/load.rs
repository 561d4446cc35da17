//! Loads a running recorder with sessions of 720p VP8 (1.5 Mbit/s) and Opus, and reports its cost.
//!
//! ```text
//! cargo run --release -p testkit --bin load -- --sessions 50 --seconds 60 --grpc 127.0.0.1:50011 --pid $(pidof webrtc-recorder)
//! ```

use std::{
    error::Error,
    fs,
    net::{IpAddr, SocketAddr},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Parser;
use testkit::{
    call::{Call, upload_request},
    recorder::Client,
    sender::{Driver, SenderConfig, SenderStats, Session, Track},
    signal::{Clip, ClipSpec, clip},
};
use tokio::time::sleep;

#[derive(Parser)]
#[command(about = "Loads a running recorder with sessions of 720p VP8 and Opus, and reports its cost.")]
struct Options {
    /// Sessions at a time.
    #[arg(long, default_value_t = 50)]
    sessions: usize,
    /// Seconds of the measurement, between the start of the last session and the first stop.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The recorder's gRPC address.
    #[arg(long, default_value = "127.0.0.1:50011")]
    grpc: SocketAddr,
    /// The recorder's process id.
    #[arg(long)]
    pid: u32,
    /// Where the senders' sockets are bound.
    #[arg(long, default_value = "127.0.0.1")]
    ip: IpAddr,
    /// Threads that send.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Seconds between the last session's start and the measurement.
    #[arg(long, default_value_t = 5)]
    warm_up: u64,
}

/// Figures of a process from `/proc`.
#[derive(Clone, Copy)]
struct Usage {
    at: Instant,
    /// CPU seconds of all its threads, user and system.
    cpu: f64,
    /// Resident memory in bytes.
    resident: f64,
}

impl Usage {
    fn of(pid: u32) -> Result<Self, Box<dyn Error>> {
        /// `USER_HZ` is 100 on every Linux architecture that Rust runs on with a standard library.
        const TICKS: f64 = 100.0;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name, in parentheses, may hold spaces (proc_pid_stat(5)); utime and stime are fields 14 and 15.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |field: usize| fields.get(field - 3).and_then(|ticks| ticks.parse::<f64>().ok());
        let cpu = ticks(14).zip(ticks(15)).map(|(user, system)| (user + system) / TICKS);
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().split(' ').next());
        let kilobytes: f64 = resident.ok_or("no VmRSS")?.parse()?;
        Ok(Self { at: Instant::now(), cpu: cpu.ok_or("no CPU times")?, resident: kilobytes * 1024.0 })
    }
}

struct Load {
    options: Options,
    client: Client,
    drivers: Vec<Driver>,
    tracks: [Track; 2],
}

struct Live {
    session: Session,
    call: Call,
    /// From the request to the answer.
    answered: Duration,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let endpoint = format!("http://{}", options.grpc);
    let client = Client::connect(endpoint).await?;
    let (picture, sound): (Arc<Clip>, Arc<Clip>) =
        (clip(ClipSpec::load())?, clip(ClipSpec { seconds: 10, ..ClipSpec::beep() })?);
    let drivers = (0..options.threads.max(1)).map(|_| Driver::start()).collect::<Result<Vec<_>, _>>()?;
    let idle = Usage::of(options.pid)?;
    let mut load = Load { options, client, drivers, tracks: [Track::of(picture), Track::of(sound)] };

    let mut sessions = load.begin_all().await?;
    sleep(Duration::from_secs(load.options.warm_up)).await;
    let sent_before = total(&sessions).await;
    let before = Usage::of(load.options.pid)?;
    sleep(Duration::from_secs(load.options.seconds)).await;
    let after = Usage::of(load.options.pid)?;
    let sent = total(&sessions).await;
    let stops = load.stop_all(&sessions).await?;

    let count = sessions.len() as f64;
    let time = (after.at - before.at).as_secs_f64();
    let packets = (sent.packets - sent_before.packets) as f64;
    let cpu = after.cpu - before.cpu;
    let mut answers: Vec<Duration> = sessions.drain(..).map(|live| live.answered).collect();
    report(&[
        ("sessions", format!("{count}")),
        ("packets/s of a session", format!("{:.0}", packets / time / count)),
        ("resends asked for", format!("{}", sent.resends)),
        ("keyframes asked for", format!("{}", sent.keyframe_requests)),
        ("CPU-s per stream-s", format!("{:.6}", cpu / (time * count))),
        ("CPU of one core", format!("{:.1} %", cpu / time * 100.0)),
        ("µs of CPU a packet", format!("{:.2}", cpu / packets * 1e6)),
        ("RSS", format!("{:.1} MB", after.resident / 1e6)),
        ("RSS a session", format!("{:.0} KB", (after.resident - idle.resident) / count / 1e3)),
        ("offer→answer", quantiles(&mut answers)),
        ("Stop→finalized", quantiles(&mut stops.clone())),
    ]);
    Ok(())
}

impl Load {
    /// Starts sessions one after the other, spread over the duration of a frame, so that they don't all send at once.
    async fn begin_all(&mut self) -> Result<Vec<Live>, Box<dyn Error>> {
        let mut sessions = Vec::new();
        for index in 0..self.options.sessions {
            let driver = &self.drivers[index % self.drivers.len()];
            let config = SenderConfig { seed: index as u64, ..SenderConfig::playing(self.tracks.clone()) };
            let session = driver.add(config, self.options.ip).await?;
            let request = upload_request(session.offer().await?, &format!("load-{index}"));
            let begin = Instant::now();
            let response = self.client.upload_p2p_video(request).await?.into_inner();
            let answered = begin.elapsed();
            session.accept_answer(response.sdp_answer).await?;
            sessions.push(Live { session, call: Call { id: response.id }, answered });
            sleep(Duration::from_millis(37)).await;
        }
        for live in &sessions {
            let deadline = Instant::now() + Duration::from_secs(15);
            while !live.session.stats().await.connected {
                if Instant::now() > deadline {
                    return Err(format!("session {} didn't connect", live.call.id).into());
                }
                sleep(Duration::from_millis(10)).await;
            }
        }
        Ok(sessions)
    }

    async fn stop_all(&mut self, sessions: &[Live]) -> Result<Vec<Duration>, Box<dyn Error>> {
        let mut took = Vec::new();
        for live in sessions {
            let begin = Instant::now();
            live.call.stop(&mut self.client).await?;
            took.push(begin.elapsed());
        }
        Ok(took)
    }
}

async fn total(sessions: &[Live]) -> SenderStats {
    let mut total = SenderStats::default();
    for live in sessions {
        let stats = live.session.stats().await;
        total.packets += stats.packets;
        total.resends += stats.resends;
        total.keyframe_requests += stats.keyframe_requests;
    }
    total
}

/// The median and the 99th percentile.
fn quantiles(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |share: f64| {
        let index = (times.len() as f64 * share).ceil() as usize;
        times.get(index.saturating_sub(1)).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    };
    format!("p50 {:.1} ms, p99 {:.1} ms", at(0.5), at(0.99))
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn report(rows: &[(&str, String)]) {
    for (name, value) in rows {
        println!("{name:<24} {value}");
    }
}
