//! Browsers and other WebRTC stacks, driven from a test: programs that read one JSON request a line and write one JSON
//! response a line. The recorder's service is called by the test itself, so that the program needs no gRPC.

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::{Value, json};
use thiserror::Error;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

/// The longest that any request may take. The start of a browser on a busy machine takes tens of seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a client's request failed.
#[derive(Debug, Error)]
pub enum ClientError {
    /// A tool is not installed.
    #[error("{missing} is missing: {remedy}")]
    Missing {
        /// Which tool.
        missing: String,
        /// How to install it.
        remedy: &'static str,
    },
    /// The program can't be started, or its pipe is closed.
    #[error("the client: {0}")]
    Io(#[from] io::Error),
    /// The program ended.
    #[error("the client has ended:\n{stderr}")]
    Ended {
        /// The end of its standard error.
        stderr: String,
    },
    /// The program returned an error, or no JSON.
    #[error("the client answered {request} with: {response}")]
    Refused {
        /// The request.
        request: String,
        /// The response.
        response: String,
    },
    /// No response.
    #[error("the client didn't answer {request} within {PATIENCE:?}")]
    Late {
        /// The request.
        request: String,
    },
}

/// A running client; killed when dropped.
pub struct Client {
    child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

/// Where the clients' programs are: `tests/clients` of the repository.
fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients")
}

fn present(path: &Path, remedy: &'static str) -> Result<(), ClientError> {
    let missing = || ClientError::Missing { missing: path.display().to_string(), remedy };
    path.exists().then_some(()).ok_or_else(missing)
}

impl Client {
    /// Headless Chromium. Pages are opened by [`Client::open_page`].
    ///
    /// # Errors
    /// [`ClientError::Missing`] if Chromium or its driver isn't installed.
    pub async fn chromium() -> Result<Self, ClientError> {
        let directory = programs().join("browser");
        present(Path::new("/usr/bin/chromium"), "install the Debian package chromium")?;
        present(&directory.join("node_modules/playwright-core"), "run `npm ci` in tests/clients/browser")?;
        Self::start("node", &directory.join("record.mjs"), &[])
    }

    /// aiortc (Python). It sends Opus, and VP8 or H264 as `codec` says by its MIME type.
    ///
    /// # Errors
    /// [`ClientError::Missing`] if it isn't installed.
    pub async fn aiortc(codec: &str) -> Result<Self, ClientError> {
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/venv/bin/python");
        present(
            &python,
            "`python3 -m venv .tools/venv && .tools/venv/bin/pip install -r tests/clients/requirements.txt`",
        )?;
        Self::start(python, &programs().join("aiortc_client.py"), &[("CODEC", codec.into())])
    }

    /// werift (TypeScript). It sends these clips: VP8 in IVF and Opus in Ogg.
    ///
    /// # Errors
    /// [`ClientError::Missing`] if it isn't installed.
    pub async fn werift(video: &Path, audio: &Path) -> Result<Self, ClientError> {
        let directory = programs().join("werift");
        present(&directory.join("node_modules/werift"), "run `npm ci` in tests/clients/werift")?;
        let clips = [("VIDEO", video.as_os_str().to_owned()), ("AUDIO", audio.as_os_str().to_owned())];
        Self::start("node", &directory.join("client.mjs"), &clips)
    }

    fn start(
        interpreter: impl AsRef<std::ffi::OsStr>,
        program: &Path,
        environment: &[(&str, std::ffi::OsString)],
    ) -> Result<Self, ClientError> {
        let mut command = Command::from(crate::process::bound_command(interpreter));
        command
            .arg(program)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (stdin, stdout) = pipes.ok_or(io::ErrorKind::BrokenPipe).map_err(io::Error::from)?;
        Ok(Self { child, stdin, stdout: BufReader::new(stdout).lines() })
    }

    /// Sends a request and waits for its response.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn request(&mut self, request: Value) -> Result<Value, ClientError> {
        let line = request.to_string();
        if self.stdin.write_all(format!("{line}\n").as_bytes()).await.is_err() {
            return Err(self.ended().await);
        }
        let asked = || line.chars().take(80).collect::<String>();
        let answered = timeout(PATIENCE, self.stdout.next_line()).await;
        let Some(response) = answered.map_err(|_| ClientError::Late { request: asked() })?? else {
            return Err(self.ended().await);
        };
        match serde_json::from_str::<Value>(&response) {
            Ok(mut value) if value.get("ok").is_some() => Ok(value["ok"].take()),
            _ => Err(ClientError::Refused { request: asked(), response }),
        }
    }

    async fn ended(&mut self) -> ClientError {
        let mut stderr = String::new();
        if let Some(mut pipe) = self.child.stderr.take() {
            let _ = timeout(Duration::from_secs(1), pipe.read_to_string(&mut stderr)).await;
        }
        ClientError::Ended { stderr }
    }

    /// Opens a page of a browser; options as in `tests/clients/browser/record.mjs`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn open_page(&mut self, page: &str, options: Value) -> Result<(), ClientError> {
        self.request(json!({ "do": "open", "page": page, "options": options })).await.map(drop)
    }

    /// An offer of a page, or of the only connection of a client that has no pages.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn offer(&mut self, page: &str) -> Result<String, ClientError> {
        let request = json!({ "do": "offer", "page": page });
        let response = self.request(request.clone()).await?;
        let sdp = response["sdp"].as_str().map(str::to_owned);
        sdp.ok_or_else(|| ClientError::Refused {
            request: request.to_string(),
            response: response.to_string(),
        })
    }

    /// Applies the answer and waits until the connection is up.
    ///
    /// # Errors
    /// [`ClientError::Refused`] if the connection doesn't come up.
    pub async fn answer(&mut self, page: &str, sdp: &str) -> Result<(), ClientError> {
        self.request(json!({ "do": "answer", "page": page, "sdp": sdp })).await.map(drop)
    }

    /// Any other request about a page: `addVideo`, `removeVideo`, `stats`, `close`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn ask(&mut self, page: &str, what: &str) -> Result<Value, ClientError> {
        self.request(json!({ "do": what, "page": page })).await
    }
}
