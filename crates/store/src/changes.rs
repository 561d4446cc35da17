//! Reports to this process what changes in the database, by any node.

use std::{fmt, str::FromStr};

use model::{JobId, RecordingId};
use tokio::sync::broadcast;

/// Changes that a subscriber may be behind. One that is further behind gets `Lagged` and has to query the database.
const CAPACITY: usize = 1024;

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The recording, or one of its renditions, segments or jobs.
    Recording(RecordingId),
    /// The job was cancelled: its worker has to stop.
    Cancelled(JobId),
    /// Anything may have changed: for a while this process received no notifications from the database.
    Anything,
}

/// The payload of a notification between nodes.
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

    /// A text that this version does not know comes from a later one: `Anything`.
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

/// Reports changes to all subscribers in this process. Without subscribers it does nothing.
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
    /// Sends a change to all subscribers. Never blocks: a slow subscriber loses changes and gets `Lagged`.
    pub fn publish(&self, change: Change) {
        // It fails only without subscribers.
        let _ = self.sender.send(change);
    }

    /// Subscribes to changes from now on. A subscriber more than 1024 changes behind gets `Lagged`, which means
    /// [`Change::Anything`].
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.sender.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_parses_to_itself_and_an_unknown_one_to_anything() {
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
