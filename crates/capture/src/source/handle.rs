//! The source's end of a session.

use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

use media::{AudioChunk, AudioError, AudioFormat, TrackConfig};
use model::{EndReason, Recording, SessionId};
use rtp::{RtpPacket, SenderReport, TrackId};
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::{CaptureError, metrics, registry::Committed};

/// What the source did wrong, once it did.
pub(super) type Refusal = Arc<OnceLock<AudioError>>;

/// What a source tells its session.
#[derive(Debug)]
pub(super) enum SourceInput {
    /// A track that sends RTP.
    Track(TrackConfig),
    /// A track that is pushed.
    Audio {
        track: TrackId,
        name: String,
        format: AudioFormat,
    },
    Rtp {
        track: TrackId,
        arrival: Instant,
        packet: RtpPacket,
    },
    SenderReport {
        track: TrackId,
        arrival: Instant,
        report: SenderReport,
    },
    Chunk {
        track: TrackId,
        chunk: AudioChunk,
    },
    EndTrack(TrackId),
    Finish(EndReason),
}

/// The session takes nothing more: a limit, a stop, a failing disk, or audio that was refused. Ask
/// [`SourceHandle::ended`] which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session has ended")]
pub struct SourceEnded;

/// How a session ended.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceOutcome {
    /// The recording, sealed and committed.
    pub recording: Recording,
    /// What the source pushed that could not be used; what came before it is in the recording.
    pub refused: Option<AudioError>,
}

/// A session whose media its holder brings. Dropped without [`finish`](Self::finish), the session is sealed as one whose
/// client went away.
#[derive(Debug)]
pub struct SourceHandle {
    id: SessionId,
    inputs: mpsc::Sender<SourceInput>,
    committed: Committed,
    refused: Refusal,
}

impl SourceHandle {
    pub(super) fn new(
        id: SessionId,
        inputs: mpsc::Sender<SourceInput>,
        committed: Committed,
        refused: Refusal,
    ) -> Self {
        Self { id, inputs, committed, refused }
    }

    /// The session's id, which is also its recording's.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Adds a track that sends RTP, also while others are sending. [`media::Anchor`] says what its clock is tied to.
    ///
    /// # Errors
    /// [`SourceEnded`].
    pub async fn add_track(&self, track: TrackConfig) -> Result<(), SourceEnded> {
        self.send(SourceInput::Track(track)).await
    }

    /// Adds a track that is pushed. A session has tracks of one kind, pushed or RTP.
    ///
    /// # Errors
    /// [`SourceEnded`]. A format that can't be recorded ends the session, as bad audio does: check it before.
    pub async fn add_audio(
        &self,
        track: TrackId,
        name: impl Into<String>,
        format: AudioFormat,
    ) -> Result<(), SourceEnded> {
        self.send(SourceInput::Audio { track, name: name.into(), format }).await
    }

    /// Hands over a packet that arrived at `arrival`, at once: a session that is behind drops it and counts
    /// (`recorder_source_packets_dropped_total`).
    ///
    /// # Errors
    /// [`SourceEnded`].
    pub fn rtp(&self, track: TrackId, arrival: Instant, packet: RtpPacket) -> Result<(), SourceEnded> {
        match self.inputs.try_send(SourceInput::Rtp { track, arrival, packet }) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => {
                metrics::source_packet_dropped();
                Ok(())
            }
            Err(TrySendError::Closed(_)) => Err(SourceEnded),
        }
    }

    /// Hands over a sender report.
    ///
    /// # Errors
    /// [`SourceEnded`].
    pub async fn sender_report(
        &self,
        track: TrackId,
        arrival: Instant,
        report: SenderReport,
    ) -> Result<(), SourceEnded> {
        self.send(SourceInput::SenderReport { track, arrival, report }).await
    }

    /// Pushes audio; waits while session and disk are behind. Audio that can't be used ends the session, which shows
    /// in what comes after it.
    ///
    /// # Errors
    /// [`SourceEnded`].
    pub async fn push(&self, track: TrackId, chunk: AudioChunk) -> Result<(), SourceEnded> {
        self.send(SourceInput::Chunk { track, chunk }).await
    }

    /// A track is over. It may send again.
    ///
    /// # Errors
    /// [`SourceEnded`].
    pub async fn end_track(&self, track: TrackId) -> Result<(), SourceEnded> {
        self.send(SourceInput::EndTrack(track)).await
    }

    /// Waits until the session has ended for whatever reason and is sealed.
    ///
    /// # Errors
    /// `Internal` if it never was: the recorder goes down.
    pub async fn ended(&mut self) -> Result<SourceOutcome, CaptureError> {
        match self.committed.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(recording)) => Ok(SourceOutcome {
                recording: Recording::clone(recording),
                refused: self.refused.get().cloned(),
            }),
            Ok(None) | Err(_) => Err(CaptureError::Internal("the session was not sealed".to_owned())),
        }
    }

    /// Ends the session after what was handed over, and returns when it is sealed. Dropping the future changes nothing
    /// in that.
    ///
    /// # Errors
    /// As [`ended`](Self::ended).
    pub async fn finish(mut self, reason: EndReason) -> Result<SourceOutcome, CaptureError> {
        // One that has ended by itself keeps its own reason.
        let _ = self.send(SourceInput::Finish(reason)).await;
        self.ended().await
    }

    async fn send(&self, input: SourceInput) -> Result<(), SourceEnded> {
        self.inputs.send(input).await.map_err(|_| SourceEnded)
    }
}
