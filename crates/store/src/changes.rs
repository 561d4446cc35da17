//! Tells this process what has changed in the database, whoever changed it.

use std::{fmt, str::FromStr};

use model::{JobId, RecordingId};
use tokio::sync::broadcast;

/// Changes that a listener may be behind. One that is further behind is told so, and has to look for itself.
const CAPACITY: usize = 1024;

/// What has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The recording, one of its renditions, or one of its jobs.
    Recording(RecordingId),
    /// The job was cancelled: whoever runs it has to stop.
    Cancelled(JobId),
    /// Anything may have changed: for a while nobody listened to the database.
    Anything,
}

/// As it travels between nodes.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recording(id) => write!(f, "recording {id}"),
            Self::Cancelled(id) => write!(f, "cancelled {id}"),
            Self::Anything => f.write_str("anything"),
        }
    }
}

impl FromStr for Change {
    type Err = std::convert::Infallible;

    /// A text of a later version may stand for anything.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (what, id) = text.split_once(' ').unwrap_or_default();
        let change = match what {
            "recording" => id.parse().ok().map(Self::Recording),
            "cancelled" => id.parse().ok().map(Self::Cancelled),
            _ => None,
        };
        Ok(change.unwrap_or(Self::Anything))
    }
}

/// Hands changes on to everybody in this process who listens. Nobody listening is fine.
#[derive(Debug)]
pub struct Changes {
    sender: broadcast::Sender<Change>,
}

impl Default for Changes {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(CAPACITY) }
    }
}

impl Changes {
    /// Tells of a change.
    pub fn publish(&self, change: Change) {
        // An error says that nobody listens.
        let _ = self.sender.send(change);
    }

    /// Listens from here on. Who falls behind gets `Lagged` and has to take it for [`Change::Anything`].
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.sender.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_reads_back_and_an_unknown_one_may_be_anything() {
        for change in
            [Change::Recording(RecordingId::new()), Change::Cancelled(JobId::new()), Change::Anything]
        {
            assert_eq!(change.to_string().parse(), Ok(change));
        }
        for text in ["", "recording", "recording x", "renamed 01890a5d-ac96-774b-bcce-b302099a8057"] {
            assert_eq!(text.parse(), Ok(Change::Anything), "{text:?}");
        }
    }
}
