//! Runs a tool, and defines its errors.

use std::{
    ffi::OsStr,
    io,
    process::{Command, Output},
};

use thiserror::Error;

/// Why a file was rejected, or could not be checked.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// The tool isn't there: install it.
    #[error("{tool} can't be started ({error}): install the Debian package ffmpeg")]
    NoTool {
        /// Which.
        tool: &'static str,
        /// Why.
        error: io::Error,
    },
    /// The tool rejected the file.
    #[error("{tool} {arguments}:\n{stderr}")]
    Refused {
        /// Which.
        tool: &'static str,
        /// How it was called.
        arguments: String,
        /// What it said.
        stderr: String,
    },
    /// The tool's output can't be parsed.
    #[error("{tool}'s answer can't be read: {reason}")]
    Answer {
        /// Which.
        tool: &'static str,
        /// What is wrong.
        reason: String,
    },
}

/// Runs `tool`, and fails unless it exits with 0.
pub(super) fn run(
    tool: &'static str,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Result<Output, VerifyError> {
    let mut command = Command::new(tool);
    command.args(arguments);
    let output = command.output().map_err(|error| VerifyError::NoTool { tool, error })?;
    if output.status.success() {
        return Ok(output);
    }
    let arguments: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(VerifyError::Refused { tool, arguments: arguments.join(" "), stderr })
}
