//! The server's side of following an open file.

use std::{
    collections::VecDeque,
    fs::File,
    io,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    thread,
    time::{self, Duration},
};

use futures::StreamExt;
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStderr, ChildStdin, ChildStdout},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::codec::{FramedRead, LinesCodec};

use super::{
    Worker,
    parent::{error_of_exit, exit_status, line_of, log_end, parse, read_tail},
    protocol::{MAX_LINE, Message, Report, Task, Work},
};
use crate::{Follow, Followed, TranscodeError, partial};

/// The wait for a killed child. If it takes longer, its partial files are left.
const KILL_WAIT: Duration = Duration::from_millis(100);

/// A child process that follows an open file.
///
/// Dropping it kills the child and removes incomplete files, which blocks for some milliseconds. Complete segments stay.
#[derive(Debug)]
pub struct Follower {
    child: Child,
    input: ChildStdin,
    reports: FramedRead<ChildStdout, LinesCodec>,
    /// `None` once it is closed.
    stderr: Option<ChildStderr>,
    errors: VecDeque<u8>,
    outbox: Outbox,
    /// Counts from [`Follower::end`] on, since a follower mostly waits before.
    wall: Option<Duration>,
    deadline: Option<Instant>,
    over: bool,
    segments: PathBuf,
    output: Option<PathBuf>,
    _file: File,
}

/// Messages to the child. Of the numbers of final bytes, only the latest is sent.
#[derive(Debug, Default)]
struct Outbox {
    /// The rest of a line that is partly written.
    line: VecDeque<u8>,
    until: u64,
    sent: u64,
    end: Option<Message>,
}

impl Worker {
    /// Starts a child that follows a file. Must be called within a Tokio runtime.
    ///
    /// The wall time of [`Limits`](super::Limits) counts from [`Follower::end`] on.
    ///
    /// # Errors
    /// [`TranscodeError::BadOption`] if it can't be followed, [`TranscodeError::Io`] if the file can't be opened,
    /// [`TranscodeError::Worker`] if no child can be started. [`Follower::next`] returns errors of the file's content.
    pub fn follow(&self, follow: &Follow) -> Result<Follower, TranscodeError> {
        follow.check().map_err(TranscodeError::BadOption)?;
        let file =
            File::open(&follow.input).map_err(|error| TranscodeError::io("opening the input", &error))?;
        // Finalizing may rename the file before the child opens it. The path of our descriptor stays valid.
        let input = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()).into();
        let task =
            Task { work: Work::Follow(Follow { input, ..follow.clone() }), limits: self.limits.clone() };
        let line = line_of(&task)?.into();
        let mut child = self.spawn()?;
        let (pid, kind) = (child.id(), follow.rendition.kind().name());
        tracing::debug!(pid, kind, input = %follow.input.display(), "worker started to follow a recording");
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(TranscodeError::Worker { detail: "has no standard input or output".to_owned() });
        };
        Ok(Follower {
            input,
            reports: FramedRead::new(output, LinesCodec::new_with_max_length(MAX_LINE)),
            stderr: child.stderr.take(),
            child,
            errors: VecDeque::new(),
            outbox: Outbox { line, ..Outbox::default() },
            wall: self.limits.wall,
            deadline: None,
            over: false,
            segments: follow.segments.clone(),
            output: None,
            _file: file,
        })
    }
}

impl Follower {
    /// Reports that the first `until` bytes of the file are final. A smaller number than before has no effect.
    ///
    /// # Errors
    /// [`TranscodeError::Worker`] after the end. If the child died, [`Follower::next`] returns the cause.
    pub async fn grown(&mut self, until: u64) -> Result<(), TranscodeError> {
        self.outbox.until = self.outbox.until.max(until);
        self.send().await
    }

    /// Reports that the file is complete and has `bytes` bytes. The child writes the last segment and joins all as `output`,
    /// which appears as [`Plan::output`](crate::Plan::output) does. [`Follower::next`] then returns the result.
    ///
    /// # Errors
    /// [`TranscodeError::Worker`] after the end. If the child died, [`Follower::next`] returns the cause.
    pub async fn end(&mut self, bytes: u64, output: &Path) -> Result<(), TranscodeError> {
        if self.output.is_none() {
            self.output = Some(output.to_owned());
            self.outbox.end = Some(Message::End { bytes, output: output.to_owned() });
            self.deadline = self.wall.map(|wall| Instant::now() + wall);
        }
        self.send().await
    }

