//! What can go wrong, and whose fault it is.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::BadOption;

/// Why there is no rendition. No file is left behind in any of these cases.
///
/// It can be stored and sent as JSON: `{"fault": "unreadable", …}`.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum TranscodeError {
    /// Whoever asked for the rendition must ask differently.
    #[error("{0}")]
    BadOption(BadOption),
    /// The input lacks what the rendition is made of: a video for a thumbnail, sound for an MP3, the track of a stem.
    #[error("the input has no {wanted}")]
    NoSuchTrack {
        /// What was looked for.
        wanted: String,
    },
    /// The input holds nothing that can be decoded.
    #[error("the input can't be read: {detail}")]
    Unreadable {
        /// What libav said.
        detail: String,
    },
    /// This machine's libav was built without an encoder that the rendition needs.
    #[error("libav here has no encoder {name}")]
    NoEncoder {
        /// As `ffmpeg -encoders` calls it.
        name: String,
    },
    /// The disk of the output is full. Worth another try later.
    #[error("the disk is full ({doing})")]
    DiskFull {
        /// What was being done.
        doing: String,
    },
    /// Memory ran out, or reached [`Limits::memory_bytes`](crate::Limits::memory_bytes).
    #[error("memory ran out ({doing})")]
    OutOfMemory {
        /// What was being done.
        doing: String,
    },
    /// A file couldn't be opened, read, written or renamed.
    #[error("{doing}: {detail}")]
    Io {
        /// What was being done.
        doing: String,
        /// What the operating system said.
        detail: String,
    },
    /// libav refused for a reason that none of the others names: its last messages tell.
    #[error("{doing}: {detail}")]
    Libav {
        /// What was being done.
        doing: String,
        /// What libav said.
        detail: String,
    },
    /// A follower can't make of the recording what a render of the whole will: it is to be made when the file is sealed.
    #[error("can't be followed: {detail}")]
    CantFollow {
        /// Why.
        detail: String,
    },
    /// It was asked to stop.
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
        /// The last that it wrote to its standard error.
        detail: String,
    },
    /// The child process couldn't be started, or didn't answer as a worker does.
    #[error("the worker failed: {detail}")]
    Worker {
        /// How.
        detail: String,
    },
}

/// For a person, to whom a number tells little. The signals are those of signal(7) on Linux.
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
    /// Whether the same plan would fail again, so that it should be put before a person and not tried again.
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

    /// Of an operation on a file.
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
    fn a_person_understands_how_a_worker_ended() {
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
