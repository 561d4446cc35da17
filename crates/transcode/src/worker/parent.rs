//! The server's side of executing a plan.

use std::{
    collections::VecDeque,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    pin::pin,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use futures::StreamExt;
use serde::Serialize;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    sync::watch,
    time,
};
use tokio_util::{
    codec::{FramedRead, LinesCodec},
    sync::CancellationToken,
};

use super::protocol::{Limits, MAX_LINE, Report, SUBCOMMAND, Task, Work};
use crate::{Plan, Produced, Progress, TranscodeError, partial::Partial};

/// A child that has closed its output ends within this time or is killed.
const EXIT_WAIT: Duration = Duration::from_secs(5);
/// The bytes of the end of standard error that an error text contains.
const ERROR_TAIL: usize = 2_048;
/// The variables that a child gets from the environment of the server: those that find shared libraries. The others can hold
/// secrets, which code that reads untrusted files must not see.
const ENVIRONMENT: [&str; 3] = ["LD_LIBRARY_PATH", "PATH", "TMPDIR"];

/// Runs each plan in a child process of its own.
#[derive(Clone, Debug)]
pub struct Worker {
    /// The binary whose subcommand `transcode-worker` calls [`worker_main`](crate::worker_main). In production, the server.
    pub program: PathBuf,
    /// The limits of each child.
    pub limits: Limits,
}

impl Worker {
    /// A worker with default limits.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), limits: Limits::default() }
    }

    /// Executes `plan`. `progress` has the latest progress.
    ///
    /// When `cancel` is cancelled, the child is killed and the partial file removed, within milliseconds. Dropping the future
    /// does the same. A child that crashes, is killed, hangs or violates the protocol becomes an error.
    ///
    /// # Errors
    /// See [`TranscodeError`].
    pub async fn run(
        &self,
        plan: &Plan,
        cancel: &CancellationToken,
        progress: watch::Sender<Progress>,
    ) -> Result<Produced, TranscodeError> {
        plan.rendition.check().map_err(TranscodeError::BadOption)?;
        // Declared before the child, so dropped after the child has been killed.
        let _partial = Partial::new(&plan.output);
        let mut child = self.spawn()?;
        let pid = child.id();
        tracing::debug!(pid, kind = plan.rendition.kind().name(), input = %plan.input.display(), "worker started");
        let mut errors = VecDeque::new();
        let answer = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(TranscodeError::Cancelled),
            seconds = out_of_time(self.limits.wall) => Err(TranscodeError::TimedOut { seconds }),
            answer = self.exchange(plan, &mut child, &mut errors, &progress) => match answer {
                Some(answer) => answer.map_err(|error| short_of_memory(error, &errors)),
                None => Err(error_of_exit(exit_status(&mut child).await, &errors)),
            },
        };
        let _ = child.start_kill();
        let _ = child.wait().await;
        log_end(pid, answer.as_ref().err());
        answer
    }

    pub(super) fn spawn(&self) -> Result<Child, TranscodeError> {
        let environment = ENVIRONMENT.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        let mut command = Command::new(&self.program);
        command.arg(SUBCOMMAND).env_clear().envs(environment);
        // Each arena of the allocator reserves address space, which counts toward the memory limit.
        command.env("MALLOC_ARENA_MAX", "2").env("SVT_LOG", "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // An interrupt from a terminal must reach only the server, which shuts down its children.
        command.process_group(0).kill_on_drop(true);
        let failed = |error| TranscodeError::Worker {
            detail: format!("can't start {}: {error}", self.program.display()),
        };
        command.spawn().map_err(failed)
    }

    /// Sends the plan and waits for the answer; `None` if the child ended without one.
    async fn exchange(
        &self,
        plan: &Plan,
        child: &mut Child,
        errors: &mut VecDeque<u8>,
        progress: &watch::Sender<Progress>,
    ) -> Option<Result<Produced, TranscodeError>> {
        let (mut input, output, mut stderr) =
            (child.stdin.take()?, child.stdout.take()?, child.stderr.take()?);
        let pid = child.id();
        let task = Task { work: Work::Plan(plan.clone()), limits: self.limits.clone() };
        let line = match line_of(&task) {
            Ok(line) => line,
            Err(error) => return Some(Err(error)),
        };
        // If the child has died, reading its output fails below. Its input stays open, because closing it ends the child.
        let _ = input.write_all(&line).await;
        let listen = async {
            let mut lines = FramedRead::new(output, LinesCodec::new_with_max_length(MAX_LINE));
            loop {
                match lines.next().await?.map_err(|error| error.to_string()).and_then(|line| parse(&line)) {
                    Ok(Report::Event(event)) => event.emit(pid),
                    Ok(Report::Progress(now)) => drop(progress.send_replace(now)),
                    Ok(Report::Produced(produced)) => return Some(Ok(produced)),
                    Ok(Report::Failed(error)) => return Some(Err(error)),
                    Ok(Report::Segment(_)) => {}
                    Err(detail) => return Some(Err(TranscodeError::Worker { detail })),
                }
            }
        };
        let (mut listen, mut stderr_end) = (pin!(listen), pin!(read_tail(&mut stderr, errors)));
        tokio::select! {
            answer = &mut listen => {
                if !matches!(answer, Some(Ok(_))) {
                    // The child is ending: the end of its standard error may not have arrived yet.
                    let _ = time::timeout(EXIT_WAIT, stderr_end).await;
                }
                answer
            }
            () = &mut stderr_end => listen.await,
        }
    }
}

