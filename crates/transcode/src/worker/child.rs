//! The child process.

use std::{
    io::{self, BufRead, Read, Write},
    path::Path,
    process::ExitCode,
    sync::atomic::AtomicBool,
    thread,
};

use rustix::process::{self, Resource, Rlimit, Signal};

use super::{
    events::Forwarder,
    protocol::{Limits, MAX_LINE, Message, Report, Task, Work},
};
use crate::{
    Produced, TranscodeError, follow, partial, run,
    source::{FinalBytes, OpenFile},
};

/// Runs the hidden subcommand `transcode-worker` of the server. It reads a task from standard input, limits its own resources,
/// executes the plan or follows the file, and reports on standard output.
///
/// **The child ends with its server.** The server holds the other end of standard input for as long as it waits. When that
/// end closes, because the server cancelled or died, the child removes the partial file and kills itself. (A parent death
/// signal follows the *thread* that started the child, which in a thread pool ends at any time.)
#[must_use]
pub fn worker_main() -> ExitCode {
    // Fails only if a subscriber is set, as by a test.
    let _ = tracing::subscriber::set_global_default(Forwarder(|event| send(&Report::Event(event))));
    let report = match execute() {
        Ok(produced) => Report::Produced(produced),
        Err(error) => Report::Failed(error),
    };
    let done = matches!(report, Report::Produced(_));
    send(&report);
    if done { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn execute() -> Result<Produced, TranscodeError> {
    let task = read_task().map_err(|detail| TranscodeError::Worker { detail })?;
    restrict(&task.limits)
        .map_err(|error| TranscodeError::Worker { detail: format!("can't limit its resources: {error}") })?;
    match task.work {
        Work::Plan(plan) => {
            let partial = partial::part_of(&plan.output);
            watch_server(move || wait_for_server_end(&partial))?;
            run(&plan, &AtomicBool::new(false), &mut |progress| send(&Report::Progress(progress)))
        }
        Work::Follow(follow) => {
            let file = OpenFile::open(&follow.input)?;
            let (final_bytes, segments) = (file.final_bytes(), follow.segments.clone());
            watch_server(move || receive_messages(&final_bytes, &segments))?;
            follow::follow(&follow, file, &mut |segment| send(&Report::Segment(segment)))
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

fn send(report: &Report) {
    if let Ok(mut line) = serde_json::to_vec(report) {
        line.push(b'\n');
        // If the server has ended, standard input is closed, which ends this process.
        let mut output = io::stdout().lock();
        let _ = output.write_all(&line).and_then(|()| output.flush());
    }
}

fn restrict(limits: &Limits) -> rustix::io::Result<()> {
    process::nice(limits.nice)?;
    let both = |limit| Rlimit { current: Some(limit), maximum: Some(limit) };
    // No core dumps: they can have gigabytes.
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

fn wait_for_server_end(partial: &Path) {
    let mut ignored = [0; 64];
    // The server sends no line after a plan, so a read returns only when the server ends.
    while matches!(io::stdin().lock().read(&mut ignored), Ok(count) if count > 0) {}
    let _ = std::fs::remove_file(partial);
    kill_self();
}

/// Receives the messages of the server about the followed file, until the server ends.
fn receive_messages(final_bytes: &FinalBytes, segments: &Path) {
    // An empty line is the end of standard input; a malformed one ends the loop too.
    while let Ok(message) = read_line().and_then(|line| Ok(serde_json::from_slice(&line)?)) {
        match message {
            Message::Until(until) => final_bytes.grown(until),
            Message::End { bytes, output } => final_bytes.end(bytes, output),
        }
    }
    partial::remove_parts(segments);
    if let Some(output) = final_bytes.output_if_ended() {
        let _ = std::fs::remove_file(partial::part_of(&output));
    }
    kill_self();
}

fn kill_self() {
    // At once: destructors of codecs could hang.
    let _ = process::kill_process(process::getpid(), Signal::KILL);
}
