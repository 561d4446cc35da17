//! The source's end of a session.

use std::{sync::Arc, time::Instant};

use media::{AudioChunk, AudioError, AudioFormat, TrackConfig};
use model::{EndReason, Recording, SessionId};
use rtp::{RtpPacket, SenderReport, TrackId};
use tokio::sync::mpsc::{self, error::TrySendError};

use super::feeder::{Shared, SourceInput};
use crate::{error::CaptureError, metrics, registry::Committed};

/// The session accepts no more media: a limit, a stop, a failing disk, or unusable audio. [`SourceHandle::ended`] returns
/// which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session has ended")]
pub struct SourceEnded;

/// How a session ended.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceOutcome {
    /// The recording, finalized and committed.
    pub recording: Recording,
    /// The audio error that ended the session. The audio before it is in the recording.
    pub refused: Option<AudioError>,
}

/// A session whose holder sends its media. Dropped without [`finish`](Self::finish), the session ends with
/// [`EndReason::PeerClosed`].
///
/// ```
/// use std::{path::Path, sync::Arc, time::Duration};
///
/// use capture::{
///     AudioChunk, AudioFormat, Capture, CaptureConfig, Ledger, LedgerError, Limits, NewSource, PortRange,
///     SpoolConfig, TrackId, WebrtcConfig,
/// };
/// use model::{Channel, EndReason, Recording, SessionId, Source, TenantId};
///
/// /// A database that commits everything.
/// struct Rows;
///
/// #[async_trait::async_trait]
/// impl Ledger for Rows {
///     async fn began(&self, _: &Recording) -> Result<(), LedgerError> {
///         Ok(())
///     }
///     async fn paused(&self, _: &TenantId, _: SessionId, _: bool) -> Result<(), LedgerError> {
///         Ok(())
///     }
///     async fn finalized(&self, _: &Recording) -> Result<(), LedgerError> {
///         Ok(())
///     }
/// }
///
/// async fn record(spool: &Path) -> Result<Recording, Box<dyn std::error::Error>> {
///     let config = CaptureConfig {
///         node: Default::default(),
///         base_path: "records".to_owned(),
///         webrtc: WebrtcConfig {
///             udp_port_range: PortRange(0..=0),
///             listen_ips: vec!["127.0.0.1".parse()?],
///             shards: 1,
///             ..Default::default()
///         },
///         limits: Limits { min_free_bytes: 0.into(), ..Default::default() },
///         spool: SpoolConfig { directory: spool.to_owned(), ..Default::default() },
///     };
///     let capture = Capture::start(config, Arc::new(Rows)).await?;
///     let source = NewSource {
///         tenant: TenantId::default(),
///         name: "voice".to_owned(),
///         correlation_id: String::new(),
///         channel: Channel::Call,
///         source: Source::Audio,
///         results: Vec::new(),
///     };
///     let handle = capture.open(source).await?;
///     let format = AudioFormat::Pcm { sample_rate: 16_000, channels: 1 };
///     handle.add_audio(TrackId(0), "microphone", format).await?;
///     // One second of silence: 16-bit samples.
///     let chunk = AudioChunk { data: vec![0; 32_000].into(), ..AudioChunk::default() };
///     handle.push(TrackId(0), chunk).await?;
///     Ok(handle.finish(EndReason::Requested).await?.recording)
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let spool = tempfile::tempdir()?;
/// # let runtime = tokio::runtime::Runtime::new()?;
/// let recording = runtime.block_on(record(spool.path()))?;
/// assert_eq!(recording.duration, Duration::from_secs(1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SourceHandle {
    id: SessionId,
    inputs: mpsc::Sender<SourceInput>,
    committed: Committed,
    shared: Arc<Shared>,
}

impl SourceHandle {
    pub(super) fn new(
        id: SessionId,
        inputs: mpsc::Sender<SourceInput>,
        committed: Committed,
        shared: Arc<Shared>,
    ) -> Self {
        Self { id, inputs, committed, shared }
    }

    /// The session's id, which is also its recording's.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Adds a track that sends RTP, at any time. [`media::Anchor`] ties its media clock to real time.
    ///
    /// # Errors
    /// [`SourceEnded`].
    pub async fn add_track(&self, track: TrackConfig) -> Result<(), SourceEnded> {
        self.send(SourceInput::Track(track)).await
    }

    /// Adds a pushed track. All tracks of a session are pushed, or all send RTP.
    ///
    /// # Errors
    /// [`SourceEnded`]. A format that can't be recorded ends the session, as unusable audio does: check it before.
    pub async fn add_audio(
        &self,
        track: TrackId,
        name: impl Into<String>,
        format: AudioFormat,
    ) -> Result<(), SourceEnded> {
        self.send(SourceInput::Audio { track, name: name.into(), format }).await
    }

    /// Sends a packet that arrived at `arrival`. Never waits: if the queue is full, the packet is dropped and counted
    /// (`recorder_source_packets_dropped_total`).
    ///
    /// # Errors
    /// [`SourceEnded`].
    pub fn rtp(&self, track: TrackId, arrival: Instant, packet: RtpPacket) -> Result<(), SourceEnded> {
        match self.inputs.try_send(SourceInput::Rtp { track, arrival, packet }) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => {
                self.shared.count_dropped();
                metrics::source_packet_dropped();
                Ok(())
            }
            Err(TrySendError::Closed(_)) => Err(SourceEnded),
        }
    }

    /// Sends a sender report (RFC 3550 §6.4.1).
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

    /// Pushes audio. Waits while the queue is full or the disk is behind. Unusable audio ends the session; later calls
    /// report it.
    ///
    /// # Errors
    /// [`SourceEnded`].
    pub async fn push(&self, track: TrackId, chunk: AudioChunk) -> Result<(), SourceEnded> {
        self.send(SourceInput::Chunk { track, chunk }).await
    }

    /// Ends a track. It may send again.
    ///
    /// # Errors
    /// [`SourceEnded`].
    pub async fn end_track(&self, track: TrackId) -> Result<(), SourceEnded> {
        self.send(SourceInput::EndTrack(track)).await
    }

    /// Waits until the session has ended, for any reason, and is committed.
    ///
    /// # Errors
    /// `Internal` if the recorder shuts down before.
    pub async fn ended(&mut self) -> Result<SourceOutcome, CaptureError> {
        match self.committed.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(recording)) => Ok(SourceOutcome {
                recording: Recording::clone(recording),
                refused: self.shared.refused.get().cloned(),
            }),
            Ok(None) | Err(_) => Err(CaptureError::Internal("the session was not finalized".to_owned())),
        }
    }

    /// Ends the session after the media sent so far, and returns when it is committed. Dropping the future does not
    /// cancel that.
    ///
    /// # Errors
    /// As [`ended`](Self::ended).
    pub async fn finish(mut self, reason: EndReason) -> Result<SourceOutcome, CaptureError> {
        // A session that has ended already has its own reason.
        let _ = self.send(SourceInput::Finish(reason)).await;
        self.ended().await
    }

    async fn send(&self, input: SourceInput) -> Result<(), SourceEnded> {
        self.inputs.send(input).await.map_err(|_| SourceEnded)
    }
}