pub(super) fn parse(line: &str) -> Result<Report, String> {
    serde_json::from_str(line).map_err(|_| {
        let start: String = line.chars().take(80).collect();
        format!("sent {start:?}, which is not a report")
    })
}

/// A message as a line.
pub(super) fn line_of(message: &impl Serialize) -> Result<Vec<u8>, TranscodeError> {
    match serde_json::to_vec(message) {
        Ok(mut line) if line.len() < MAX_LINE => {
            line.push(b'\n');
            Ok(line)
        }
        _ => Err(TranscodeError::Worker { detail: "the plan is too long".to_owned() }),
    }
}

/// Reads to the end and stores the last bytes in `tail`. Dropping the future loses nothing.
pub(super) async fn read_tail(from: &mut (impl AsyncRead + Unpin), tail: &mut VecDeque<u8>) {
    let mut chunk = [0; 1_024];
    while let Ok(count) = from.read(&mut chunk).await {
        if count == 0 {
            return;
        }
        tail.extend(chunk.iter().take(count));
        let excess = tail.len().saturating_sub(ERROR_TAIL);
        tail.drain(..excess);
    }
}

/// Logs the end of a child: the limits and crashes as warnings.
pub(super) fn log_end(pid: Option<u32>, error: Option<&TranscodeError>) {
    match error {
        None => tracing::debug!(pid, "worker exited"),
        Some(TranscodeError::Cancelled) => tracing::debug!(pid, "worker killed: cancelled"),
        Some(TranscodeError::TimedOut { seconds }) => {
            tracing::warn!(pid, seconds, "worker killed: wall time limit");
        }
        Some(error @ (TranscodeError::Killed { .. } | TranscodeError::Worker { .. })) => {
            tracing::warn!(pid, %error, "worker ended without an answer");
        }
        Some(error) => tracing::debug!(pid, %error, "worker failed"),
    }
}

/// Returns the limit in seconds when it has passed; never without a limit.
async fn out_of_time(limit: Option<Duration>) -> u64 {
    match limit {
        Some(limit) => {
            time::sleep(limit).await;
            limit.as_secs()
        }
        None => std::future::pending().await,
    }
}

/// The exit status of the child; `None` if it doesn't end within [`EXIT_WAIT`].
pub(super) async fn exit_status(child: &mut Child) -> Option<ExitStatus> {
    match time::timeout(EXIT_WAIT, child.wait()).await {
        Ok(status) => status.ok(),
        Err(_) => None,
    }
}

/// Recognises an encoder that ran out of memory. libav reports only a failure; x264 writes the cause to standard error.
fn short_of_memory(error: TranscodeError, errors: &VecDeque<u8>) -> TranscodeError {
    let errors: Vec<u8> = errors.iter().copied().collect();
    match error {
        TranscodeError::Libav { doing, .. }
            if String::from_utf8_lossy(&errors).contains("malloc of size") =>
        {
            TranscodeError::OutOfMemory { doing }
        }
        error => error,
    }
}

/// The error of a child that ended without an answer.
pub(super) fn error_of_exit(status: Option<ExitStatus>, errors: &VecDeque<u8>) -> TranscodeError {
    let errors: Vec<u8> = errors.iter().copied().collect();
    let detail = String::from_utf8_lossy(&errors).trim().to_owned();
    // The message of Rust's allocator before it aborts.
    if detail.contains("memory allocation of") {
        return TranscodeError::OutOfMemory { doing: "running the worker".to_owned() };
    }
    match status {
        Some(status) => match status.signal() {
            Some(signal) => TranscodeError::Killed { signal, detail },
            None => TranscodeError::Worker { detail: format!("{status} without an answer: {detail}") },
        },
        None => TranscodeError::Worker { detail: format!("closed its output but didn't end: {detail}") },
    }
}
