//! A temporary Postgres server.

use std::{
    fs,
    io::ErrorKind,
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// Waits until its standard input is closed, which happens when the process that started it ends, for whatever reason.
/// Then it stops the server and removes its files. `$1` is the folder, the rest the command that stops the server.
const WATCHDOG: &str = r#"trap '' INT TERM HUP
cat >/dev/null
folder=$1; shift
"$@" >/dev/null 2>&1
rm -rf "$folder""#;

/// The user that runs the server where the tests run as root: initdb refuses root. Debian's `nobody`.
const UNPRIVILEGED: u32 = 65534;

/// A Postgres server on 127.0.0.1 and a free port. Anybody may log in as `app`.
///
/// Dropping it, or the end of the process even by SIGKILL, stops the server and removes its files.
///
/// # Panics
/// Every method panics with the cause if the server fails: a test can't continue without it.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
    fsync: bool,
    databases: AtomicU32,
    watchdog: Child,
}

impl Postgres {
    /// Starts a server without fsync: its data survives its own crash, but not the machine's.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(false)
    }

    /// Starts a server with fsync, as in production, for measurements.
    #[must_use]
    pub fn start_with_fsync() -> Self {
        Self::start_with(true)
    }

    /// The server that the tests of this process share.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// The URL of the initial database.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Makes an empty database and returns its URL.
    #[must_use]
    pub fn create_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        run(self
            .program("createdb")
            .arg("-h")
            .arg(&self.folder)
            .args(["-p", &self.port.to_string()])
            .args(["-U", "app", "--maintenance-db=postgres", &name]));
        self.url_of(&name)
    }

    /// Stops the server as a crash would: connections break, nothing is flushed.
    pub fn stop_immediately(&self) {
        run(&mut self.stop_command());
    }

    /// Starts the stopped server again, on the same port and data.
    pub fn start_again(&self) {
        run(&mut self.start_command());
    }

    fn start_with(fsync: bool) -> Self {
        let programs = programs();
        let folder = make_folder();
        let mut server = Self {
            watchdog: watchdog(&folder, &stop_command(&programs, &folder)),
            programs,
            folder,
            port: 0,
            fsync,
            databases: AtomicU32::new(0),
        };
        run(server.program("initdb").arg("-D").arg(server.data()).args([
            "--username=app",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "--no-instructions",
        ]));
        // Another process may take the port before the server does.
        let mut attempts = 0;
        loop {
            server.port = free_port();
            attempts += 1;
            match complaint(&mut server.start_command()) {
                None => return server,
                Some(_) if attempts < 5 => {}
                Some(complaint) => fail(&format!("{complaint}\n{}", server.log())),
            }
        }
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://app@127.0.0.1:{}/{database}", self.port)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn program(&self, name: &str) -> Command {
        unprivileged(&self.programs.join(name), &self.folder)
    }

    fn start_command(&self) -> Command {
        let options = format!(
            "-c listen_addresses=127.0.0.1 -p {} -k {} -c fsync={} -c max_connections=300",
            self.port,
            self.folder.display(),
            if self.fsync { "on" } else { "off" },
        );
        let mut command = self.program("pg_ctl");
        command.arg("-D").arg(self.data()).arg("-l").arg(self.folder.join("log"));
        command.args(["-w", "-o", &options, "start"]);
        command
    }

    fn stop_command(&self) -> Command {
        stop_command(&self.programs, &self.folder)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        // It ends by itself if waiting fails.
        let _ = self.watchdog.wait();
    }
}

/// Program directories of Debian's and the PostgreSQL project's packages, newest version first.
fn programs() -> PathBuf {
    let version = |folder: &PathBuf| {
        folder.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok())
    };
    let mut versions: Vec<PathBuf> = match fs::read_dir("/usr/lib/postgresql") {
        Ok(folders) => folders.filter_map(Result::ok).map(|folder| folder.path()).collect(),
        Err(_) => Vec::new(),
    };
    versions.sort_by_key(version);
    let found =
        versions.into_iter().rev().map(|folder| folder.join("bin")).find(|bin| bin.join("initdb").exists());
    found.unwrap_or_else(|| {
        fail("There is no Postgres server in /usr/lib/postgresql/*/bin: install it (apt install postgresql-15).")
    })
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn make_folder() -> PathBuf {
    let folder =
        tempfile::Builder::new().prefix("postgres-").tempdir().expect("a temporary folder can be made");
    if is_root() {
        chown(folder.path(), Some(UNPRIVILEGED), Some(UNPRIVILEGED)).expect("root may give a folder away");
    }
    folder.keep()
}

fn unprivileged(program: &Path, folder: &Path) -> Command {
    let mut command = if is_root() {
        let id = UNPRIVILEGED.to_string();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    // The unprivileged user may not be allowed to enter the folder that the test runs in.
    command.current_dir(folder).stdin(Stdio::null());
    command
}

fn stop_command(programs: &Path, folder: &Path) -> Command {
    let mut command = unprivileged(&programs.join("pg_ctl"), folder);
    command.arg("-D").arg(folder.join("data")).args(["-w", "-m", "immediate", "stop"]);
    command
}

/// In its own process group, so that it can clean up after a ^C that ends the tests.
fn watchdog(folder: &Path, stop: &Command) -> Child {
    Command::new("sh")
        .args(["-c", WATCHDOG, "watchdog"])
        .arg(folder)
        .arg(stop.get_program())
        .args(stop.get_args())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("a shell can be started")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

fn run(command: &mut Command) {
    if let Some(complaint) = complaint(command) {
        fail(&complaint);
    }
}

/// The command's failure, or none.
fn complaint(command: &mut Command) -> Option<String> {
    match command.output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Some(format!("{} is not installed", command.get_program().display()))
        }
        Err(error) => Some(format!("{command:?} can't be started: {error}")),
    }
}

#[expect(clippy::panic, reason = "a test that has no database has failed")]
fn fail(complaint: &str) -> ! {
    panic!("{complaint}")
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_server_that_is_dropped_leaves_nothing_behind() {
        let server = Postgres::start();
        let (port, folder) = (server.port, server.folder.clone());
        assert_ne!(server.create_database(), server.create_database());
        assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
        drop(server);
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
        assert!(!folder.exists());
    }

    #[test]
    fn a_server_that_was_stopped_starts_again_on_its_port() {
        let server = Postgres::start();
        let url = server.url();
        server.stop_immediately();
        assert!(TcpStream::connect(("127.0.0.1", server.port)).is_err());
        server.start_again();
        assert_eq!(server.url(), url);
        assert!(TcpStream::connect(("127.0.0.1", server.port)).is_ok());
    }
}
