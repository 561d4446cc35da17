//! The child's side.

use std::{
    io::{self, BufRead, Read, Write},
    path::Path,
    process::ExitCode,
    sync::atomic::AtomicBool,
    thread,
};

use rustix::process::{self, Resource, Rlimit, Signal};

use super::protocol::{Limits, MAX_LINE, Report, Task, Word, Work};
use crate::{
    Produced, TranscodeError, follow, partial, run,
    source::{FinalBytes, OpenFile},
};

/// What the hidden subcommand `transcode-worker` of the server does: reads a task from standard input, limits itself,
/// executes the plan or follows the file, and reports on standard output.
///
/// **The child dies with its server.** The server holds the other end of standard input for as long as it waits; when
/// that end closes, because the server lost interest or died in whatever way, the partial file is removed and the
/// process kills itself. (A parent death signal would do the same only as long as the *thread* lives that started the
/// child, which on a pool of threads is no measure.)
#[must_use]
pub fn worker_main() -> ExitCode {
    let report = match execute() {
        Ok(produced) => Report::Produced(produced),
        Err(error) => Report::Failed(error),
    };
    let done = matches!(report, Report::Produced(_));
    tell(&report);
    if done { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn execute() -> Result<Produced, TranscodeError> {
    let task = read_task().map_err(|detail| TranscodeError::Worker { detail })?;
    restrict(&task.limits)
        .map_err(|error| TranscodeError::Worker { detail: format!("can't limit itself: {error}") })?;
    match task.work {
        Work::Plan(plan) => {
            let partial = partial::part_of(&plan.output);
            watch_server(move || wait_for_end(&partial))?;
            run(&plan, &AtomicBool::new(false), &mut |progress| tell(&Report::Progress(progress)))
        }
        Work::Follow(follow) => {
            let file = OpenFile::open(&follow.input)?;
            let (final_bytes, segments) = (file.final_bytes(), follow.segments.clone());
            watch_server(move || listen(&final_bytes, &segments))?;
            follow::follow(&follow, file, &mut |segment| tell(&Report::Segment(segment)))
        }
    }
}

fn read_task() -> Result<Task, String> {
    let line = read_line().map_err(|error| format!("can't read its task: {error}"))?;
    serde_json::from_slice(&line).map_err(|error| format!("can't read its task: {error}"))
}

fn read_line() -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    io::stdin().lock().take(MAX_LINE as u64).read_until(b'\n', &mut line)?;
    Ok(line)
}

fn tell(report: &Report) {
    if let Ok(mut line) = serde_json::to_vec(report) {
        line.push(b'\n');
        // A server that doesn't listen any more is noticed at standard input.
        let mut output = io::stdout().lock();
        let _ = output.write_all(&line).and_then(|()| output.flush());
    }
}

fn restrict(limits: &Limits) -> rustix::io::Result<()> {
    process::nice(limits.nice)?;
    let both = |limit| Rlimit { current: Some(limit), maximum: Some(limit) };
    // The memory of a codec that crashed isn't worth a file of gigabytes.
    process::setrlimit(Resource::Core, both(0))?;
    if let Some(bytes) = limits.memory_bytes {
        process::setrlimit(Resource::As, both(bytes))?;
    }
    if let Some(cpu) = limits.cpu {
        process::setrlimit(Resource::Cpu, both(cpu.as_secs().max(1)))?;
    }
    Ok(())
}

fn watch_server(watch: impl FnOnce() + Send + 'static) -> Result<(), TranscodeError> {
    let started = thread::Builder::new().name("server-watch".to_owned()).spawn(watch);
    started.map(drop).map_err(|error| TranscodeError::io("watching the server", &error))
}

fn wait_for_end(partial: &Path) {
    let mut ignored = [0; 64];
    // The server says nothing more: all that can come is the end.
    while matches!(io::stdin().lock().read(&mut ignored), Ok(count) if count > 0) {}
    let _ = std::fs::remove_file(partial);
    die();
}

/// Passes on what the server says of the file that is followed, for as long as there is a server.
fn listen(final_bytes: &FinalBytes, segments: &Path) {
    // An empty line is the end; one that is no word comes from no server of ours.
    while let Ok(word) = read_line().and_then(|line| Ok(serde_json::from_slice(&line)?)) {
        match word {
            Word::Until(until) => final_bytes.grown(until),
            Word::End { bytes, output } => final_bytes.end(bytes, output),
        }
    }
    partial::remove_parts(segments);
    if let Some(output) = final_bytes.output_if_ended() {
        let _ = std::fs::remove_file(partial::part_of(&output));
    }
    die();
}

fn die() {
    // At once and whatever the codecs are at: no destructor must run.
    let _ = process::kill_process(process::getpid(), Signal::KILL);
}
