//! The server's side.

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

/// A child that has said its last word, or nothing more to say, ends within this or is killed.
const FAREWELL: Duration = Duration::from_secs(5);
/// How much of the end of its standard error is kept, in bytes.
const ERROR_TAIL: usize = 2_048;
/// What of the server's environment a child sees: what finds shared libraries. The rest, which may hold secrets, is no
/// business of code that reads files from strangers.
const ENVIRONMENT: [&str; 3] = ["LD_LIBRARY_PATH", "PATH", "TMPDIR"];

/// Runs plans in child processes, one for each.
#[derive(Clone, Debug)]
pub struct Worker {
    /// The binary whose subcommand `transcode-worker` calls [`worker_main`](crate::worker_main): the server's own.
    pub program: PathBuf,
    /// What each child may take.
    pub limits: Limits,
}

impl Worker {
    /// With default limits.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), limits: Limits::default() }
    }

    /// Executes `plan`. The latest progress is in the watch; when nobody looks, it is overwritten.
    ///
    /// When `cancel` fires the child is killed and the partial file removed, within milliseconds. Dropping the future
    /// does the same. A child that crashes, is killed, hangs or talks nonsense is an error like any other.
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
        // Declared before the child, hence dropped after it was killed.
        let _partial = Partial::new(&plan.output);
        let mut child = self.spawn()?;
        let mut errors = VecDeque::new();
        let answer = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(TranscodeError::Cancelled),
            seconds = out_of_time(self.limits.wall) => Err(TranscodeError::TimedOut { seconds }),
            answer = self.converse(plan, &mut child, &mut errors, &progress) => match answer {
                Some(answer) => answer.map_err(|error| short_of_memory(error, &errors)),
                None => Err(epitaph(farewell(&mut child).await, &errors)),
            },
        };
        let _ = child.start_kill();
        let _ = child.wait().await;
        answer
    }

    pub(super) fn spawn(&self) -> Result<Child, TranscodeError> {
        let kept = ENVIRONMENT.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        let mut command = Command::new(&self.program);
        command.arg(SUBCOMMAND).env_clear().envs(kept);
        // Each arena of the allocator reserves address space, which is what the memory limit counts.
        command.env("MALLOC_ARENA_MAX", "2").env("SVT_LOG", "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // An interrupt from a terminal is for the server, which then decides what becomes of its children.
        command.process_group(0).kill_on_drop(true);
        let failed = |error| TranscodeError::Worker {
            detail: format!("can't start {}: {error}", self.program.display()),
        };
        command.spawn().map_err(failed)
    }

    /// What the child answers in the end; `None` if it ended without.
    async fn converse(
        &self,
        plan: &Plan,
        child: &mut Child,
        errors: &mut VecDeque<u8>,
        progress: &watch::Sender<Progress>,
    ) -> Option<Result<Produced, TranscodeError>> {
        let (mut input, output, mut stderr) =
            (child.stdin.take()?, child.stdout.take()?, child.stderr.take()?);
        let task = Task { work: Work::Plan(plan.clone()), limits: self.limits.clone() };
        let line = match line_of(&task) {
            Ok(line) => line,
            Err(error) => return Some(Err(error)),
        };
        // A child that dies before it reads is found dead below. Its input stays open: it lives only as long.
        let _ = input.write_all(&line).await;
        let listen = async {
            let mut lines = FramedRead::new(output, LinesCodec::new_with_max_length(MAX_LINE));
            loop {
                match lines.next().await?.map_err(|error| error.to_string()).and_then(|line| parse(&line)) {
                    Ok(Report::Progress(now)) => drop(progress.send_replace(now)),
                    Ok(Report::Produced(produced)) => return Some(Ok(produced)),
                    Ok(Report::Failed(error)) => return Some(Err(error)),
                    Ok(Report::Segment(_)) => {}
                    Err(nonsense) => return Some(Err(TranscodeError::Worker { detail: nonsense })),
                }
            }
        };
        let (mut listen, mut complaints) = (pin!(listen), pin!(keep_tail(&mut stderr, errors)));
        tokio::select! {
            answer = &mut listen => {
                if !matches!(answer, Some(Ok(_))) {
                    // It is dying: its last words may still be on their way.
                    let _ = time::timeout(FAREWELL, complaints).await;
                }
                answer
            }
            () = &mut complaints => listen.await,
        }
    }
}

pub(super) fn parse(line: &str) -> Result<Report, String> {
    serde_json::from_str(line).map_err(|_| {
        let start: String = line.chars().take(80).collect();
        format!("said {start:?}, which is no report")
    })
}

/// What is said in one line.
pub(super) fn line_of(word: &impl Serialize) -> Result<Vec<u8>, TranscodeError> {
    match serde_json::to_vec(word) {
        Ok(mut line) if line.len() < MAX_LINE => {
            line.push(b'\n');
            Ok(line)
        }
        _ => Err(TranscodeError::Worker { detail: "the plan is too long".to_owned() }),
    }
}

/// Reads to the end and keeps the last bytes. Nothing is lost if it is dropped before.
pub(super) async fn keep_tail(from: &mut (impl AsyncRead + Unpin), tail: &mut VecDeque<u8>) {
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

/// Never, without a limit.
async fn out_of_time(limit: Option<Duration>) -> u64 {
    match limit {
        Some(limit) => {
            time::sleep(limit).await;
            limit.as_secs()
        }
        None => std::future::pending().await,
    }
}

/// How the child ended; killed if it doesn't.
pub(super) async fn farewell(child: &mut Child) -> Option<ExitStatus> {
    match time::timeout(FAREWELL, child.wait()).await {
        Ok(status) => status.ok(),
        Err(_) => None,
    }
}

/// An encoder that gets no memory tells libav only that it failed; x264 says on standard error what it was.
fn short_of_memory(error: TranscodeError, errors: &VecDeque<u8>) -> TranscodeError {
    let said: Vec<u8> = errors.iter().copied().collect();
    match error {
        TranscodeError::Libav { doing, .. } if String::from_utf8_lossy(&said).contains("malloc of size") => {
            TranscodeError::OutOfMemory { doing }
        }
        error => error,
    }
}

/// The error of a child that ended without an answer.
pub(super) fn epitaph(status: Option<ExitStatus>, errors: &VecDeque<u8>) -> TranscodeError {
    let errors: Vec<u8> = errors.iter().copied().collect();
    let detail = String::from_utf8_lossy(&errors).trim().to_owned();
    // What Rust's allocator says before it aborts.
    if detail.contains("memory allocation of") {
        return TranscodeError::OutOfMemory { doing: "running the worker".to_owned() };
    }
    match status {
        Some(status) => match status.signal() {
            Some(signal) => TranscodeError::Killed { signal, detail },
            None => TranscodeError::Worker { detail: format!("{status} without an answer: {detail}") },
        },
        None => TranscodeError::Worker { detail: format!("closed its output and went on: {detail}") },
    }
}
