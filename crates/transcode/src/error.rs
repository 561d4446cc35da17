//! Why a rendition fails, and whose fault it is.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A parameter that can't be used. The fault of the caller that requested the rendition.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("{option} {reason}")]
pub struct BadOption {
    /// Its path, such as `video.crf`.
    pub option: String,
    /// What it must be, and what it is.
    pub reason: String,
}

impl BadOption {
    pub(crate) fn new(option: &str, reason: impl Into<String>) -> Self {
        Self { option: option.to_owned(), reason: reason.into() }
    }
}

/// Why a rendition failed. No file is left in any of these cases.
///
/// It is sent from the child process as JSON: `{"fault": "unreadable", …}`.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum TranscodeError {
    /// A parameter can't be used. The fault of the caller that requested the rendition.
    #[error("{0}")]
    BadOption(BadOption),
    /// The input lacks the media that the rendition is made of: video for a thumbnail, audio for an MP3, the track of a stem.
    #[error("the input has no {wanted}")]
    NoSuchTrack {
        /// What is missing.
        wanted: String,
    },
    /// Nothing in the input can be decoded.
    #[error("the input can't be read: {detail}")]
    Unreadable {
        /// The error and the last messages of libav.
        detail: String,
    },
    /// The libav of this machine lacks an encoder that the rendition needs.
    #[error("libav here has no encoder {name}")]
    NoEncoder {
        /// Its name in the output of `ffmpeg -encoders`.
        name: String,
    },
    /// The disk of the output is full. A later repetition can succeed.
    #[error("the disk is full ({doing})")]
    DiskFull {
        /// The operation that failed.
        doing: String,
    },
    /// Memory ran out, or reached [`Limits::memory_bytes`](crate::Limits::memory_bytes).
    #[error("memory ran out ({doing})")]
    OutOfMemory {
        /// The operation that failed.
        doing: String,
    },
    /// A file couldn't be opened, read, written or renamed.
    #[error("{doing}: {detail}")]
    Io {
        /// The operation that failed.
        doing: String,
        /// The error of the operating system.
        detail: String,
    },
    /// libav failed for another reason; see its last messages.
    #[error("{doing}: {detail}")]
    Libav {
        /// The operation that failed.
        doing: String,
        /// The error and the last messages of libav.
        detail: String,
    },
    /// The segments of a follower would differ from a render of the finalized file, so the rendition must be rendered after
    /// the end.
    #[error("can't be followed: {detail}")]
    CantFollow {
        /// Why.
        detail: String,
    },
    /// The caller cancelled it.
    #[error("cancelled")]
    Cancelled,
    /// It took longer than [`Limits::wall`](crate::Limits::wall).
    #[error("not done within {seconds} s")]
    TimedOut {
        /// The limit.
        seconds: u64,
    },
    /// The child process crashed or was killed: by the kernel for its memory or CPU time, or by an operator.
    #[error("{}", epitaph(*signal, detail))]
    Killed {
        /// Its number: 11 is a crash, 9 the kernel or an operator, 24 the limit of CPU time, 6 an abort.
        signal: i32,
        /// The end of its standard error.
        detail: String,
    },
    /// The child process couldn't be started, or violated the protocol.
    #[error("the worker failed: {detail}")]
    Worker {
        /// What happened.
        detail: String,
    },
}

/// Explains a signal (signal(7) on Linux) in words.
fn epitaph(signal: i32, detail: &str) -> String {
    let what = match signal {
        9 => "was killed (signal 9), by the system because memory was short, or by an operator".to_owned(),
        24 => "took more processor time than it may (signal 24)".to_owned(),
        4 | 6 | 7 | 8 | 11 => format!("crashed (signal {signal})"),
        other => format!("was ended by signal {other}"),
    };
    let said = if detail.is_empty() { "" } else { ": " };
    format!("the process that made the rendition {what}{said}{detail}")
}

impl TranscodeError {
    /// Whether a repetition of the same plan would fail again. Such a job is parked, not retried.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        matches!(
            self,
            Self::BadOption(_)
                | Self::NoSuchTrack { .. }
                | Self::Unreadable { .. }
                | Self::NoEncoder { .. }
                | Self::CantFollow { .. }
        )
    }

    /// The error of an operation on a file.
    pub(crate) fn io(doing: impl Into<String>, error: &std::io::Error) -> Self {
        let doing = doing.into();
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::DiskFull { doing },
            std::io::ErrorKind::OutOfMemory => Self::OutOfMemory { doing },
            _ => Self::Io { doing, detail: error.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signal_of_a_killed_worker_is_explained() {
        let says =
            |signal, detail: &str| TranscodeError::Killed { signal, detail: detail.into() }.to_string();
        let process = "the process that made the rendition";
        assert!(
            says(9, "")
                .starts_with(&format!("{process} was killed (signal 9), by the system because memory"))
        );
        assert_eq!(says(11, "double free"), format!("{process} crashed (signal 11): double free"));
        assert_eq!(says(15, ""), format!("{process} was ended by signal 15"));
    }
}
