//! Child processes that end with their test, even if it is killed.

use std::{
    ffi::OsStr,
    io::{self, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// Bytes of a child's standard error that are retained: the newest.
const KEPT: usize = 1 << 20;

/// A running child: killed when dropped, and by the kernel when the thread that started it dies.
pub struct Process {
    child: Child,
    output: Arc<Mutex<Vec<u8>>>,
}

/// A command that the kernel kills when the thread that started it ends, for whatever reason.
///
/// The program runs under the same process id that [`Child::id`] gives: `setpriv` replaces itself with it.
pub fn bound_command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

impl Process {
    /// Starts a command made by [`bound_command`]; its standard error is retained for
    /// [`Process::output`].
    ///
    /// # Errors
    /// The system's. A missing `setpriv` means that the Debian package util-linux is missing.
    pub fn start(mut command: Command) -> io::Result<Self> {
        let mut child = command.stderr(Stdio::piped()).spawn()?;
        let output = Arc::new(Mutex::new(Vec::new()));
        if let Some(stderr) = child.stderr.take() {
            let kept = output.clone();
            thread::Builder::new().name("child output".into()).spawn(move || keep(stderr, &kept))?;
        }
        Ok(Self { child, output })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The child itself, for its standard input and output.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The newest megabyte of its standard error.
    #[must_use]
    pub fn output(&self) -> String {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&output).into_owned()
    }

    /// Its exit status, if it has ended.
    ///
    /// # Errors
    /// The system's.
    pub fn exited(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, and waits up to `patience` for the end. `None`: it hasn't ended.
    ///
    /// # Errors
    /// The system's.
    pub async fn terminate(&mut self, patience: Duration) -> io::Result<Option<ExitStatus>> {
        let pid = nix::unistd::Pid::from_raw(self.child.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn keep(mut stderr: impl Read, kept: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 8192];
    while let Ok(length @ 1..) = stderr.read(&mut buffer) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(&buffer[..length]);
        let excess = kept.len().saturating_sub(KEPT);
        kept.drain(..excess);
    }
}