    /// Returns the next segment, or the joined file at the end. Dropping the future loses nothing.
    ///
    /// If this isn't called, the child continues for some hundred segments and then waits.
    ///
    /// # Errors
    /// See [`TranscodeError`]. After an error, and after [`Followed::Produced`], the child has ended and its incomplete files are
    /// removed; further calls return [`TranscodeError::Worker`].
    pub async fn next(&mut self) -> Result<Followed, TranscodeError> {
        if self.over {
            return Err(TranscodeError::Worker { detail: "has ended".to_owned() });
        }
        let (deadline, pid) = (self.deadline, self.child.id());
        let received = tokio::select! {
            biased;
            seconds = passed(deadline, self.wall) => Err(TranscodeError::TimedOut { seconds }),
            received = self.receive() => received,
        };
        if !matches!(received, Ok(Followed::Segment(_))) {
            // Nothing is awaited here: the result would be lost if the future were dropped.
            self.end_child();
            log_end(pid, received.as_ref().err());
        }
        received
    }

    async fn receive(&mut self) -> Result<Followed, TranscodeError> {
        // If the child has died, reading its output fails below.
        let _ = self.outbox.send(&mut self.input).await;
        loop {
            let line = tokio::select! {
                line = self.reports.next() => line,
                () = read_stderr(&mut self.stderr, &mut self.errors) => {
                    self.stderr = None;
                    continue;
                }
            };
            let Some(line) = line else { return Err(self.error_of_exit().await) };
            match line.map_err(|error| error.to_string()).and_then(|line| parse(&line)) {
                Ok(Report::Event(event)) => event.emit(self.child.id()),
                Ok(Report::Progress(_)) => {}
                Ok(Report::Segment(segment)) => return Ok(Followed::Segment(segment)),
                Ok(Report::Produced(produced)) => return Ok(Followed::Produced(produced)),
                Ok(Report::Failed(error)) => return Err(error),
                Err(detail) => return Err(TranscodeError::Worker { detail }),
            }
        }
    }

    async fn send(&mut self) -> Result<(), TranscodeError> {
        if self.over {
            return Err(TranscodeError::Worker { detail: "has ended".to_owned() });
        }
        // If the child has died, `next` returns the cause.
        let _ = self.outbox.send(&mut self.input).await;
        Ok(())
    }

    async fn error_of_exit(&mut self) -> TranscodeError {
        if self.stderr.is_some() {
            let _ = timeout(KILL_WAIT, read_stderr(&mut self.stderr, &mut self.errors)).await;
        }
        error_of_exit(exit_status(&mut self.child).await, &self.errors)
    }

    /// Kills the child and blocks until it has ended, because its files can appear until then.
    fn end_child(&mut self) {
        self.over = true;
        let _ = self.child.start_kill();
        let deadline = time::Instant::now() + KILL_WAIT;
        while matches!(self.child.try_wait(), Ok(None)) && time::Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        partial::remove_parts(&self.segments);
        if let Some(output) = &self.output {
            let _ = std::fs::remove_file(partial::part_of(output));
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if !self.over {
            let pid = self.child.id();
            self.end_child();
            log_end(pid, Some(&TranscodeError::Cancelled));
        }
    }
}

impl Outbox {
    /// Sends all messages. After the future is dropped, the next call continues.
    async fn send(&mut self, to: &mut ChildStdin) -> io::Result<()> {
        loop {
            while !self.line.is_empty() {
                let count = to.write(self.line.as_slices().0).await?;
                self.line.drain(..count);
            }
            let message = if self.until > self.sent {
                self.sent = self.until;
                Message::Until(self.until)
            } else if let Some(end) = self.end.take() {
                end
            } else {
                return Ok(());
            };
            self.line = line_of(&message).map_err(io::Error::other)?.into();
        }
    }
}

/// Reads standard error until it is closed.
async fn read_stderr(stderr: &mut Option<ChildStderr>, errors: &mut VecDeque<u8>) {
    match stderr {
        Some(stderr) => read_tail(stderr, errors).await,
        None => std::future::pending().await,
    }
}

async fn passed(deadline: Option<Instant>, wall: Option<Duration>) -> u64 {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
    wall.unwrap_or_default().as_secs()
}
