//! Measures the machine's floor: the cost of receiving the same datagrams as in `load` and writing their bytes to one
//! file per session, with no decryption and no container. Quote a recorder's figures beside it: shared machines differ
//! twofold from one hour to the next.
//!
//! ```text
//! cargo run --release -p testkit --bin floor -- --sessions 50 --seconds 10
//! ```

use std::{
    error::Error,
    fs::File,
    io::{self, IoSliceMut, Write as _},
    net::UdpSocket,
    os::fd::AsRawFd,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use clap::Parser;
use nix::{
    errno::Errno,
    sys::{
        resource::{UsageWho, getrusage},
        socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, setsockopt, sockopt::RcvBufForce},
    },
};

/// Packets per second of a session, and their mean size in bytes: 720p VP8 at 1.5 Mbit/s with Opus.
const RATE: f64 = 237.0;
const DATAGRAM: usize = 860;
const BATCH: usize = 64;

#[derive(Parser)]
#[command(about = "Receives and writes what so many sessions send, and reports what it cost.")]
struct Options {
    /// Sessions at a time.
    #[arg(long, default_value_t = 50)]
    sessions: u32,
    /// Seconds of the measurement.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Milliseconds between two drains of the socket.
    #[arg(long, default_value_t = 20)]
    tick: u64,
    /// Where the files are written. They are removed afterwards.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_nonblocking(true)?;
    // Without the privilege the default buffer is used.
    let _ = setsockopt(&socket, RcvBufForce, &(8 << 20));
    let to = socket.local_addr()?;
    let senders: Vec<UdpSocket> = (0..options.sessions)
        .map(|_| {
            let sender = UdpSocket::bind("127.0.0.1:0")?;
            sender.connect(to)?;
            Ok(sender)
        })
        .collect::<io::Result<_>>()?;
    let over = Arc::new(AtomicBool::new(false));
    let sending = thread::spawn({
        let over = Arc::clone(&over);
        move || send(&senders, &over)
    });
    let directory = tempfile::tempdir_in(&options.directory)?;
    let files = (0..options.sessions)
        .map(|number| File::create(directory.path().join(number.to_string())))
        .collect::<io::Result<Vec<_>>>()?;
    let result = receive(options, &socket, &files);
    over.store(true, Ordering::Relaxed);
    let _ = sending.join();
    result
}

fn send(senders: &[UdpSocket], over: &AtomicBool) {
    let (start, datagram) = (Instant::now(), [0x80; DATAGRAM]);
    for (sent, sender) in senders.iter().cycle().enumerate() {
        while sent as f64 > start.elapsed().as_secs_f64() * RATE * senders.len() as f64 {
            if over.load(Ordering::Relaxed) {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
        let _ = sender.send(&datagram);
    }
}

fn receive(options: &Options, socket: &UdpSocket, files: &[File]) -> Result<(), Box<dyn Error>> {
    let mut buffers = Box::new([[0; 2048]; BATCH]);
    let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
    let mut gathered = vec![Vec::with_capacity(1 << 17); files.len()];
    let (start, before) = (Instant::now(), getrusage(UsageWho::RUSAGE_THREAD)?);
    let mut packets = 0_u64;
    while start.elapsed() < Duration::from_secs(options.seconds) {
        thread::sleep(Duration::from_millis(options.tick));
        loop {
            let mut slices = buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
            let flags = MsgFlags::MSG_DONTWAIT;
            let received = match recvmmsg(socket.as_raw_fd(), &mut headers, slices.iter_mut(), flags, None) {
                Ok(received) => received,
                Err(Errno::EAGAIN) => break,
                Err(error) => return Err(error.into()),
            };
            for message in received {
                let place = (packets % files.len() as u64) as usize;
                packets += 1;
                gathered[place].extend(message.iovs().flatten());
                if gathered[place].len() > 100_000 {
                    (&files[place]).write_all(&gathered[place])?;
                    gathered[place].clear();
                }
            }
        }
    }
    let after = getrusage(UsageWho::RUSAGE_THREAD)?;
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    let cpu = [(after.user_time(), before.user_time()), (after.system_time(), before.system_time())]
        .into_iter()
        .map(|(after, before)| seconds(after) - seconds(before))
        .sum::<f64>();
    let stream_seconds = start.elapsed().as_secs_f64() * f64::from(options.sessions);
    writeln!(
        io::stdout(),
        "packets/s of a session   {:.0}\nCPU-s per stream-s       {:.6}\nµs of CPU a packet       {:.2}",
        packets as f64 / stream_seconds,
        cpu / stream_seconds,
        cpu / packets as f64 * 1e6,
    )?;
    Ok(())
}
