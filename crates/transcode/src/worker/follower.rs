//! The server's side of following a file.

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
    parent::{epitaph, farewell, keep_tail, line_of, parse},
    protocol::{MAX_LINE, Report, Task, Word, Work},
};
use crate::{Follow, Followed, TranscodeError, partial};

/// A killed child is gone within this, or its leftovers stay.
const DEATH: Duration = Duration::from_millis(100);

/// A child process that follows a file.
///
/// Dropped, it kills the child and removes what is half-written, for which it blocks some milliseconds. Segments that
/// are whole stay.
#[derive(Debug)]
pub struct Follower {
    child: Child,
    input: ChildStdin,
    reports: FramedRead<ChildStdout, LinesCodec>,
    /// None once it is closed.
    complaints: Option<ChildStderr>,
    errors: VecDeque<u8>,
    words: Words,
    /// From [`Follower::end`] on; not counted before, as following is mostly waiting.
    wall: Option<Duration>,
    deadline: Option<Instant>,
    over: bool,
    segments: PathBuf,
    output: Option<PathBuf>,
    _file: File,
}

/// What the child is to be told. Only the latest length waits.
#[derive(Debug, Default)]
struct Words {
    /// The rest of a line that is on its way.
    line: VecDeque<u8>,
    until: u64,
    told: u64,
    end: Option<Word>,
}

impl Worker {
    /// Starts a child that follows a file. To be called within a Tokio runtime.
    ///
    /// Of [`Limits`](super::Limits) the wall-clock limit counts from [`Follower::end`] only.
    ///
    /// # Errors
    /// [`TranscodeError::BadOption`] if it can't be followed, [`TranscodeError::Io`] if the file can't be opened,
    /// [`TranscodeError::Worker`] if no child can be started. What is wrong within the file is told by
    /// [`Follower::next`].
    pub fn follow(&self, follow: &Follow) -> Result<Follower, TranscodeError> {
        follow.check().map_err(TranscodeError::BadOption)?;
        let file =
            File::open(&follow.input).map_err(|error| TranscodeError::io("opening the input", &error))?;
        // Sealing may give the file another name before the child opens it; through our descriptor it finds it anyhow.
        let input = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()).into();
        let task =
            Task { work: Work::Follow(Follow { input, ..follow.clone() }), limits: self.limits.clone() };
        let line = line_of(&task)?.into();
        let mut child = self.spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(TranscodeError::Worker { detail: "has no standard input or output".to_owned() });
        };
        Ok(Follower {
            input,
            reports: FramedRead::new(output, LinesCodec::new_with_max_length(MAX_LINE)),
            complaints: child.stderr.take(),
            child,
            errors: VecDeque::new(),
            words: Words { line, ..Words::default() },
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
    /// The first `until` bytes of the file are final and can be read. Less than before changes nothing.
    ///
    /// # Errors
    /// [`TranscodeError::Worker`] after the end. Of a child that died, [`Follower::next`] tells why.
    pub async fn grown(&mut self, until: u64) -> Result<(), TranscodeError> {
        self.words.until = self.words.until.max(until);
        self.speak().await
    }

    /// The file is sealed and has so many bytes: the last segment is to be made, and all are to be joined as `output`,
    /// with the care of [`Plan::output`](crate::Plan::output). [`Follower::next`] tells when that is done.
    ///
    /// # Errors
    /// [`TranscodeError::Worker`] after the end. Of a child that died, [`Follower::next`] tells why.
    pub async fn end(&mut self, bytes: u64, output: &Path) -> Result<(), TranscodeError> {
        if self.output.is_none() {
            self.output = Some(output.to_owned());
            self.words.end = Some(Word::End { bytes, output: output.to_owned() });
            self.deadline = self.wall.map(|wall| Instant::now() + wall);
        }
        self.speak().await
    }

    /// The next segment, or in the end the whole. Nothing is lost when the future is dropped.
    ///
    /// A child that nobody listens to goes on for some hundred segments and then waits.
    ///
    /// # Errors
    /// See [`TranscodeError`]. After an error, and after [`Followed::Produced`], the child is gone and so is all that was
    /// half-written; asked again, it says [`TranscodeError::Worker`].
    pub async fn next(&mut self) -> Result<Followed, TranscodeError> {
        if self.over {
            return Err(TranscodeError::Worker { detail: "has ended".to_owned() });
        }
        let deadline = self.deadline;
        let heard = tokio::select! {
            biased;
            seconds = passed(deadline, self.wall) => Err(TranscodeError::TimedOut { seconds }),
            heard = self.hear() => heard,
        };
        if !matches!(heard, Ok(Followed::Segment(_))) {
            // Nothing is awaited here: what was heard would be lost if the future were dropped.
            self.end_child();
        }
        heard
    }

    async fn hear(&mut self) -> Result<Followed, TranscodeError> {
        // A child that is dead is noticed below.
        let _ = self.words.tell(&mut self.input).await;
        loop {
            let line = tokio::select! {
                line = self.reports.next() => line,
                () = listen(&mut self.complaints, &mut self.errors) => {
                    self.complaints = None;
                    continue;
                }
            };
            let Some(line) = line else { return Err(self.obituary().await) };
            match line.map_err(|error| error.to_string()).and_then(|line| parse(&line)) {
                Ok(Report::Progress(_)) => {}
                Ok(Report::Segment(segment)) => return Ok(Followed::Segment(segment)),
                Ok(Report::Produced(produced)) => return Ok(Followed::Produced(produced)),
                Ok(Report::Failed(error)) => return Err(error),
                Err(nonsense) => return Err(TranscodeError::Worker { detail: nonsense }),
            }
        }
    }

    async fn speak(&mut self) -> Result<(), TranscodeError> {
        if self.over {
            return Err(TranscodeError::Worker { detail: "has ended".to_owned() });
        }
        // A child that is dead may have left word why: `next` tells.
        let _ = self.words.tell(&mut self.input).await;
        Ok(())
    }

    async fn obituary(&mut self) -> TranscodeError {
        if self.complaints.is_some() {
            let _ = timeout(DEATH, listen(&mut self.complaints, &mut self.errors)).await;
        }
        epitaph(farewell(&mut self.child).await, &self.errors)
    }

    /// Blocks for the moment that a killed process takes to be gone: up to then what it is writing may appear.
    fn end_child(&mut self) {
        self.over = true;
        let _ = self.child.start_kill();
        let deadline = time::Instant::now() + DEATH;
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
            self.end_child();
        }
    }
}

impl Words {
    /// Says what is to be said. When the future is dropped, it goes on where it was.
    async fn tell(&mut self, to: &mut ChildStdin) -> io::Result<()> {
        loop {
            while !self.line.is_empty() {
                let count = to.write(self.line.as_slices().0).await?;
                self.line.drain(..count);
            }
            let word = if self.until > self.told {
                self.told = self.until;
                Word::Until(self.until)
            } else if let Some(end) = self.end.take() {
                end
            } else {
                return Ok(());
            };
            self.line = line_of(&word).map_err(io::Error::other)?.into();
        }
    }
}

/// Until standard error is closed.
async fn listen(complaints: &mut Option<ChildStderr>, errors: &mut VecDeque<u8>) {
    match complaints {
        Some(complaints) => keep_tail(complaints, errors).await,
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
